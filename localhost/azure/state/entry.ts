// The words of the journal: every change of the simulated Azure is a list of these entries, committed together.
// Disk writes are frequent and binary; all else is JSON. Pure: bytes in, bytes out.
import { assertNever } from "../../../src/base/assert.ts";
import type { ImageDefinition } from "../disks/image.ts";

export type Entry =
  | { readonly kind: "document"; readonly key: string; readonly value: unknown }
  | { readonly kind: "document-removed"; readonly key: string }
  | { readonly kind: "image-added"; readonly id: number; readonly image: ImageDefinition }
  | VolumeCreated
  /** `id` becomes the frozen twin of `of`: a snapshot. */
  | { readonly kind: "volume-frozen"; readonly id: number; readonly of: number }
  | { readonly kind: "volume-grown"; readonly id: number; readonly sizeBytes: number }
  | { readonly kind: "volume-deleted"; readonly id: number }
  | PagesWritten
  | { readonly kind: "pages-cleared"; readonly volume: number; readonly start: number; readonly end: number }
  /** Only in a rewritten journal: a node of a page map (or a map's root for a volume), and the ids already given out. */
  | { readonly kind: "map-node"; readonly bytes: Buffer }
  | {
      readonly kind: "volume-restored";
      readonly id: number;
      readonly node: number;
      readonly frozen: boolean;
      readonly lineage: number;
      readonly sizeBytes: number;
    }
  | { readonly kind: "ids-used"; readonly through: number };

export interface VolumeCreated {
  readonly kind: "volume-created";
  readonly id: number;
  /** The volume or image whose content it begins with; nothing means zeros. */
  readonly from?: number;
  readonly sizeBytes: number;
}

export interface PagesWritten {
  readonly kind: "pages-written";
  readonly volume: number;
  readonly layer: number;
  readonly start: number;
  readonly end: number;
  readonly at: number;
}

const JSON_ENTRY = 1;
const WRITTEN = 2;
const CLEARED = 3;
const NODE = 4;
const HEADER_BYTES = 5;

export function encodeEntries(entries: readonly Entry[]): Buffer {
  return Buffer.concat(entries.flatMap(encode));
}

export function* decodeEntries(payload: Buffer): Generator<Entry> {
  for (let at = 0; at < payload.length; ) {
    const type = payload.readUInt8(at);
    const length = payload.readUInt32LE(at + 1);
    yield decode(type, payload.subarray(at + HEADER_BYTES, at + HEADER_BYTES + length));
    at += HEADER_BYTES + length;
  }
}

function encode(entry: Entry): Buffer[] {
  switch (entry.kind) {
    case "pages-written":
      return framed(WRITTEN, numbers([entry.volume, entry.layer, entry.start, entry.end, entry.at]));
    case "pages-cleared":
      return framed(CLEARED, numbers([entry.volume, entry.start, entry.end]));
    case "map-node":
      return framed(NODE, entry.bytes);
    default:
      return framed(JSON_ENTRY, Buffer.from(JSON.stringify(entry)));
  }
}

function decode(type: number, bytes: Buffer): Entry {
  const number = (index: number) => bytes.readDoubleLE(index * 8);
  switch (type) {
    case JSON_ENTRY:
      return JSON.parse(bytes.toString()) as Entry;
    case WRITTEN:
      return {
        kind: "pages-written",
        volume: number(0),
        layer: number(1),
        start: number(2),
        end: number(3),
        at: number(4),
      };
    case CLEARED:
      return { kind: "pages-cleared", volume: number(0), start: number(1), end: number(2) };
    case NODE:
      return { kind: "map-node", bytes };
    default:
      return assertNever(type as never, "journal entry type");
  }
}

function framed(type: number, bytes: Buffer): Buffer[] {
  const header = Buffer.allocUnsafe(HEADER_BYTES);
  header.writeUInt8(type, 0);
  header.writeUInt32LE(bytes.length, 1);
  return [header, bytes];
}

function numbers(values: readonly number[]): Buffer {
  const bytes = Buffer.allocUnsafe(values.length * 8);
  for (const [index, value] of values.entries()) bytes.writeDoubleLE(value, index * 8);
  return bytes;
}
