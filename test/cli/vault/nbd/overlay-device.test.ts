import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import fc from "fast-check";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import type { BlockDevice, Extent } from "../../../../cli/vault/nbd/block-device.ts";
import { OverlayDevice } from "../../../../cli/vault/nbd/overlay-device.ts";

/** Every byte tells where it is; the second half is a hole. */
class PatternDevice implements BlockDevice {
  readonly sizeBytes: number;
  readonly bytes: Buffer;
  reads = 0;

  constructor(sizeBytes: number) {
    this.sizeBytes = sizeBytes;
    this.bytes = Buffer.from(Array.from({ length: sizeBytes }, (_, at) => (at < sizeBytes / 2 ? 1 + (at % 251) : 0)));
  }

  /** The first read takes longest: whoever does not wait its turn comes too early. */
  async read({ offset, length }: { offset: number; length: number }) {
    if (this.reads++ === 0) await sleep(20);
    return this.bytes.subarray(offset, offset + length);
  }

  async *extents({ offset, length }: { offset: number; length: number }): AsyncGenerator<Extent> {
    const [end, middle] = [offset + length, Math.ceil(this.sizeBytes / 2)];
    if (offset < middle) yield { offset, length: Math.min(end, middle) - offset, kind: "data" };
    if (end > middle) yield { offset: Math.max(offset, middle), length: end - Math.max(offset, middle), kind: "hole" };
  }
}

describe("An overlay", () => {
  let folder: string;
  beforeAll(async () => {
    folder = await mkdtemp(join(tmpdir(), "holdfast-overlay-"));
  });
  afterAll(() => rm(folder, { recursive: true }));

  it("loses neither of two writes that come at once and share a block", async () => {
    const base = new PatternDevice(8_192);
    const overlay = await OverlayDevice.create(base, folder);
    await Promise.all([overlay.write(0, Buffer.alloc(50, 0xaa)), overlay.write(100, Buffer.alloc(50, 0xbb))]);
    const expected = Buffer.from(base.bytes.subarray(0, 4_096)).fill(0xaa, 0, 50).fill(0xbb, 100, 150);
    expect(Buffer.from(await overlay.read({ offset: 0, length: 4_096 })).equals(expected)).toBe(true);
    await overlay.close();
  });

  it("reads as a plain disk would after any writes, and tells no data for a hole", async () => {
    const size = 40_000;
    const range = fc
      .tuple(fc.nat(size - 1), fc.integer({ min: 1, max: 9_000 }))
      .map(([offset, length]) => ({ offset, length: Math.min(length, size - offset) }));
    const write = fc.record({ range, byte: fc.nat(255) });
    await fc.assert(
      fc.asyncProperty(fc.array(write, { maxLength: 12 }), range, async (writes, asked) => {
        const base = new PatternDevice(size);
        base.reads = 1;
        const overlay = await OverlayDevice.create(base, folder);
        const model = Buffer.from(base.bytes);
        for (const { range: written, byte } of writes) {
          if (byte === 0) await overlay.writeZeros(written);
          else await overlay.write(written.offset, Buffer.alloc(written.length, byte));
          model.fill(byte, written.offset, written.offset + written.length);
        }
        const end = asked.offset + asked.length;
        expect(Buffer.from(await overlay.read(asked)).equals(model.subarray(asked.offset, end))).toBe(true);
        let at = asked.offset;
        for await (const { offset, length, kind } of overlay.extents(asked)) {
          expect(offset).toBe(at);
          at += length;
          if (kind !== "data") expect(model.subarray(offset, at).every((byte) => byte === 0)).toBe(true);
        }
        expect(at).toBe(end);
        await overlay.close();
      }),
      { numRuns: 60 },
    );
  });
});
