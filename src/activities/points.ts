// The recovery point of a backup: there from the moment its snapshot is, and better once the vault has it too. The row is a
// mirror; what the vault's archive says counts.

import type { JobRef, StepOutcome } from "../../orchestrations/contracts.ts";
import { HoldfastFailure } from "../base/failure.ts";
import type { ControlDeps } from "../control/control-deps.ts";
import { moveSubTask, readJob } from "../control/job-changes.ts";
import { freePhase, requirePhase } from "../control/phases.ts";
import { ITEM_ROWS, itemPlace } from "../control/rows/item-row.ts";
import type { JobBody } from "../control/rows/job-row.ts";
import { POINT_ROWS, type PointBody, pointPlace } from "../control/rows/point-row.ts";
import { changeRow, insertRow, readRow } from "../control/rows/row-kind.ts";
import { backupOf } from "./backup-work.ts";
import { asOutcome } from "./outcome.ts";
import { SUB_TASK_OF } from "./phases.ts";

/**
 * The row first, then the job shows the snapshot completed, then the phase is free: a next backup that starts finds the
 * point. Whatever of it was done by an earlier execution is found done.
 */
export function addPoint(deps: ControlDeps, ref: JobRef): Promise<StepOutcome> {
  return asOutcome(async () => {
    const job = await readJob(deps, ref);
    const place = pointPlace(ref.vault, job.item, backupOf(job).pointId);
    const standing = await readRow(deps.tables, POINT_ROWS, place);
    if (!standing) {
      const claim = { job: ref.job, fence: backupOf(job).fences.snapshot };
      await requirePhase(deps, { vault: ref.vault, item: job.item, phase: "snapshot" }, claim);
      await insertRow(deps.tables, POINT_ROWS, place, pointOf(job));
    }
    await completeSnapshot(deps, ref, job);
    return {};
  });
}

export async function completeSnapshot(deps: ControlDeps, ref: JobRef, job: JobBody): Promise<void> {
  const { snapshotTime } = backupOf(job);
  await changeRow(deps.tables, ITEM_ROWS, itemPlace(ref.vault, job.item), (item) => {
    const isNews = snapshotTime !== null && (item.lastPointAt ?? "") < snapshotTime;
    return isNews ? { ...item, lastPointAt: snapshotTime } : undefined;
  });
  await moveSubTask(deps, ref, SUB_TASK_OF.snapshot, "complete");
  await freePhase(deps, { vault: ref.vault, item: job.item, phase: "snapshot" }, ref.job);
}

function pointOf(job: JobBody): PointBody {
  const backup = backupOf(job);
  const { snapshotTime, consistency, machine, snapshot } = backup;
  if (snapshotTime === null || consistency === null || machine === null || snapshot === null) {
    throw new HoldfastFailure("corrupt", "HoldfastJobIncomplete", `Job ${job.id} has no snapshot`);
  }
  const { pointId, scheduledAt, consistencyReason, tags, isCatchUp, policy, retainUntil } = backup;
  return {
    ...{ pointId, scheduledAt, consistency, consistencyReason, tags, isCatchUp, policy, retainUntil, machine },
    jobId: job.id,
    time: snapshotTime,
    isPromoted: false,
    keepUntil: null,
    isHeld: false,
    snapshot: { state: "valid", ref: snapshot, disks: backup.snapshotDisks },
    archive: null,
  };
}

/** Tells the point's row what the archive has of it. The manifest is the truth, so this waits for no phase. */
export async function recordArchive(
  deps: ControlDeps,
  ref: JobRef,
  job: JobBody,
  archive: NonNullable<PointBody["archive"]>,
): Promise<void> {
  const place = pointPlace(ref.vault, job.item, backupOf(job).pointId);
  await changeRow(deps.tables, POINT_ROWS, place, (point) =>
    point.archive?.transfer === archive.transfer ? undefined : { ...point, archive },
  );
}
