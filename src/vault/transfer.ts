// A backup from disks to a committed point, step by step: the command line runs the steps in one process, the service each
// in an activity of its own, wherever that happens to run. Every step adopts what an earlier execution of it has done, so
// that it may be repeated, run twice at once, or go on after a crash.

import { HoldfastFailure } from "../base/failure.ts";
import type { DiskSource } from "../ports/disk-source.ts";
import { readDamage } from "./damage.ts";
import type { Fragment, Seal, WorkDone } from "./format/fragment.ts";
import type { VaultKey } from "./format/keys.ts";
import { addStats, type Manifest, type ManifestDisk, NO_STATS } from "./format/manifest.ts";
import { fragmentName, type ItemId, makeTransferId, type PointId, planName, type TransferId } from "./format/names.ts";
import { PackCounts } from "./format/pack-counts.ts";
import { type DiskPlan, decodePlan, encodePlan } from "./format/plan.ts";
import { nodeRefToJson } from "./format/schema.ts";
import { treeShapeOf } from "./format/tree-shape.ts";
import { healOlderPoints } from "./heal.ts";
import { mapInOrder } from "./in-order.ts";
import { IndexTree } from "./index-tree.ts";
import { findPoint, type ListedPoint, newestPoint } from "./list-points.ts";
import { createOrAdopt, listObjects, readIfPresent, seal, unseal } from "./objects.ts";
import type { Vault } from "./open-vault.ts";
import { PackBuffers } from "./pack-writer.ts";
import { type ParentDisk, planAround } from "./plan-disk.ts";
import {
  abandonTransfer,
  beginTransfer,
  commitTransfer,
  readPin,
  readPoint,
  readPointPacks,
  releaseTransfer,
} from "./points.ts";
import { sealDisk } from "./seal-disk.ts";
import { type DiskTransfer, readFragment, startSlice, writeSlice } from "./write-slice.ts";

/** One is read while the one before ends its uploads; they share the memory of their packs. */
const SLICES_AT_ONCE = 2;
const FRAGMENTS_AHEAD = 8;

export interface BackupDisk {
  readonly source: DiskSource;
  readonly name: string;
  readonly lun: number;
  readonly logicalSectorBytes?: number;
  readonly physicalSectorBytes?: number;
}

export interface Backup {
  readonly item: ItemId;
  readonly disks: readonly BackupDisk[];
  readonly pointId?: string;
  readonly pointTime?: string;
  readonly consistency?: Manifest["consistency"];
  readonly consistencyReason?: string;
  readonly tags?: readonly string[];
  readonly reason?: string;
  readonly machine?: string;
  readonly committedBy?: string;
  /** Another item whose disks may hold the same blocks. */
  readonly relative?: ItemId;
  readonly onProgress?: (progress: Progress) => void;
  /** Shared with other transfers of this process, whose memory is bounded as a whole; absent: this one's own. */
  readonly packBuffers?: PackBuffers;
}

export interface Progress {
  readonly doneBytes: number;
  readonly totalBytes: number;
}

export function newTransferId(vault: Vault): TransferId {
  return makeTransferId(vault.clock.now(), vault.random.bytes(10));
}

/** Backs up under the given transfer id: asked again with the same one, it goes on where it stopped. */
export async function runBackup(vault: Vault, backup: Backup, transfer: TransferId): Promise<Manifest> {
  const point: PointId = { item: backup.item, transfer };
  const content = await readPoint(vault, point);
  if (content?.kind === "manifest") {
    await releaseTransfer(vault, point);
    return content.manifest;
  }
  const open = await openTransfer(vault, backup, transfer);
  for (const disk of backup.disks.keys()) await open.planDisk(disk);
  for (const disk of backup.disks.keys()) {
    await open.writeSlices(disk);
    await open.sealDisk(disk);
  }
  const manifest = await open.commit();
  await releaseTransfer(vault, point);
  return manifest;
}

