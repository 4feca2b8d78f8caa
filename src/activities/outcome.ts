// How activities end. What another attempt may cure is thrown, and the engine tries again; what the platform wants patience
// for is answered as such; everything else that is a failure is an answer too, for it is part of the job's story. A bug is
// thrown as well, and ends as a failed step once the attempts are used up.

import type { StepFailure, StepOutcome } from "../../orchestrations/contracts.ts";
import { HoldfastFailure } from "../base/failure.ts";

export async function asOutcome<Answer extends object>(work: () => Promise<Answer>): Promise<StepOutcome<Answer>> {
  try {
    return await work();
  } catch (cause) {
    return { failure: failureToTell(cause) };
  }
}

function failureToTell(cause: unknown): StepFailure {
  if (!(cause instanceof HoldfastFailure)) throw cause;
  if (cause.kind === "unavailable" || cause.kind === "throttled") throw cause;
  return { code: cause.code, message: cause.hint === undefined ? cause.message : `${cause.message}. ${cause.hint}` };
}

/** For what a step can do without: its failure changes nothing, a bug is one all the same. */
export function unlessBug(cause: unknown): void {
  if (!(cause instanceof HoldfastFailure)) throw cause;
}
