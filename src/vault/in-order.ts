// Work on many things at once, results one after another: at most `limit` run, and they are handed out in the order of
// the input, so that whoever consumes them needs no locks.

export async function* mapInOrder<In, Out>(
  inputs: Iterable<In> | AsyncIterable<In>,
  limit: number,
  work: (input: In) => Promise<Out>,
): AsyncGenerator<Out> {
  const running: Promise<Out>[] = [];
  for await (const input of inputs) {
    const result = work(input);
    // It is awaited below, in its turn; until then a rejection is not an unhandled one.
    result.catch(() => undefined);
    running.push(result);
    if (running.length >= limit) yield await (running.shift() as Promise<Out>);
  }
  for (const result of running) yield await result;
}

/** How many chunks may be in hand at once: memory is bounded by bytes, not by their number. */
export function chunksInFlight(chunkBytes: number): number {
  return Math.max(2, Math.min(8, Math.floor((8 * 1024 * 1024) / chunkBytes)));
}
