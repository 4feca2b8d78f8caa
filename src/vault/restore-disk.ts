// A whole disk of a point into a sink: by windows of leaves, within a window pack by pack, so that each pack is read in
// long runs however its chunks are scattered. Holes and zeros are never written; every chunk is verified before it is.

import pMap from "p-map";
import { releaseBuffer } from "../base/release.ts";
import type { DiskSink } from "../ports/disk-sink.ts";
import { type DiskReaderOptions, unreadable } from "./disk-reader.ts";
import { decodeFrame } from "./format/frame.ts";
import type { ChunkPlace } from "./format/index-node.ts";
import type { VaultKey } from "./format/keys.ts";
import type { Manifest, ManifestDisk } from "./format/manifest.ts";
import { packKey } from "./format/names.ts";
import { chunkLength, LEAF_ENTRIES, type TreeShape } from "./format/tree-shape.ts";
import { mapInOrder } from "./in-order.ts";
import { IndexTree, type LeafRef } from "./index-tree.ts";
import type { Vault } from "./open-vault.ts";
import { PackReader } from "./pack-reader.ts";

/** 512 MiB of the disk with default chunks: at most 1,024 entries in hand. */
const WINDOW_LEAVES = 8;
const WINDOWS_AHEAD = 2;
const READS_AT_ONCE = 4;
const GROUP_BYTES = 4 * 1024 * 1024;
const MAX_GAP_BYTES = 64 * 1024;

export interface RestoreOptions extends DiskReaderOptions {
  readonly onBytes?: (restoredBytes: number) => void;
}

export interface Restored {
  /** Bytes that were written, and those that are zeros and were not. */
  readonly writtenBytes: number;
  readonly sizeBytes: number;
}

interface Piece {
  readonly place: ChunkPlace;
  readonly offsets: number[];
  readonly rawLength: number;
}

export async function restoreDisk(
  vault: Vault,
  manifest: Manifest,
  disk: ManifestDisk,
  sink: DiskSink,
  options: RestoreOptions = {},
): Promise<Restored> {
  const packs = new PackReader(vault);
  const tree = IndexTree.ofDisk(vault, manifest, disk, packs);
  const key = vault.keyOf(manifest.keyId);
  try {
    const writtenBytes = await writeGroups(packs, key, groupsOfTree(tree, options), sink, options);
    await sink.finish();
    return { writtenBytes, sizeBytes: disk.sizeBytes };
  } catch (cause) {
    await sink.discard();
    throw cause;
  }
}

/** How many slices a disk's restore has; each is at most 512 MiB of the disk with default chunks. */
export async function countRestoreSlices(vault: Vault, manifest: Manifest, disk: ManifestDisk): Promise<number> {
  let leafCount = 0;
  for await (const _ of IndexTree.ofDisk(vault, manifest, disk).leafRefs()) leafCount++;
  return Math.ceil(leafCount / WINDOW_LEAVES);
}

/** One slice of a disk's restore. May be done again, and at the same time as others; the sink is neither begun nor finished. */
export async function restoreSlice(
  vault: Vault,
  manifest: Manifest,
  disk: ManifestDisk,
  slice: number,
  sink: Pick<DiskSink, "write">,
  options: RestoreOptions = {},
): Promise<number> {
  const packs = new PackReader(vault);
  const tree = IndexTree.ofDisk(vault, manifest, disk, packs);
  let position = 0;
  for await (const window of windowsOf(tree)) {
    if (position++ !== slice) continue;
    const groups = groupsOf(await piecesOf(tree, window, options));
    return writeGroups(packs, vault.keyOf(manifest.keyId), groups, sink, options);
  }
  return 0;
}

/** The next windows' leaves are read while the groups of one are written. */
async function* groupsOfTree(tree: IndexTree, options: RestoreOptions): AsyncGenerator<readonly Piece[]> {
  const windows = mapInOrder(windowsOf(tree), WINDOWS_AHEAD, (window) => piecesOf(tree, window, options));
  for await (const pieces of windows) yield* groupsOf(pieces);
}

