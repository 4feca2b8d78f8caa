import { createHash } from "node:crypto";
import { zstdCompressSync } from "node:zlib";
import { describe, expect, it } from "vitest";
import { fillGenerated, generatedExtents } from "../../../../localhost/azure/disks/generated-content.ts";

function content(seed: number, position: number, length: number): Buffer {
  const bytes = Buffer.alloc(length);
  fillGenerated(bytes, seed, position);
  return bytes;
}

describe("generated content", () => {
  it("is the same from wherever it is read", () => {
    const whole = content(7, 0, 1 << 20);
    for (const [position, length] of [
      [0, 1],
      [1, 4095],
      [4090, 20],
      [511, 70_000],
      [524_288, 4096],
    ] as const)
      expect(content(7, position, length).equals(whole.subarray(position, position + length))).toBe(true);
  });

  it("compresses about as a real system does", () => {
    const bytes = content(3, 0, 16 << 20);
    const ratio = bytes.length / zstdCompressSync(bytes).length;
    expect(ratio).toBeGreaterThan(1.5);
    expect(ratio).toBeLessThan(6);
  });

  it("never repeats a block, in one disk or between two seeds", () => {
    const digests = new Set<string>();
    for (const seed of [1, 2])
      for (let block = 0; block < 2000; block += 1)
        digests.add(
          createHash("sha1")
            .update(content(seed, block * 4096, 4096))
            .digest("hex"),
        );
    expect(digests.size).toBe(4000);
  });

  it("allocates exactly what is asked, in order, inside the disk", () => {
    for (const [size, allocated] of [
      [1 << 20, 1 << 20],
      [2 ** 33, 2 ** 29],
      [2 ** 45, 2 ** 26],
    ] as const) {
      const extents = generatedExtents(9, 1, size, allocated);
      expect(extents.reduce((sum, { start, end }) => sum + end - start, 0) * 512).toBe(allocated);
      for (const [index, { start, end }] of extents.entries()) {
        expect(start).toBeGreaterThanOrEqual(extents[index - 1]?.end ?? 0);
        expect(end * 512).toBeLessThanOrEqual(size);
      }
    }
  });
});
