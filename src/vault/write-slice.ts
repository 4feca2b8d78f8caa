// One slice of a transfer: reads its dirty chunks, stores those that neither the parent, the relative nor the slice itself
// has at hand, and writes the leaves they belong to. Its fragment, written create-only at the end, is what makes it count:
// whoever finds a fragment adopts it, whatever was stored besides is garbage.
//
// Looking a chunk up is positional: the same leaf of the parent and of the relative. That needs a few KiB, whatever the
// size of the disk; a table of all ids of a 32 TiB disk would fit no memory.

import { assert } from "../base/assert.ts";
import { HoldfastFailure } from "../base/failure.ts";
import { releaseBuffer } from "../base/release.ts";
import type { DiskSource } from "../ports/disk-source.ts";
import type { Damage } from "./damage.ts";
import { NONCE_BYTES } from "./format/envelope.ts";
import { decodeFragment, encodeFragment, type Fragment } from "./format/fragment.ts";
import { compressChunk, encodeFrame, frameHolds } from "./format/frame.ts";
import {
  type ChildRef,
  type ChunkEntry,
  type ChunkPlace,
  encodeLeaf,
  type Leaf,
  UNALLOCATED,
} from "./format/index-node.ts";
import type { VaultKey } from "./format/keys.ts";
import { addStats, type DiskStats, NO_STATS } from "./format/manifest.ts";
import { fragmentName, type ItemId, samePack, type TransferId } from "./format/names.ts";
import { PackCounts } from "./format/pack-counts.ts";
import { type DiskPlan, dirtyLeavesOf } from "./format/plan.ts";
import { chunkLength, LEAF_ENTRIES, leafEntryCount, type TreeShape } from "./format/tree-shape.ts";
import { chunksInFlight, mapInOrder } from "./in-order.ts";
import type { IndexTree } from "./index-tree.ts";
import { createOrAdopt, readIfPresent, seal, sha256Of, unseal } from "./objects.ts";
import type { Vault } from "./open-vault.ts";
import { type PackBuffers, PackWriter } from "./pack-writer.ts";

const LEAVES_AHEAD = 4;

export interface DiskTransfer {
  readonly vault: Vault;
  readonly key: VaultKey;
  readonly item: ItemId;
  readonly transfer: TransferId;
  readonly disk: number;
  readonly shape: TreeShape;
  readonly source: DiskSource;
  readonly plan: DiskPlan;
  readonly parent: IndexTree | undefined;
  readonly relative: IndexTree | undefined;
  readonly damage: Damage;
  readonly compressionLevel: number;
  readonly packBuffers: PackBuffers;
  /** Told after each chunk, for progress. */
  readonly onChunk?: (rawBytes: number) => void;
}

export async function writeSlice(work: DiskTransfer, slice: number): Promise<Fragment> {
  return (await startSlice(work, slice)).finish();
}

/** A slice whose chunks are all read. The next may start while the packs of this one are on their way. */
export interface StartedSlice {
  finish(): Promise<Fragment>;
}

export async function startSlice(work: DiskTransfer, slice: number): Promise<StartedSlice> {
  const name = fragmentName(work.transfer, work.disk, slice);
  const earlier = await readFragment(work, name);
  if (earlier) return { finish: async () => earlier };
  const writer = new SliceWriter(work);
  await writer.readAll(slice);
  return {
    finish: async () => {
      const { vault, key, item, transfer } = work;
      const body = seal(vault, key, { kind: "fragment", item, transfer }, encodeFragment(await writer.finish()));
      return decode(work, await createOrAdopt(vault.state, name, body));
    },
  };
}

export async function readFragment(work: Pick<DiskTransfer, "vault" | "item" | "transfer">, name: string) {
  const found = await readIfPresent(work.vault.state, name);
  return found && decode(work, found.body);
}

function decode(
  { vault, item, transfer }: Pick<DiskTransfer, "vault" | "item" | "transfer">,
  body: Uint8Array,
): Fragment {
  return decodeFragment(unseal(vault, { kind: "fragment", item, transfer }, body));
}

/** A leaf on its way: what the parent had, what is known so far, how many of its chunks are still in hand. */
interface OpenLeaf {
  readonly leafIndex: number;
  readonly old: Leaf;
  readonly oldRef: ChildRef;
  readonly known: ReadonlyMap<string, ChunkPlace>;
  readonly entries: ChunkEntry[];
}

