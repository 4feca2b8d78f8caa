// The two phases of a machine, each held by at most one job: the snapshot, and the transfer. A held phase carries a fence
// number that grows with each holder and that the holder's row keeps, so that a late holder can be told and refused, also one
// that holds the phase again by then. A phase is taken over only when its holder's job has ended; never because it is old:
// transfers take days.

import { HoldfastFailure } from "../base/failure.ts";
import type { JobId } from "./job-id.ts";

export type Phase =
  | { readonly state: "Free"; readonly fence: number }
  | { readonly state: "Held"; readonly fence: number; readonly owner: JobId };

export const UNTOUCHED_PHASE: Phase = { state: "Free", fence: 0 };

export type Claim =
  | { readonly verdict: "granted"; readonly phase: Phase; readonly fence: number }
  | { readonly verdict: "busy"; readonly owner: JobId };

/** `hasOwnerEnded` is a fact about the holder at the time of asking: its orchestration is terminal. */
export function claimPhase(phase: Phase, job: JobId, hasOwnerEnded: boolean): Claim {
  // A claim that was written and whose answer was lost is claimed again by the same job: same fence.
  if (phase.state === "Held" && phase.owner === job) return { verdict: "granted", phase, fence: phase.fence };
  if (phase.state === "Held" && !hasOwnerEnded) return { verdict: "busy", owner: phase.owner };
  const fence = phase.fence + 1;
  return { verdict: "granted", phase: { state: "Held", fence, owner: job }, fence };
}

/** Releasing what is no longer held by this claim changes nothing: it was released already, or taken over. */
export function releasePhase(phase: Phase, job: JobId, fence: number): Phase {
  return holds(phase, job, fence) ? { state: "Free", fence: phase.fence } : phase;
}

export function holds(phase: Phase, job: JobId, fence: number): boolean {
  return phase.state === "Held" && phase.owner === job && phase.fence === fence;
}

/** A user is told at once, a scheduled run leaves a job that failed with it: a backup is never skipped in silence. */
export function backupInProgress(vmName: string, owner: JobId): HoldfastFailure {
  return new HoldfastFailure(
    "conflict",
    "UserErrorBackupOperationInProgress",
    `A backup of ${vmName} is taking its snapshot already: job ${owner}`,
    { hint: "Wait until that job has its snapshot; a transfer that is under way does not stand in the way." },
  );
}
