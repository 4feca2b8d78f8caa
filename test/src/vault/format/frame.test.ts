import { createDecipheriv, createHmac, hkdfSync, randomBytes } from "node:crypto";
import { zstdCompressSync, zstdDecompressSync } from "node:zlib";
import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { compressChunk, decodeFrame, encodeFrame } from "../../../../src/vault/format/frame.ts";
import { NONCE, openKey, sealedKey } from "./sample.ts";

const text = Buffer.from("all work and no play ".repeat(500));

async function frameOf(raw: Uint8Array, key = sealedKey) {
  const chunkId = key.chunkId(raw);
  return { chunkId, frame: encodeFrame(key, chunkId, raw.length, await compressChunk(raw, 3), NONCE) };
}

describe("A chunk frame", () => {
  for (const key of [sealedKey, openKey]) {
    it(`gives back any bytes it was made of, in suite ${key.suite}`, async () => {
      const property = fc.asyncProperty(fc.uint8Array({ minLength: 1, maxLength: 5_000 }), async (raw) => {
        const { chunkId, frame } = await frameOf(raw, key);
        expect(await decodeFrame(key, frame, { chunkId, rawLength: raw.length })).toEqual(Buffer.from(raw));
      });
      await fc.assert(property, { numRuns: 50 });
    });

    it(`refuses a flipped bit anywhere, in suite ${key.suite}`, async () => {
      const { chunkId, frame } = await frameOf(text, key);
      for (let position = 0; position < frame.length; position++) {
        const damaged = Buffer.from(frame);
        damaged[position] = (damaged[position] as number) ^ (1 << (position % 8));
        const reading = decodeFrame(key, damaged, { chunkId, rawLength: text.length });
        await expect(reading, `byte ${position}`).rejects.toMatchObject({ kind: "corrupt" });
      }
    });

    it(`refuses every truncation, in suite ${key.suite}`, async () => {
      const { chunkId, frame } = await frameOf(text, key);
      for (const length of [0, 1, 40, 79, 80, 81, frame.length - 1]) {
        const reading = decodeFrame(key, frame.subarray(0, length), { chunkId, rawLength: text.length });
        await expect(reading, `${length} bytes`).rejects.toMatchObject({ kind: "corrupt" });
      }
    });
  }

  it("refuses another chunk's frame, whole as it is", async () => {
    const { frame } = await frameOf(text);
    const other = Buffer.from("other bytes");
    const expected = { chunkId: sealedKey.chunkId(other), rawLength: text.length };
    await expect(decodeFrame(sealedKey, frame, expected)).rejects.toMatchObject({ code: "HoldfastWrongChunk" });
  });

  it("refuses a frame of the suite without encryption when there is a key", async () => {
    const { chunkId, frame } = await frameOf(text, openKey);
    await expect(decodeFrame(sealedKey, frame, { chunkId, rawLength: text.length })).rejects.toThrow(/suite/);
  });

  it("holds one frame of zstd, which says how long its bytes are", async () => {
    for (const length of [1_000, 512 * 1024, 8 * 1024 * 1024]) {
      const raw = Buffer.concat([randomBytes(100), Buffer.alloc(length - 100, "holdfast ")]);
      const { payload, codec } = await compressChunk(raw, 3);
      expect(codec).toBe(1);
      expect(zstdFrameOf(payload)).toEqual({ contentBytes: length, frameBytes: payload.length });
    }
  });

  it("never decompresses more than the raw length it was told", async () => {
    const bomb = Buffer.alloc(64 * 1024 * 1024);
    const chunkId = sealedKey.chunkId(bomb);
    const frame = encodeFrame(sealedKey, chunkId, 4096, { payload: zstdCompressSync(bomb), codec: 1 }, NONCE);
    await expect(decodeFrame(sealedKey, frame, { chunkId, rawLength: 4096 })).rejects.toMatchObject({
      kind: "corrupt",
    });
  });

  it("is laid out as documented, so that standard tools can open it", async () => {
    const { chunkId, frame } = await frameOf(text);
    const salt = Buffer.from("holdfast vault v1");
    const idKey = Buffer.from(hkdfSync("sha256", Buffer.alloc(32, 1), salt, Buffer.from("chunk-id\0"), 32));
    expect(createHmac("sha256", idKey).update(text).digest()).toEqual(chunkId);
    expect(frame.subarray(0, 8).toString("hex")).toBe("4846633101010000");
    expect(frame.subarray(8, 40)).toEqual(chunkId);
    expect(frame.readUInt32LE(40)).toBe(text.length);
    expect(frame.readUInt32LE(44)).toBe(frame.length - 80);
    expect(frame.readUInt32LE(48)).toBe(0);
    const info = Buffer.concat([Buffer.from("chunk\0"), chunkId]);
    const key = Buffer.from(hkdfSync("sha256", Buffer.alloc(32, 1), salt, info, 32));
    const decipher = createDecipheriv("aes-256-gcm", key, frame.subarray(52, 64));
    decipher.setAAD(frame.subarray(0, 64));
    decipher.setAuthTag(frame.subarray(64, 80));
    const payload = Buffer.concat([decipher.update(frame.subarray(80)), decipher.final()]);
    expect(zstdDecompressSync(payload)).toEqual(text);
  });
});

/** By RFC 8878, for a frame without checksum and dictionary whose first block begins where its header ends. */
function zstdFrameOf(bytes: Uint8Array): { contentBytes: number; frameBytes: number } {
  const view = Buffer.from(bytes);
  expect(view.readUInt32LE(0)).toBe(0xfd2fb528);
  const descriptor = view.readUInt8(4);
  const isSingleSegment = (descriptor & 0x20) !== 0;
  const contentField = descriptor >> 6;
  expect(descriptor & 0x07, "no checksum, no dictionary").toBe(0);
  expect(isSingleSegment || contentField > 0, "it says how long its content is").toBe(true);
  let at = isSingleSegment ? 5 : 6;
  const contentBytes = [view[at], view.readUInt16LE(at) + 256, view.readUInt32LE(at)][contentField] as number;
  at += [1, 2, 4][contentField] as number;
  for (let isLast = false; !isLast; ) {
    const block = view.readUIntLE(at, 3);
    isLast = (block & 1) !== 0;
    const isRepeated = ((block >> 1) & 3) === 1;
    at += 3 + (isRepeated ? 1 : block >> 3);
  }
  return { contentBytes, frameBytes: at };
}
