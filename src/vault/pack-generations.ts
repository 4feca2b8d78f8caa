// The generations of a pack, and what of each is sound. A pack is stored as generation 0 by its transfer; repair and
// compaction write later ones. Readers take generation 0 while it stands, else the highest, and look ids up in its table.

import type { ByteRange, ObjectStore, StoredObject } from "../ports/object-store.ts";
import { claimedKeyId, claimedKind, ENVELOPE_HEADER_BYTES } from "./format/envelope.ts";
import { decodeFrame, decodeFrameHeader, FRAME_HEADER_BYTES } from "./format/frame.ts";
import type { VaultKey } from "./format/keys.ts";
import { type KeyId, type PackId, packStem, parsePackName } from "./format/names.ts";
import {
  decodePackFooter,
  decodePackHeader,
  decodePackTable,
  PACK_FOOTER_BYTES,
  PACK_HEADER_BYTES,
  type PackContent,
  type PackTableEntry,
} from "./format/pack.ts";
import { isKind, listObjects, readIfPresent, sha256Of, unseal } from "./objects.ts";
import type { Vault } from "./open-vault.ts";

const FRAME_MAGIC = "HFc1";
const NODE_MAGIC = "HFv1";

export interface StoredGeneration {
  readonly name: string;
  readonly generation: number;
  readonly sizeBytes: number;
}

/** A frame or a sealed index node, as its bytes lie in a pack. */
export interface PackPart {
  readonly id: Buffer;
  /** 0 for an index node. */
  readonly rawLength: number;
  readonly bytes: Uint8Array;
}

export interface ReadGeneration extends StoredGeneration {
  readonly key: VaultKey;
  readonly content: PackContent;
  /** By hex id, in the order of the pack: what was authenticated, unpacked and compared with its id. */
  readonly sound: ReadonlyMap<string, PackPart>;
  /** What the table speaks of; undefined when header or table do not open, and the pack was searched for parts. */
  readonly listed: readonly string[] | undefined;
}

/** Ascending. */
export async function listGenerations(archive: ObjectStore, pack: PackId): Promise<StoredGeneration[]> {
  const found: StoredGeneration[] = [];
  for await (const object of listObjects(archive, packStem(pack))) found.push(storedGeneration(object));
  return found.sort((left, right) => left.generation - right.generation);
}

export function storedGeneration({ name, sizeBytes }: StoredObject): StoredGeneration {
  return { name, generation: parsePackName(name).generation, sizeBytes };
}

/** The one that readers take, of those that were listed. */
export function readersChoice<T extends StoredGeneration>(generations: readonly T[]): T | undefined {
  const order = (generation: T) => (generation.generation === 0 ? Number.POSITIVE_INFINITY : generation.generation);
  return [...generations].sort((left, right) => order(right) - order(left))[0];
}

/** Reads one generation whole. Whatever is wrong with it is an answer; undefined when it is not there any more. */
export async function readGeneration(
  vault: Vault,
  pack: PackId,
  stored: StoredGeneration,
): Promise<ReadGeneration | undefined> {
  const found = await readIfPresent(vault.archive, stored.name);
  if (!found) return undefined;
  const body = Buffer.from(found.body.buffer, found.body.byteOffset, found.body.byteLength);
  const table = tableOf(vault, pack, stored.name, body);
  const key = keyOf(vault, stored.name, body);
  const sound = new Map<string, PackPart>();
  for (const { offset, length, rawLength, id } of table ?? searchParts(body)) {
    const part = { id, rawLength, bytes: body.subarray(offset, offset + length) };
    if (await isSound(key, part)) sound.set(id.toString("hex"), part);
  }
  const listed = table?.map(({ id }) => id.toString("hex"));
  const isData = [...(table ?? sound.values())].some(({ rawLength }) => rawLength > 0);
  return { ...stored, sizeBytes: body.length, key, content: isData ? "data" : "index", sound, listed };
}

export async function isSound(key: VaultKey, { bytes, id, rawLength }: PackPart): Promise<boolean> {
  if (rawLength === 0) return sha256Of(bytes).equals(id);
  try {
    await decodeFrame(key, bytes, { chunkId: id, rawLength });
    return true;
  } catch (cause) {
    if (isKind(cause, "corrupt")) return false;
    throw cause;
  }
}

