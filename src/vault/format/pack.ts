// A pack: what one transfer stored in one object. Chunk frames, or sealed index nodes, one after another between a short
// header and a table that stands last, its length at the very end. Normal reads need no table, because index entries
// carry offset and length; it serves scanning, repair and readers of later generations.
//
//   0  4  magic "HFpk"      8 16  key id                  end-8  4  length of the sealed table
//   4  2  format version   24     frames or nodes         end-4  4  magic "HFpt"
//   6  1  content                 sealed table
//   7  1  suite

import { ByteReader, ByteWriter, malformed } from "./binary.ts";
import { FORMAT_VERSION, unknownVersion } from "./envelope.ts";
import type { VaultKey } from "./keys.ts";
import type { KeyId, PackNumber } from "./names.ts";

export type PackContent = "data" | "index";

export const PACK_HEADER_BYTES = 24;
export const PACK_FOOTER_BYTES = 8;
/** 64 chunks of 512 KiB that do not compress, their headers and the table: 256 MiB of such data make eight packs. */
export const MAX_PACK_BYTES = 32 * 1024 * 1024 + 64 * 1024;
const HEADER_MAGIC = Buffer.from("HFpk", "ascii");
const FOOTER_MAGIC = Buffer.from("HFpt", "ascii");
const ENTRY_BYTES = 44;

export interface PackTableEntry {
  readonly offset: number;
  readonly length: number;
  /** The chunk's length as it is on the disk; 0 for an index node. */
  readonly rawLength: number;
  /** The chunk's id, or the SHA-256 of the sealed index node. */
  readonly id: Buffer;
}

export function encodePackHeader(key: VaultKey, content: PackContent): Buffer {
  return new ByteWriter(PACK_HEADER_BYTES)
    .raw(HEADER_MAGIC)
    .u16(FORMAT_VERSION)
    .u8(content === "data" ? 0 : 1)
    .u8(key.suite === "none" ? 0 : 1)
    .raw(Buffer.from(key.keyId, "hex"))
    .take();
}

export function decodePackHeader(bytes: Uint8Array, what: string): { content: PackContent; keyId: KeyId } {
  const reader = new ByteReader(bytes.subarray(0, PACK_HEADER_BYTES), what);
  if (!reader.raw(4).equals(HEADER_MAGIC)) throw malformed(what, "it is no pack");
  const version = reader.u16();
  if (version !== FORMAT_VERSION) throw unknownVersion(what, version);
  const content = reader.u8();
  reader.u8();
  if (content > 1) throw malformed(what, "its content is of unknown kind");
  return { content: content === 0 ? "data" : "index", keyId: reader.raw(16).toString("hex") as KeyId };
}

/** What is sealed as the table. It names its pack, so that it cannot stand in another one of the transfer. */
export function encodePackTable(number: PackNumber, entries: readonly PackTableEntry[]): Buffer {
  const writer = new ByteWriter(16 + entries.length * ENTRY_BYTES).raw(Buffer.from(number, "hex")).u32(entries.length);
  for (const { offset, length, rawLength, id } of entries) writer.u32(offset).u32(length).u32(rawLength).raw(id);
  return writer.take();
}

export function decodePackTable(bytes: Uint8Array, number: PackNumber): PackTableEntry[] {
  const what = `The table of pack ${number}`;
  const reader = new ByteReader(bytes, what);
  if (reader.raw(8).toString("hex") !== number) throw malformed(what, "it belongs to another pack");
  const count = reader.count(ENTRY_BYTES);
  const entries: PackTableEntry[] = [];
  for (let position = 0; position < count; position++) {
    const offset = reader.u32();
    const length = reader.u32();
    const rawLength = reader.u32();
    entries.push({ offset, length, rawLength, id: reader.raw(32) });
  }
  reader.end();
  return entries;
}

export function packTableBytes(entryCount: number): number {
  return 12 + entryCount * ENTRY_BYTES;
}

export function encodePackFooter(tableLength: number): Buffer {
  return new ByteWriter(PACK_FOOTER_BYTES).u32(tableLength).raw(FOOTER_MAGIC).take();
}

/** The length of the sealed table, from the last eight bytes of a pack. */
export function decodePackFooter(bytes: Uint8Array, packBytes: number, what: string): number {
  const reader = new ByteReader(bytes, what);
  const length = reader.u32();
  if (!reader.raw(4).equals(FOOTER_MAGIC)) throw malformed(what, "it has no table at its end");
  if (length > packBytes - PACK_HEADER_BYTES - PACK_FOOTER_BYTES) throw malformed(what, "its table does not fit");
  return length;
}