/** Pins the transfer, if that has not been done, and finds what it builds on. */
export async function openTransfer(vault: Vault, backup: Backup, transfer: TransferId): Promise<OpenTransfer> {
  const point: PointId = { item: backup.item, transfer };
  const { parent, relative } = await chooseSources(vault, backup, transfer);
  const borrowed = [parent, relative].flatMap((listed) => (listed ? [listed.point] : []));
  const key = await beginTransfer(vault, point, borrowed);
  return new OpenTransfer(vault, key, backup, point, { parent, relative });
}

/** What the transfer builds on: decided once, by its pin. */
async function chooseSources(vault: Vault, backup: Backup, transfer: TransferId): Promise<Sources> {
  const pin = await readPin(vault, transfer);
  if (pin) {
    const pinned = await Promise.all(pin.body.points.map((point) => findPoint(vault, point)));
    const isOwn = (listed: ListedPoint) => listed.point.item === backup.item;
    return { parent: pinned.find(isOwn), relative: pinned.find((listed) => !isOwn(listed)) };
  }
  const parent = usable(vault, await newestPoint(vault, backup.item));
  const relative = parent ? undefined : usable(vault, backup.relative && (await newestPoint(vault, backup.relative)));
  return { parent, relative };
}

interface Sources {
  readonly parent: ListedPoint | undefined;
  readonly relative: ListedPoint | undefined;
}

/** A point under another data key shares no chunk ids and no tree. */
function usable(vault: Vault, listed: ListedPoint | undefined | ""): ListedPoint | undefined {
  return listed && listed.manifest.keyId === vault.activeKey.keyId ? listed : undefined;
}

/** The same disk in the parent point. */
interface ParentCandidate {
  readonly parent: ParentDisk;
  readonly point: PointId;
  readonly disk: ManifestDisk;
  readonly ordinal: number;
}

interface CompleteDisk {
  readonly disk: ManifestDisk;
  readonly counts: PackCounts;
  readonly done: readonly WorkDone[];
}

/** A disk of a transfer whose plan stands. */
interface PlannedDisk {
  readonly work: DiskTransfer;
  readonly plan: DiskPlan;
  readonly inherited: PackCounts | undefined;
}

/** A transfer that is under way. Disks are named by their position among the backup's. */
export class OpenTransfer {
  private readonly vault: Vault;
  private readonly key: VaultKey;
  private readonly backup: Backup;
  private readonly point: PointId;
  private readonly parent: ListedPoint | undefined;
  private readonly relative: ListedPoint | undefined;
  private readonly planned = new Map<number, Promise<PlannedDisk>>();
  private doneBytes = 0;
  private totalBytes = 0;

  constructor(vault: Vault, key: VaultKey, backup: Backup, point: PointId, { parent, relative }: Sources) {
    this.vault = vault;
    this.key = key;
    this.backup = backup;
    this.point = point;
    this.parent = parent;
    this.relative = relative;
  }

  /** Decides what of a disk has to be read, once and for all. */
  async planDisk(disk: number): Promise<DiskPlan> {
    return (await this.disk(disk)).plan;
  }

  /** Answers how much of what the disk's plan wants read lies up to the end of this slice. */
  async writeSlice(disk: number, slice: number): Promise<number> {
    const { work, plan } = await this.disk(disk);
    await writeSlice(work, slice);
    return plan.slices.slice(0, slice + 1).reduce((sum, { dirtyBytes }) => sum + dirtyBytes, 0);
  }

  /** All of them, in order. */
  async writeSlices(disk: number): Promise<void> {
    const { work } = await this.disk(disk);
    for await (const _ of mapInOrder(startSlices(work), SLICES_AT_ONCE, (slice) => slice.finish()));
    work.packBuffers.release();
  }

  /** All slices of the disk are written by now. */
  async sealDisk(disk: number): Promise<void> {
    const { work, plan } = await this.disk(disk);
    await sealDisk(work, changedLeaves(work, plan));
  }

  /** All disks are sealed by now. The point exists when this resolves; its pin is still there. */
  async commit(): Promise<Manifest> {
    const disks: CompleteDisk[] = [];
    for (const disk of this.backup.disks.keys()) disks.push(await this.complete(disk));
    const committed = await commitTransfer(this.vault, {
      point: this.point,
      key: this.key,
      manifest: this.manifestOf(
        disks.map(({ disk }) => disk),
        await this.nextSequence(),
      ),
      packCounts: disks.map(({ counts }) => counts),
      written: disks.flatMap(({ done }) => done.flatMap((work) => work.packs)),
    });
    for (const disk of this.backup.disks.keys()) await this.healOlderPoints(disk);
    return committed;
  }