/** Groups of one window follow those of the one before without a pause. */
async function writeGroups(
  packs: PackReader,
  key: VaultKey,
  groups: Iterable<readonly Piece[]> | AsyncIterable<readonly Piece[]>,
  sink: Pick<DiskSink, "write">,
  options: RestoreOptions,
): Promise<number> {
  let writtenBytes = 0;
  const restore = async (group: readonly Piece[]) => {
    const groupBytes = await restoreGroup(packs, key, group, sink, options);
    writtenBytes += groupBytes;
  };
  await pMap(groups, restore, { concurrency: READS_AT_ONCE });
  return writtenBytes;
}

async function* windowsOf(tree: IndexTree): AsyncGenerator<LeafRef[]> {
  let window: LeafRef[] = [];
  for await (const leaf of tree.leafRefs()) {
    window.push(leaf);
    if (window.length < WINDOW_LEAVES) continue;
    yield window;
    window = [];
  }
  if (window.length > 0) yield window;
}

/** What is stored for these leaves, each place once, however often the disk repeats it. */
async function piecesOf(tree: IndexTree, window: readonly LeafRef[], options: RestoreOptions): Promise<Piece[]> {
  const leaves = await pMap(window, ({ leafIndex, ref }) => tree.readLeaf(leafIndex, ref), {
    concurrency: READS_AT_ONCE,
  });
  const pieces = new Map<string, Piece>();
  for (const { leafIndex, entries } of leaves) {
    for (const [position, entry] of entries.entries()) {
      const chunkIndex = leafIndex * LEAF_ENTRIES + position;
      if (entry.kind === "data") addPiece(pieces, tree.shape, chunkIndex, entry);
      else if (entry.kind === "unreadable" && !options.zerosForUnreadable) {
        throw unreadable(chunkIndex * tree.shape.chunkBytes, chunkLength(tree.shape, chunkIndex));
      }
    }
  }
  return [...pieces.values()];
}

function addPiece(pieces: Map<string, Piece>, shape: TreeShape, chunkIndex: number, place: ChunkPlace): void {
  const key = `${packKey(place.pack)}/${place.offset}`;
  const piece = pieces.get(key) ?? { place, offsets: [], rawLength: chunkLength(shape, chunkIndex) };
  piece.offsets.push(chunkIndex * shape.chunkBytes);
  pieces.set(key, piece);
}

/** Runs of one pack that are worth one request. */
function groupsOf(pieces: Piece[]): Piece[][] {
  const byPack = new Map<string, Piece[]>();
  for (const piece of pieces) {
    const key = packKey(piece.place.pack);
    const members = byPack.get(key);
    if (members) members.push(piece);
    else byPack.set(key, [piece]);
  }
  return [...byPack.values()].flatMap((members) => {
    members.sort((left, right) => left.place.offset - right.place.offset);
    const groups: Piece[][] = [];
    let start = 0;
    let end = Number.NEGATIVE_INFINITY;
    for (const piece of members) {
      const { offset, length } = piece.place;
      const last = groups.at(-1);
      if (last && offset - end <= MAX_GAP_BYTES && offset + length - start <= GROUP_BYTES) {
        last.push(piece);
      } else {
        groups.push([piece]);
        start = offset;
      }
      end = offset + length;
    }
    return groups;
  });
}

async function restoreGroup(
  packs: PackReader,
  key: VaultKey,
  group: readonly Piece[],
  sink: Pick<DiskSink, "write">,
  options: RestoreOptions,
) {
  const [first] = group;
  if (!first) return 0;
  const wanted = group.map(({ place }) => ({ offset: place.offset, length: place.length, id: place.chunkId }));
  const frames = await packs.readAll(first.place.pack, wanted);
  let writtenBytes = 0;
  for (const [index, { place, offsets, rawLength }] of group.entries()) {
    const raw = await decodeFrame(key, frames[index] as Uint8Array, { chunkId: place.chunkId, rawLength });
    for (const offset of offsets) {
      await sink.write(offset, raw);
      writtenBytes += raw.length;
      options.onBytes?.(raw.length);
    }
    releaseBuffer(raw);
  }
  return writtenBytes;
}
