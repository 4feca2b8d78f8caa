// A whole backup in one process, from disks to a committed point: what the command line runs, and what the service runs
// step by step as activities. Every step adopts what an earlier execution of the same transfer has done.

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
import { mapInOrder } from "./in-order.ts";
import { IndexTree } from "./index-tree.ts";
import { findPoint, type ListedPoint, newestPoint } from "./list-points.ts";
import { createOrAdopt, isKind, readIfPresent, seal, unseal } from "./objects.ts";
import type { Vault } from "./open-vault.ts";
import { type ParentDisk, planDisk } from "./plan-disk.ts";
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
import { type DiskTransfer, readFragment, writeSlice } from "./write-slice.ts";

/** Two slices at once keep both cores busy; each holds at most three packs. */
const SLICES_AT_ONCE = 1;

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
  const sources = await chooseSources(vault, backup, transfer);
  const borrowed = [sources.parent, sources.relative].flatMap((listed) => (listed ? [listed.point] : []));
  const key = await beginTransfer(vault, point, borrowed);
  const run = new TransferRun(vault, key, backup, point, sources);
  return run.run();
}

/** What the transfer builds on: decided once, by its pin. */
async function chooseSources(vault: Vault, backup: Backup, transfer: TransferId): Promise<Sources> {
  const pin = await readPin(vault, transfer);
  const newest = await newestPoint(vault, backup.item);
  const sequence = (newest?.manifest.sequence ?? 0) + 1;
  if (pin) {
    const pinned = await Promise.all(pin.body.points.map((point) => findPoint(vault, point)));
    const isOwn = (listed: ListedPoint) => listed.point.item === backup.item;
    return { parent: pinned.find(isOwn), relative: pinned.find((listed) => !isOwn(listed)), sequence };
  }
  const parent = usable(vault, newest);
  const relative = parent ? undefined : usable(vault, backup.relative && (await newestPoint(vault, backup.relative)));
  return { parent, relative, sequence };
}

interface Sources {
  readonly parent: ListedPoint | undefined;
  readonly relative: ListedPoint | undefined;
  /** Of the point in its item. It goes on where a new data key lets nothing else go on: the newest has the highest. */
  readonly sequence: number;
}

/** A point under another data key shares no chunk ids and no tree. */
function usable(vault: Vault, listed: ListedPoint | undefined | ""): ListedPoint | undefined {
  return listed && listed.manifest.keyId === vault.activeKey.keyId ? listed : undefined;
}

interface PlannedDisk {
  readonly work: DiskTransfer;
  readonly plan: DiskPlan;
  readonly inherited: PackCounts | undefined;
}

class TransferRun {
  private readonly vault: Vault;
  private readonly key: VaultKey;
  private readonly backup: Backup;
  private readonly point: PointId;
  private readonly parent: ListedPoint | undefined;
  private readonly relative: ListedPoint | undefined;
  private readonly sequence: number;
  private doneBytes = 0;
  private totalBytes = 0;

  constructor(vault: Vault, key: VaultKey, backup: Backup, point: PointId, { parent, relative, sequence }: Sources) {
    this.vault = vault;
    this.key = key;
    this.backup = backup;
    this.point = point;
    this.parent = parent;
    this.relative = relative;
    this.sequence = sequence;
  }

  async run(): Promise<Manifest> {
    const parentPacks = this.parent && (await readPointPacks(this.vault, this.parent.point));
    const planned: PlannedDisk[] = [];
    for (const ordinal of this.backup.disks.keys()) planned.push(await this.plan(ordinal, parentPacks));
    this.totalBytes = planned.reduce((sum, { plan }) => sum + dirtyBytesOf(plan), 0);
    const disks: { disk: ManifestDisk; counts: PackCounts; done: readonly WorkDone[] }[] = [];
    for (const [ordinal, disk] of planned.entries()) disks.push(await this.transferDisk(ordinal, disk));
    const committed = await commitTransfer(this.vault, {
      point: this.point,
      key: this.key,
      manifest: this.manifestOf(disks.map(({ disk }) => disk)),
      packCounts: disks.map(({ counts }) => counts),
      written: disks.flatMap(({ done }) => done.flatMap((work) => work.packs)),
    });
    await releaseTransfer(this.vault, this.point);
    return committed;
  }

