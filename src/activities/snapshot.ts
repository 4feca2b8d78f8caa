// The snapshot of a backup: asked for, looked at, and turned into a recovery point. What is decided on the way (its name,
// its machine, how consistent it can be) stands in the job's row before anything is begun, so that every execution of a
// step begins the same.

import type { JobRef, StepOutcome } from "../../orchestrations/contracts.ts";
import { HoldfastFailure } from "../base/failure.ts";
import type { ControlDeps } from "../control/control-deps.ts";
import { readJob } from "../control/job-changes.ts";
import { ITEM_ROWS, type ItemBody, itemPlace } from "../control/rows/item-row.ts";
import type { BackupWork, JobBody } from "../control/rows/job-row.ts";
import { changeRow, insertRow } from "../control/rows/row-kind.ts";
import { CAPTURE_ROWS, capturePlace } from "../control/rows/work-rows.ts";
import { explainConsistency } from "../domain/consistency.ts";
import { FAILURE_CATALOG } from "../domain/failure-catalog.ts";
import type { JobId } from "../domain/job-id.ts";
import { restorePointCollectionName, restorePointName, snapshotGroupName } from "../domain/names-of-things.ts";
import { relativeKeyOf } from "../domain/relatives.ts";
import type { Machine, MachineDisk } from "../ports/machines.ts";
import type { SnapshotRef, SnapshotState } from "../ports/snapshots.ts";
import { backupOf, changeBackup, readItem } from "./backup-work.ts";
import { decideGuest, recordGuest } from "./guest.ts";
import { asOutcome } from "./outcome.ts";

/** When even the third collection in a row is full, a lock keeps points from going; more collections would not help. */
const MAX_COLLECTIONS = 3;
const COLLECTION_FULL = "UserErrorRpCollectionLimitReached";

export function beginSnapshot(deps: ControlDeps, ref: JobRef): Promise<StepOutcome> {
  return asOutcome(async () => {
    for (let attempt = 1; ; attempt++) {
      const { job, item } = await decideSnapshot(deps, ref);
      const { snapshot, machine, asksForCrashConsistent } = backupOf(job);
      if (!snapshot || !machine)
        throw new HoldfastFailure("corrupt", "HoldfastJobIncomplete", "No snapshot was decided");
      try {
        await deps.snapshots.begin({
          snapshot,
          machineId: item.machineId,
          location: machine.location,
          crashConsistentOnly: asksForCrashConsistent,
          excludedDiskIds: await excludedDiskIds(deps, item),
        });
        return {};
      } catch (cause) {
        const isFull = cause instanceof HoldfastFailure && cause.code === COLLECTION_FULL;
        if (!isFull || attempt === MAX_COLLECTIONS) throw cause;
        await leaveCollection(deps, ref, item, snapshot);
      }
    }
  });
}

async function decideSnapshot(deps: ControlDeps, ref: JobRef): Promise<{ job: JobBody; item: ItemBody }> {
  const job = await readJob(deps, ref);
  const item = await readItem(deps, ref.vault, job.item);
  if (backupOf(job).snapshot) return { job, item };
  const machine = await requireMachine(deps, item);
  const { ask, reason } = decideGuest(machine, item);
  await insertRow(deps.tables, CAPTURE_ROWS, capturePlace(ref.vault, ref.job), {
    configuration: machine.configuration,
  });
  const decided = await changeBackup(deps, ref, (backup) => {
    if (backup.snapshot) return undefined;
    return {
      snapshot: snapshotFor(machine, item, backup, ref.job),
      asksForCrashConsistent: ask === "CrashConsistent",
      consistencyReason: reason === undefined ? "" : explainConsistency(reason),
      machine: describe(machine, item),
      relativeKey: relativeKeyFor(machine),
    };
  });
  return { job: decided, item };
}

function relativeKeyFor({ osType, disks }: Machine): string | null {
  const system = disks.find(({ lun }) => lun === -1);
  if (!system) return null;
  return relativeKeyOf({ osType, osDiskBytes: system.sizeBytes, imageReference: system.imageReference });
}

