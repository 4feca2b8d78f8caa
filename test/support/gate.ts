// Ports behind a gate: each call waits for what stands there to let it through, before or after it took effect. What stands
// there may count, fail, lose answers, or end the process.

export type Gate = <Answer>(call: string, perform: () => Promise<Answer>) => Promise<Answer>;

type Method = (...args: unknown[]) => unknown;

/** Answer their items one by one, or page by page: each is a call of its own. */
const LISTS = ["list", "allocatedRanges"];
/** Answer a port again. */
const OPENERS = ["open", "openForWriting"];

export function behind<Port extends object>(gate: Gate, name: string, port: Port): Port {
  return new Proxy(port, {
    get(target, property) {
      const member: unknown = Reflect.get(target, property);
      if (typeof member !== "function") return member;
      const call = `${name}.${String(property)}`;
      const perform = (args: unknown[]) => (member as Method).apply(target, args);
      if (LISTS.includes(String(property))) return (...args: unknown[]) => steps(gate, call, perform(args));
      return async (...args: unknown[]) => {
        const answer = await gate(call, async () => perform(args));
        return OPENERS.includes(String(property)) ? behind(gate, call, answer as object) : answer;
      };
    },
  });
}

async function* steps(gate: Gate, call: string, items: unknown): AsyncGenerator {
  const iterator = (items as AsyncIterable<unknown>)[Symbol.asyncIterator]();
  for (;;) {
    const { done, value } = await gate(call, () => iterator.next());
    if (done) return;
    yield value;
  }
}
