// A transfer as one process works on it: the open vault, its plans, and the disks of the snapshot, opened when they are read.
// Sessions are kept for a while, since the next slice comes soon; nothing in them is lost with the process.

import type { JobRef } from "../../orchestrations/contracts.ts";
import { assert } from "../base/assert.ts";
import { HoldfastFailure } from "../base/failure.ts";
import type { ControlDeps } from "../control/control-deps.ts";
import type { JobBody } from "../control/rows/job-row.ts";
import { readRow } from "../control/rows/row-kind.ts";
import { CAPTURE_ROWS, capturePlace } from "../control/rows/work-rows.ts";
import type { DiskSource, SnapshotIdentity } from "../ports/disk-source.ts";
import type { ByteRange } from "../ports/object-store.ts";
import type { SnapshotDisk, SnapshotDiskRef, Snapshots } from "../ports/snapshots.ts";
import type { Manifest } from "../vault/format/manifest.ts";
import { type PointId, parseItemId, parseTransferId } from "../vault/format/names.ts";
import type { Vault } from "../vault/open-vault.ts";
import { PackBuffers } from "../vault/pack-writer.ts";
import { readPoint } from "../vault/points.ts";
import { type Backup, type OpenTransfer, openTransfer } from "../vault/transfer.ts";
import { backupOf, readItem, readVault } from "./backup-work.ts";
import { relativeFor } from "./relatives.ts";

export interface ActivityDeps extends ControlDeps {
  readonly sessions: TransferSessions;
}

export interface TransferSession {
  readonly vault: Vault;
  readonly open: OpenTransfer;
}

/** The plan of a full 32 TiB disk takes 10 MiB. One that has gone is opened again in some ten requests, for a slice of seconds. */
const MAX_SESSIONS = 8;

/** Of 32 MiB each, for all slices that this process works on: the largest part of its memory. While one slice uploads, another reads. */
const MAX_PACK_BUFFERS = 2;

export class TransferSessions {
  readonly packBuffers = new PackBuffers(MAX_PACK_BUFFERS);
  private readonly kept = new Map<string, Promise<TransferSession>>();

  /** One that failed to open is forgotten at once; of the others, the one that was used longest ago goes. */
  get(key: string, open: () => Promise<TransferSession>): Promise<TransferSession> {
    const session = this.kept.get(key) ?? open();
    this.kept.delete(key);
    this.kept.set(key, session);
    session.catch(() => this.forget(key));
    if (this.kept.size > MAX_SESSIONS) this.kept.delete(this.kept.keys().next().value as string);
    return session;
  }

  /** The last one takes the memory of packs along. */
  forget(key: string): void {
    this.kept.delete(key);
    if (this.kept.size === 0) this.packBuffers.release();
  }
}

export async function openSession(deps: ActivityDeps, ref: JobRef, job: JobBody): Promise<TransferSession> {
  const { transfer } = backupOf(job);
  if (transfer === null)
    throw new HoldfastFailure("corrupt", "HoldfastJobIncomplete", `Job ${ref.job} has begun no transfer`);
  return deps.sessions.get(transfer, async () => {
    const point = await pointOfJob(deps, ref, job);
    assert(point, "a job that has begun a transfer names its point");
    const vault = await deps.archives.open(await readVault(deps, ref.vault));
    return { vault, open: await openTransfer(vault, await backupFor(deps, ref, job, point), point.transfer) };
  });
}

/** What the job's transfer has committed, if it has. */
export async function committedManifest(deps: ControlDeps, ref: JobRef, job: JobBody): Promise<Manifest | undefined> {
  const point = await pointOfJob(deps, ref, job);
  if (!point) return undefined;
  const content = await readPoint(await deps.archives.open(await readVault(deps, ref.vault)), point);
  return content?.kind === "manifest" ? content.manifest : undefined;
}

export async function pointOfJob(deps: ControlDeps, ref: JobRef, job: JobBody): Promise<PointId | undefined> {
  const { transfer, archiveItem } = backupOf(job);
  if (transfer === null) return undefined;
  // Rows of an earlier version do not say whose it is.
  const item = archiveItem ?? (await readItem(deps, ref.vault, job.item)).archiveItem;
  return { item: parseItemId(item), transfer: parseTransferId(transfer) };
}

async function backupFor(deps: ActivityDeps, ref: JobRef, job: JobBody, { item }: PointId): Promise<Backup> {
  const backup = backupOf(job);
  const { snapshotDisks, snapshotTime, pointId, consistency, consistencyReason, tags } = backup;
  const pointTime = snapshotTime ?? job.startedAt;
  const capture = await readRow(deps.tables, CAPTURE_ROWS, capturePlace(ref.vault, ref.job));
  const relative = await relativeFor(deps, ref, job, item);
  return {
    ...{ item, pointId, pointTime, consistencyReason, tags },
    ...(relative && { relative }),
    ...(consistency && { consistency }),
    ...(capture && { machine: capture.body.configuration }),
    committedBy: ref.job,
    packBuffers: deps.sessions.packBuffers,
    disks: snapshotDisks.map((disk) => ({
      source: new SnapshotSource(deps.snapshots, disk, pointTime),
      name: disk.name,
      lun: disk.lun,
    })),
  };
}

/** A disk of a snapshot, known from the job's row, and opened by the first who reads of it. */
class SnapshotSource implements DiskSource {
  readonly sizeBytes: number;
  readonly identity: SnapshotIdentity;
  private readonly snapshots: Snapshots;
  private readonly disk: SnapshotDiskRef;
  private opened: Promise<DiskSource> | undefined;

  constructor(snapshots: Snapshots, disk: SnapshotDisk, snapshotTime: string) {
    const { snapshotDiskId, diskUniqueId, sizeBytes } = disk;
    this.snapshots = snapshots;
    this.sizeBytes = sizeBytes;
    this.identity = { diskUniqueId, snapshotId: snapshotDiskId, snapshotTime };
    this.disk = { snapshotDiskId, diskUniqueId, snapshotTime };
  }

  async *allocatedRanges(): AsyncGenerator<ByteRange> {
    yield* (await this.open()).allocatedRanges();
  }

  async changedRanges(since: SnapshotIdentity): Promise<AsyncIterable<ByteRange> | undefined> {
    return (await this.open()).changedRanges(since);
  }

  async read(range: ByteRange): Promise<Uint8Array> {
    return (await this.open()).read(range);
  }

  private open(): Promise<DiskSource> {
    this.opened ??= this.snapshots.open(this.disk).then((source) => {
      assert(
        source.sizeBytes === this.sizeBytes,
        `the disk of ${this.disk.snapshotDiskId} has the size it was said to have`,
      );
      return source;
    });
    this.opened.catch(() => {
      this.opened = undefined;
    });
    return this.opened;
  }
}
