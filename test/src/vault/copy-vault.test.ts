import { describe, expect, it } from "vitest";
import { adoptVault } from "../../../src/vault/adopt.ts";
import { copyVault } from "../../../src/vault/copy-vault.ts";
import { diffDisks } from "../../../src/vault/diff-points.ts";
import type { Manifest, ManifestDisk } from "../../../src/vault/format/manifest.ts";
import { listPoints } from "../../../src/vault/list-points.ts";
import { openVault } from "../../../src/vault/open-vault.ts";
import { deletePoint } from "../../../src/vault/point-states.ts";
import { beginTransfer } from "../../../src/vault/points.ts";
import { backUp, newTransferId } from "../../../src/vault/transfer.ts";
import { MemoryDisk } from "../../support/memory-disk.ts";
import { MemoryStore } from "../../support/memory-store.ts";
import { CHUNK, pointOf, restoreFrom, TestVault, TestWrapper, VM } from "../../support/vault-fixture.ts";

async function withTwoPoints() {
  const vault = await TestVault.create();
  const disk = new MemoryDisk(200 * CHUNK);
  disk.fill(0, 9 * CHUNK, 1);
  const first = await vault.backUp(disk.snapshot());
  const firstBytes = Buffer.from(disk.bytes);
  disk.fill(4 * CHUNK, CHUNK, 2);
  disk.write(150 * CHUNK, Buffer.from("x"));
  const second = await vault.backUp(disk.snapshot());
  return { vault, disk, first, firstBytes, second };
}

const diskOf = (manifest: Manifest) => ({ manifest, disk: manifest.disks[0] as ManifestDisk });

describe("A copy of a vault", () => {
  it("opens, restores, and is read-only until it is adopted", async () => {
    const { vault, disk, first, firstBytes, second } = await withTwoPoints();
    const stores = { archive: new MemoryStore("copy:v"), state: new MemoryStore("copy:w") };
    expect((await copyVault(vault.vault, stores)).points).toBe(2);
    const copy = await openVault({ ...vault.deps, ...stores });
    expect((await restoreFrom(copy, first)).equals(firstBytes)).toBe(true);
    expect((await restoreFrom(copy, second)).equals(disk.bytes)).toBe(true);
    await expect(deletePoint(copy, pointOf(first), { reason: "x" })).rejects.toMatchObject({
      code: "HoldfastVaultIsCopy",
    });
    await adoptVault(copy);
    const adopted = await openVault({ ...vault.deps, ...stores });
    expect(adopted.record.instanceId).not.toBe(vault.vault.record.instanceId);
    disk.fill(0, 10, 3);
    const third = await backUp(adopted, { item: VM, disks: [{ source: disk.snapshot(), name: "os", lun: -1 }] });
    expect((await restoreFrom(adopted, third)).equals(disk.bytes)).toBe(true);
    expect(vault.archive.names(`points/vm-1/${third.transfer}`)).toEqual([]);
  });

  it("gives up the transfers that were running when it was made", async () => {
    const { vault } = await withTwoPoints();
    const transfer = newTransferId(vault.vault);
    await beginTransfer(vault.vault, { item: VM, transfer }, []);
    const stores = { archive: vault.archive.copy("copy:v"), state: vault.state.copy("copy:w") };
    const copy = await openVault({ ...vault.deps, ...stores });
    expect((await adoptVault(copy)).voided).toEqual([transfer]);
    expect(stores.state.names("pins/")).toEqual([]);
    expect(vault.state.names("pins/")).toHaveLength(1);
  });

  it("that misses a pack is not adopted", async () => {
    const { vault } = await withTwoPoints();
    const stores = { archive: vault.archive.copy("copy:v"), state: vault.state.copy("copy:w") };
    await stores.archive.delete(stores.archive.names("packs/")[0] as string);
    const copy = await openVault({ ...vault.deps, ...stores });
    await expect(adoptVault(copy)).rejects.toMatchObject({ code: "HoldfastCopyIncomplete" });
  });
});

describe("The catalogue", () => {
  it("is told by the vault's own objects alone, in order, deleted points included", async () => {
    const { vault, first, second } = await withTwoPoints();
    await deletePoint(vault.vault, pointOf(first), { reason: "expired" });
    const listed = [];
    for await (const { manifest, state } of listPoints(await vault.reopen()))
      listed.push([manifest.transfer, state?.deletedReason]);
    expect(listed).toEqual([
      [first.transfer, "expired"],
      [second.transfer, undefined],
    ]);
  });

  it("tells what differs between two points", async () => {
    const { vault, first, second } = await withTwoPoints();
    const ranges = [];
    for await (const range of diffDisks(vault.vault, diskOf(first), diskOf(second))) ranges.push(range);
    expect(ranges).toEqual([
      { offset: 4 * CHUNK, length: CHUNK },
      { offset: 150 * CHUNK, length: CHUNK },
    ]);
  });
});

describe("Keys", () => {
  it("are needed before anything is read", async () => {
    const { vault } = await withTwoPoints();
    const open = (wrappers: TestWrapper[]) => openVault({ ...vault.deps, wrappers });
    await expect(open([])).rejects.toMatchObject({ kind: "denied", code: "HoldfastWrongKey" });
    await expect(open([new TestWrapper("other")])).rejects.toMatchObject({ kind: "denied" });
  });

  it("never let a vault pass that claims to have none", async () => {
    const plain = await TestVault.create({ suite: "none" });
    await expect(openVault({ ...plain.deps, wrappers: [new TestWrapper()] })).rejects.toMatchObject({
      code: "HoldfastSuiteNone",
    });
  });

  it("do not let a vault be made over the remains of another", async () => {
    const { vault } = await withTwoPoints();
    await vault.state.delete("vault.json");
    const { createVault } = await import("../../../src/vault/open-vault.ts");
    await expect(createVault(vault.deps, { name: "x", suite: "none" })).rejects.toMatchObject({
      code: "HoldfastNotEmpty",
    });
  });
});
