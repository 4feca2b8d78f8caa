// The bytes of the journal. A segment is a sequence of frames, each one durable write of one or more records:
//
//   0  magic     4  "\xffHJ" + "R" (records) or "M" (mark)
//   4  crc32     4  over bytes 8.. and the payload, seeded with the magic
//   8  length    4  bytes of the payload; 0 in a mark
//  12  chain     4  crc32 of the frame before, so that no frame of another journal or of an older copy fits in
//  16  seq       8  one more than the frame before
//  24  payload      JSON texts joined by line feeds; UTF-8, so 0xff (the magic) never occurs in it
//
// A mark says "every frame before me is durable" and takes the seq that the next frame will have. The next frame is
// written over it and says the same by being there: frames are written one after the other is durable.

import { crc32 } from "node:zlib";

export const FRAME_HEADER_BYTES = 24;
/** A payload's length must fit its field, and a frame must fit in memory. */
export const MAX_RECORD_CHARS = 128 * 1024 * 1024;

const RECORDS_MAGIC = 0xff484a52;
const MARK_MAGIC = 0xff484a4d;
const MAGIC_PREFIX = Buffer.from([0xff, 0x48, 0x4a]);
const CRC_FROM = 8;

/** A place between frames: what the next frame must carry. */
export interface FramePlace {
  readonly seq: number;
  readonly chain: number;
}

export interface Frame extends FramePlace {
  readonly kind: "records" | "mark";
  readonly crc: number;
  readonly totalBytes: number;
}

export type FrameDefect = "no frame" | "cut short" | "checksum";

/** Completes a frame whose payload already lies behind the header in `bytes`; returns its crc, the next one's chain. */
export function sealRecords(bytes: Buffer, place: FramePlace): number {
  return sealFrame(bytes, RECORDS_MAGIC, place);
}

export function encodeMark(place: FramePlace): Buffer {
  const bytes = Buffer.alloc(FRAME_HEADER_BYTES);
  sealFrame(bytes, MARK_MAGIC, place);
  return bytes;
}

function sealFrame(bytes: Buffer, magic: number, place: FramePlace): number {
  bytes.writeUInt32BE(magic, 0);
  bytes.writeUInt32BE(bytes.length - FRAME_HEADER_BYTES, 8);
  bytes.writeUInt32BE(place.chain, 12);
  bytes.writeBigUInt64BE(BigInt(place.seq), 16);
  const crc = crc32(bytes.subarray(CRC_FROM), magic);
  bytes.writeUInt32BE(crc, 4);
  return crc;
}

/** Bytes the frame claims to have, told by its header alone; nothing is checked yet but the magic. */
export function claimedBytes(header: Buffer): number | undefined {
  if (header.length < FRAME_HEADER_BYTES) return undefined;
  const magic = header.readUInt32BE(0);
  const length = header.readUInt32BE(8);
  if (magic === RECORDS_MAGIC && length > 0) return FRAME_HEADER_BYTES + length;
  if (magic === MARK_MAGIC && length === 0) return FRAME_HEADER_BYTES;
  return undefined;
}

/** Reads the frame that `bytes` begins with. */
export function decodeFrame(bytes: Buffer): Frame | FrameDefect {
  const totalBytes = claimedBytes(bytes);
  if (totalBytes === undefined) return "no frame";
  if (totalBytes > bytes.length) return "cut short";
  const magic = bytes.readUInt32BE(0);
  const crc = bytes.readUInt32BE(4);
  if (crc32(bytes.subarray(CRC_FROM, totalBytes), magic) !== crc) return "checksum";
  return {
    kind: magic === RECORDS_MAGIC ? "records" : "mark",
    crc,
    totalBytes,
    chain: bytes.readUInt32BE(12),
    seq: Number(bytes.readBigUInt64BE(16)),
  };
}

/** Where in `bytes` a whole, sound frame begins, if anywhere at all. */
export function findFrame(bytes: Buffer): { offset: number; frame: Frame } | undefined {
  for (let at = bytes.indexOf(MAGIC_PREFIX); at >= 0; at = bytes.indexOf(MAGIC_PREFIX, at + 1)) {
    const frame = decodeFrame(bytes.subarray(at));
    if (typeof frame !== "string") return { offset: at, frame };
  }
  return undefined;
}