  private async healOlderPoints(disk: number): Promise<void> {
    const { work, plan } = await this.disk(disk);
    await healOlderPoints(work, changedLeaves(work, plan));
  }

  private disk(disk: number): Promise<PlannedDisk> {
    let planned = this.planned.get(disk);
    if (planned === undefined) {
      planned = this.plan(disk);
      planned.catch(() => this.planned.delete(disk));
      this.planned.set(disk, planned);
    }
    return planned;
  }

  private async plan(ordinal: number): Promise<PlannedDisk> {
    const { source } = this.backup.disks[ordinal] as BackupDisk;
    const { vault, point } = this;
    const candidate = this.parentDiskOf(source);
    const chunkBytes = candidate?.disk.chunkBytes ?? vault.record.defaults.chunkBytes;
    const shape = treeShapeOf(source.sizeBytes, chunkBytes);
    const damage = await readDamage(vault);
    const name = planName(point.transfer, ordinal);
    const earlier = await readPlan(vault, point, ordinal);
    const made = earlier ? undefined : await planAround(source, shape, candidate?.parent, damage);
    const body = earlier?.body ?? (await createOrAdopt(vault.state, name, this.sealPlan(made as DiskPlan)));
    const plan = decodePlan(unseal(vault, { kind: "plan", ...point }, body));
    const parent = plan.parent === null ? undefined : candidate;
    const work: DiskTransfer = {
      ...{ vault, key: this.key, ...point, disk: ordinal, shape, source, plan, damage },
      parent: parent?.parent.tree,
      relative: this.relativeDiskOf(source, chunkBytes),
      compressionLevel: vault.record.defaults.compressionLevel,
      packBuffers: this.backup.packBuffers ?? new PackBuffers(),
      onChunk: (rawBytes) => this.progress(rawBytes),
    };
    this.totalBytes += plan.slices.reduce((sum, slice) => sum + slice.dirtyBytes, 0);
    const inherited = parent && (await readPointPacks(vault, parent.point))[parent.ordinal];
    return { work, plan, inherited };
  }

  private sealPlan(plan: DiskPlan): Buffer {
    return seal(this.vault, this.key, { kind: "plan", ...this.point }, encodePlan(plan));
  }

  private async complete(ordinal: number): Promise<CompleteDisk> {
    const { work, plan, inherited } = await this.disk(ordinal);
    const done: WorkDone[] = [];
    for await (const { leaves: _, ...own } of fragmentsOf(work, plan)) done.push(own);
    const sealed = await sealDisk(work, changedLeaves(work, plan));
    done.push(sealed);
    const counts = new PackCounts();
    if (inherited) counts.addAll(inherited);
    for (const part of done) counts.addAll(part.counts);
    return { disk: this.describeDisk(ordinal, work, sealed, done), counts, done };
  }

  private describeDisk(ordinal: number, work: DiskTransfer, sealed: Seal, done: readonly WorkDone[]): ManifestDisk {
    const {
      source,
      name,
      lun,
      logicalSectorBytes = 512,
      physicalSectorBytes = 512,
    } = this.backup.disks[ordinal] as BackupDisk;
    return {
      ...{ lun, name, logicalSectorBytes, physicalSectorBytes },
      uniqueId: source.identity.diskUniqueId,
      sizeBytes: source.sizeBytes,
      chunkBytes: work.shape.chunkBytes,
      root: sealed.root && nodeRefToJson(sealed.root),
      base: source.identity,
      unreadable: done.flatMap((part) => [...part.unreadable]),
      stats: done.map((part) => part.stats).reduce(addStats, NO_STATS),
    };
  }

  /** The newest point has the highest, also where a new data key leaves it without a parent. */
  private async nextSequence(): Promise<number> {
    const before = this.parent ?? (await newestPoint(this.vault, this.backup.item));
    return (before?.manifest.sequence ?? 0) + 1;
  }

