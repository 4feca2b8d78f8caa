import { createHash } from "node:crypto";
import { describe, expect, it, vi } from "vitest";
import { collect } from "../../../src/vault/collect.ts";
import { compact, DrawnPacks, planCompaction } from "../../../src/vault/compact.ts";
import { copyVault } from "../../../src/vault/copy-vault.ts";
import { DiskReader } from "../../../src/vault/disk-reader.ts";
import type { Manifest, ManifestDisk } from "../../../src/vault/format/manifest.ts";
import { type PackId, packKey, packName, parsePackName } from "../../../src/vault/format/names.ts";
import { IndexTree } from "../../../src/vault/index-tree.ts";
import { openVault } from "../../../src/vault/open-vault.ts";
import { deletePoint } from "../../../src/vault/point-states.ts";
import { pinFor, whilePinned } from "../../../src/vault/reader-pins.ts";
import { rotateDataKey } from "../../../src/vault/rotate-keys.ts";
import { newTransferId, runBackup } from "../../../src/vault/transfer.ts";
import { verifyVault } from "../../../src/vault/verify.ts";
import { MemoryDisk } from "../../support/memory-disk.ts";
import { MemoryStore } from "../../support/memory-store.ts";
import { CHUNK, CountingRandom, pointOf, restoreFrom, TestVault, VM } from "../../support/vault-fixture.ts";

const DAY_MS = 24 * 3600 * 1000;

interface Kept {
  readonly manifest: Manifest;
  readonly bytes: Buffer;
}

/** Eight points of a disk whose first half changes all the time; then all but the last two go. */
async function churned(): Promise<{ vault: TestVault; disk: MemoryDisk; kept: Kept[] }> {
  const vault = await TestVault.create();
  const disk = new MemoryDisk(200 * CHUNK);
  disk.fill(0, 100 * CHUNK, 1);
  for (let chunk = 0; chunk < 100; chunk++) disk.fill(chunk * CHUNK, 8, chunk);
  const points: Kept[] = [];
  for (let day = 0; day < 8; day++) {
    for (let chunk = 0; chunk < 20; chunk++) disk.fill(((day * 10 + chunk) % 80) * CHUNK, 8, 1000 + day * 20 + chunk);
    points.push({ manifest: await vault.backUp(disk.snapshot()), bytes: Buffer.from(disk.bytes) });
  }
  for (const { manifest } of points.slice(0, 6))
    await deletePoint(vault.vault, pointOf(manifest), { reason: "expired" });
  for (let round = 0; round < 3; round++) {
    vault.advance(40 * DAY_MS);
    await collect(vault.vault, { force: true });
  }
  return { vault, disk, kept: points.slice(6) };
}

const storedBytes = (vault: TestVault) =>
  vault.archive.names("packs/").reduce((sum, name) => sum + (vault.archive.bodyOf(name)?.length ?? 0), 0);

vi.setConfig({ testTimeout: 240_000 });

