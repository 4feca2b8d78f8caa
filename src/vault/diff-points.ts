// What differs between two points of one disk, from their index trees alone: nothing is read that both share.

import type { ByteRange } from "../ports/object-store.ts";
import { type ChunkEntry, UNALLOCATED } from "./format/index-node.ts";
import type { Manifest, ManifestDisk } from "./format/manifest.ts";
import { chunkLength, LEAF_ENTRIES } from "./format/tree-shape.ts";
import { IndexTree } from "./index-tree.ts";
import type { Vault } from "./open-vault.ts";

export interface DiskOfPoint {
  readonly manifest: Manifest;
  readonly disk: ManifestDisk;
}

/** Ranges of the newer disk that may read differently, by whole chunks, ascending. */
export async function* diffDisks(vault: Vault, before: DiskOfPoint, after: DiskOfPoint): AsyncGenerator<ByteRange> {
  const old = IndexTree.ofDisk(vault, before.manifest, before.disk);
  const now = IndexTree.ofDisk(vault, after.manifest, after.disk);
  const isComparable =
    before.disk.chunkBytes === after.disk.chunkBytes && before.manifest.keyId === after.manifest.keyId;
  if (!isComparable) {
    yield { offset: 0, length: after.disk.sizeBytes };
    return;
  }
  let open: { offset: number; length: number } | undefined;
  for (let leafIndex = 0; leafIndex < now.shape.leafCount; leafIndex++) {
    const [was, is] = await Promise.all([old.leafRef(leafIndex), now.leafRef(leafIndex)]);
    if (was === is || (was && is && was.digest.equals(is.digest))) continue;
    const [oldLeaf, newLeaf] = await Promise.all([old.leaf(leafIndex), now.leaf(leafIndex)]);
    for (let position = 0; position < LEAF_ENTRIES; position++) {
      const chunkIndex = leafIndex * LEAF_ENTRIES + position;
      if (chunkIndex >= now.shape.chunkCount) break;
      if (readsSame(oldLeaf.leaf.entries[position] ?? UNALLOCATED, newLeaf.leaf.entries[position] ?? UNALLOCATED))
        continue;
      const offset = chunkIndex * now.shape.chunkBytes;
      const length = chunkLength(now.shape, chunkIndex);
      if (open && open.offset + open.length === offset) open.length += length;
      else {
        if (open) yield open;
        open = { offset, length };
      }
    }
  }
  if (open) yield open;
}

function readsSame(was: ChunkEntry, is: ChunkEntry): boolean {
  if (was.kind === "data" && is.kind === "data") return was.chunkId.equals(is.chunkId);
  const isEmpty = (entry: ChunkEntry) => entry.kind === "zero" || entry.kind === "unallocated";
  return isEmpty(was) && isEmpty(is);
}
