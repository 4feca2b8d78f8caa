// Two digests of disks, compared: what the demonstration's proof stands on.

import { describe, expect, it } from "vitest";
import { firstDifference } from "../../localhost/sas-disk.ts";

const MIB = 2 ** 20;
const digest = (sizeBytes: number, blocks: Readonly<Record<number, string>>) => ({
  sizeBytes,
  blocks: new Map(Object.entries(blocks).map(([number, hash]) => [Number(number), hash])),
});

describe("the first difference of two disks", () => {
  it("is none when every block is the same, in whatever order they were read", () => {
    expect(firstDifference(digest(8 * MIB, { 1: "a", 5: "b" }), digest(8 * MIB, { 5: "b", 1: "a" }))).toBeUndefined();
  });

  it.each([
    ["other content", { 1: "a", 5: "c" }, "the 1048576 bytes at 5242880 differ"],
    ["content where the other has zeros", { 1: "a", 3: "d", 5: "b" }, "the 1048576 bytes at 3145728 differ"],
    ["zeros where the other has content", { 5: "b" }, "the 1048576 bytes at 1048576 differ"],
  ])("is the first block with %s", (_what, blocks, difference) => {
    expect(firstDifference(digest(8 * MIB, { 1: "a", 5: "b" }), digest(8 * MIB, blocks))).toBe(difference);
  });

  it("is the size when that differs", () => {
    expect(firstDifference(digest(8 * MIB, {}), digest(9 * MIB, {}))).toContain("8388608 bytes, the other 9437184");
  });
});
