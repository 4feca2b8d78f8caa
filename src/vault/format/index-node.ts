// The index tree of a disk: leaves of up to 128 chunk entries and inner nodes of up to 256 children. Both begin with a
// dictionary of the packs they speak of; entries then name a pack by one byte. Entries or children that a node does not
// have (the disk was smaller when it was written) read as unallocated. A subtree without data is a hole and has no node.
//
// Leaf:  u8 0, u32 leaf index, packs, u16 entries; entry: u8 kind; for data: u8 pack, u32 offset, u32 length, 32 id
// Node:  u8 level, u32 index in level, packs, u16 children; child: u8 0 hole | 1 node: u8 pack, u32 offset, u32 length,
//        32 SHA-256 of the sealed bytes
// packs: u16 count, each 16 transfer, 8 number

import { assert } from "../../base/assert.ts";
import { ByteReader, ByteWriter, malformed } from "./binary.ts";
import { type PackId, type PackNumber, packKey, type TransferId } from "./names.ts";
import { LEAF_ENTRIES, NODE_CHILDREN } from "./tree-shape.ts";

/** Where a stored chunk lies: its frame in generation 0 of its pack. */
export interface ChunkPlace {
  readonly pack: PackId;
  readonly offset: number;
  readonly length: number;
  readonly chunkId: Buffer;
}

export type ChunkEntry =
  | { readonly kind: "unallocated" | "zero" | "unreadable" | "excluded" }
  | ({ readonly kind: "data" } & ChunkPlace);

export interface NodeRef {
  readonly pack: PackId;
  readonly offset: number;
  readonly length: number;
  readonly digest: Buffer;
}

/** A child of an inner node; null is a hole. */
export type ChildRef = NodeRef | null;

export interface Leaf {
  readonly leafIndex: number;
  readonly entries: readonly ChunkEntry[];
}

export interface InnerNode {
  readonly level: number;
  readonly index: number;
  readonly children: readonly ChildRef[];
}

export const UNALLOCATED: ChunkEntry = { kind: "unallocated" };
const ENTRY_KINDS = ["unallocated", "zero", "data", "unreadable", "excluded"] as const;

export function encodeLeaf({ leafIndex, entries }: Leaf): Buffer {
  assert(entries.length <= LEAF_ENTRIES, "a leaf has at most 128 entries");
  const packs = new PackDictionary();
  const body = new ByteWriter(LEAF_ENTRIES * 42);
  for (const entry of entries) {
    body.u8(ENTRY_KINDS.indexOf(entry.kind));
    if (entry.kind !== "data") continue;
    body.u8(packs.indexOf(entry.pack)).u32(entry.offset).u32(entry.length).raw(entry.chunkId);
  }
  const head = new ByteWriter().u8(0).u32(leafIndex);
  return packs.write(head).u16(entries.length).raw(body.take()).take();
}

export function decodeLeaf(bytes: Uint8Array, expectedIndex: number): Leaf {
  const reader = new ByteReader(bytes, `Leaf ${expectedIndex}`);
  if (reader.u8() !== 0 || reader.u32() !== expectedIndex)
    throw malformed(`Leaf ${expectedIndex}`, "it is another node");
  const packs = readPacks(reader, LEAF_ENTRIES);
  const count = reader.u16();
  if (count > LEAF_ENTRIES) throw malformed(`Leaf ${expectedIndex}`, `it has ${count} entries`);
  const entries: ChunkEntry[] = [];
  for (let position = 0; position < count; position++) entries.push(readEntry(reader, packs, expectedIndex));
  reader.end();
  return { leafIndex: expectedIndex, entries };
}

export function encodeNode({ level, index, children }: InnerNode): Buffer {
  assert(level > 0 && children.length <= NODE_CHILDREN, "an inner node has at most 256 children");
  const packs = new PackDictionary();
  const body = new ByteWriter(NODE_CHILDREN * 42);
  for (const child of children) {
    body.u8(child === null ? 0 : 1);
    if (child !== null) body.u8(packs.indexOf(child.pack)).u32(child.offset).u32(child.length).raw(child.digest);
  }
  const head = new ByteWriter().u8(level).u32(index);
  return packs.write(head).u16(children.length).raw(body.take()).take();
}

