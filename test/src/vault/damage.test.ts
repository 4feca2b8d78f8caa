import { describe, expect, it } from "vitest";
import { collect, planCollection } from "../../../src/vault/collect.ts";
import type { Manifest } from "../../../src/vault/format/manifest.ts";
import { packKey, parsePackName } from "../../../src/vault/format/names.ts";
import { verifyVault } from "../../../src/vault/verify.ts";
import { MemoryDisk } from "../../support/memory-disk.ts";
import { CHUNK, TestVault } from "../../support/vault-fixture.ts";

const LEAF = 128 * CHUNK;

/** Three points; the packs of each hold chunks that nobody else holds. */
async function threePoints() {
  const vault = await TestVault.create();
  const disk = new MemoryDisk(2 * LEAF);
  const points: { manifest: Manifest; bytes: Buffer }[] = [];
  for (const round of [1, 2, 3]) {
    disk.fill((round - 1) * 10 * CHUNK, 3 * CHUNK, round);
    points.push({ manifest: await vault.backUp(disk.snapshot()), bytes: Buffer.from(disk.bytes) });
  }
  return { vault, disk, points };
}

const isData = (vault: TestVault, name: string) => vault.archive.bodyOf(name)?.[6] === 0;

describe("Damage", () => {
  it("is not found where there is none", async () => {
    const { vault } = await threePoints();
    const verified = await verifyVault(vault.vault, { data: "all" });
    expect(verified.findings).toEqual([]);
    expect(verified).toMatchObject({ points: 3, readPacks: vault.archive.names("packs/").length });
  });

  it("is found in every object of the archive, wherever a bit flips, and never restores as something else", async () => {
    const { vault, points } = await threePoints();
    const names = vault.archive.names().filter((name) => !name.startsWith("keys/"));
    for (const name of names) {
      const sound = vault.archive.bodyOf(name) as Uint8Array;
      const header = name.startsWith("packs/") ? 24 : 0;
      for (const position of [header, 60, 100, sound.length >> 1, sound.length - 1]) {
        const damaged = Uint8Array.from(sound);
        damaged[position] = (damaged[position] as number) ^ 4;
        vault.archive.corrupt(name, damaged);
        const isFound = await verifyVault(vault.vault, { data: "all" }).then(
          ({ findings }) => findings.length > 0,
          (cause) => cause.kind === "corrupt",
        );
        expect(isFound, `${name} at ${position}`).toBe(true);
        for (const { manifest, bytes } of points) {
          const restored = await vault.restore(manifest).catch((cause) => cause.kind);
          expect(restored === "corrupt" || bytes.equals(restored as Buffer), `${name} at ${position}`).toBe(true);
        }
      }
      vault.archive.corrupt(name, sound);
    }
  });

  it("takes away exactly the ranges concerned, and names them", async () => {
    const { vault, points } = await threePoints();
    const second = points[1]?.manifest as Manifest;
    const name = vault.archive.names(`packs/${second.transfer}/`).find((pack) => isData(vault, pack)) as string;
    await vault.archive.delete(name);
    const { findings } = await verifyVault(vault.vault, { data: "none" });
    const affected = [1, 2].map((index) => ({
      point: { item: second.item, transfer: points[index]?.manifest.transfer },
      disk: "os",
      offset: 10 * CHUNK,
      length: 3 * CHUNK,
    }));
    expect(findings).toEqual([{ kind: "pack-missing", object: name, message: "the pack is missing", affected }]);
    expect((await vault.restore(points[0]?.manifest as Manifest)).equals(points[0]?.bytes as Buffer)).toBe(true);
    await expect(vault.restore(points[2]?.manifest as Manifest)).rejects.toMatchObject({ code: "HoldfastPackLost" });
  });

  it("is told apart by chunk: the neighbours in the pack stay readable", async () => {
    const { vault, points } = await threePoints();
    const second = points[1]?.manifest as Manifest;
    const name = vault.archive.names(`packs/${second.transfer}/`).find((pack) => isData(vault, pack)) as string;
    const damaged = Uint8Array.from(vault.archive.bodyOf(name) as Uint8Array);
    damaged[24 + 80 + 5] = (damaged[24 + 80 + 5] as number) ^ 1;
    vault.archive.corrupt(name, damaged);
    const { findings } = await verifyVault(vault.vault, { data: "all" });
    expect(findings.map(({ kind }) => kind)).toEqual(["chunk-damaged"]);
    expect(findings[0]?.affected.map(({ offset, length }) => ({ offset, length }))).toEqual([
      { offset: 10 * CHUNK, length: CHUNK },
      { offset: 10 * CHUNK, length: CHUNK },
    ]);
  });

  it("heals with the next backup once it is recorded", async () => {
    const { vault, disk, points } = await threePoints();
    const second = points[1]?.manifest as Manifest;
    const name = vault.archive.names(`packs/${second.transfer}/`).find((pack) => isData(vault, pack)) as string;
    await vault.archive.delete(name);
    await verifyVault(vault.vault, { data: "none", record: true });
    expect(vault.state.names("damage/")).toEqual([`damage/${packKey(parsePackName(name).pack)}.json`]);
    const source = disk.snapshot();
    const healed = await vault.backUp(source);
    expect(source.readBytes).toBe(3 * CHUNK);
    expect((await vault.restore(healed)).equals(disk.bytes)).toBe(true);
  });

  it("of an index makes the next backup read everything, and that one is whole", async () => {
    const { vault, disk, points } = await threePoints();
    const third = points[2]?.manifest as Manifest;
    for (const name of vault.archive.names(`packs/${third.transfer}/`))
      if (!isData(vault, name)) await vault.archive.delete(name);
    const { findings } = await verifyVault(vault.vault, { data: "none", record: true });
    expect(findings[0]).toMatchObject({ kind: "pack-missing", affected: [{ offset: 0, length: 2 * LEAF }] });
    const healed = await vault.backUp(disk.snapshot());
    expect((await vault.restore(healed)).equals(disk.bytes)).toBe(true);
  });

  it("of two swapped packs is found, and a manifest replayed in another place does not open", async () => {
    const { vault, points } = await threePoints();
    const [first, second] = vault.archive.names("packs/").filter((name) => isData(vault, name)) as [string, string];
    const bodies = [vault.archive.bodyOf(first) as Uint8Array, vault.archive.bodyOf(second) as Uint8Array] as const;
    vault.archive.corrupt(first, bodies[1]);
    vault.archive.corrupt(second, bodies[0]);
    const { findings } = await verifyVault(vault.vault, { data: "all" });
    expect(new Set(findings.map(({ object }) => object))).toEqual(new Set([first, second]));
    const [a, b] = points.map(({ manifest }) => `points/vm-1/${manifest.transfer}`) as [string, string];
    vault.archive.corrupt(b, vault.archive.bodyOf(a) as Uint8Array);
    const { findings: named } = await verifyVault(vault.vault, { data: "none" });
    expect(named.map(({ kind, object }) => ({ kind, object }))).toEqual([{ kind: "point-damaged", object: b }]);
  });

  it("of two disks' indexes exchanged is found, though each is whole, authentic and in its place", async () => {
    const vault = await TestVault.create();
    const disks = [1, 2].map((seed) => {
      const disk = new MemoryDisk(LEAF, `disk-${seed}`);
      disk.fill(0, 3 * CHUNK, seed);
      return disk;
    });
    const described = disks.map((disk, lun) => ({ source: disk.snapshot(), name: disk.id, lun }));
    const manifest = await vault.backUp(described[0]?.source as never, { disks: described });
    const indexes = vault.archive.names("packs/").filter((name) => !isData(vault, name)) as [string, string];
    const [one, other] = indexes.map((name) => vault.archive.bodyOf(name) as Uint8Array) as [Uint8Array, Uint8Array];
    expect(one.length).toBe(other.length);
    vault.archive.corrupt(indexes[0], other);
    vault.archive.corrupt(indexes[1], one);
    for (const ordinal of [0, 1])
      await expect(vault.restore(manifest, ordinal)).rejects.toMatchObject({ kind: "corrupt" });
  });

  it("stops the collector, which then deletes nothing", async () => {
    const { vault, points } = await threePoints();
    const name = `points/vm-1/${points[1]?.manifest.transfer}`;
    for (const object of [name, `${name}.packs`]) {
      const sound = vault.archive.bodyOf(object) as Uint8Array;
      const damaged = Uint8Array.from(sound);
      damaged[70] = (damaged[70] as number) ^ 1;
      vault.archive.corrupt(object, damaged);
      const before = vault.archive.names();
      await expect(collect(vault.vault, { force: true })).rejects.toMatchObject({ kind: "corrupt" });
      expect(vault.archive.names()).toEqual(before);
      vault.archive.corrupt(object, sound);
    }
    await vault.state.create("pins/of-a-newer-kind", Buffer.from("?"));
    await expect(planCollection(vault.vault)).rejects.toMatchObject({ kind: "corrupt" });
  });
});
