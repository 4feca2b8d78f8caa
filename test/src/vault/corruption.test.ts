import { beforeEach, describe, expect, it, vi } from "vitest";
import { recordDamage } from "../../../src/vault/damage.ts";
import type { Manifest } from "../../../src/vault/format/manifest.ts";
import { parsePackName, pointName } from "../../../src/vault/format/names.ts";
import { openVault } from "../../../src/vault/open-vault.ts";
import { holdPoint } from "../../../src/vault/point-states.ts";
import { backUp, newTransferId, runBackup } from "../../../src/vault/transfer.ts";
import { verifyVault } from "../../../src/vault/verify.ts";
import { MemoryDisk } from "../../support/memory-disk.ts";
import type { MemoryStore } from "../../support/memory-store.ts";
import { CHUNK, pointOf, TestVault, VM } from "../../support/vault-fixture.ts";

vi.setConfig({ testTimeout: 300_000 });

const LEAF = 128 * CHUNK;

/** Everything a vault can hold: three points over two levels of index, a sidecar, a damage record, a running transfer. */
class Scene {
  readonly points: { manifest: Manifest; bytes: Buffer }[] = [];
  readonly vault: TestVault;
  running = "";
  private constructor(vault: TestVault) {
    this.vault = vault;
  }

  static async make(): Promise<Scene> {
    const scene = new Scene(await TestVault.create());
    const { vault } = scene;
    const disk = new MemoryDisk(2 * LEAF);
    for (const round of [1, 2, 3]) {
      disk.fill((round - 1) * 10 * CHUNK, 3 * CHUNK, round);
      disk.fill(LEAF, 100, round);
      scene.points.push({ manifest: await vault.backUp(disk.snapshot()), bytes: Buffer.from(disk.bytes) });
    }
    await holdPoint(vault.vault, pointOf(scene.points[0]?.manifest as Manifest), "legal");
    const healthy = vault.archive.names("packs/")[0] as string;
    await recordDamage(vault.vault, parsePackName(healthy).pack, false, []);
    await scene.beginTransfer(disk);
    return scene;
  }

  /** Stops before its commit: pin, plan, fragment and seal stay. */
  private async beginTransfer(disk: MemoryDisk): Promise<void> {
    disk.fill(60 * CHUNK, 2 * CHUNK, 9);
    const archive = new Proxy(this.vault.archive, {
      get(target, name) {
        const value = Reflect.get(target, name);
        if (name !== "create") return typeof value === "function" ? value.bind(target) : value;
        return (object: string, body: Uint8Array) =>
          object.startsWith("points/") ? Promise.reject(new Error("stopped")) : target.create(object, body);
      },
    });
    this.vault.advance(1_000);
    const backup = { item: VM, disks: [{ source: disk.snapshot(), name: "os", lun: -1 }] };
    const transfer = newTransferId(this.vault.vault);
    this.running = transfer;
    await runBackup(this.vault.through(archive, this.vault.state), backup, transfer).catch(() => undefined);
    expect(this.vault.state.names().filter((name) => name.includes(transfer))).toHaveLength(4);
  }

  store(name: string): MemoryStore {
    return this.vault.archive.bodyOf(name) ? this.vault.archive : this.vault.state;
  }

  /** Without what transfers that are over have left behind: nobody reads that again. */
  names(): string[] {
    const isOver = (name: string) => /^(plans|fragments)/.test(name) && !name.includes(this.running);
    return [...this.vault.archive.names(), ...this.vault.state.names().filter((name) => !isOver(name))];
  }

  /** What a verification says, or the opening of the vault before it: objects by name. */
  async found(): Promise<string[]> {
    try {
      const vault = await openVault(this.vault.deps);
      return (await verifyVault(vault, { data: "all" })).findings.map(({ object }) => object);
    } catch (cause) {
      return [`refused: ${(cause as { kind: string }).kind}`];
    }
  }

  /** Which points do not restore to what they were; none of them may restore to anything else. */
  async broken(): Promise<number[]> {
    const broken: number[] = [];
    for (const [index, { manifest, bytes }] of this.points.entries()) {
      const vault = await openVault(this.vault.deps).catch(() => undefined);
      const content = vault && (await this.vault.archive.read(pointName(pointOf(manifest))).catch(() => undefined));
      const restored = content && (await this.vault.restore(manifest).catch((cause) => cause.kind as string));
      if (restored && typeof restored !== "string") expect(restored.equals(bytes)).toBe(true);
      else broken.push(index);
    }
    return broken;
  }
}

