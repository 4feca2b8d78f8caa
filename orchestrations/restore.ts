// One restore: new disks with the bytes of a recovery point, and beside them what is needed to make a machine of them. A
// restore that fails or is cancelled removes what it has made: the disks that carry its mark.

import type { OrchestrationContext } from "durable-functions";
import {
  BEGIN_RESTORE,
  CLEAN_RESTORE,
  CLOSE_JOB,
  type DiskEnd,
  type JobRef,
  OPEN_JOB,
  RESTORE_DISK,
  type StepOutcome,
  WRITE_RESTORE_FILES,
} from "./contracts.ts";
import { runDisks } from "./run-disks.ts";
import { attempt, call, lookUntil, type Steps } from "./steps.ts";

const CLEAN_UP_PATIENCE_MS = 3_600_000;

export function* restore(context: OrchestrationContext): Steps<void> {
  const job = context.df.getInput() as JobRef;
  const { isOver } = yield* call(context, OPEN_JOB, job);
  if (isOver) return;
  const end: StepOutcome<DiskEnd> = yield* attempt(restoreDisks(context, job));
  if (end.failure !== undefined || end.state !== "done") {
    const input = end.failure ? { ...job, failure: end.failure } : job;
    const isClean = ({ state }: { readonly state: string }) => state === "done";
    yield* lookUntil(context, () => call(context, CLEAN_RESTORE, input), isClean, CLEAN_UP_PATIENCE_MS);
  }
  yield* call(context, CLOSE_JOB, job);
}

function* restoreDisks(context: OrchestrationContext, job: JobRef): Steps<StepOutcome<DiskEnd>> {
  const begun = yield* call(context, BEGIN_RESTORE, job);
  if (begun.failure) return begun;
  const end = yield* runDisks(context, RESTORE_DISK, job, begun.diskCount);
  if (end.failure !== undefined || end.state !== "done") return end;
  const written = yield* call(context, WRITE_RESTORE_FILES, job);
  return written.failure ? written : end;
}
