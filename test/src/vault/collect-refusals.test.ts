// What a collection refuses to believe: a large part of a vault as garbage, unless its own records say so.

import { expect, it } from "vitest";
import { collect } from "../../../src/vault/collect.ts";
import { deletePoint } from "../../../src/vault/point-states.ts";
import { abandonTransfer } from "../../../src/vault/points.ts";
import { newTransferId, openTransfer } from "../../../src/vault/transfer.ts";
import { MemoryDisk } from "../../support/memory-disk.ts";
import { CHUNK, pointOf, TestVault, VM } from "../../support/vault-fixture.ts";

const DAY_MS = 24 * 3_600_000;

it("A collection that would free more than a fifth of a vault is refused, until it is forced", async () => {
  const vault = await TestVault.create();
  const disk = new MemoryDisk(8 * CHUNK);
  disk.fill(0, 8 * CHUNK, 1);
  const first = await vault.backUp(disk.snapshot());
  disk.fill(0, 8 * CHUNK, 2);
  const second = await vault.backUp(disk.snapshot());
  await deletePoint(vault.vault, pointOf(first), { reason: "test" });
  vault.advance(30 * DAY_MS);
  const before = vault.archive.names("packs/");
  await expect(collect(vault.vault)).rejects.toMatchObject({ code: "HoldfastLargeCollection" });
  expect(vault.archive.names("packs/")).toEqual(before);
  await collect(vault.vault, { force: true });
  expect(vault.archive.names("packs/").length).toBeLessThan(before.length);
  expect((await vault.restore(second)).equals(disk.bytes)).toBe(true);
});

it("What a void says to be garbage is believed, however much of the vault it is", async () => {
  const vault = await TestVault.create();
  const small = new MemoryDisk(2 * CHUNK, "small");
  small.fill(0, CHUNK, 1);
  const kept = await vault.backUp(small.snapshot());
  const before = vault.archive.names("packs/");
  const large = new MemoryDisk(64 * CHUNK, "large");
  large.fill(0, 64 * CHUNK, 2);
  const disks = Array.from({ length: 4 }, () => ({ source: large.snapshot(), name: "os", lun: -1 }));
  for (const disk of disks) {
    const transfer = newTransferId(vault.vault);
    const open = await openTransfer(vault.vault, { item: VM, disks: [disk] }, transfer);
    await open.planDisk(0);
    await open.writeSlice(0, 0);
    await abandonTransfer(vault.vault, { item: VM, transfer }, "test");
    vault.advance(1_000);
  }
  expect(vault.archive.names("packs/").length).toBeGreaterThan(4 * before.length - 1);
  vault.advance(30 * DAY_MS);
  const { sweeps } = await collect(vault.vault);
  expect(new Set(sweeps.map(({ reason }) => reason))).toEqual(new Set(["its transfer was given up"]));
  expect(vault.archive.names("packs/")).toEqual(before);
  expect((await vault.restore(kept)).equals(small.bytes)).toBe(true);
});