  private async plan(ordinal: number, parentPacks: readonly PackCounts[] | undefined): Promise<PlannedDisk> {
    const { source } = this.backup.disks[ordinal] as BackupDisk;
    const { vault, point } = this;
    const candidate = this.parentDiskOf(source);
    const chunkBytes = candidate?.disk.chunkBytes ?? vault.record.defaults.chunkBytes;
    const shape = treeShapeOf(source.sizeBytes, chunkBytes);
    const damage = await readDamage(vault);
    const name = planName(point.transfer, ordinal);
    const earlier = await readIfPresent(vault.state, name);
    const made = earlier ? undefined : await planAround(source, shape, candidate?.parent, damage);
    const body = earlier?.body ?? (await createOrAdopt(vault.state, name, this.sealPlan(made as DiskPlan)));
    const plan = decodePlan(unseal(vault, { kind: "plan", ...point }, body));
    const parent = plan.parent === null ? undefined : candidate;
    const work: DiskTransfer = {
      ...{ vault, key: this.key, ...point, disk: ordinal, shape, source, plan, damage },
      parent: parent?.parent.tree,
      relative: this.relativeDiskOf(source, chunkBytes),
      compressionLevel: vault.record.defaults.compressionLevel,
      onChunk: (rawBytes) => this.progress(rawBytes),
    };
    return { work, plan, inherited: parent && parentPacks?.[parent.ordinal] };
  }

  private sealPlan(plan: DiskPlan): Buffer {
    return seal(this.vault, this.key, { kind: "plan", ...this.point }, encodePlan(plan));
  }

  private async transferDisk(ordinal: number, { work, plan, inherited }: PlannedDisk) {
    const fragments: Fragment[] = [];
    const slices = plan.slices.keys();
    for await (const fragment of mapInOrder(slices, SLICES_AT_ONCE, (slice) => writeSlice(work, slice))) {
      fragments.push({ ...fragment, leaves: [] });
    }
    const sealed = await sealDisk(work, changedLeaves(work, plan));
    const done: WorkDone[] = [...fragments, sealed];
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

  private manifestOf(disks: ManifestDisk[]): Manifest {
    const { backup, parent, vault } = this;
    const now = vault.clock.now().toISOString();
    return {
      ...this.point,
      keyId: this.key.keyId,
      pointId: backup.pointId ?? this.point.transfer,
      sequence: this.sequence,
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
  private parentDiskOf(source: DiskSource): { parent: ParentDisk; disk: ManifestDisk; ordinal: number } | undefined {
    const { parent, vault } = this;
    const ordinal = parent?.manifest.disks.findIndex((disk) => disk.uniqueId === source.identity.diskUniqueId) ?? -1;
    const disk = parent?.manifest.disks[ordinal];
    if (!parent || !disk || disk.sizeBytes > source.sizeBytes) return undefined;
    const tree = IndexTree.ofDisk(vault, parent.manifest, disk);
    const { base, unreadable } = disk;
    return { parent: { transfer: parent.point.transfer, tree, base, unreadable }, disk, ordinal };
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

/** A parent whose index is damaged is no parent: everything is read, and the next backup builds on this one. */
async function planAround(...[source, shape, parent, damage]: Parameters<typeof planDisk>): Promise<DiskPlan> {
  try {
    return await planDisk(source, shape, parent, damage);
  } catch (cause) {
    if (parent === undefined || !isKind(cause, "corrupt")) throw cause;
    return planDisk(source, shape, undefined, damage);
  }
}

async function* changedLeaves(work: DiskTransfer, plan: DiskPlan) {
  for (const slice of plan.slices.keys()) {
    const fragment = await readFragment(work, fragmentName(work.transfer, work.disk, slice));
    if (!fragment) throw new HoldfastFailure("corrupt", "HoldfastFragmentLost", `Slice ${slice} has no fragment`);
    yield* fragment.leaves;
  }
}

function dirtyBytesOf(plan: DiskPlan): number {
  return plan.slices.reduce((sum, slice) => sum + slice.dirtyBytes, 0);
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