interface ChunkTask {
  readonly leaf: OpenLeaf;
  readonly position: number;
  readonly isLastOfLeaf: boolean;
}

type Prepared =
  | { readonly task: ChunkTask; readonly entry: ChunkEntry }
  | { readonly task: ChunkTask; readonly frame: Buffer; readonly chunkId: Buffer; readonly rawLength: number };

class SliceWriter {
  private readonly work: DiskTransfer;
  private readonly data: PackWriter;
  private readonly index: PackWriter;
  private readonly ownChunks = new Map<string, ChunkPlace>();
  private readonly zeros: Buffer;
  private readonly counts = new PackCounts();
  private readonly leaves: { leafIndex: number; ref: ChildRef }[] = [];
  private readonly unreadable: { offset: number; length: number }[] = [];
  private stats: DiskStats = NO_STATS;

  constructor(work: DiskTransfer) {
    this.work = work;
    this.data = new PackWriter(work.vault, work.key, work.transfer, "data", work.packBuffers);
    this.index = new PackWriter(work.vault, work.key, work.transfer, "index");
    this.zeros = Buffer.alloc(work.shape.chunkBytes);
  }

  async readAll(slice: number): Promise<void> {
    const limit = chunksInFlight(this.work.shape.chunkBytes);
    try {
      for await (const prepared of mapInOrder(this.tasks(slice), limit, (task) => this.prepare(task))) {
        await this.place(prepared);
        if (prepared.task.isLastOfLeaf) await this.closeLeaf(prepared.task.leaf);
      }
    } catch (cause) {
      // The buffers are shared by all transfers of a process, and would be missing for good.
      this.data.abandon();
      throw cause;
    }
  }

  async finish(): Promise<Fragment> {
    const packs = (await Promise.all([this.data.finish(), this.index.finish()])).flat();
    const { stats, unreadable, counts, leaves } = this;
    return {
      packs,
      stats: { ...stats, storedBytes: packs.reduce((sum, pack) => sum + pack.sizeBytes, 0) },
      unreadable,
      counts,
      leaves,
    };
  }

  private async *tasks(slice: number): AsyncGenerator<ChunkTask> {
    const opened = mapInOrder(dirtyLeavesOf(this.work.plan, slice), LEAVES_AHEAD, async (dirty) => ({
      leaf: await this.openLeaf(dirty.leafIndex),
      positions: dirty.positions,
    }));
    for await (const { leaf, positions } of opened) {
      for (const [index, position] of positions.entries()) {
        yield { leaf, position, isLastOfLeaf: index === positions.length - 1 };
      }
    }
  }

  private async openLeaf(leafIndex: number): Promise<OpenLeaf> {
    const { parent, relative, shape } = this.work;
    const [mine, theirs] = await Promise.all([parent?.leaf(leafIndex), relative?.leaf(leafIndex)]);
    const old = mine?.leaf ?? { leafIndex, entries: [] };
    const entries = Array.from({ length: leafEntryCount(shape, leafIndex) }, (_, at) => old.entries[at] ?? UNALLOCATED);
    const known = new Map<string, ChunkPlace>();
    for (const entry of [...(theirs?.leaf.entries ?? []), ...old.entries]) {
      if (entry.kind === "data" && !this.work.damage.has(entry.pack, entry.chunkId))
        known.set(keyOf(entry.chunkId), entry);
    }
    return { leafIndex, old, oldRef: mine?.ref ?? null, known, entries };
  }

  private async prepare(task: ChunkTask): Promise<Prepared> {
    const { shape, source } = this.work;
    const chunkIndex = task.leaf.leafIndex * LEAF_ENTRIES + task.position;
    const range = { offset: chunkIndex * shape.chunkBytes, length: chunkLength(shape, chunkIndex) };
    const raw = await source.read(range).catch((cause) => this.unreadableOrThrow(cause));
    if (raw === undefined) {
      this.unreadable.push(range);
      return { task, entry: { kind: "unreadable" } };
    }
    assert(raw.length === range.length, "a source reads what it was asked for");
    this.work.onChunk?.(raw.length);
    const isZero = this.zeros.subarray(0, raw.length).equals(raw);
    const prepared: Prepared = isZero ? { task, entry: { kind: "zero" } } : await this.prepareBytes(task, raw);
    releaseBuffer(raw);
    return prepared;
  }

