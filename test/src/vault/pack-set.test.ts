import { randomBytes } from "node:crypto";
import { expect, it } from "vitest";
import { makePackNumber, type PackId, type TransferId } from "../../../src/vault/format/names.ts";
import { PackSet } from "../../../src/vault/pack-set.ts";

it("A set of packs has what was added, once, and nothing else", () => {
  const packs = Array.from({ length: 40_000 }, (): PackId => {
    return { transfer: randomBytes(16).toString("hex") as TransferId, number: makePackNumber(randomBytes(8)) };
  });
  const set = new PackSet();
  const added = packs.slice(0, 30_000);
  for (const pack of [...added, ...added]) set.add(pack);
  expect(set.size).toBe(30_000);
  expect(packs.map((pack) => set.has(pack))).toEqual(packs.map((_, index) => index < 30_000));
});
