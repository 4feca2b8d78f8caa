import { beforeEach, describe, expect, it } from "vitest";
import type { ObjectStore } from "../../../src/ports/object-store.ts";
import { copyVault } from "../../../src/vault/copy-vault.ts";
import { readDamage } from "../../../src/vault/damage.ts";
import type { Manifest } from "../../../src/vault/format/manifest.ts";
import { type PackId, packName, parseItemId, parsePackName } from "../../../src/vault/format/names.ts";
import { openVault } from "../../../src/vault/open-vault.ts";
import { beginTransfer } from "../../../src/vault/points.ts";
import { repairVault } from "../../../src/vault/repair.ts";
import { verifyVault } from "../../../src/vault/verify.ts";
import { MemoryDisk } from "../../support/memory-disk.ts";
import { MemoryStore } from "../../support/memory-store.ts";
import { CHUNK, TestVault, VM } from "../../support/vault-fixture.ts";

const FRAME_HEADER = 80;
const PACK_HEADER = 24;

describe("Repair", () => {
  let vault: TestVault;
  let disk: MemoryDisk;
  let points: { manifest: Manifest; bytes: Buffer }[];

  /** Three points: the first stores chunks 0-5, the second changes 10-12, the third changes chunk 0. */
  beforeEach(async () => {
    vault = await TestVault.create();
    disk = new MemoryDisk(256 * CHUNK);
    points = [];
    for (const [first, count] of [
      [0, 6],
      [10, 3],
      [0, 1],
    ] as const) {
      disk.fill(first * CHUNK, count * CHUNK, points.length + 1);
      for (let chunk = first; chunk < first + count; chunk++)
        disk.fill(chunk * CHUNK + 7, 4, chunk + 50 * points.length);
      await backUp();
    }
  });

  async function backUp(options: { canDiff?: boolean } = {}): Promise<Manifest> {
    const manifest = await vault.backUp(disk.snapshot(options));
    points.push({ manifest, bytes: Buffer.from(disk.bytes) });
    return manifest;
  }

  function packOf(point: number, content: "data" | "index"): PackId {
    const names = vault.archive.names(`packs/${points[point]?.manifest.transfer}/`);
    const name = names.find((candidate) => vault.archive.bodyOf(candidate)?.[6] === (content === "data" ? 0 : 1));
    return parsePackName(name as string).pack;
  }

  function flip(name: string, position: number): void {
    const body = Uint8Array.from(vault.archive.bodyOf(name) as Uint8Array);
    body[position] = (body[position] as number) ^ 1;
    vault.archive.corrupt(name, body);
  }

  const verify = () => verifyVault(vault.vault, { data: "all" });
  const record = () => verifyVault(vault.vault, { data: "all", record: true });
  const generationsOf = (pack: PackId) =>
    vault.archive.names(packName(pack).slice(0, -1)).map((name) => parsePackName(name).generation);
  async function restoresAll(): Promise<void> {
    for (const { manifest, bytes } of points) expect((await vault.restore(manifest)).equals(bytes)).toBe(true);
  }

  it("by the next backup heals every older point that lost what the disk still has", async () => {
    const pack = packOf(1, "data");
    flip(packName(pack), PACK_HEADER + FRAME_HEADER + 5);
    await record();
    await expect(vault.restore(points[1]?.manifest as Manifest)).rejects.toMatchObject({ kind: "corrupt" });
    const source = disk.snapshot();
    await vault.backUp(source);
    expect(source.readBytes).toBe(CHUNK);
    await restoresAll();
    expect(generationsOf(pack)).toEqual([1]);
    expect((await readDamage(vault.vault)).size).toBe(0);
    expect((await verify()).findings).toEqual([]);
  });

  it("by the next backup brings back a pack that is gone altogether", async () => {
    const pack = packOf(1, "data");
    await vault.archive.delete(packName(pack));
    await record();
    await backUp();
    await restoresAll();
    expect((await verify()).findings).toEqual([]);
    expect((await readDamage(vault.vault)).size).toBe(0);
  });

  it("leaves what nobody has any more recorded and named, and heals the rest", async () => {
    const pack = packOf(0, "data");
    await vault.archive.delete(packName(pack));
    await record();
    await backUp();
    // Chunk 0 of the first two points was overwritten by the third: nobody can give it back.
    const { findings } = await verify();
    expect(findings.map(({ kind, object }) => ({ kind, object }))).toEqual([
      { kind: "chunk-damaged", object: packName(pack, 1) },
    ]);
    expect(findings[0]?.affected.map(({ point, offset, length }) => [point.transfer, offset, length])).toEqual([
      [points[0]?.manifest.transfer, 0, CHUNK],
      [points[1]?.manifest.transfer, 0, CHUNK],
    ]);
    for (const { manifest, bytes } of points.slice(2)) expect((await vault.restore(manifest)).equals(bytes)).toBe(true);
    for (const { manifest } of points.slice(0, 2))
      await expect(vault.restore(manifest)).rejects.toMatchObject({ code: "HoldfastChunkLost" });
    expect((await readDamage(vault.vault)).size).toBe(1);
    expect(await repairVault(vault.vault)).toMatchObject([{ healed: 0, lost: [expect.any(String)] }]);
  });

  it("takes what an old image, backed up as another item, still has", async () => {
    const pack = packOf(0, "data");
    await vault.archive.delete(packName(pack));
    await record();
    await backUp();
    const old = new MemoryDisk(disk.bytes.length, "old image");
    old.write(0, points[0]?.bytes as Buffer);
    await vault.backUp(old.snapshot(), { item: parseItemId("found-again") });
    expect(await repairVault(vault.vault)).toMatchObject([{ healed: 1, lost: [] }]);
    await restoresAll();
    expect((await verify()).findings).toEqual([]);
  });

  it("takes indexes and data alike from a copy of the vault", async () => {
    const stores = { archive: new MemoryStore("copy:v"), state: new MemoryStore("copy:w") };
    await copyVault(vault.vault, stores);
    const [data, index] = [packOf(0, "data"), packOf(1, "index")];
    flip(packName(data), PACK_HEADER + FRAME_HEADER + 5);
    await vault.archive.delete(packName(index));
    await record();
    const from = await openVault({ ...vault.deps, ...stores });
    const repairs = await repairVault(vault.vault, { from });
    expect(repairs.map(({ lost, failure }) => ({ lost, failure }))).toEqual([
      { lost: [], failure: undefined },
      { lost: [], failure: undefined },
    ]);
    await restoresAll();
    expect((await verify()).findings).toEqual([]);
    expect((await readDamage(vault.vault)).size).toBe(0);
    const stranger = await TestVault.create({}, { seed: "another" });
    await expect(repairVault(vault.vault, { from: stranger.vault })).rejects.toMatchObject({
      code: "HoldfastOtherVault",
    });
  });

  it("of a table, a header or an end that is damaged needs nothing but the pack itself", async () => {
    const pack = packOf(0, "data");
    const name = packName(pack);
    const sound = vault.archive.bodyOf(name) as Uint8Array;
    for (const position of [0, 4, 6, 9, sound.length - 1, sound.length - 6, sound.length - 100]) {
      vault.archive.corrupt(name, sound);
      flip(name, position);
      const { findings } = await record();
      expect(findings, `at ${position}`).toMatchObject([{ kind: "pack-damaged", object: name, affected: [] }]);
      expect(await repairVault(vault.vault)).toMatchObject([{ lost: [] }]);
      await restoresAll();
      expect((await verify()).findings).toEqual([]);
      expect((await readDamage(vault.vault)).size).toBe(0);
      for (const later of vault.archive.names(name.slice(0, -1))) await vault.archive.delete(later);
    }
  });

  it("goes on where another one died, whichever request was its last", async () => {
    const pack = packOf(1, "data");
    flip(packName(pack), PACK_HEADER + FRAME_HEADER + 5);
    await record();
    const [archive, state] = [vault.archive.copy(), vault.state.copy()];
    const source = disk.snapshot();
    const { backUp: again } = await import("../../../src/vault/transfer.ts");
    for (let requests = 0; ; requests++) {
      const stores = { archive: archive.copy(), state: state.copy() };
      const budget = { left: requests };
      const dying = {
        ...vault.vault,
        archive: dyingAfter(stores.archive, budget),
        state: dyingAfter(stores.state, budget),
      };
      const backup = { item: VM, disks: [{ source, name: "os", lun: -1 }] };
      await again(dying, backup).catch(() => undefined);
      const after = { ...vault.vault, ...stores };
      // The store's clock is that of every new transfer.
      stores.state.advance(1_000);
      await again({ ...after, clock: { now: () => stores.state.now() } }, backup);
      expect((await repairVault(after)).flatMap(({ lost }) => lost)).toEqual([]);
      expect((await verifyVault(after, { data: "all" })).findings, `after ${requests} requests`).toEqual([]);
      if (budget.left > 0) break;
    }
  });

  it("leaves the packs of a running transfer as it wrote them", async () => {
    const pack = packOf(2, "data");
    await beginTransfer(vault.vault, { item: VM, transfer: "f".repeat(32) as never }, []);
    flip(packName(pack), PACK_HEADER + FRAME_HEADER + 5);
    const moved = { transfer: "f".repeat(32) as never, number: pack.number };
    await vault.archive.create(packName(moved), vault.archive.bodyOf(packName(pack)) as Uint8Array);
    await record();
    await repairVault(vault.vault);
    expect(generationsOf(moved)).toEqual([0]);
  });

  it("leaves a pack alone whose further damage nobody has recorded", async () => {
    const pack = packOf(1, "data");
    const name = packName(pack);
    flip(name, PACK_HEADER + FRAME_HEADER + 5);
    await record();
    const frameBytes = Buffer.from(vault.archive.bodyOf(name) as Uint8Array).readUInt32LE(PACK_HEADER + 44);
    flip(name, PACK_HEADER + FRAME_HEADER + frameBytes + FRAME_HEADER + 5);
    await backUp();
    // The first chunk is healed in the next generation, but the old one stays until the second is known to be bad.
    expect(generationsOf(pack)).toEqual([0, 1]);
    await record();
    await backUp();
    expect(generationsOf(pack)).toEqual([2]);
    await restoresAll();
  });
});

function dyingAfter(store: ObjectStore, budget: { left: number }): ObjectStore {
  const step = async <T>(request: () => Promise<T>): Promise<T> => {
    if (budget.left-- <= 0) throw new Error("the process is gone");
    return request();
  };
  return {
    location: store.location,
    create: (...args) => step(() => store.create(...args)),
    replace: (...args) => step(() => store.replace(...args)),
    read: (...args) => step(() => store.read(...args)),
    delete: (...args) => step(() => store.delete(...args)),
    async *list(prefix) {
      await step(async () => undefined);
      yield* store.list(prefix);
    },
  };
}
