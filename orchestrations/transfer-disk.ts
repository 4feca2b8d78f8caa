// One disk of a backup into the vault: what has to be read, slice by slice, and the root over it. Its failures are values:
// the backup decides what they mean.

import type { OrchestrationContext } from "durable-functions";
import { type DiskEnd, type DiskRun, PLAN_DISK, SEAL_DISK, type StepOutcome, WRITE_SLICE } from "./contracts.ts";
import { runSlices } from "./run-disks.ts";
import { attempt, call, type Steps } from "./steps.ts";

export function* transferDisk(context: OrchestrationContext): Steps<StepOutcome<DiskEnd> | undefined> {
  const run = context.df.getInput() as DiskRun;
  return yield* attempt(transferSlices(context, run));
}

function* transferSlices(context: OrchestrationContext, run: DiskRun): Steps<StepOutcome<DiskEnd> | undefined> {
  const { vault, job, disk } = run;
  let sliceCount = run.progress?.sliceCount;
  if (sliceCount === undefined) {
    const planned = yield* call(context, PLAN_DISK, { vault, job, disk });
    if (planned.failure) return planned;
    sliceCount = planned.sliceCount;
  }
  const end = yield* runSlices(context, WRITE_SLICE, run, sliceCount);
  if (end === undefined || end.failure !== undefined || end.state !== "done") return end;
  const sealed = yield* call(context, SEAL_DISK, { vault, job, disk });
  return sealed.failure ? sealed : end;
}
