// What a backup has to read of a disk: a bit for each chunk that may differ from the parent, and the cut into slices by
// dirty bytes. Whole chunks are always read again from the source; stored ones are never patched.

import { LIMITS } from "../domain/limits.ts";
import type { DiskSource, SnapshotIdentity } from "../ports/disk-source.ts";
import type { ByteRange } from "../ports/object-store.ts";
import type { Damage } from "./damage.ts";
import type { ChunkEntry } from "./format/index-node.ts";
import type { TransferId } from "./format/names.ts";
import { type DiskPlan, LEAF_BITMAP_BYTES } from "./format/plan.ts";
import { chunkLength, LEAF_ENTRIES, type TreeShape } from "./format/tree-shape.ts";
import { mapInOrder } from "./in-order.ts";
import type { IndexTree } from "./index-tree.ts";
import { isKind } from "./objects.ts";

/** A rest smaller than this joins the slice before it: two objects less, and no pack that is nearly empty. */
const SMALL_SLICE_BYTES = LIMITS.sliceDirtyBytes / 16;
const LEAVES_AHEAD = 8;

export interface ParentDisk {
  readonly transfer: TransferId;
  readonly tree: IndexTree;
  /** What the parent read. */
  readonly base: SnapshotIdentity;
  /** What its source could not read: tried again by every backup. */
  readonly unreadable: readonly ByteRange[];
}

async function planDisk(
  source: DiskSource,
  shape: TreeShape,
  parent: ParentDisk | undefined,
  damage: Damage,
): Promise<DiskPlan> {
  const dirty = new DirtyChunks(shape);
  const changed = parent && (await source.changedRanges(parent.base));
  await dirty.addRanges(changed ?? source.allocatedRanges());
  if (parent) {
    dirty.addRange(...parent.unreadable);
    if (changed === undefined) await addStoredChunks(dirty, parent.tree);
    else if (damage.size > 0) await addDamagedChunks(dirty, parent.tree, damage);
    const oldBytes = parent.tree.shape.sizeBytes;
    // The old tail chunk was shorter: its bytes grow, and so does its name.
    if (oldBytes < shape.sizeBytes && oldBytes % shape.chunkBytes !== 0) dirty.add(parent.tree.shape.chunkCount - 1);
  }
  return dirty.plan(parent?.transfer ?? null);
}

/** A parent whose index is damaged is no parent: everything is read, and the next backup builds on this one. */
export async function planAround(...[source, shape, parent, damage]: Parameters<typeof planDisk>): Promise<DiskPlan> {
  try {
    return await planDisk(source, shape, parent, damage);
  } catch (cause) {
    if (parent === undefined || !isKind(cause, "corrupt")) throw cause;
    return planDisk(source, shape, undefined, damage);
  }
}

class DirtyChunks {
  private readonly shape: TreeShape;
  private readonly bits: Uint8Array;

  constructor(shape: TreeShape) {
    this.shape = shape;
    this.bits = new Uint8Array(shape.leafCount * LEAF_BITMAP_BYTES);
  }

  add(chunkIndex: number): void {
    const byte = chunkIndex >> 3;
    this.bits[byte] = (this.bits[byte] as number) | (1 << (chunkIndex & 7));
  }

  async addRanges(ranges: AsyncIterable<ByteRange>): Promise<void> {
    for await (const range of ranges) this.addRange(range);
  }

  addRange(...ranges: readonly ByteRange[]): void {
    const { chunkBytes, chunkCount } = this.shape;
    for (const { offset, length } of ranges) {
      if (length === 0) continue;
      const last = Math.min(chunkCount - 1, Math.floor((offset + length - 1) / chunkBytes));
      for (let chunk = Math.floor(offset / chunkBytes); chunk <= last; chunk++) this.add(chunk);
    }
  }

  plan(parent: TransferId | null): DiskPlan {
    const leafIndexes: number[] = [];
    const slices: { leaves: number; dirtyBytes: number }[] = [];
    for (let leafIndex = 0; leafIndex < this.shape.leafCount; leafIndex++) {
      const dirtyBytes = this.dirtyBytesOf(leafIndex);
      if (dirtyBytes === 0) continue;
      leafIndexes.push(leafIndex);
      const slice = slices.at(-1);
      if (slice && slice.dirtyBytes + dirtyBytes <= LIMITS.sliceDirtyBytes) {
        slice.leaves++;
        slice.dirtyBytes += dirtyBytes;
      } else {
        slices.push({ leaves: 1, dirtyBytes });
      }
    }
    const rest = slices.length > 1 ? slices.at(-1) : undefined;
    const before = slices.at(-2);
    if (rest && before && rest.dirtyBytes < SMALL_SLICE_BYTES) {
      before.leaves += rest.leaves;
      before.dirtyBytes += rest.dirtyBytes;
      slices.pop();
    }
    const bitmaps = new Uint8Array(leafIndexes.length * LEAF_BITMAP_BYTES);
    for (const [ordinal, leafIndex] of leafIndexes.entries())
      bitmaps.set(this.bitmapOf(leafIndex), ordinal * LEAF_BITMAP_BYTES);
    const { sizeBytes, chunkBytes } = this.shape;
    return { sizeBytes, chunkBytes, parent, slices, leafIndexes: Uint32Array.from(leafIndexes), bitmaps };
  }

  private bitmapOf(leafIndex: number): Uint8Array {
    return this.bits.subarray(leafIndex * LEAF_BITMAP_BYTES, (leafIndex + 1) * LEAF_BITMAP_BYTES);
  }

  private dirtyBytesOf(leafIndex: number): number {
    let sum = 0;
    for (const [byteIndex, byte] of this.bitmapOf(leafIndex).entries()) {
      if (byte === 0) continue;
      for (let bit = 0; bit < 8; bit++) {
        if ((byte >> bit) & 1) sum += chunkLength(this.shape, leafIndex * LEAF_ENTRIES + byteIndex * 8 + bit);
      }
    }
    return sum;
  }
}

/** Without a difference from the source, whatever the parent has must be compared, for it may have been cleared since. */
async function addStoredChunks(dirty: DirtyChunks, tree: IndexTree): Promise<void> {
  for await (const { chunkIndex, entry } of entriesOf(tree)) {
    if (entry.kind === "data" || entry.kind === "unreadable") dirty.add(chunkIndex);
  }
}

/** Read what the parent can no longer give back, so that this backup stores it again. */
async function addDamagedChunks(dirty: DirtyChunks, tree: IndexTree, damage: Damage): Promise<void> {
  for await (const { chunkIndex, entry } of entriesOf(tree)) {
    if (entry.kind === "data" && damage.has(entry.pack, entry.chunkId)) dirty.add(chunkIndex);
  }
}

async function* entriesOf(tree: IndexTree): AsyncGenerator<{ chunkIndex: number; entry: ChunkEntry }> {
  const leaves = mapInOrder(tree.leafRefs(), LEAVES_AHEAD, ({ leafIndex, ref }) => tree.readLeaf(leafIndex, ref));
  for await (const { leafIndex, entries } of leaves) {
    for (const [position, entry] of entries.entries()) yield { chunkIndex: leafIndex * LEAF_ENTRIES + position, entry };
  }
}
