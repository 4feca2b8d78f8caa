// The restore of a point: which disks from where, decided once; each disk made and filled; and beside them what a person
// needs to go on. Disks carry the job's mark, so that a restore which is given up removes its own and no others.

import type { JobRef, StepFailure, StepOutcome } from "../../orchestrations/contracts.ts";
import { HoldfastFailure } from "../base/failure.ts";
import type { ControlDeps } from "../control/control-deps.ts";
import { changeJob, hasSubTaskEnded, moveSubTask, readJob } from "../control/job-changes.ts";
import type { JobBody, RestoreWork } from "../control/rows/job-row.ts";
import { POINT_ROWS, type PointBody, pointPlace } from "../control/rows/point-row.ts";
import { readRow } from "../control/rows/row-kind.ts";
import { CAPTURE_ROWS, capturePlace } from "../control/rows/work-rows.ts";
import type { JobId } from "../domain/job-id.ts";
import {
  CONFIG_BLOB_NAME,
  restoreContainerName,
  restoredDiskName,
  TEMPLATE_BLOB_NAME,
} from "../domain/names-of-things.ts";
import { type RestoreFileFacts, restoreConfig, restoreTemplate } from "../domain/restore-files.ts";
import { chosenDisks } from "../domain/restore-request.ts";
import { asOutcome } from "./outcome.ts";

const RESTORE_TASK = "Transfer data from vault";

export function beginRestore(deps: ControlDeps, ref: JobRef): Promise<StepOutcome<{ diskCount: number }>> {
  return asOutcome(async () => {
    const job = await readJob(deps, ref);
    // An earlier life of the orchestration has come this far: there is nothing left to make.
    if (hasSubTaskEnded(job, RESTORE_TASK)) return { diskCount: 0 };
    // Or it was about to clean up.
    if (job.failure) throw new HoldfastFailure("conflict", job.failure.code, job.failure.message);
    const point = await readPointOf(deps, ref, job);
    const decided = await changeJob(deps, ref, (row) => {
      const restore = restoreOf(row);
      return restore.disks.length > 0 ? undefined : { restore: { ...restore, disks: disksOf(ref, restore, point) } };
    });
    await moveSubTask(deps, ref, RESTORE_TASK, "start");
    return { diskCount: restoreOf(decided).disks.length };
  });
}

/** From the snapshot while it is there: that takes seconds. */
function disksOf(ref: JobRef, restore: RestoreWork, point: PointBody): RestoreWork["disks"] {
  if (point.snapshot.state !== "valid" && !point.archive) {
    throw new HoldfastFailure(
      "conflict",
      "UserErrorInstantRpNotFound",
      "The snapshot is gone, and the vault has no copy",
      {
        hint: "Choose another recovery point.",
      },
    );
  }
  const group = `/subscriptions/${restore.targetSubscriptionId}/resourceGroups/${restore.targetResourceGroup}`;
  return chosenDisks(restore.luns ?? undefined, point.snapshot.disks).map(({ lun, name }) => {
    const sourceOrdinal = point.snapshot.disks.findIndex((disk) => disk.lun === lun && disk.name === name);
    const source = point.snapshot.disks[sourceOrdinal] as PointBody["snapshot"]["disks"][number];
    return {
      ...{ lun, name, sourceOrdinal },
      sizeBytes: source.sizeBytes,
      skuName: source.skuName,
      targetDiskId: `${group}/providers/Microsoft.Compute/disks/${restoredDiskName(name, ref.job as JobId)}`,
      snapshotDiskId: point.snapshot.state === "valid" ? source.snapshotDiskId : null,
    };
  });
}

export function writeRestoreFiles(deps: ControlDeps, ref: JobRef): Promise<StepOutcome> {
  return asOutcome(async () => {
    const job = await readJob(deps, ref);
    if (hasSubTaskEnded(job, RESTORE_TASK)) return {};
    const facts = await fileFacts(deps, ref, job);
    const containerName = restoreContainerName(ref.job as JobId);
    const files = [
      { name: CONFIG_BLOB_NAME, text: restoreConfig(facts) },
      { name: TEMPLATE_BLOB_NAME, text: restoreTemplate(facts) },
    ];
    const [config, template] = await deps.staging.write(restoreOf(job).stagingAccountId, containerName, files);
    const properties = {
      ...job.properties,
      "Config Blob Container Name": containerName,
      "Config Blob Name": CONFIG_BLOB_NAME,
      "Config Blob Uri": config?.url ?? "",
      "Template Blob Uri": template?.url ?? "",
    };
    await moveSubTask(deps, ref, RESTORE_TASK, "complete", { properties });
    return {};
  });
}

async function fileFacts(deps: ControlDeps, ref: JobRef, job: JobBody): Promise<RestoreFileFacts> {
  const { location, zones, disks } = restoreOf(job);
  const point = await readPointOf(deps, ref, job);
  const { osType, sizeName, securityType } = point.machine;
  const capture = await readRow(deps.tables, CAPTURE_ROWS, capturePlace(ref.vault, point.jobId));
  return {
    ...{ location, zones, osType, sizeName, securityType },
    machineName: job.machineName,
    pointTime: point.time,
    configuration: capture?.body.configuration,
    disks: disks.map(({ lun, name, targetDiskId }) => ({ lun, name, diskId: targetDiskId })),
  };
}

/**
 * Called until every disk of its own is gone. The failure is written first: whoever makes a disk looks for it afterwards, so
 * that of the two at least one sees the other. A restore that came to its good end after all keeps its disks.
 */
export async function cleanRestore(
  deps: ControlDeps,
  { failure, ...ref }: JobRef & { readonly failure?: StepFailure },
): Promise<{ state: "done" | "pending" }> {
  const job = await changeJob(deps, ref, (row) =>
    failure && !row.failure && !hasSubTaskEnded(row, RESTORE_TASK) ? { failure } : undefined,
  );
  if (hasSubTaskEnded(job, RESTORE_TASK)) return { state: "done" };
  const states = await Promise.all(
    restoreOf(job).disks.map(({ targetDiskId }) => deps.targets.remove(targetDiskId, ref.job)),
  );
  if (states.some((state) => state !== "gone")) return { state: "pending" };
  if (job.failure) await moveSubTask(deps, ref, RESTORE_TASK, "fail", { failure: job.failure });
  else await moveSubTask(deps, ref, RESTORE_TASK, "cancel");
  return { state: "done" };
}

/** Nothing more is to be made: it failed, is to be cancelled, or has ended. */
export function isGivenUp(job: JobBody): boolean {
  return job.failure !== null || job.cancelRequestedAt !== null || hasSubTaskEnded(job, RESTORE_TASK);
}

export function restoreOf(job: JobBody): RestoreWork {
  if (job.restore) return job.restore;
  throw new HoldfastFailure("corrupt", "HoldfastJobIncomplete", `Job ${job.id} is no restore`);
}

export async function readPointOf(deps: ControlDeps, ref: JobRef, job: JobBody): Promise<PointBody> {
  const { pointId } = restoreOf(job);
  const held = await readRow(deps.tables, POINT_ROWS, pointPlace(ref.vault, job.item, pointId));
  if (held) return held.body;
  throw new HoldfastFailure("not-found", "UserErrorRecoveryPointNotFound", `There is no recovery point ${pointId}`);
}
