// A chunk as it is stored: a frame that describes itself, so that a pack can be scanned without its table.
//
//   0  4  magic "HFc1"       44  4  payload length       80  payload
//   4  1  suite              48  4  dictionary id (0)
//   5  1  codec              52 12  nonce (zeros in suite none)
//   6  2  zero               64 16  tag over bytes 0..64 and the payload
//   8 32  chunk id
//  40  4  raw length
//
// The nonce is random although the id names the content: zstd's output differs by level and version, and one nonce on
// two messages would give both away. A reader checks the tag, then the lengths, then decompresses within the raw length,
// then checks the id.

import { createCipheriv, createDecipheriv, createHmac, timingSafeEqual } from "node:crypto";
import { promisify } from "node:util";
import { constants, createZstdCompress, zstdDecompress } from "node:zlib";
import { assert } from "../../base/assert.ts";
import { HoldfastFailure } from "../../base/failure.ts";
import { releaseBuffer } from "../../base/release.ts";
import { ByteReader, ByteWriter, malformed } from "./binary.ts";
import { NONCE_BYTES, TAG_BYTES } from "./envelope.ts";
import { PUBLIC_KEY_OBJECT, type VaultKey } from "./keys.ts";

export const FRAME_HEADER_BYTES = 80;
const AUTHENTICATED_BYTES = 64;
const MAGIC = Buffer.from("HFc1", "ascii");
const CODEC_RAW = 0;
const CODEC_ZSTD = 1;

/** One output buffer that holds everything: the default of 16 KiB pieces costs a third of the time, and twice the memory. */
const outputBytes = (rawLength: number) => rawLength + (rawLength >> 8) + 4096;

const decompress = promisify(zstdDecompress);

export interface FrameHeader {
  readonly chunkId: Buffer;
  readonly rawLength: number;
  readonly payloadLength: number;
  readonly compressed: boolean;
  readonly encrypted: boolean;
  readonly nonce: Buffer;
  readonly tag: Buffer;
}

/** Raw where zstd does not make it smaller. Runs on the thread pool. */
export async function compressChunk(raw: Uint8Array, level: number): Promise<{ payload: Uint8Array; codec: number }> {
  const packed = await compressAtOnce(raw, level);
  if (packed.length < raw.length) return { payload: packed, codec: CODEC_ZSTD };
  releaseBuffer(packed);
  return { payload: raw, codec: CODEC_RAW };
}

/**
 * As `zstdCompress`, which however tells zstd only afterwards that these bytes were all: then zstd works in a window of its
 * own, does not write down how long they are, and the result is copied together from two parts.
 */
async function compressAtOnce(raw: Uint8Array, level: number): Promise<Buffer> {
  const params = { [constants.ZSTD_c_compressionLevel]: level };
  const stream = createZstdCompress({ chunkSize: outputBytes(raw.length), flush: constants.ZSTD_e_end, params });
  const parts: Buffer[] = [];
  try {
    await new Promise<void>((resolve, reject) => {
      stream.on("data", (part: Buffer) => parts.push(part));
      stream.on("error", reject);
      stream.write(raw, () => resolve());
    });
  } finally {
    // Ending it would begin another, empty frame.
    stream.destroy();
  }
  const [first] = parts;
  return first !== undefined && parts.length === 1 ? first : Buffer.concat(parts);
}

export function encodeFrame(
  key: VaultKey,
  chunkId: Uint8Array,
  rawLength: number,
  compressed: { readonly payload: Uint8Array; readonly codec: number },
  nonce: Uint8Array,
): Buffer {
  assert(chunkId.length === 32 && nonce.length === NONCE_BYTES, "a frame takes an id of 32 bytes and a nonce of 12");
  const none = key.suite === "none";
  const { payload, codec } = compressed;
  const frame = Buffer.allocUnsafe(FRAME_HEADER_BYTES + payload.length);
  const header = new ByteWriter(AUTHENTICATED_BYTES)
    .raw(MAGIC)
    .u8(none ? 0 : 1)
    .u8(codec)
    .u16(0)
    .raw(chunkId)
    .u32(rawLength)
    .u32(payload.length)
    .u32(0)
    .raw(none ? new Uint8Array(NONCE_BYTES) : nonce)
    .take();
  frame.set(header, 0);
  if (none) {
    frame.set(publicTag(header, payload), AUTHENTICATED_BYTES);
    frame.set(payload, FRAME_HEADER_BYTES);
    return frame;
  }
  const cipher = createCipheriv("aes-256-gcm", key.chunkKey(chunkId), nonce);
  cipher.setAAD(header);
  const sealed = cipher.update(payload);
  frame.set(sealed, FRAME_HEADER_BYTES);
  releaseBuffer(sealed);
  cipher.final();
  frame.set(cipher.getAuthTag(), AUTHENTICATED_BYTES);
  return frame;
}

