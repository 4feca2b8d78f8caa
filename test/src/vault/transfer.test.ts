import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { HoldfastFailure } from "../../../src/base/failure.ts";
import { DiskReader } from "../../../src/vault/disk-reader.ts";
import type { Manifest, ManifestDisk } from "../../../src/vault/format/manifest.ts";
import { parseItemId } from "../../../src/vault/format/names.ts";
import { MAX_PACK_BYTES } from "../../../src/vault/format/pack.ts";
import { PackCounts } from "../../../src/vault/format/pack-counts.ts";
import { IndexTree } from "../../../src/vault/index-tree.ts";
import { PackBuffers } from "../../../src/vault/pack-writer.ts";
import { readPointPacks } from "../../../src/vault/points.ts";
import { countRestoreSlices, restoreDisk, restoreSlice } from "../../../src/vault/restore-disk.ts";
import { newTransferId, openTransfer } from "../../../src/vault/transfer.ts";
import { MemoryDisk, MemorySink } from "../../support/memory-disk.ts";
import { CHUNK, KiB, pointOf, TestVault, VM } from "../../support/vault-fixture.ts";

const LEAF = 128 * CHUNK;

/** What the tree itself says, entry by entry: the slow truth that pack counts must equal. */
async function countTree(vault: TestVault, manifest: Manifest, disk: ManifestDisk): Promise<PackCounts> {
  const counts = new PackCounts();
  const tree = IndexTree.ofDisk(vault.vault, manifest, disk);
  for await (const { level, index, ref } of tree.nodeRefs()) {
    counts.add(ref.pack, 1);
    if (level > 0) continue;
    for (const entry of (await tree.readLeaf(index, ref)).entries) if (entry.kind === "data") counts.add(entry.pack, 1);
  }
  return counts;
}