  private manifestOf(disks: ManifestDisk[], sequence: number): Manifest {
    const { backup, parent, vault } = this;
    const now = vault.clock.now().toISOString();
    return {
      ...this.point,
      keyId: this.key.keyId,
      pointId: backup.pointId ?? this.point.transfer,
      sequence,
      committedBy: backup.committedBy ?? "holdfast",
      pointTime: backup.pointTime ?? now,
      createdAt: now,
      parent: parent ? { transfer: parent.point.transfer, digest: parent.digest } : null,
      consistency: backup.consistency ?? "crash",
      consistencyReason: backup.consistencyReason ?? "",
      tags: [...(backup.tags ?? [])],
      reason: backup.reason ?? "",
      machine: backup.machine ?? null,
      disks,
    };
  }

  /** The same disk in the parent point, if its tree can be built on: same chunks, and not larger than the disk is now. */
  private parentDiskOf(source: DiskSource): ParentCandidate | undefined {
    const { parent, vault } = this;
    const ordinal = parent?.manifest.disks.findIndex((disk) => disk.uniqueId === source.identity.diskUniqueId) ?? -1;
    const disk = parent?.manifest.disks[ordinal];
    if (!parent || !disk || disk.sizeBytes > source.sizeBytes) return undefined;
    const tree = IndexTree.ofDisk(vault, parent.manifest, disk);
    const { base, unreadable } = disk;
    return { parent: { transfer: parent.point.transfer, tree, base, unreadable }, point: parent.point, disk, ordinal };
  }

  private relativeDiskOf(source: DiskSource, chunkBytes: number): IndexTree | undefined {
    const { relative, vault } = this;
    const fits = relative?.manifest.disks.filter((disk) => disk.chunkBytes === chunkBytes) ?? [];
    const disk = fits.find((candidate) => candidate.sizeBytes === source.sizeBytes) ?? fits[0];
    return relative && disk && IndexTree.ofDisk(vault, relative.manifest, disk);
  }

  private progress(rawBytes: number): void {
    this.doneBytes += rawBytes;
    this.backup.onProgress?.({ doneBytes: this.doneBytes, totalBytes: this.totalBytes });
  }
}

/** Slices are numbers within a plan: fragments made by one that is lost mean something else in the next. */
async function readPlan(vault: Vault, { transfer }: PointId, ordinal: number) {
  const name = planName(transfer, ordinal);
  const found = await readIfPresent(vault.state, name);
  if (found) return found;
  for await (const fragment of listObjects(vault.state, fragmentName(transfer, ordinal, 0).slice(0, -1))) {
    // Another execution may have come with both since the first look.
    const now = await readIfPresent(vault.state, name);
    if (now) return now;
    throw new HoldfastFailure("corrupt", "HoldfastPlanLost", `${fragment.name} was made by a plan that is gone`, {
      hint: "Back up again from the beginning.",
    });
  }
  return undefined;
}

async function* startSlices(work: DiskTransfer) {
  for (const slice of work.plan.slices.keys()) yield await startSlice(work, slice);
}

async function* changedLeaves(work: DiskTransfer, plan: DiskPlan) {
  for await (const fragment of fragmentsOf(work, plan)) yield* fragment.leaves;
}

function fragmentsOf(work: DiskTransfer, plan: DiskPlan): AsyncGenerator<Fragment> {
  return mapInOrder(plan.slices.keys(), FRAGMENTS_AHEAD, async (slice) => {
    const fragment = await readFragment(work, fragmentName(work.transfer, work.disk, slice));
    if (fragment) return fragment;
    throw new HoldfastFailure("corrupt", "HoldfastFragmentLost", `Slice ${slice} has no fragment`);
  });
}

/** Backs up under a new transfer, and gives it up cleanly if that fails. */
export async function backUp(vault: Vault, backup: Backup): Promise<Manifest> {
  const transfer = newTransferId(vault);
  try {
    return await runBackup(vault, backup, transfer);
  } catch (cause) {
    const outcome = await abandonTransfer(vault, { item: backup.item, transfer }, "the backup failed").catch(
      () => undefined,
    );
    if (outcome === "committed") return runBackup(vault, backup, transfer);
    throw cause;
  }
}
