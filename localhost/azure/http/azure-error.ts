// What the simulated Azure refuses, as Azure does: an HTTP status, a code, a message. Each surface writes it in its own
// body format (pipeline.ts). Anything else that is thrown is a bug of the simulator and becomes a 500.
import { type FailureKind, HoldfastFailure } from "../../../src/base/failure.ts";

export interface AzureErrorExtras {
  readonly headers?: Readonly<Record<string, string>>;
  readonly target?: string;
  /** The sentence that Storage adds to a failed authentication. */
  readonly authenticationDetail?: string;
}

export class AzureError extends HoldfastFailure {
  readonly status: number;
  readonly extras: AzureErrorExtras;

  constructor(status: number, code: string, message: string, extras: AzureErrorExtras = {}) {
    super(kindOf(status), code, message);
    this.status = status;
    this.extras = extras;
  }
}

function kindOf(status: number): FailureKind {
  if (status === 401 || status === 403) return "denied";
  if (status === 404) return "not-found";
  if (status === 409 || status === 412) return "conflict";
  if (status === 429) return "throttled";
  return status >= 500 ? "unavailable" : "invalid";
}