describe("Compaction", () => {
  it("frees what it planned to, and every point stays as it was", async () => {
    const { vault, disk, kept } = await churned();
    const plan = await planCompaction(vault.vault);
    expect(plan.packs.length).toBeGreaterThan(0);
    for (const { parts, liveParts } of plan.packs) expect(liveParts).toBeLessThanOrEqual(parts / 2);
    const before = storedBytes(vault);
    const { freedBytes, wroteBytes, packs } = await compact(vault.vault);
    expect(packs.map(({ failure }) => failure).filter(Boolean)).toEqual([]);
    expect(before - storedBytes(vault)).toBe(freedBytes - wroteBytes);
    expect((freedBytes - wroteBytes) / plan.deadBytes).toBeCloseTo(1, 1);
    for (const { manifest, bytes } of kept) {
      expect((await vault.restore(manifest)).equals(bytes)).toBe(true);
      const reader = new DiskReader(vault.vault, manifest, manifest.disks[0] as ManifestDisk);
      expect((await reader.read({ offset: 0, length: bytes.length })).equals(bytes)).toBe(true);
    }
    expect((await verifyVault(vault.vault, { data: "all" })).findings).toEqual([]);
    expect((await planCompaction(vault.vault)).packs).toEqual([]);
    disk.fill(0, 10, 7);
    const next = await vault.backUp(disk.snapshot());
    expect((await vault.restore(next)).equals(disk.bytes)).toBe(true);
  });

  it("writes what lies under a former data key anew under that key", async () => {
    const { vault, disk, kept } = await churned();
    await rotateDataKey(vault.deps);
    const rotated = await vault.reopen();
    expect((await compact(rotated)).freedBytes).toBeGreaterThan(0);
    vault.advance(1_000);
    disk.fill(0, 10, 7);
    const backup = { item: VM, disks: [{ source: disk.snapshot(), name: "os", lun: -1 }] };
    const next = await runBackup(rotated, backup, newTransferId(rotated));
    expect(next.keyId).not.toBe(kept[0]?.manifest.keyId);
    for (const { manifest, bytes } of [...kept, { manifest: next, bytes: disk.bytes }]) {
      expect((await restoreFrom(rotated, manifest)).equals(bytes)).toBe(true);
    }
    expect((await verifyVault(rotated, { data: "all" })).findings).toEqual([]);
  });

  it("keeps each pack whole whose own point stands, without looking into it", async () => {
    const { vault, kept } = await churned();
    const { packs } = await planCompaction(vault.vault);
    const standing = kept.map(({ manifest }) => manifest.transfer);
    expect(packs.filter(({ pack }) => standing.includes(pack.transfer))).toEqual([]);
  });

  it("leaves alone what a reader has pinned", async () => {
    const { vault, kept } = await churned();
    const points = kept.map(({ manifest }) => pointOf(manifest));
    const pin = pinFor(vault.vault, "read", newTransferId(vault.vault), null, points, "a mount");
    const plan = await whilePinned(vault.vault, pin, () => planCompaction(vault.vault));
    expect(plan.packs).toEqual([]);
    expect(plan.pinnedPacks).toBeGreaterThan(0);
  });

  it("ends when a tree that it needs does not open, and changes nothing", async () => {
    const { vault, kept } = await churned();
    const [, last] = kept as [Kept, Kept];
    for (const name of vault.archive.names(`packs/${last.manifest.transfer}/`)) {
      if (vault.archive.bodyOf(name)?.[6] === 1) await vault.archive.delete(name);
    }
    const before = vault.archive.names();
    await expect(compact(vault.vault)).rejects.toMatchObject({ kind: "corrupt" });
    expect(vault.archive.names()).toEqual(before);
  });

  it("refuses to write a damaged part off: the pack stays as it is until the damage is recorded", async () => {
    const { vault, kept } = await churned();
    const { manifest } = kept[0] as Kept;
    const { packs: planned } = await planCompaction(vault.vault);
    const tree = IndexTree.ofDisk(vault.vault, manifest, manifest.disks[0] as ManifestDisk);
    const used = [...(await tree.leaf(0)).leaf.entries, ...(await tree.leaf(1)).leaf.entries];
    const isIn = (pack: PackId) =>
      used.filter((entry) => entry.kind === "data" && packKey(entry.pack) === packKey(pack));
    const [damaged, another] = planned.map(({ pack }) => isIn(pack)).find((entries) => entries.length > 1) ?? [];
    if (damaged?.kind !== "data" || !another) throw new Error("no pack with two live chunks");
    const name = packName(damaged.pack);
    const body = Uint8Array.from(vault.archive.bodyOf(name) as Uint8Array);
    body[damaged.offset + 90] = (body[damaged.offset + 90] as number) ^ 1;
    vault.archive.corrupt(name, body);
    const { packs } = await compact(vault.vault);
    const outcome = packs.find(({ pack }) => packName(pack) === name);
    expect(outcome?.failure).toContain("is damaged, and was left as it is");
    expect(vault.archive.names(name)).toEqual([name]);
  });

  it("looks at as many packs as fit, counts them in full, and comes to all of them over time", () => {
    const packs = Array.from({ length: 25_000 }, (_, index) => ({
      transfer: "a".repeat(32) as never,
      number: createHash("sha256").update(`${index}`).digest("hex").slice(0, 16) as never,
    }));
    const seen = new Set<string>();
    const random = new CountingRandom();
    for (let run = 0; run < 20; run++) {
      const drawn = new DrawnPacks(random);
      for (const live of [3, 4]) for (const pack of packs) drawn.add(pack, live);
      expect(drawn.uses.size).toBeGreaterThan(2_000);
      expect(drawn.uses.size).toBeLessThanOrEqual(10_000);
      for (const [key, { live }] of drawn.uses) {
        expect(live).toBe(7);
        seen.add(key);
      }
    }
    expect(seen.size).toBe(packs.length);
  });

  it("goes on under a copy, which then has the later generations", async () => {
    const { vault, kept } = await churned();
    const archive = new MemoryStore("copy:v");
    const listing = vault.archive.list.bind(vault.archive);
    let isCompacted = false;
    // After the copy has listed the packs, and before it reads the first.
    const source = Object.assign(vault.archive.copy(), {
      async *list(prefix: string) {
        for await (const page of listing(prefix)) {
          if (prefix === "packs/" && !isCompacted) {
            isCompacted = true;
            await compact(vault.vault);
          }
          yield page;
        }
      },
      read: vault.archive.read.bind(vault.archive),
    });
    const stores = { archive, state: new MemoryStore("copy:w") };
    // A copy of a copy has no pin that would keep compaction off.
    await copyVault({ ...vault.vault, archive: source, isWritable: false }, stores);
    const copy = await openVault({ ...vault.deps, ...stores });
    for (const { manifest, bytes } of kept) expect((await restoreFrom(copy, manifest)).equals(bytes)).toBe(true);
    expect(archive.names("packs/").some((name) => parsePackName(name).generation > 0)).toBe(true);
    expect((await verifyVault(copy, { data: "all" })).findings).toEqual([]);
  });
});
