// The disks of a job, a few at a time, each in an orchestration of its own; and within a disk its slices, a few at a time.
// Histories stay short: a child knows one disk, and goes on as new after so many rounds.

import type { OrchestrationContext } from "durable-functions";
import type {
  ActivityContract,
  DiskEnd,
  DiskRun,
  JobRef,
  OrchestrationContract,
  SliceAnswer,
  SliceStep,
  StepOutcome,
  Throttled,
} from "./contracts.ts";
import { beginCall, beginChild, isThrottled, type Steps, wait } from "./steps.ts";

const DISKS_AT_ONCE = 2;
const SLICES_AT_ONCE = 2;
/** A round is some eight events, and twice as many when each slice takes a second attempt. */
const ROUNDS = 50;
/** A slice takes seconds; a place becomes free about as often. With many that wait, each asks less and less often. */
const BUSY_WAIT_MS = 2_000;
const LONGEST_BUSY_WAIT_MS = 16_000;

export function* runDisks(
  context: OrchestrationContext,
  child: OrchestrationContract<DiskRun, StepOutcome<DiskEnd>>,
  job: JobRef,
  diskCount: number,
): Steps<StepOutcome<DiskEnd>> {
  for (let first = 0; first < diskCount; first += DISKS_AT_ONCE) {
    const disks = Array.from({ length: Math.min(DISKS_AT_ONCE, diskCount - first) }, (_, at) => first + at);
    const begun = disks.map((disk) => beginChild(context, child, { ...job, disk, progress: null }));
    const ends: StepOutcome<DiskEnd>[] = yield context.df.Task.all(begun);
    const bad =
      ends.find((end) => end.failure !== undefined) ?? ends.find((end) => end.failure || end.state !== "done");
    if (bad) return bad;
  }
  return { state: "done" };
}

/** Undefined: the orchestration goes on as new, and this generation returns at once. */
export function* runSlices(
  context: OrchestrationContext,
  activity: ActivityContract<SliceStep, StepOutcome<SliceAnswer>>,
  run: DiskRun,
  sliceCount: number,
): Steps<StepOutcome<DiskEnd> | undefined> {
  const { vault, job, disk } = run;
  let nextSlice = run.progress?.nextSlice ?? 0;
  let busyWaitMs = BUSY_WAIT_MS;
  for (let round = 0; nextSlice < sliceCount; round++) {
    if (round === ROUNDS) {
      context.df.continueAsNew({ ...run, progress: { sliceCount, nextSlice } } satisfies DiskRun);
      return undefined;
    }
    const count = Math.min(SLICES_AT_ONCE, sliceCount - nextSlice);
    const slices = Array.from({ length: count }, (_, at) => nextSlice + at);
    const begun = slices.map((slice) => beginCall(context, activity, { vault, job, disk, slice }));
    const answers: (StepOutcome<SliceAnswer> | Throttled)[] = yield context.df.Task.all(begun);
    const verdict = judge(answers, busyWaitMs);
    if (typeof verdict === "object") return verdict;
    busyWaitMs = verdict > 0 ? Math.min(LONGEST_BUSY_WAIT_MS, 2 * busyWaitMs) : BUSY_WAIT_MS;
    if (verdict > 0) yield* wait(context, verdict);
    else nextSlice += count;
  }
  return { state: "done" };
}

/** An end, or how long to wait before the same slices are asked for again; those that are done are done at once then. */
function judge(
  answers: readonly (StepOutcome<SliceAnswer> | Throttled)[],
  busyWaitMs: number,
): StepOutcome<DiskEnd> | number {
  let waitMs = 0;
  let isCancelled = false;
  for (const answer of answers) {
    if (isThrottled(answer)) waitMs = Math.max(waitMs, answer.retryAfterMs);
    else if (answer.failure) return answer;
    else if (answer.state === "cancelled") isCancelled = true;
    else if (answer.state === "busy") waitMs = Math.max(waitMs, busyWaitMs);
  }
  return isCancelled ? { state: "cancelled" } : waitMs;
}
