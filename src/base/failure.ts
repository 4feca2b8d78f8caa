// The one error type of the project: something went wrong that a user, an operator or a caller can act on.
// `kind` decides what machines do with it (retry, HTTP status, exit code: one table each), `code` is the stable
// name people search for, `hint` says what to do next. Bugs are assertions (assert.ts), not failures.

export type FailureKind =
  | "invalid"
  | "denied"
  | "not-found"
  | "conflict"
  | "throttled"
  | "unavailable"
  | "corrupt"
  | "cancelled";

export interface FailureOptions {
  readonly hint?: string;
  readonly cause?: unknown;
  /** How long whoever refused wants to be left alone. */
  readonly retryAfterMs?: number | undefined;
}

export class HoldfastFailure extends Error {
  override readonly name = "HoldfastFailure";
  readonly code: string;
  readonly kind: FailureKind;
  readonly hint: string | undefined;
  readonly retryAfterMs: number | undefined;

  constructor(kind: FailureKind, code: string, message: string, options: FailureOptions = {}) {
    super(message, options.cause === undefined ? undefined : { cause: options.cause });
    this.kind = kind;
    this.code = code;
    this.hint = options.hint;
    this.retryAfterMs = options.retryAfterMs;
  }
}

/** The text of anything that was thrown, for logs and answers. */
export function messageOf(thrown: unknown): string {
  return thrown instanceof Error ? thrown.message : String(thrown);
}