describe("A backup", () => {
  for (const suite of ["aes-256-gcm", "none"] as const) {
    it(`restores byte for byte, in suite ${suite}`, async () => {
      const vault = await TestVault.create({ suite });
      const disk = new MemoryDisk(3 * LEAF + 5 * CHUNK + 512);
      disk.fill(0, 3 * CHUNK, 1);
      disk.fill(LEAF - 100, 200, 2);
      disk.fill(disk.bytes.length - 512, 512, 3);
      const manifest = await vault.backUp(disk.snapshot());
      expect((await vault.restore(manifest)).equals(disk.bytes)).toBe(true);
      expect(vault.state.names("pins/")).toEqual([]);
    });
  }

  it("writes what is not zeros, each place once, and says how much that was", async () => {
    const vault = await TestVault.create();
    const disk = new MemoryDisk(20 * LEAF);
    for (let leaf = 0; leaf < 20; leaf++) disk.fill(leaf * LEAF, 40 * CHUNK, leaf);
    const manifest = await vault.backUp(disk.snapshot());
    const sink = new MemorySink(disk.bytes.length);
    const restored = await restoreDisk(vault.vault, manifest, manifest.disks[0] as ManifestDisk, sink);
    expect(restored).toEqual({ sizeBytes: 20 * LEAF, writtenBytes: 20 * 40 * CHUNK });
    expect(sink.bytes.equals(disk.bytes)).toBe(true);
  });

  it("restores slice by slice, in any order and more than once, to the same bytes", async () => {
    const vault = await TestVault.create();
    const disk = new MemoryDisk(40 * LEAF + CHUNK);
    for (let leaf = 0; leaf < 40; leaf += 2) disk.fill(leaf * LEAF, 3 * CHUNK, leaf);
    const manifest = await vault.backUp(disk.snapshot());
    const root = manifest.disks[0] as ManifestDisk;
    expect(await countRestoreSlices(vault.vault, manifest, root)).toBe(3);
    const bytes = Buffer.alloc(disk.bytes.length);
    const sink = { write: async (offset: number, part: Uint8Array) => void bytes.set(part, offset) };
    for (const slice of [2, 0, 2, 1]) await restoreSlice(vault.vault, manifest, root, slice, sink);
    expect(bytes.equals(disk.bytes)).toBe(true);
    expect(await restoreSlice(vault.vault, manifest, root, 3, sink)).toBe(0);
  });

  it("keeps every point as it was while the disk goes on changing", async () => {
    const vault = await TestVault.create();
    const disk = new MemoryDisk(2 * LEAF);
    const history: { manifest: Manifest; bytes: Buffer }[] = [];
    for (let round = 1; round <= 5; round++) {
      disk.fill(round * CHUNK - 300, 600, round);
      disk.write(LEAF + round * 10, Buffer.alloc(20 * round));
      history.push({ manifest: await vault.backUp(disk.snapshot()), bytes: Buffer.from(disk.bytes) });
    }
    for (const { manifest, bytes } of history) expect((await vault.restore(manifest)).equals(bytes)).toBe(true);
    expect(history.map(({ manifest }) => manifest.sequence)).toEqual([1, 2, 3, 4, 5]);
  });

  it("reads only the chunks that changed, when the source can tell", async () => {
    const vault = await TestVault.create();
    const disk = new MemoryDisk(2 * LEAF);
    disk.fill(0, 100 * CHUNK, 1);
    await vault.backUp(disk.snapshot());
    disk.fill(7 * CHUNK + 5, 10, 2);
    const source = disk.snapshot();
    const manifest = await vault.backUp(source);
    expect(source.readBytes).toBe(CHUNK);
    expect(manifest.disks[0]?.stats).toMatchObject({ readChunks: 1, newChunks: 1 });
    expect((await vault.restore(manifest)).equals(disk.bytes)).toBe(true);
  });

  it("compares by content when the source cannot tell, also what was cleared since", async () => {
    const vault = await TestVault.create();
    const disk = new MemoryDisk(2 * LEAF);
    disk.fill(0, 10 * CHUNK, 1);
    await vault.backUp(disk.snapshot());
    disk.write(2 * CHUNK, Buffer.alloc(CHUNK));
    disk.fill(4 * CHUNK, 10, 2);
    const manifest = await vault.backUp(disk.snapshot({ canDiff: false }));
    expect(manifest.disks[0]?.stats).toMatchObject({ newChunks: 1, zeroChunks: 1, reusedChunks: 8 });
    expect((await vault.restore(manifest)).equals(disk.bytes)).toBe(true);
  });

  it("writes at most five objects when nothing changed", async () => {
    const vault = await TestVault.create();
    const disk = new MemoryDisk(2 * LEAF);
    disk.fill(0, 10 * CHUNK, 1);
    await vault.backUp(disk.snapshot());
    let writes = 0;
    const counted = (store: typeof vault.archive) =>
      new Proxy(store, {
        get(target, name) {
          if (name === "create" || name === "replace") writes++;
          const value = Reflect.get(target, name);
          return typeof value === "function" ? value.bind(target) : value;
        },
      });
    const { backUp } = await import("../../../src/vault/transfer.ts");
    const through = vault.through(counted(vault.archive), counted(vault.state));
    const manifest = await backUp(through, { item: VM, disks: [{ source: disk.snapshot(), name: "os", lun: -1 }] });
    expect(writes).toBeLessThanOrEqual(5);
    expect((await vault.restore(manifest)).equals(disk.bytes)).toBe(true);
  });

  it("follows a disk that grows, over leaves and levels of the tree", async () => {
    const vault = await TestVault.create();
    const disk = new MemoryDisk(CHUNK + 1000);
    disk.fill(0, CHUNK + 1000, 1);
    await vault.backUp(disk.snapshot());
    for (const size of [CHUNK + 2000, 50 * CHUNK, LEAF + 512, 5 * LEAF]) {
      disk.grow(size);
      const grown = await vault.backUp(disk.snapshot());
      expect((await vault.restore(grown)).equals(disk.bytes)).toBe(true);
      disk.fill(size - 600, 600, size);
      const filled = await vault.backUp(disk.snapshot());
      expect((await vault.restore(filled)).equals(disk.bytes)).toBe(true);
    }
  });

  it("starts afresh for a disk that was swapped or made smaller", async () => {
    const vault = await TestVault.create();
    const disk = new MemoryDisk(2 * LEAF);
    disk.fill(0, 5 * CHUNK, 1);
    await vault.backUp(disk.snapshot());
    for (const other of [new MemoryDisk(2 * LEAF, "disk-2"), new MemoryDisk(LEAF, "disk-2")]) {
      other.fill(CHUNK, 3 * CHUNK, 2);
      const manifest = await vault.backUp(other.snapshot());
      expect((await vault.restore(manifest)).equals(other.bytes)).toBe(true);
      expect([...((await readPointPacks(vault.vault, pointOf(manifest)))[0]?.list() ?? [])]).toEqual([
        ...(await countTree(vault, manifest, manifest.disks[0] as ManifestDisk)).list(),
      ]);
    }
  });

  it("keeps several disks apart, whatever order they come in", async () => {
    const vault = await TestVault.create();
    const os = new MemoryDisk(LEAF, "os");
    const data = new MemoryDisk(2 * LEAF + 512, "data");
    os.fill(0, 5 * CHUNK, 1);
    data.fill(LEAF, 5 * CHUNK, 2);
    const both = () => [
      { source: os.snapshot(), name: "os", lun: -1 },
      { source: data.snapshot(), name: "data", lun: 0 },
    ];
    await vault.backUp(os.snapshot(), { disks: both() });
    data.fill(0, 100, 3);
    const manifest = await vault.backUp(os.snapshot(), { disks: both().reverse() });
    expect((await vault.restore(manifest, 0)).equals(data.bytes)).toBe(true);
    expect((await vault.restore(manifest, 1)).equals(os.bytes)).toBe(true);
  });

  it("stores equal chunks once: within a slice, of a relative, and of what it had before", async () => {
    const vault = await TestVault.create();
    const golden = new MemoryDisk(LEAF, "golden");
    for (const position of [0, 5, 9]) golden.fill(position * CHUNK, CHUNK, 7);
    const first = await vault.backUp(golden.snapshot());
    expect(first.disks[0]?.stats).toMatchObject({ newChunks: 1, reusedChunks: 2 });
    const clone = new MemoryDisk(LEAF, "clone");
    clone.bytes.set(golden.bytes);
    clone.fill(20 * CHUNK, CHUNK, 8);
    const second = await vault.backUp(clone.snapshot(), { item: parseItemId("vm-2"), relative: VM });
    expect(second.disks[0]?.stats).toMatchObject({ newChunks: 1, reusedChunks: 3 });
    expect((await vault.restore(second)).equals(clone.bytes)).toBe(true);
  });

  it("counts for each pack exactly what its tree uses", async () => {
    const vault = await TestVault.create();
    const disk = new MemoryDisk(3 * LEAF + 100);
    for (let round = 0; round < 6; round++) {
      disk.fill(((round * 37) % 380) * CHUNK, 2 * CHUNK, round % 3);
      if (round === 4) disk.write(0, Buffer.alloc(LEAF));
      const manifest = await vault.backUp(disk.snapshot());
      const [counted] = await readPointPacks(vault.vault, pointOf(manifest));
      const slow = await countTree(vault, manifest, manifest.disks[0] as ManifestDisk);
      expect([...(counted?.list() ?? [])]).toEqual([...slow.list()]);
    }
  });

  it("records what the source cannot read, names it on restore, and tries again the next time", async () => {
    const vault = await TestVault.create();
    const disk = new MemoryDisk(LEAF);
    disk.fill(0, 4 * CHUNK, 1);
    const first = await vault.backUp(disk.snapshot({ unreadable: [{ offset: CHUNK + 5, length: 1 }] }));
    expect(first.disks[0]?.unreadable).toEqual([{ offset: CHUNK, length: CHUNK }]);
    await expect(vault.restore(first)).rejects.toMatchObject({ code: "HoldfastUnreadableAtSource" });
    const second = await vault.backUp(disk.snapshot());
    expect(second.disks[0]?.unreadable).toEqual([]);
    expect((await vault.restore(second)).equals(disk.bytes)).toBe(true);
  });

  it("fails as a whole, and leaves a void, when the source fails", async () => {
    const vault = await TestVault.create();
    const disk = new MemoryDisk(LEAF);
    disk.fill(0, 4 * CHUNK, 1);
    const source = disk.snapshot();
    source.read = async () => {
      throw new HoldfastFailure("unavailable", "HoldfastSourceGone", "the snapshot is gone");
    };
    await expect(vault.backUp(source)).rejects.toMatchObject({ code: "HoldfastSourceGone" });
    expect(vault.state.names("pins/")).toEqual([]);
    const manifest = await vault.backUp(disk.snapshot());
    expect((await vault.restore(manifest)).equals(disk.bytes)).toBe(true);
  });

  it("has its share of the packs' memory again after an attempt that failed in the middle", async () => {
    const world = await TestVault.create();
    const disk = new MemoryDisk(8 * CHUNK);
    disk.fill(0, 8 * CHUNK, 3);
    const source = disk.snapshot();
    const packBuffers = new PackBuffers(1);
    let isFailing = true;
    const read = source.read.bind(source);
    source.read = async (range) => {
      if (isFailing && range.offset >= 4 * CHUNK)
        throw new HoldfastFailure("unavailable", "Away", "The source is away");
      return read(range);
    };
    const disks = [{ source, name: "os", lun: -1 }];
    const open = await openTransfer(world.vault, { item: VM, disks, packBuffers }, newTransferId(world.vault));
    await open.planDisk(0);
    await expect(open.writeSlice(0, 0)).rejects.toMatchObject({ code: "Away" });
    isFailing = false;
    await open.writeSlice(0, 0);
    await open.sealDisk(0);
    expect(await world.restore(await open.commit())).toEqual(disk.bytes);
  });

  it("refuses to commit when a pack is not what was sent", async () => {
    const vault = await TestVault.create();
    const disk = new MemoryDisk(LEAF);
    disk.fill(0, 4 * CHUNK, 1);
    const { archive } = vault;
    const corrupting = new Proxy(archive, {
      get(target, name) {
        if (name !== "create") return Reflect.get(target, name).bind?.(target) ?? Reflect.get(target, name);
        return async (objectName: string, body: Uint8Array) => {
          const answer = await target.create(objectName, body);
          const damaged = Uint8Array.from(body);
          damaged[damaged.length >> 1] = (damaged[damaged.length >> 1] as number) ^ 1;
          if (objectName.startsWith("packs/")) target.corrupt(objectName, damaged);
          return answer;
        };
      },
    });
    const { backUp } = await import("../../../src/vault/transfer.ts");
    const through = vault.through(corrupting, vault.state);
    const attempt = backUp(through, { item: VM, disks: [{ source: disk.snapshot(), name: "os", lun: -1 }] });
    await expect(attempt).rejects.toMatchObject({ code: "HoldfastPackNotStored" });
  });

  it("never makes a pack larger than its bound", async () => {
    const vault = await TestVault.create({ chunkBytes: 8 * 1024 * KiB, suite: "none" });
    const disk = new MemoryDisk(40 * 1024 * KiB);
    const random = (await import("node:crypto")).randomBytes(disk.bytes.length);
    disk.write(0, random);
    const manifest = await vault.backUp(disk.snapshot());
    const sizes = vault.archive.names("packs/").map((name) => vault.archive.bodyOf(name)?.length ?? 0);
    expect(Math.max(...sizes)).toBeLessThanOrEqual(MAX_PACK_BYTES);
    expect(sizes.length).toBeGreaterThan(1);
    expect((await vault.restore(manifest)).equals(disk.bytes)).toBe(true);
  });
});