async function requireMachine(deps: ControlDeps, item: ItemBody): Promise<Machine> {
  const machine = await deps.machines.read(item.machineId);
  if (!machine) throw catalogued("BCMV2VMNotFound");
  if (machine.provisioning === "failed") throw catalogued("UserErrorVmProvisioningStateFailed");
  const shut = includedDisks(machine, item).find((disk) => !disk.isReadable);
  if (!shut) return machine;
  throw new HoldfastFailure("denied", "HoldfastDiskNetworkAccess", `The content of disk ${shut.name} cannot be read`, {
    hint: "Allow access to the disk from all networks, or exclude it.",
  });
}

function catalogued(code: "BCMV2VMNotFound" | "UserErrorVmProvisioningStateFailed"): HoldfastFailure {
  const { message, recommendedActions } = FAILURE_CATALOG[code];
  return new HoldfastFailure("conflict", code, message, { hint: recommendedActions.join(" ") });
}

function snapshotFor(machine: Machine, item: ItemBody, backup: BackupWork, job: string): SnapshotRef {
  return {
    collection: {
      subscriptionId: machine.id.split("/")[2] ?? "",
      resourceGroup: snapshotGroupName(machine.location, item.collectionNumber, backup.snapshotGroup),
      name: restorePointCollectionName(machine.id),
    },
    name: restorePointName(job as JobId),
  };
}

/** The next backups of the machine go there as well. Two executions that meet here move on by one, not by two. */
async function leaveCollection(deps: ControlDeps, ref: JobRef, item: ItemBody, full: SnapshotRef): Promise<void> {
  await changeRow(deps.tables, ITEM_ROWS, itemPlace(ref.vault, item.name), (row) =>
    row.collectionNumber === item.collectionNumber ? { ...row, collectionNumber: row.collectionNumber + 1 } : undefined,
  );
  await changeBackup(deps, ref, ({ snapshot }) =>
    snapshot?.collection.resourceGroup === full.collection.resourceGroup ? { snapshot: null } : undefined,
  );
}

async function excludedDiskIds(deps: ControlDeps, item: ItemBody): Promise<string[]> {
  if (item.disks.kind === "all") return [];
  const machine = await requireMachine(deps, item);
  const included = includedDisks(machine, item);
  return machine.disks.filter((disk) => !included.includes(disk)).map(({ diskId }) => diskId);
}

function includedDisks(machine: Machine, { disks: { kind, luns } }: ItemBody): MachineDisk[] {
  // The disk of the operating system cannot be left out.
  return machine.disks.filter(({ lun }) => lun === -1 || kind === "all" || luns.includes(lun) === (kind === "only"));
}

function describe(machine: Machine, item: ItemBody): NonNullable<BackupWork["machine"]> {
  const { kind, vmId, sizeName, osType, location, securityType } = machine;
  const included = includedDisks(machine, item);
  return {
    ...{ kind, vmId, sizeName, osType, location, securityType },
    zones: [...machine.zones],
    attachedDiskCount: machine.disks.length,
    excludedDisks: machine.disks.filter((disk) => !included.includes(disk)).map(({ lun, name }) => ({ lun, name })),
  };
}

export function checkSnapshot(
  deps: ControlDeps,
  ref: JobRef,
): Promise<StepOutcome<{ state: "pending" | "done" | "cancelled" }>> {
  return asOutcome(async () => {
    const job = await readJob(deps, ref);
    if (job.cancelRequestedAt !== null) return { state: "cancelled" };
    const { snapshot } = backupOf(job);
    const seen = snapshot ? await deps.snapshots.read(snapshot) : undefined;
    if (!seen) throw new HoldfastFailure("conflict", "HoldfastSnapshotGone", "The snapshot vanished while it was made");
    if (seen.state === "failed") {
      const { code = "HoldfastSnapshotFailed", message = "The platform gives no reason" } = seen.failure ?? {};
      throw new HoldfastFailure("conflict", code, message);
    }
    if (seen.state === "pending") return { state: "pending" };
    await recordSnapshot(deps, ref, seen);
    return { state: "done" };
  });
}

function recordSnapshot(deps: ControlDeps, ref: JobRef, seen: SnapshotState): Promise<JobBody> {
  return changeBackup(deps, ref, (backup) => ({
    snapshotTime: seen.time,
    snapshotDisks: [...seen.disks],
    ...recordGuest(backup, seen.consistency),
  }));
}
