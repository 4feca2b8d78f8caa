// One backup of one machine: a snapshot, which is a recovery point by itself, and then its transfer into the vault. The
// job's row knows what was decided; here is only the order, and what happens when a step fails or the user cancels.
//
// A phase that fails is given up before the job ends: snapshot removed, or transfer void. If this orchestration itself
// ends early (terminated, lost), the reconciler finds an open job without one and does the same.

import type { OrchestrationContext } from "durable-functions";
import {
  ADD_POINT,
  BEGIN_SNAPSHOT,
  BEGIN_TRANSFER,
  CHECK_SNAPSHOT,
  CLAIM_PHASE,
  CLOSE_JOB,
  COMMIT_TRANSFER,
  type DiskEnd,
  END_TRANSFER,
  GIVE_UP_PHASE,
  type JobRef,
  OPEN_JOB,
  type Phase,
  type StepFailure,
  type StepOutcome,
  TRANSFER_DISK,
} from "./contracts.ts";
import { runDisks } from "./run-disks.ts";
import { attempt, call, failureOf, lookUntil, type Steps } from "./steps.ts";

const SNAPSHOT_PATIENCE_MS = 12 * 3_600_000;
const CLEAN_UP_PATIENCE_MS = 3_600_000;

type PhaseEnd = StepOutcome<DiskEnd>;

export function* backup(context: OrchestrationContext): Steps<void> {
  const job = context.df.getInput() as JobRef;
  const { isOver } = yield* call(context, OPEN_JOB, job);
  if (isOver) return;
  if (yield* runPhase(context, job, "snapshot", takeSnapshot)) {
    yield* runPhase(context, job, "transfer", transfer);
    yield* lookUntil(context, () => call(context, END_TRANSFER, job), isSettled, CLEAN_UP_PATIENCE_MS);
  }
  yield* call(context, CLOSE_JOB, job);
}

/** Whether the phase came to its good end. */
function* runPhase(
  context: OrchestrationContext,
  job: JobRef,
  phase: Phase,
  steps: (context: OrchestrationContext, job: JobRef) => Steps<PhaseEnd>,
): Steps<boolean> {
  const claim = yield* attempt(call(context, CLAIM_PHASE, { ...job, phase }));
  if ("state" in claim && claim.state === "done") return true;
  const isGranted = "state" in claim && claim.state === "granted";
  const end = isGranted ? yield* attempt(steps(context, job)) : { failure: failureOf(claim) };
  if (end.failure === undefined && "state" in end && end.state === "done") return true;
  yield* giveUp(context, job, phase, end.failure);
  return false;
}

function* takeSnapshot(context: OrchestrationContext, job: JobRef): Steps<PhaseEnd> {
  const begun = yield* call(context, BEGIN_SNAPSHOT, job);
  if (begun.failure) return begun;
  const look = () => call(context, CHECK_SNAPSHOT, job);
  const seen = yield* lookUntil(context, look, isEnded, SNAPSHOT_PATIENCE_MS);
  if (seen === undefined) return { failure: tooSlow("The snapshot did not come to an end in 12 hours") };
  if (seen.failure) return seen;
  if (seen.state === "cancelled") return { state: "cancelled" };
  const added = yield* call(context, ADD_POINT, job);
  return added.failure ? added : { state: "done" };
}

function* transfer(context: OrchestrationContext, job: JobRef): Steps<PhaseEnd> {
  const begun = yield* call(context, BEGIN_TRANSFER, job);
  if (begun.failure) return begun;
  const end = yield* runDisks(context, TRANSFER_DISK, job, begun.diskCount);
  if (end.failure !== undefined || end.state === "cancelled") return end;
  const committed = yield* call(context, COMMIT_TRANSFER, job);
  return committed.failure ? committed : { state: "done" };
}

function* giveUp(
  context: OrchestrationContext,
  job: JobRef,
  phase: Phase,
  failure: StepFailure | undefined,
): Steps<void> {
  const input = failure ? { ...job, phase, failure } : { ...job, phase };
  yield* lookUntil(context, () => call(context, GIVE_UP_PHASE, input), isSettled, CLEAN_UP_PATIENCE_MS);
}

function isEnded(answer: StepOutcome<{ readonly state: string }>): boolean {
  return answer.failure !== undefined || answer.state !== "pending";
}

function isSettled({ state }: { readonly state: string }): boolean {
  return state !== "pending";
}

function tooSlow(message: string): StepFailure {
  return { code: "HoldfastStepTooSlow", message };
}