  private async prepareBytes(task: ChunkTask, raw: Uint8Array): Promise<Prepared> {
    const { key, compressionLevel, vault } = this.work;
    const chunkId = key.chunkId(raw);
    const known = task.leaf.known.get(keyOf(chunkId)) ?? this.ownChunks.get(keyOf(chunkId));
    if (known) return { task, entry: { ...known, kind: "data" } };
    const compressed = await compressChunk(raw, compressionLevel);
    const frame = encodeFrame(key, chunkId, raw.length, compressed, vault.random.bytes(NONCE_BYTES));
    if (compressed.payload !== raw) releaseBuffer(compressed.payload);
    if (await frameHolds(key, frame, raw)) return { task, frame, chunkId, rawLength: raw.length };
    throw new HoldfastFailure("unavailable", "HoldfastEncodingFailed", "A chunk did not survive its own encoding", {
      hint: "The memory or processor of this machine is at fault.",
    });
  }

  private unreadableOrThrow(cause: unknown): undefined {
    if (cause instanceof HoldfastFailure && cause.code === "HoldfastSourceUnreadable") return undefined;
    throw cause;
  }

  /** In the order of the disk, one at a time: two equal chunks in hand are stored once. */
  private async place(prepared: Prepared): Promise<void> {
    const { leaf, position } = prepared.task;
    if ("entry" in prepared) {
      leaf.entries[position] = prepared.entry;
      this.count(prepared.entry.kind === "data" ? { reusedChunks: 1 } : { zeroChunks: 1 }, prepared.task);
      return;
    }
    const { frame, chunkId, rawLength } = prepared;
    const twin = this.ownChunks.get(keyOf(chunkId));
    const place: ChunkPlace = twin ?? { ...(await this.data.append(frame, chunkId, rawLength)), chunkId };
    releaseBuffer(frame);
    this.ownChunks.set(keyOf(chunkId), place);
    leaf.entries[position] = { ...place, kind: "data" };
    this.count(twin ? { reusedChunks: 1 } : { newChunks: 1, newRawBytes: rawLength }, prepared.task);
  }

  private count(news: Partial<DiskStats>, { leaf, position }: ChunkTask): void {
    const readBytes = chunkLength(this.work.shape, leaf.leafIndex * LEAF_ENTRIES + position);
    this.stats = addStats(this.stats, { ...NO_STATS, readChunks: 1, readBytes, ...news });
  }

  private async closeLeaf({ leafIndex, old, oldRef, entries }: OpenLeaf): Promise<void> {
    if (sameEntries(old.entries, entries)) return;
    for (const entry of old.entries) if (entry.kind === "data") this.counts.add(entry.pack, -1);
    for (const entry of entries) if (entry.kind === "data") this.counts.add(entry.pack, 1);
    const ref = entries.every(isEmpty) ? null : await this.storeLeaf({ leafIndex, entries });
    if (oldRef) this.counts.add(oldRef.pack, -1);
    if (ref) this.counts.add(ref.pack, 1);
    this.leaves.push({ leafIndex, ref });
  }

  private async storeLeaf(leaf: Leaf): Promise<ChildRef> {
    const { vault, key, item, transfer } = this.work;
    const sealed = seal(vault, key, { kind: "leaf", item, transfer }, encodeLeaf(leaf));
    const digest = sha256Of(sealed);
    return { ...(await this.index.append(sealed, digest, 0)), digest };
  }
}

function isEmpty(entry: ChunkEntry): boolean {
  return entry.kind === "zero" || entry.kind === "unallocated";
}

function sameEntries(old: readonly ChunkEntry[], entries: readonly ChunkEntry[]): boolean {
  return entries.every((entry, position) => {
    const before = old[position] ?? UNALLOCATED;
    if (entry.kind !== "data" || before.kind !== "data") return entry.kind === before.kind;
    return samePack(entry.pack, before.pack) && entry.offset === before.offset && entry.chunkId.equals(before.chunkId);
  });
}

function keyOf(chunkId: Buffer): string {
  return chunkId.toString("latin1");
}