describe("A disk reader", () => {
  it("reads any range as the disk had it", async () => {
    const vault = await TestVault.create();
    const disk = new MemoryDisk(2 * LEAF + 700);
    disk.fill(CHUNK / 2, 3 * CHUNK, 1);
    disk.fill(LEAF - CHUNK, 2 * CHUNK, 2);
    disk.fill(2 * LEAF, 700, 3);
    const manifest = await vault.backUp(disk.snapshot());
    const reader = new DiskReader(vault.vault, manifest, manifest.disks[0] as ManifestDisk);
    const size = disk.bytes.length;
    const ranges = fc.tuple(fc.nat(size), fc.nat(6 * CHUNK)).map(([offset, length]) => ({
      offset,
      length: Math.min(length, size - offset),
    }));
    const property = fc.asyncProperty(ranges, async ({ offset, length }) => {
      const read = await reader.read({ offset, length });
      expect(read.equals(disk.bytes.subarray(offset, offset + length))).toBe(true);
    });
    await fc.assert(property, { numRuns: 200 });
    for (let offset = 0; offset + 10_000 <= size; offset += 10_000) {
      const read = await reader.read({ offset, length: 10_000 });
      expect(read.equals(disk.bytes.subarray(offset, offset + 10_000))).toBe(true);
    }
    await expect(reader.read({ offset: size, length: 1 })).rejects.toMatchObject({ kind: "invalid" });
  });

  it("serves many readers at once, more than its cache has room for", async () => {
    const chunkBytes = 8 * 1024 * KiB;
    const vault = await TestVault.create({ chunkBytes, suite: "none" });
    const disk = new MemoryDisk(16 * chunkBytes);
    for (let chunk = 0; chunk < 16; chunk++) disk.fill(chunk * chunkBytes + 100, 1_000, chunk + 1);
    const manifest = await vault.backUp(disk.snapshot());
    const reader = new DiskReader(vault.vault, manifest, manifest.disks[0] as ManifestDisk);
    const ranges = Array.from({ length: 48 }, (_, index) => ({
      offset: ((index * 7) % 16) * chunkBytes,
      length: 2_000,
    }));
    const wide = { offset: chunkBytes - 50, length: 10 * chunkBytes };
    const read = await Promise.all([...ranges, wide].map((range) => reader.read(range)));
    for (const [index, { offset, length }] of [...ranges, wide].entries()) {
      expect(read[index]?.equals(disk.bytes.subarray(offset, offset + length))).toBe(true);
    }
  });
});
