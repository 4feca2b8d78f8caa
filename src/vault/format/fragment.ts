// What one slice of a transfer has done (a fragment), and what sealing its disk has done (a seal). Each is written
// create-only and is the point in time at which that work counts: a second execution reads it and adopts it, and packs
// that no fragment lists are garbage.
//
// u32 length and canonical JSON {packs, stats, unreadable}; pack count changes; then
//   fragment: u32 leaves, each: u32 leaf index, reference        seal: the root reference

import { z } from "zod";
import { ByteReader, ByteWriter } from "./binary.ts";
import { encodeJson, type Json } from "./canonical-json.ts";
import { type ChildRef, readChildRef, writeRef } from "./index-node.ts";
import type { DiskStats } from "./manifest.ts";
import { decodePackCounts, encodePackCounts, type PackCounts } from "./pack-counts.ts";
import { count, packNumber, parseJson } from "./schema.ts";

const MAX_JSON_BYTES = 16 * 1024 * 1024;
const MAX_COUNTS_BYTES = 256 * 1024 * 1024;

const writtenPack = z.strictObject({ number: packNumber, sizeBytes: count, md5: z.string().regex(/^[0-9a-f]{32}$/) });
const stats = z.strictObject({
  readChunks: count,
  readBytes: count,
  newChunks: count,
  newRawBytes: count,
  storedBytes: count,
  reusedChunks: count,
  zeroChunks: count,
});
const head = z.strictObject({
  packs: z.array(writtenPack),
  stats,
  unreadable: z.array(z.strictObject({ offset: count, length: count })),
});

export type WrittenPack = z.infer<typeof writtenPack>;

export interface WorkDone {
  readonly packs: readonly WrittenPack[];
  readonly stats: DiskStats;
  readonly unreadable: readonly { readonly offset: number; readonly length: number }[];
  /** Changes against the parent point. */
  readonly counts: PackCounts;
}

export interface Fragment extends WorkDone {
  /** Ascending by leaf. */
  readonly leaves: readonly { readonly leafIndex: number; readonly ref: ChildRef }[];
}

export interface Seal extends WorkDone {
  readonly root: ChildRef;
}

export function encodeFragment(fragment: Fragment): Buffer {
  const writer = writeWork(fragment).u32(fragment.leaves.length);
  for (const { leafIndex, ref } of fragment.leaves) writeRef(writer.u32(leafIndex), ref);
  return writer.take();
}

export function decodeFragment(bytes: Uint8Array): Fragment {
  const reader = new ByteReader(bytes, "A fragment");
  const work = readWork(reader);
  let left = reader.count(5);
  const leaves: { leafIndex: number; ref: ChildRef }[] = [];
  while (left-- > 0) leaves.push({ leafIndex: reader.u32(), ref: readChildRef(reader) });
  reader.end();
  return { ...work, leaves };
}

export function encodeSeal(seal: Seal): Buffer {
  const writer = writeWork(seal);
  writeRef(writer, seal.root);
  return writer.take();
}

export function decodeSeal(bytes: Uint8Array): Seal {
  const reader = new ByteReader(bytes, "A seal");
  const work = readWork(reader);
  const root = readChildRef(reader);
  reader.end();
  return { ...work, root };
}

function writeWork({ packs, stats, unreadable, counts }: WorkDone): ByteWriter {
  const json = { packs, stats, unreadable } as unknown as Json;
  return new ByteWriter(4096).sized(encodeJson(json)).sized(encodePackCounts(counts));
}

function readWork(reader: ByteReader): WorkDone {
  const json = parseJson(head, reader.sized(MAX_JSON_BYTES), "A fragment");
  return { ...json, counts: decodePackCounts(reader.sized(MAX_COUNTS_BYTES), "A fragment") };
}
