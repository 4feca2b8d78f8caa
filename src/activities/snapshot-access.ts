// Access to the bytes of a backup's snapshot, and of the earlier one that it is compared with. The platform takes a second or
// so to grant access to a disk and again to end it, so all disks are asked for at once.

import pMap from "p-map";
import type { JobRef } from "../../orchestrations/contracts.ts";
import { HoldfastFailure } from "../base/failure.ts";
import type { ControlDeps } from "../control/control-deps.ts";
import { readPoints } from "../control/retention.ts";
import { ITEM_ROWS, type ItemBody, itemPlace } from "../control/rows/item-row.ts";
import type { JobBody } from "../control/rows/job-row.ts";
import { POINT_ROWS, pointPlace } from "../control/rows/point-row.ts";
import { changeRow, readRow } from "../control/rows/row-kind.ts";
import type { SnapshotDiskRef } from "../ports/snapshots.ts";
import { backupOf, changeBackup } from "./backup-work.ts";
import { unlessBug } from "./outcome.ts";

/** A machine has 65 disks at most; the platform counts requests. */
const DISKS_AT_ONCE = 8;

/**
 * Opens all disks, and learns their sizes from their bytes: what a snapshot says of them is the machine's description, which
 * may be older than they are. A disk that is restored is made as large as its point's row says, so that learns of it too.
 */
export async function openDisks(deps: ControlDeps, ref: JobRef, job: JobBody): Promise<JobBody> {
  const { snapshotDisks, pointId } = backupOf(job);
  const held = await readRow(deps.tables, ITEM_ROWS, itemPlace(ref.vault, job.item));
  const bases = await basesOf(deps, ref, job, held?.body);
  const open = async (disk: SnapshotDiskRef) => (await deps.snapshots.open(disk)).sizeBytes;
  // Both are waited for whatever becomes of them: access that is granted after it was ended would stay.
  const [own, earlier] = await Promise.allSettled([
    pMap(ownDisks(job), open, { concurrency: DISKS_AT_ONCE }),
    openBases(deps, bases),
  ]);
  if (own.status === "rejected") throw own.reason;
  if (earlier.status === "rejected") throw earlier.reason;
  const sizes = own.value;
  const measured = snapshotDisks.map((disk, at) => ({ ...disk, sizeBytes: sizes[at] ?? disk.sizeBytes }));
  if (measured.every(({ sizeBytes }, at) => sizeBytes === snapshotDisks[at]?.sizeBytes)) return job;
  await changeRow(deps.tables, POINT_ROWS, pointPlace(ref.vault, job.item, pointId), (point) => ({
    ...point,
    snapshot: { ...point.snapshot, disks: measured },
  }));
  return changeBackup(deps, ref, () => ({ snapshotDisks: measured }));
}

/** The differences will want them. One that cannot be had is met again there, and means that all is compared. */
async function openBases(deps: ControlDeps, bases: readonly SnapshotDiskRef[]): Promise<void> {
  await pMap(bases, (disk) => deps.snapshots.open(disk).catch(unlessBug), { concurrency: DISKS_AT_ONCE });
}

/**
 * To the base of the differences as well, which may have been opened by another process. Access that the platform will not
 * end (its snapshot is locked, or the right to end it is gone) ends by itself.
 */
export async function endAccess(
  deps: ControlDeps,
  ref: JobRef,
  job: JobBody,
  item: ItemBody | undefined,
): Promise<void> {
  const disks = [...ownDisks(job), ...(await basesOf(deps, ref, job, item))];
  await pMap(disks, (disk) => deps.snapshots.close(disk).catch(unlessRetried), { concurrency: DISKS_AT_ONCE });
}

function ownDisks(job: JobBody): SnapshotDiskRef[] {
  const { snapshotDisks, snapshotTime } = backupOf(job);
  return snapshotDisks.map(({ snapshotDiskId, diskUniqueId }) => ({
    ...{ snapshotDiskId, diskUniqueId },
    snapshotTime: snapshotTime ?? job.startedAt,
  }));
}

/** Of the newest earlier point that the vault has and whose snapshot still stands. */
async function basesOf(
  deps: ControlDeps,
  ref: JobRef,
  job: JobBody,
  item: ItemBody | undefined,
): Promise<SnapshotDiskRef[]> {
  const { pointId } = backupOf(job);
  const points = item ? await readPoints(deps, ref.vault, item) : [];
  const base = points.find((point) => point.pointId < pointId && point.archive && point.snapshot.state === "valid");
  return (base?.snapshot.disks ?? []).map(({ snapshotDiskId, diskUniqueId }) => ({
    ...{ snapshotDiskId, diskUniqueId },
    snapshotTime: base?.time ?? job.startedAt,
  }));
}

function unlessRetried(cause: unknown): void {
  if (!(cause instanceof HoldfastFailure) || cause.kind === "unavailable" || cause.kind === "throttled") throw cause;
}