const kindOf = (scene: Scene, name: string): string => {
  if (name.startsWith("packs/")) return scene.vault.archive.bodyOf(name)?.[6] === 0 ? "data pack" : "index pack";
  if (name.endsWith(".packs")) return "list of packs";
  if (name.startsWith("fragments/")) return name.endsWith("-seal") ? "seal" : "fragment";
  return name === "vault.json" ? "vault record" : (name.split("/")[0] as string);
};

/** Names of both stores that must be caught, a few of each kind. */
function samples(scene: Scene): { kind: string; name: string }[] {
  const seen = new Map<string, number>();
  return scene.names().flatMap((name) => {
    const kind = kindOf(scene, name);
    seen.set(kind, (seen.get(kind) ?? 0) + 1);
    return (seen.get(kind) as number) <= 2 ? [{ kind, name }] : [];
  });
}

describe("Corruption", () => {
  let scene: Scene;
  beforeEach(async () => {
    scene = await Scene.make();
  });

  /** An object is named if a finding has its name, or its point's; opening may refuse before anything can be named. */
  const isNamed = (found: readonly string[], name: string) =>
    found.some((object) => object.startsWith("refused") || object === name || `${object}.packs` === name);

  it("knows every kind of object", () => {
    expect([...new Set(samples(scene).map(({ kind }) => kind))].sort()).toEqual(
      [
        ...["damage", "data pack", "fragment", "index pack", "keys", "list of packs", "pins", "plans"],
        ...["points", "seal", "states", "vault record"],
      ].sort(),
    );
  });

  it("by a bit is found in every kind of object, and named", async () => {
    for (const { name } of samples(scene)) {
      const [store, sound] = [scene.store(name), scene.store(name).bodyOf(name) as Uint8Array];
      for (const share of [0.02, 0.5, 0.98]) {
        const damaged = Uint8Array.from(sound);
        const at = Math.floor(sound.length * share);
        damaged[at] = (damaged[at] as number) ^ 16;
        store.corrupt(name, damaged);
        expect(isNamed(await scene.found(), name), `${name} at ${at}`).toBe(true);
        await scene.broken();
      }
      store.corrupt(name, sound);
    }
    expect(await scene.found()).toEqual([]);
  });

  it("by truncation is found in every kind of object, and named", async () => {
    for (const { name } of samples(scene)) {
      const [store, sound] = [scene.store(name), scene.store(name).bodyOf(name) as Uint8Array];
      for (const length of [0, 10, sound.length >> 1, sound.length - 1]) {
        store.corrupt(name, sound.subarray(0, length));
        expect(isNamed(await scene.found(), name), `${name} cut to ${length}`).toBe(true);
        await scene.broken();
      }
      store.corrupt(name, sound);
    }
  });

  it("by exchange of two of a kind is found in every kind of object, and named", async () => {
    const byKind = new Map<string, string[]>();
    for (const name of scene.names())
      byKind.set(kindOf(scene, name), [...(byKind.get(kindOf(scene, name)) ?? []), name]);
    for (const [first, second] of byKind.values()) {
      if (!first || !second) continue;
      const [store, one, two] = [
        scene.store(first),
        scene.store(first).bodyOf(first),
        scene.store(second).bodyOf(second),
      ];
      store.corrupt(first, two as Uint8Array);
      store.corrupt(second, one as Uint8Array);
      const found = await scene.found();
      for (const name of [first, second]) expect(isNamed(found, name), `${name} exchanged`).toBe(true);
      await scene.broken();
      store.corrupt(first, one as Uint8Array);
      store.corrupt(second, two as Uint8Array);
    }
  });

  it("by deletion is found wherever something is lost by it", async () => {
    const findable = ["data pack", "index pack", "list of packs", "points", "keys", "vault record"];
    for (const { kind, name } of samples(scene)) {
      const [store, sound] = [scene.store(name), scene.store(name).bodyOf(name) as Uint8Array];
      // Packs of the transfer that is still running are needed by nobody yet; its commit counts them.
      const isOwn = scene.points.some(({ manifest }) => name.includes(manifest.transfer));
      await store.delete(name);
      const found = await scene.found();
      if (findable.includes(kind) && (isOwn || !kind.endsWith("pack")))
        expect(isNamed(found, name), `${name} deleted`).toBe(true);
      // A sidecar, pin, plan or fragment: the points are whole without it.
      else expect(await scene.broken(), `${name} deleted`).toEqual([]);
      store.corrupt(name, sound);
    }
  });

  it("of one chunk takes exactly its ranges of exactly the points that have it", async () => {
    const [first] = scene.points as [(typeof scene.points)[0]];
    const name = scene.vault.archive
      .names(`packs/${first.manifest.transfer}/`)
      .find((pack) => kindOf(scene, pack) === "data pack") as string;
    const body = Buffer.from(scene.vault.archive.bodyOf(name) as Uint8Array);
    // The fourth frame: the chunk at the second leaf's beginning, which each later point wrote again.
    let at = 24;
    for (let frame = 0; frame < 3; frame++) at += 80 + body.readUInt32LE(at + 44);
    body[at + 90] = (body[at + 90] as number) ^ 1;
    scene.vault.archive.corrupt(name, body);
    const { findings } = await verifyVault(scene.vault.vault, { data: "all" });
    const range = { disk: "os", offset: LEAF, length: CHUNK };
    expect(findings.map(({ affected }) => affected)).toEqual([[{ point: pointOf(first.manifest), ...range }]]);
    expect(await scene.broken()).toEqual([0]);
  });

  it("of a pack's end leaves what lies before it, in a look at the structure too", async () => {
    const [first] = scene.points as [(typeof scene.points)[0]];
    const name = scene.vault.archive
      .names(`packs/${first.manifest.transfer}/`)
      .find((pack) => kindOf(scene, pack) === "data pack") as string;
    const body = Buffer.from(scene.vault.archive.bodyOf(name) as Uint8Array);
    let at = 24;
    for (let frame = 0; frame < 3; frame++) at += 80 + body.readUInt32LE(at + 44);
    scene.vault.archive.corrupt(name, body.subarray(0, at + 10));
    for (const data of ["none", "all"] as const) {
      const { findings } = await verifyVault(scene.vault.vault, { data });
      const ranges = findings.flatMap(({ affected }) => affected.map(({ offset, length }) => [offset, length]));
      expect(ranges, data).toEqual([[LEAF, CHUNK]]);
    }
  });

  it("of a plan never lets a transfer go on by another one", async () => {
    for (const plan of scene.vault.state.names("plans/")) await scene.vault.state.delete(plan);
    const transfer = scene.running as never;
    const disk = new MemoryDisk(2 * LEAF);
    const backup = { item: VM, disks: [{ source: disk.snapshot(), name: "os", lun: -1 }] };
    await expect(runBackup(scene.vault.vault, backup, transfer)).rejects.toMatchObject({ code: "HoldfastPlanLost" });
    await expect(backUp(scene.vault.vault, backup)).resolves.toMatchObject({ item: VM });
  });
});

describe("A verification by shares", () => {
  it("has read every pack once after as many days as there are shares", async () => {
    const vault = await TestVault.create({ suite: "none" });
    const disk = new MemoryDisk(2 * LEAF);
    for (let round = 0; round < 25; round++) {
      disk.fill(round * CHUNK, 100, round);
      await vault.backUp(disk.snapshot());
    }
    const reads = new Map<string, number>();
    const archive = new Proxy(vault.archive, {
      get(target, name) {
        const value = Reflect.get(target, name);
        if (name !== "read") return typeof value === "function" ? value.bind(target) : value;
        return (object: string, range?: { offset: number; length: number }) => {
          if (range === undefined && object.startsWith("packs/")) reads.set(object, (reads.get(object) ?? 0) + 1);
          return target.read(object, range);
        };
      },
    });
    const days = 30;
    let readPacks = 0;
    for (let part = 0; part < days; part++) {
      const done = await verifyVault(vault.through(archive, vault.state), { data: { part, parts: days } });
      readPacks += done.readPacks;
    }
    const all = vault.archive.names("packs/");
    expect(all.length).toBeGreaterThan(40);
    expect(reads).toEqual(new Map(all.map((name) => [name, 1])));
    expect(readPacks).toBe(all.length);
  });
});
