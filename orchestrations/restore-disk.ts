// One disk of a restore: made from the snapshot where it still is, else made empty and filled from the vault slice by
// slice. Its failures are values: the restore decides what they mean.

import type { OrchestrationContext } from "durable-functions";
import {
  BEGIN_TARGET_DISK,
  CHECK_TARGET_DISK,
  type DiskEnd,
  type DiskRun,
  type DiskStep,
  FINISH_TARGET_DISK,
  PLAN_RESTORE,
  RESTORE_SLICE,
  type StepOutcome,
} from "./contracts.ts";
import { runSlices } from "./run-disks.ts";
import { attempt, call, lookUntil, type Steps } from "./steps.ts";

/** Disks from snapshots of terabytes are copied in the background for hours. */
const DISK_PATIENCE_MS = 24 * 3_600_000;

interface Made {
  readonly state: "waits" | "ready" | "cancelled";
}

export function* restoreDisk(context: OrchestrationContext): Steps<StepOutcome<DiskEnd> | undefined> {
  const run = context.df.getInput() as DiskRun;
  return yield* attempt(fillDisk(context, run));
}

function* fillDisk(context: OrchestrationContext, run: DiskRun): Steps<StepOutcome<DiskEnd> | undefined> {
  const step: DiskStep = { vault: run.vault, job: run.job, disk: run.disk };
  let sliceCount = run.progress?.sliceCount;
  if (sliceCount === undefined) {
    const made = yield* makeDisk(context, step);
    if (made.failure) return made;
    if (made.state !== "waits") return { state: made.state === "ready" ? "done" : "cancelled" };
    const planned = yield* call(context, PLAN_RESTORE, step);
    if (planned.failure) return planned;
    sliceCount = planned.sliceCount;
  }
  const end = yield* runSlices(context, RESTORE_SLICE, run, sliceCount);
  if (end === undefined || end.failure !== undefined || end.state !== "done") return end;
  return yield* finish(context, step);
}

function* finish(context: OrchestrationContext, step: DiskStep): Steps<StepOutcome<DiskEnd>> {
  const finished = yield* call(context, FINISH_TARGET_DISK, step);
  if (finished.failure) return finished;
  const made = yield* untilMade(context, step);
  if (made.failure) return made;
  return { state: made.state === "cancelled" ? "cancelled" : "done" };
}

function* makeDisk(context: OrchestrationContext, step: DiskStep): Steps<StepOutcome<Made>> {
  const begun = yield* call(context, BEGIN_TARGET_DISK, step);
  return begun.failure ? begun : yield* untilMade(context, step);
}

function* untilMade(context: OrchestrationContext, step: DiskStep): Steps<StepOutcome<Made>> {
  const isMade = (answer: StepOutcome<{ readonly state: string }>) =>
    answer.failure !== undefined || answer.state !== "pending";
  const made = yield* lookUntil(context, () => call(context, CHECK_TARGET_DISK, step), isMade, DISK_PATIENCE_MS);
  if (made === undefined)
    return { failure: { code: "HoldfastStepTooSlow", message: "The disk was not made in a day" } };
  if (made.failure) return made;
  return { state: made.state as Made["state"] };
}