export function decodeFrameHeader(bytes: Uint8Array, what: string): FrameHeader {
  const reader = new ByteReader(bytes.subarray(0, FRAME_HEADER_BYTES), what);
  if (!reader.raw(4).equals(MAGIC)) throw malformed(what, "it is no chunk frame");
  const suite = reader.u8();
  const codec = reader.u8();
  const zero = reader.u16();
  const chunkId = reader.raw(32);
  const rawLength = reader.u32();
  const payloadLength = reader.u32();
  const dictionary = reader.u32();
  if (suite > 1 || codec > CODEC_ZSTD || zero !== 0 || dictionary !== 0) {
    throw malformed(what, "its suite, codec or dictionary is unknown");
  }
  const nonce = reader.raw(NONCE_BYTES);
  const tag = reader.raw(TAG_BYTES);
  return { chunkId, rawLength, payloadLength, compressed: codec === CODEC_ZSTD, encrypted: suite === 1, nonce, tag };
}

/** The chunk's bytes, verified to be those that `chunkId` names, in memory of their own. */
export async function decodeFrame(
  key: VaultKey,
  frame: Uint8Array,
  expected: { readonly chunkId: Uint8Array; readonly rawLength: number },
): Promise<Buffer> {
  const what = `Chunk ${Buffer.from(expected.chunkId.subarray(0, 8)).toString("hex")}`;
  const header = decodeFrameHeader(frame, what);
  if (header.encrypted !== (key.suite !== "none")) throw malformed(what, "its suite is not the vault's");
  const payload = openPayload(key, frame, header, what);
  if (header.rawLength !== expected.rawLength) throw malformed(what, "its raw length is not the expected one");
  const raw = header.compressed ? await decompressWithin(payload, header.rawLength, what) : payload;
  if (header.compressed && header.encrypted) releaseBuffer(payload);
  if (raw.length !== header.rawLength) throw malformed(what, "its raw length is wrong");
  if (!key.chunkId(raw).equals(expected.chunkId)) {
    throw new HoldfastFailure("corrupt", "HoldfastWrongChunk", `${what} holds other bytes than its id names`);
  }
  return header.compressed || header.encrypted ? raw : Buffer.from(raw);
}

/** Whether the frame gives back exactly these bytes: asked before they are forgotten. */
export async function frameHolds(key: VaultKey, frame: Uint8Array, raw: Uint8Array): Promise<boolean> {
  const header = decodeFrameHeader(frame, "A new chunk");
  const payload = openPayload(key, frame, header, "A new chunk");
  const opened = header.compressed ? await decompressWithin(payload, raw.length, "A new chunk") : payload;
  const isSame = opened.equals(raw);
  if (header.compressed) releaseBuffer(opened);
  if (header.encrypted) releaseBuffer(payload);
  return isSame;
}

function openPayload(key: VaultKey, frame: Uint8Array, header: FrameHeader, what: string): Buffer {
  const body = Buffer.from(frame.buffer, frame.byteOffset, frame.byteLength);
  if (body.length !== FRAME_HEADER_BYTES + header.payloadLength) throw malformed(what, "its payload length is wrong");
  const authenticated = body.subarray(0, AUTHENTICATED_BYTES);
  const payload = body.subarray(FRAME_HEADER_BYTES);
  if (!header.encrypted) {
    if (!timingSafeEqual(publicTag(authenticated, payload), header.tag)) throw damaged(what);
    return payload;
  }
  const cipherKey = key.chunkKey(header.chunkId);
  const decipher = createDecipheriv("aes-256-gcm", cipherKey, header.nonce, { authTagLength: TAG_BYTES });
  decipher.setAAD(authenticated);
  decipher.setAuthTag(header.tag);
  try {
    const opened = decipher.update(payload);
    decipher.final();
    return opened;
  } catch {
    throw damaged(what);
  }
}

async function decompressWithin(payload: Uint8Array, rawLength: number, what: string): Promise<Buffer> {
  try {
    return await decompress(payload, { chunkSize: outputBytes(rawLength), maxOutputLength: Math.max(1, rawLength) });
  } catch (cause) {
    throw new HoldfastFailure("corrupt", "HoldfastMalformed", `${what} does not decompress`, { cause });
  }
}

function publicTag(header: Uint8Array, payload: Uint8Array): Buffer {
  return createHmac("sha256", PUBLIC_KEY_OBJECT).update(header).update(payload).digest().subarray(0, TAG_BYTES);
}

function damaged(what: string): HoldfastFailure {
  return new HoldfastFailure("corrupt", "HoldfastNotAuthentic", `${what} is damaged`);
}
