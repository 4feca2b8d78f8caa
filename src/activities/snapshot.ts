// The snapshot of a backup: asked for, looked at, and turned into a recovery point. What is decided on the way (its name,
// which disks, how consistent it can be) stands in the job's row before anything is begun, so that every execution of a
// step begins the same.

import { HoldfastFailure } from "../base/failure.ts";
import { explainConsistency, recordConsistency } from "../domain/consistency.ts";
import { FAILURE_CATALOG } from "../domain/failure-catalog.ts";
import { collectionNameOf, snapshotGroupNameOf, snapshotNameOf } from "../domain/names-of-things.ts";
import type { JobRef, StepFailure, StepOutcome } from "../../orchestrations/contracts.ts";
import type { ControlDeps } from "../control/control-deps.ts";
import { changeJob, moveSubTask, readJob } from "../control/job-changes.ts";
import { freePhase, requirePhase } from "../control/phases.ts";
import { ITEM_ROWS, type ItemBody, itemPlace } from "../control/rows/item-row.ts";
import type { BackupWork, JobBody } from "../control/rows/job-row.ts";
import { POINT_ROWS, type PointBody, pointPlace } from "../control/rows/point-row.ts";
import { changeRow, insertRow, readRow } from "../control/rows/row-kind.ts";
import { CAPTURE_ROWS, capturePlace } from "../control/rows/work-rows.ts";
import type { Machine } from "../ports/machines.ts";
import type { SnapshotRef } from "../ports/snapshots.ts";
import { consistencyFor } from "./guest-facts.ts";
import { asOutcome } from "./outcome.ts";
import { backupOf } from "./phases.ts";
import { tagsFor } from "./point-tags.ts";

/** More collections in a row that are full are a lock on their group, not our points. */
const MAX_COLLECTIONS = 3;
const COLLECTION_FULL = "UserErrorRpCollectionLimitReached";

export function beginSnapshot(deps: ControlDeps, ref: JobRef): Promise<StepOutcome> {
  return asOutcome(async () => {
    for (let attempt = 1; ; attempt++) {
      const job = await decideSnapshot(deps, ref);
      try {
        await deps.snapshots.begin(await requestOf(deps, ref, job));
        return {};
      } catch (cause) {
        const isFull = cause instanceof HoldfastFailure && cause.code === COLLECTION_FULL;
        if (!isFull || attempt === MAX_COLLECTIONS) throw cause;
        await takeNextCollection(deps, ref, job);
      }
    }
  });
}

async function decideSnapshot(deps: ControlDeps, ref: JobRef): Promise<JobBody> {
  const job = await readJob(deps, ref);
  if (backupOf(job).snapshot) return job;
  const item = await readItem(deps, ref.vault, job.item);
  const machine = await requireMachine(deps, item);
  const policy = await snapshotAffixes(deps, ref.vault, item);
  const snapshot: SnapshotRef = {
    collection: {
      subscriptionId: machine.id.split("/")[2] ?? "",
      resourceGroup: snapshotGroupNameOf(machine.location, item.collectionNumber, policy),
      name: collectionNameOf(machine.name, item.archiveItem),
    },
    name: snapshotNameOf(backupOf(job).pointId),
  };
  await insertRow(deps.tables, CAPTURE_ROWS, capturePlace(ref.vault, ref.job), { configuration: machine.configuration });
  const { ask, reason } = consistencyFor(machine, item);
  return changeBackup(deps, ref, (backup) => {
    if (backup.snapshot) return undefined;
    return {
      snapshot,
      asksForCrashConsistent: ask === "CrashConsistent",
      consistencyReason: reason === undefined ? "" : explainConsistency(reason),
      machine: summaryOf(machine, item),
    };
  });
}
