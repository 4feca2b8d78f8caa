// One backup of one machine: a snapshot, which is a recovery point by itself, and then its transfer into the vault. The
// job's row knows what was decided; here is only the order, and what happens when a step fails or the user cancels.
//
// A phase that fails is given up before the job ends: snapshot removed, or transfer void. If this orchestration itself
// ends early (terminated, lost), the reconciler finds an open job without one and does the same.

import type { OrchestrationContext } from "durable-functions";
import {
  ADD_POINT,
  type BackupRun,
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
  type TransferBeginning,
} from "./contracts.ts";
import { runDisks } from "./run-disks.ts";
import { attempt, call, failureOf, lookUntil, type Steps, wait } from "./steps.ts";

const SNAPSHOT_PATIENCE_MS = 12 * 3_600_000;
const CLEAN_UP_PATIENCE_MS = 3_600_000;

/** A place among the transfers: who finds none looks again rarely, for hundreds may be waiting. */
const FIRST_TURN_MS = 15_000;
const LONGEST_TURN_MS = 60_000;
/** About half an hour, and some 250 events. */
const LOOKS_FOR_TURN = 30;

/** "later": the orchestration goes on as new, to wait, or to wait on. */
type PhaseEnd = StepOutcome<DiskEnd | { readonly state: "later" }>;
type PhaseVerdict = "done" | "given up" | "later";

export function* backup(context: OrchestrationContext): Steps<void> {
  const { isWaiting = false, ...job } = context.df.getInput() as BackupRun;
  const { isOver } = yield* call(context, OPEN_JOB, job);
  if (isOver) return;
  if ((yield* runPhase(context, job, "snapshot", () => takeSnapshot(context, job))) === "done") {
    const steps = () => transfer(context, job, isWaiting);
    if ((yield* runPhase(context, job, "transfer", steps)) === "later")
      return context.df.continueAsNew({ ...job, isWaiting: true } satisfies BackupRun);
    yield* lookUntil(context, () => call(context, END_TRANSFER, job), isSettled, CLEAN_UP_PATIENCE_MS);
  }
  yield* call(context, CLOSE_JOB, job);
}

function* runPhase(
  context: OrchestrationContext,
  job: JobRef,
  phase: Phase,
  steps: () => Steps<PhaseEnd>,
): Steps<PhaseVerdict> {
  const claim = yield* attempt(call(context, CLAIM_PHASE, { ...job, phase }));
  if ("state" in claim && claim.state === "done") return "done";
  const isGranted = "state" in claim && claim.state === "granted";
  const end = isGranted ? yield* attempt(steps()) : { failure: failureOf(claim) };
  if (end.failure === undefined && "state" in end && end.state !== "cancelled") return end.state;
  yield* giveUp(context, job, phase, end.failure);
  return "given up";
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

function* transfer(context: OrchestrationContext, job: JobRef, isWaiting: boolean): Steps<PhaseEnd> {
  const begun = yield* beginInTurn(context, job, isWaiting);
  if (begun.failure) return begun;
  if (begun.state !== "begun") return { state: begun.state === "busy" ? "later" : "cancelled" };
  const end = yield* runDisks(context, TRANSFER_DISK, job, begun.diskCount);
  if (end.failure !== undefined || end.state === "cancelled") return end;
  const committed = yield* call(context, COMMIT_TRANSFER, job);
  return committed.failure ? committed : { state: "done" };
}

function* beginInTurn(
  context: OrchestrationContext,
  job: JobRef,
  isWaiting: boolean,
): Steps<StepOutcome<TransferBeginning>> {
  let waitMs = FIRST_TURN_MS;
  for (let look = 1; ; look++) {
    if (isWaiting) yield* wait(context, waitMs);
    const begun = yield* call(context, BEGIN_TRANSFER, job);
    if (begun.failure || begun.state !== "busy" || !isWaiting || look === LOOKS_FOR_TURN) return begun;
    waitMs = Math.min(LONGEST_TURN_MS, 2 * waitMs);
  }
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
