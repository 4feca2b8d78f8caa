// Assertions are for bugs: what they refuse can only happen when our own code is wrong.
// They are never caught to retry, and never used for what a user or a network may do (see failure.ts).

export class InvariantViolation extends Error {
  override readonly name = "InvariantViolation";
}

export function assert(condition: unknown, message: string): asserts condition {
  if (!condition) throw new InvariantViolation(message);
}

/** Closes a `switch` over a union: the compiler refuses a forgotten case, the run refuses a forged value. */
export function assertNever(value: never, what = "value"): never {
  throw new InvariantViolation(`Unexpected ${what}: ${JSON.stringify(value)}`);
}
