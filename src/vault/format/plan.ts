// What a transfer is going to read of one disk: the leaves that have dirty chunks, a bit for each chunk, and the cut into
// slices. Written create-only before the first slice, so that every execution works on the same cut.
//
// u32 length and canonical JSON {sizeBytes, chunkBytes, parent, slices}; u32 length and zstd of, for each dirty leaf:
// u32 leaf index, 16 bytes with the bit of chunk n at byte n/8, bit n%8. A slice is a run of these leaves.

import { zstdCompressSync, zstdDecompressSync } from "node:zlib";
import { z } from "zod";
import { ByteReader, ByteWriter, malformed } from "./binary.ts";
import { encodeJson, type Json } from "./canonical-json.ts";
import { count, parseJson, transferId } from "./schema.ts";
import { LEAF_ENTRIES, MAX_DISK_BYTES, MIN_CHUNK_BYTES } from "./tree-shape.ts";

export const LEAF_BITMAP_BYTES = LEAF_ENTRIES / 8;
const RECORD_BYTES = 4 + LEAF_BITMAP_BYTES;
const MAX_LEAVES = MAX_DISK_BYTES / MIN_CHUNK_BYTES / LEAF_ENTRIES;

const head = z.strictObject({
  sizeBytes: count,
  chunkBytes: count,
  /** The point whose tree the slices start from. */
  parent: transferId.nullable(),
  /** For each slice, how many of the dirty leaves it has, and their dirty bytes. */
  slices: z.array(z.strictObject({ leaves: count, dirtyBytes: count })),
});

export interface DiskPlan extends z.infer<typeof head> {
  /** Ascending. */
  readonly leafIndexes: Uint32Array;
  readonly bitmaps: Uint8Array;
}

export interface DirtyLeaf {
  readonly leafIndex: number;
  /** Positions within the leaf, ascending. */
  readonly positions: readonly number[];
}

export function encodePlan(plan: DiskPlan): Buffer {
  const { leafIndexes, bitmaps, ...json } = plan;
  const records = Buffer.alloc(leafIndexes.length * RECORD_BYTES);
  leafIndexes.forEach((leafIndex, ordinal) => {
    records.writeUInt32LE(leafIndex, ordinal * RECORD_BYTES);
    records.set(
      bitmaps.subarray(ordinal * LEAF_BITMAP_BYTES, (ordinal + 1) * LEAF_BITMAP_BYTES),
      ordinal * RECORD_BYTES + 4,
    );
  });
  return new ByteWriter()
    .sized(encodeJson(json as unknown as Json))
    .sized(zstdCompressSync(records))
    .take();
}

export function decodePlan(bytes: Uint8Array): DiskPlan {
  const reader = new ByteReader(bytes, "A plan");
  const json = parseJson(head, reader.sized(bytes.length), "A plan");
  const packed = reader.sized(bytes.length);
  reader.end();
  const records = zstdDecompressSync(packed, { maxOutputLength: MAX_LEAVES * RECORD_BYTES });
  const leafCount = json.slices.reduce((sum, slice) => sum + slice.leaves, 0);
  if (records.length !== leafCount * RECORD_BYTES) throw malformed("A plan", "its slices do not match its leaves");
  const leafIndexes = new Uint32Array(leafCount);
  const bitmaps = new Uint8Array(leafCount * LEAF_BITMAP_BYTES);
  for (let ordinal = 0; ordinal < leafCount; ordinal++) {
    const start = ordinal * RECORD_BYTES;
    leafIndexes[ordinal] = records.readUInt32LE(start);
    bitmaps.set(records.subarray(start + 4, start + RECORD_BYTES), ordinal * LEAF_BITMAP_BYTES);
  }
  return { ...json, leafIndexes, bitmaps };
}

export function* dirtyLeavesOf(plan: DiskPlan, slice: number): Generator<DirtyLeaf> {
  const first = plan.slices.slice(0, slice).reduce((sum, before) => sum + before.leaves, 0);
  const end = first + (plan.slices[slice]?.leaves ?? 0);
  for (let ordinal = first; ordinal < end; ordinal++) {
    const bitmap = plan.bitmaps.subarray(ordinal * LEAF_BITMAP_BYTES, (ordinal + 1) * LEAF_BITMAP_BYTES);
    yield { leafIndex: plan.leafIndexes[ordinal] as number, positions: positionsIn(bitmap) };
  }
}

function positionsIn(bitmap: Uint8Array): number[] {
  const positions: number[] = [];
  for (let position = 0; position < LEAF_ENTRIES; position++) {
    if (((bitmap[position >> 3] as number) >> (position & 7)) & 1) positions.push(position);
  }
  return positions;
}