/** The table, if all that leads to it opens: who finds it damaged has other ways, and damage is never taken for a pack. */
function tableOf(vault: Vault, pack: PackId, name: string, body: Buffer): PackTableEntry[] | undefined {
  return ifSound(() => {
    const { keyId, content } = decodePackHeader(body, name);
    const footerAt = body.length - PACK_FOOTER_BYTES;
    const length = decodePackFooter(body.subarray(footerAt), body.length, name);
    const sealed = body.subarray(footerAt - length, footerAt);
    if (claimedKeyId(sealed, name) !== keyId) return undefined;
    const binding = { kind: "pack-table" as const, item: null, transfer: pack.transfer };
    const entries = decodePackTable(unseal(vault, binding, sealed), pack.number);
    const isOfKind = ({ rawLength }: PackTableEntry) => (rawLength === 0) === (content === "index");
    const fits = ({ offset, length: bytes }: PackTableEntry) => offset + bytes <= footerAt - length;
    return entries.every((entry) => isOfKind(entry) && fits(entry)) ? entries : undefined;
  });
}

/** As the header says, or the table; a pack that has lost both is most likely under the key in use. */
function keyOf(vault: Vault, name: string, body: Buffer): VaultKey {
  const ofHeader = ifSound(() => decodePackHeader(body, name).keyId);
  const ofTable = ifSound(() => {
    const footerAt = body.length - PACK_FOOTER_BYTES;
    const length = decodePackFooter(body.subarray(footerAt), body.length, name);
    return claimedKeyId(body.subarray(footerAt - length, footerAt), name);
  });
  return knownKey(vault, ofHeader) ?? knownKey(vault, ofTable) ?? vault.activeKey;
}

function knownKey(vault: Vault, id: KeyId | undefined): VaultKey | undefined {
  try {
    return id && vault.keyOf(id);
  } catch (cause) {
    if (isKind(cause, "denied")) return undefined;
    throw cause;
  }
}

/**
 * Parts without a table: each begins with its magic and tells its length. What only looks like one is not sound; and what
 * lies within a chunk, because the disk holds a vault itself, may be of the other kind.
 */
function searchParts(body: Buffer): PackTableEntry[] {
  const found = findMagics(body);
  const bytesOf = (parts: readonly PackTableEntry[]) => parts.reduce((sum, { length }) => sum + length, 0);
  const chunks = found.filter(({ rawLength }) => rawLength > 0);
  const nodes = found.filter(({ rawLength }) => rawLength === 0);
  return bytesOf(chunks) > bytesOf(nodes) ? chunks : nodes;
}

function findMagics(body: Buffer): PackTableEntry[] {
  const found: PackTableEntry[] = [];
  for (let offset = nextMagic(body, PACK_HEADER_BYTES); offset >= 0; ) {
    const part = partAt(body, offset);
    if (part) found.push(part);
    offset = nextMagic(body, offset + (part?.length ?? 1));
  }
  return found;
}

function nextMagic(body: Buffer, from: number): number {
  const frame = body.indexOf(FRAME_MAGIC, from, "latin1");
  const node = body.indexOf(NODE_MAGIC, from, "latin1");
  if (frame < 0 || node < 0) return Math.max(frame, node);
  return Math.min(frame, node);
}

function partAt(body: Buffer, offset: number): PackTableEntry | undefined {
  return ifSound(() => {
    if (body.toString("latin1", offset, offset + 4) === FRAME_MAGIC) {
      const { chunkId, rawLength, payloadLength } = decodeFrameHeader(body.subarray(offset), "A frame");
      return within(body, { offset, length: FRAME_HEADER_BYTES + payloadLength, rawLength, id: Buffer.from(chunkId) });
    }
    const kind = claimedKind(body.subarray(offset, endOfEnvelope(body, offset)), "A node");
    if (kind !== "leaf" && kind !== "node") return undefined;
    const range = { offset, length: endOfEnvelope(body, offset) - offset };
    const id = sha256Of(body.subarray(offset, offset + range.length));
    return within(body, { ...range, rawLength: 0, id });
  });
}

function endOfEnvelope(body: Buffer, offset: number): number {
  return offset + ENVELOPE_HEADER_BYTES + body.readUInt32LE(offset + ENVELOPE_HEADER_BYTES - 4);
}

function within<T extends ByteRange>(body: Buffer, range: T): T | undefined {
  return range.offset + range.length <= body.length ? range : undefined;
}

function ifSound<T>(decode: () => T): T | undefined {
  try {
    return decode();
  } catch (cause) {
    // A damaged header may name a version that nobody knows: that is damage like any other here.
    if (isKind(cause, "corrupt") || isKind(cause, "invalid")) return undefined;
    if (cause instanceof RangeError) return undefined;
    throw cause;
  }
}
