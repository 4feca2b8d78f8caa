// Any range of a point's disk, each chunk verified against its id before a byte of it is given out. Sequential readers
// get the next chunks read ahead; chunks that were just read stay for a while, within a bound of bytes.

import { HoldfastFailure } from "../base/failure.ts";
import type { ByteRange } from "../ports/object-store.ts";
import { decodeFrame } from "./format/frame.ts";
import { type ChunkEntry, type ChunkPlace, type Leaf, UNALLOCATED } from "./format/index-node.ts";
import type { VaultKey } from "./format/keys.ts";
import type { Manifest, ManifestDisk } from "./format/manifest.ts";
import { packKey } from "./format/names.ts";
import { chunkLength, LEAF_ENTRIES, type TreeShape } from "./format/tree-shape.ts";
import { IndexTree } from "./index-tree.ts";
import type { Vault } from "./open-vault.ts";
import { PackReader } from "./pack-reader.ts";

const CACHE_BYTES = 32 * 1024 * 1024;
const READ_AHEAD_BYTES = 4 * 1024 * 1024;
const MAX_CACHED_LEAVES = 16;

export interface DiskReaderOptions {
  /** Give zeros for what the source could not read at the time, instead of failing. */
  readonly zerosForUnreadable?: boolean;
}

interface StoredChunk {
  readonly chunkIndex: number;
  readonly place: ChunkPlace;
}

export class DiskReader {
  readonly tree: IndexTree;
  readonly shape: TreeShape;
  private readonly key: VaultKey;
  private readonly packs: PackReader;
  private readonly options: DiskReaderOptions;
  private readonly chunks = new Map<number, Promise<Buffer>>();
  private readonly leaves = new Map<number, Promise<Leaf>>();
  private nextOffset = -1;

  constructor(vault: Vault, manifest: Manifest, disk: ManifestDisk, options: DiskReaderOptions = {}) {
    this.packs = new PackReader(vault);
    this.tree = IndexTree.ofDisk(vault, manifest, disk, this.packs);
    this.shape = this.tree.shape;
    this.key = vault.keyOf(manifest.keyId);
    this.options = options;
  }

  async read({ offset, length }: ByteRange): Promise<Buffer> {
    if (offset < 0 || length < 0 || offset + length > this.shape.sizeBytes) {
      throw new HoldfastFailure("invalid", "HoldfastRangeBeyondEnd", `The disk ends before ${offset + length}`);
    }
    const { chunkBytes } = this.shape;
    const first = Math.floor(offset / chunkBytes);
    const last = Math.max(first, Math.floor((offset + length - 1) / chunkBytes));
    const isSequential = offset === this.nextOffset;
    this.nextOffset = offset + length;
    const result = Buffer.alloc(length);
    const wanted = Array.from({ length: length === 0 ? 0 : last - first + 1 }, (_, step) => first + step);
    const chunks = await this.load(wanted);
    if (isSequential) this.readAhead(last + 1);
    for (const chunkIndex of wanted) {
      const chunk = await (chunks.get(chunkIndex) as Promise<Buffer>);
      const start = chunkIndex * chunkBytes;
      const from = Math.max(offset, start);
      chunk.copy(result, from - offset, from - start, Math.min(offset + length, start + chunk.length) - start);
    }
    return result;
  }

  async entry(chunkIndex: number): Promise<ChunkEntry> {
    const leaf = await this.leaf(Math.floor(chunkIndex / LEAF_ENTRIES));
    return leaf.entries[chunkIndex % LEAF_ENTRIES] ?? UNALLOCATED;
  }

  private leaf(leafIndex: number): Promise<Leaf> {
    let leaf = this.leaves.get(leafIndex);
    if (leaf === undefined) {
      if (this.leaves.size >= MAX_CACHED_LEAVES) this.leaves.delete(this.leaves.keys().next().value as number);
      leaf = this.tree.leaf(leafIndex).then((found) => found.leaf);
      leaf.catch(() => this.leaves.delete(leafIndex));
      this.leaves.set(leafIndex, leaf);
    }
    return leaf;
  }

  private readAhead(first: number): void {
    const count = Math.max(1, Math.floor(READ_AHEAD_BYTES / this.shape.chunkBytes));
    const end = Math.min(this.shape.chunkCount, first + count);
    // A failure is met again, and told, by whoever reads there.
    this.load(Array.from({ length: Math.max(0, end - first) }, (_, step) => first + step)).catch(() => undefined);
  }

  /**
   * Starts reading what is not at hand; neighbours in one pack become one request. Hands the chunks themselves back: the
   * cache may have let go of them by the time somebody looks.
   */
  private async load(wanted: readonly number[]): Promise<Map<number, Promise<Buffer>>> {
    const result = new Map<number, Promise<Buffer>>();
    const byPack = new Map<string, StoredChunk[]>();
    for (const chunkIndex of wanted) {
      const known = this.chunks.get(chunkIndex);
      if (known) {
        result.set(chunkIndex, known);
        continue;
      }
      const entry = await this.entry(chunkIndex);
      if (entry.kind === "data") {
        const key = packKey(entry.pack);
        byPack.set(key, [...(byPack.get(key) ?? []), { chunkIndex, place: entry }]);
      } else result.set(chunkIndex, this.remember(chunkIndex, this.emptyChunk(chunkIndex, entry)));
    }
    for (const group of byPack.values()) this.startReading(group, result);
    return result;
  }

  private startReading(group: readonly StoredChunk[], result: Map<number, Promise<Buffer>>): void {
    const [first] = group;
    if (!first) return;
    const places = group.map(({ place }) => ({ offset: place.offset, length: place.length, id: place.chunkId }));
    const frames = this.packs.readAll(first.place.pack, places);
    for (const [index, { chunkIndex, place }] of group.entries()) {
      const rawLength = chunkLength(this.shape, chunkIndex);
      const { chunkId } = place;
      const chunk = frames.then((all) => decodeFrame(this.key, all[index] as Uint8Array, { chunkId, rawLength }));
      result.set(chunkIndex, this.remember(chunkIndex, chunk));
    }
  }

  private async emptyChunk(chunkIndex: number, entry: ChunkEntry): Promise<Buffer> {
    const length = chunkLength(this.shape, chunkIndex);
    if (entry.kind !== "unreadable" || this.options.zerosForUnreadable) return Buffer.alloc(length);
    const offset = chunkIndex * this.shape.chunkBytes;
    throw unreadable(offset, length);
  }

  private remember(chunkIndex: number, chunk: Promise<Buffer>): Promise<Buffer> {
    chunk.catch(() => this.chunks.delete(chunkIndex));
    this.chunks.set(chunkIndex, chunk);
    const limit = Math.max(2, Math.floor(CACHE_BYTES / this.shape.chunkBytes));
    while (this.chunks.size > limit) this.chunks.delete(this.chunks.keys().next().value as number);
    return chunk;
  }
}

export function unreadable(offset: number, length: number): HoldfastFailure {
  const message = `The source could not read ${length} bytes at ${offset} when this point was made`;
  return new HoldfastFailure("corrupt", "HoldfastUnreadableAtSource", message, {
    hint: "An older or newer point may have them; --zeros-for-unreadable restores the rest.",
  });
}