export function decodeNode(bytes: Uint8Array, expectedLevel: number, expectedIndex: number): InnerNode {
  const what = `Index node ${expectedLevel}/${expectedIndex}`;
  const reader = new ByteReader(bytes, what);
  if (reader.u8() !== expectedLevel || reader.u32() !== expectedIndex) throw malformed(what, "it is another node");
  const packs = readPacks(reader, NODE_CHILDREN);
  const count = reader.u16();
  if (count > NODE_CHILDREN) throw malformed(what, `it has ${count} children`);
  const children: ChildRef[] = [];
  for (let position = 0; position < count; position++) {
    const kind = reader.u8();
    if (kind > 1) throw malformed(what, "a child is of unknown kind");
    children.push(kind === 0 ? null : readRef(reader, packs, what));
  }
  reader.end();
  return { level: expectedLevel, index: expectedIndex, children };
}

export function writePackId(writer: ByteWriter, pack: PackId): void {
  writer.raw(Buffer.from(pack.transfer, "hex")).raw(Buffer.from(pack.number, "hex"));
}

export function readPackId(reader: ByteReader): PackId {
  const transfer = reader.raw(16).toString("hex") as TransferId;
  return { transfer, number: reader.raw(8).toString("hex") as PackNumber };
}

class PackDictionary {
  private readonly packs: PackId[] = [];
  private readonly indexes = new Map<string, number>();

  indexOf(pack: PackId): number {
    const key = packKey(pack);
    let index = this.indexes.get(key);
    if (index === undefined) {
      index = this.packs.push(pack) - 1;
      this.indexes.set(key, index);
    }
    return index;
  }

  write(writer: ByteWriter): ByteWriter {
    writer.u16(this.packs.length);
    for (const pack of this.packs) writePackId(writer, pack);
    return writer;
  }
}

function readPacks(reader: ByteReader, maxCount: number): PackId[] {
  const count = reader.u16();
  if (count > maxCount) throw malformed("An index node", `it names ${count} packs`);
  return Array.from({ length: count }, () => readPackId(reader));
}

function readEntry(reader: ByteReader, packs: readonly PackId[], leafIndex: number): ChunkEntry {
  const kind = ENTRY_KINDS[reader.u8()];
  if (kind === undefined) throw malformed(`Leaf ${leafIndex}`, "an entry is of unknown kind");
  if (kind !== "data") return { kind };
  const pack = packs[reader.u8()];
  if (pack === undefined) throw malformed(`Leaf ${leafIndex}`, "an entry names no pack");
  const offset = reader.u32();
  const length = reader.u32();
  return { kind, pack, offset, length, chunkId: reader.raw(32) };
}

function readRef(reader: ByteReader, packs: readonly PackId[], what: string): NodeRef {
  const pack = packs[reader.u8()];
  if (pack === undefined) throw malformed(what, "a child names no pack");
  const offset = reader.u32();
  const length = reader.u32();
  return { pack, offset, length, digest: reader.raw(32) };
}

/** A reference by itself, as manifests, fragments and seals hold it: 24 pack, u32 offset, u32 length, 32 digest. */
export function writeRef(writer: ByteWriter, ref: ChildRef): void {
  writer.u8(ref === null ? 0 : 1);
  if (ref === null) return;
  writePackId(writer, ref.pack);
  writer.u32(ref.offset).u32(ref.length).raw(ref.digest);
}

export function readChildRef(reader: ByteReader): ChildRef {
  const kind = reader.u8();
  if (kind > 1) throw malformed("A node reference", "it is of unknown kind");
  if (kind === 0) return null;
  const pack = readPackId(reader);
  const offset = reader.u32();
  const length = reader.u32();
  return { pack, offset, length, digest: reader.raw(32) };
}
