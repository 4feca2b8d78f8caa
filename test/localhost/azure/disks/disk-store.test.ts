import { spawnSync } from "node:child_process";
import { pbkdf2 } from "node:crypto";
import { readFileSync } from "node:fs";
import { mkdtemp, readdir, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { promisify } from "node:util";
import fc from "fast-check";
import { afterEach, describe, expect, it } from "vitest";
import { DiskStore } from "../../../../localhost/azure/disks/disk-store.ts";
import { imageFromFile } from "../../../../localhost/azure/disks/image.ts";
import { AzureState } from "../../../../localhost/azure/state/azure-state.ts";

const PAGE = 512;
const PAGES = 4200; // three leaves of the page map
const folders: string[] = [];

afterEach(async () => {
  for (const folder of folders.splice(0)) await rm(folder, { recursive: true, force: true });
});

async function newFolder(): Promise<string> {
  const folder = await mkdtemp(join(tmpdir(), "azure-disks-"));
  folders.push(folder);
  return folder;
}

async function openStore(folder: string) {
  const state = await AzureState.open(folder);
  const disks = await DiskStore.open(state);
  return { state, disks, close: () => disks.close().then(() => state.close()) };
}

type Store = Awaited<ReturnType<typeof openStore>>;

async function newDisk({ state, disks }: Store, sizeBytes: number, from?: number): Promise<number> {
  const id = disks.newId();
  await state.commit([{ kind: "volume-created", id, sizeBytes, ...(from === undefined ? {} : { from }) }]);
  return id;
}

function snapshot({ state, disks }: Store, of: number): Promise<number> {
  const id = disks.newId();
  return disks.atRest(
    () => [of],
    async () => {
      await state.commit([{ kind: "volume-frozen", id, of }]);
      return id;
    },
  );
}

const span = { start: fc.nat(PAGES - 1), pages: fc.oneof(fc.constant(1), fc.nat(30), fc.nat(2500)) };
const action = fc.oneof(
  {
    weight: 6,
    arbitrary: fc.record({ do: fc.constant("write" as const), ...span, fill: fc.integer({ min: 1, max: 255 }) }),
  },
  { weight: 2, arbitrary: fc.record({ do: fc.constant("clear" as const), ...span }) },
  { weight: 3, arbitrary: fc.record({ do: fc.constant("snapshot" as const) }) },
  { weight: 1, arbitrary: fc.record({ do: fc.constant("delete" as const), which: fc.nat() }) },
  { weight: 1, arbitrary: fc.record({ do: fc.constant("grow" as const), pages: fc.integer({ min: 1, max: 500 }) }) },
  { weight: 1, arbitrary: fc.record({ do: fc.constant("restart" as const), rewrite: fc.boolean() }) },
);

describe("the disk store", () => {
  it("keeps every snapshot as a plain model says, and a diff turns the older into the newer, through restarts", async () => {
    await fc.assert(
      fc.asyncProperty(fc.array(action, { minLength: 5, maxLength: 25 }), async (actions) => {
        const folder = await newFolder();
        let store = await openStore(folder);
        const disk = await newDisk(store, PAGES * PAGE);
        let model = Buffer.alloc(PAGES * PAGE);
        const snapshots: { id: number; model: Buffer }[] = [];
        let stamp = 0;
        for (const step of actions) {
          if (step.do === "write" || step.do === "clear") {
            const start = step.start * PAGE;
            const length = Math.max(1, Math.min(step.pages, model.length / PAGE - step.start)) * PAGE;
            stamp += 1;
            if (step.do === "clear") {
              await store.disks.clear(disk, start, length);
              model.fill(0, start, start + length);
            } else {
              const bytes = Buffer.alloc(length, step.fill);
              bytes.writeUInt32LE(stamp, 0);
              await store.disks.write(disk, start, [bytes.subarray(0, 100), bytes.subarray(100)]);
              bytes.copy(model, start);
            }
          } else if (step.do === "snapshot") {
            snapshots.push({ id: await snapshot(store, disk), model: Buffer.from(model) });
          } else if (step.do === "delete" && snapshots.length > 0) {
            const [gone] = snapshots.splice(step.which % snapshots.length, 1);
            await store.state.commit([{ kind: "volume-deleted", id: gone?.id ?? 0 }]);
            await store.disks.sweep();
          } else if (step.do === "grow") {
            const sizeBytes = model.length + step.pages * PAGE;
            await store.state.commit([{ kind: "volume-grown", id: disk, sizeBytes }]);
            model = Buffer.concat([model], sizeBytes);
          } else if (step.do === "restart") {
            if (step.rewrite) await store.state.rewriteJournal();
            await store.close();
            store = await openStore(folder);
          }
        }
        const versions = [...snapshots, { id: disk, model }];
        for (const version of versions) {
          expect(store.disks.volume(version.id).sizeBytes).toBe(version.model.length);
          expect((await store.disks.read(version.id, 0, version.model.length)).equals(version.model)).toBe(true);
          expect((await allocatedOnly(store, version.id, version.model.length)).equals(version.model)).toBe(true);
        }
        for (const [index, newer] of versions.entries())
          for (const older of versions.slice(0, index)) await expectDiffTurns(store, older, newer);
        await store.close();
      }),
      { numRuns: 25 },
    );
  }, 60_000);

  it("reports the pages that were written and no others, even when the bytes are the same as before", async () => {
    const store = await openStore(await newFolder());
    const disk = await newDisk(store, 64 * PAGE);
    await store.disks.write(disk, 0, [Buffer.alloc(8 * PAGE, 1)]);
    const first = await snapshot(store, disk);
    await store.disks.write(disk, 2 * PAGE, [Buffer.alloc(PAGE, 1)]);
    await store.disks.write(disk, 2 * PAGE, [Buffer.alloc(PAGE, 9)]);
    await store.disks.clear(disk, 5 * PAGE, PAGE);
    await store.disks.clear(disk, 30 * PAGE, PAGE);
    const second = await snapshot(store, disk);
    const changes: [number, number, boolean][] = [];
    store.disks.visitChanges(second, first, 0, 64 * PAGE, (...change) => changes.push(change) > 0);
    expect(changes).toEqual([
      [2 * PAGE, 3 * PAGE, false],
      [5 * PAGE, 6 * PAGE, true],
    ]);
    await store.close();
  });

  it("writes pages again in place until the next snapshot, so a busy page costs one page", async () => {
    const folder = await newFolder();
    const store = await openStore(folder);
    const disk = await newDisk(store, 64 * PAGE);
    for (let round = 0; round < 50; round += 1) await store.disks.write(disk, PAGE, [Buffer.alloc(PAGE, round)]);
    const frames = store.state.journalBytes;
    await store.disks.write(disk, PAGE, [Buffer.alloc(PAGE, 77)]);
    expect(store.state.journalBytes).toBe(frames);
    const frozen = await snapshot(store, disk);
    await store.disks.write(disk, PAGE, [Buffer.alloc(PAGE, 78)]);
    expect((await store.disks.read(frozen, PAGE, 1))[0]).toBe(77);
    await store.close();
  });

  it("acknowledges a write only when the kernel has it: the file shows it to anyone", async () => {
    const folder = await newFolder();
    const store = await openStore(folder);
    const disk = await newDisk(store, 64 * PAGE);
    await store.disks.write(disk, 0, [Buffer.alloc(PAGE, 1)]);
    const [layer = ""] = await readdir(join(folder, "layers"));
    const derive = promisify(pbkdf2);
    for (const fill of [2, 3]) {
      // All of Node's I/O threads have work, so a write that nobody waits for has not begun when it is acknowledged.
      const busy = Array.from({ length: 16 }, () => derive("x", "y", 20_000, 32, "sha256"));
      await store.disks.write(disk, 0, [Buffer.alloc(PAGE, fill)]);
      expect(readFileSync(join(folder, "layers", layer)).equals(Buffer.alloc(PAGE, fill))).toBe(true);
      await Promise.all(busy);
    }
    await store.close();
  });

  it("lets no write under way reach a snapshot after it was taken", async () => {
    const store = await openStore(await newFolder());
    const disk = await newDisk(store, 4096 * PAGE);
    for (let round = 0; round < 15; round += 1) {
      await store.disks.write(disk, 0, [Buffer.alloc(4096 * PAGE, 1)]);
      const writes = [2, 3, 4, 5, 6, 7].map((fill) => store.disks.write(disk, 0, [Buffer.alloc(4096 * PAGE, fill)]));
      await new Promise(setImmediate); // the writes are in the kernel now
      const frozen = await snapshot(store, disk);
      const seen = await store.disks.read(frozen, 0, 4096 * PAGE);
      await Promise.all(writes);
      expect((await store.disks.read(frozen, 0, 4096 * PAGE)).equals(seen)).toBe(true);
    }
    await store.close();
  });

  it("freezes several disks at one instant while writers run: what was written first is never missing", async () => {
    const store = await openStore(await newFolder());
    const [first, second] = [await newDisk(store, 4096 * PAGE), await newDisk(store, 64 * PAGE)];
    let running = true;
    const writer = (async () => {
      for (let turn = 1; running; turn += 1) {
        await store.disks.write(first, 0, [Buffer.alloc(4096 * PAGE, turn & 255)]);
        await store.disks.write(second, 0, [Buffer.alloc(PAGE, turn & 255)]);
      }
    })();
    for (let round = 0; round < 40; round += 1) {
      const twins = [store.disks.newId(), store.disks.newId()] as const;
      await store.disks.atRest(
        () => [first, second],
        () =>
          store.state.commit([
            { kind: "volume-frozen", id: twins[0], of: first },
            { kind: "volume-frozen", id: twins[1], of: second },
          ]),
      );
      const read = async () =>
        [await store.disks.read(twins[0], 0, 4096 * PAGE), await store.disks.read(twins[1], 0, PAGE)] as const;
      const [a, b] = await read();
      expect([0, 1]).toContain(((a[0] ?? 0) - (b[0] ?? 0)) & 255);
      expect(a.equals(Buffer.alloc(a.length, a[0]))).toBe(true);
      await new Promise(setImmediate);
      expect((await read())[0].equals(a)).toBe(true);
    }
    running = false;
    await writer;
    await store.close();
  });

  it("goes on after a restart without touching what was written before", async () => {
    const folder = await newFolder();
    let store = await openStore(folder);
    const disk = await newDisk(store, 64 * PAGE);
    for (const page of [0, 1, 2]) {
      await store.disks.write(disk, page * PAGE, [Buffer.alloc(PAGE, page + 1)]);
      await store.close();
      store = await openStore(folder);
    }
    expect([...(await store.disks.read(disk, 0, 3 * PAGE))].filter((_, at) => at % PAGE === 0)).toEqual([1, 2, 3]);
    await store.close();
  });

  it("removes the layers of deleted disks and snapshots, and keeps what a copy still needs", async () => {
    const folder = await newFolder();
    const store = await openStore(folder);
    const disk = await newDisk(store, 64 * PAGE);
    await store.disks.write(disk, 0, [Buffer.alloc(PAGE, 5)]);
    const frozen = await snapshot(store, disk);
    const copy = await newDisk(store, 64 * PAGE, frozen);
    await store.state.commit([
      { kind: "volume-deleted", id: disk },
      { kind: "volume-deleted", id: frozen },
    ]);
    await store.disks.sweep();
    expect((await store.disks.read(copy, 0, PAGE))[0]).toBe(5);
    expect(await readdir(join(folder, "layers"))).toHaveLength(1);
    await store.state.commit([{ kind: "volume-deleted", id: copy }]);
    await store.disks.sweep();
    expect(await readdir(join(folder, "layers"))).toEqual([]);
    await store.close();
  });

  it("removes no layer that is begun while it looks for those that may go", async () => {
    const folder = await newFolder();
    const store = await openStore(folder);
    const disks: number[] = [];
    let isOver = false;
    const sweepers = [0, 1, 2].map(async () => {
      while (!isOver) await store.disks.sweep();
    });
    for (let round = 0; round < 150; round += 1) {
      const begun = await Promise.all([0, 1, 2].map(() => newDisk(store, 64 * PAGE)));
      await Promise.all(begun.map((disk) => store.disks.write(disk, 0, [Buffer.alloc(PAGE, 7)])));
      disks.push(...begun);
    }
    isOver = true;
    await Promise.all(sweepers);
    await store.close();
    const again = await openStore(folder);
    for (const disk of disks) expect((await again.disks.read(disk, 0, PAGE))[0]).toBe(7);
    await again.close();
  });

  it("makes a thousand disks of one generated image in no time and no space, all with the same content", async () => {
    const store = await openStore(await newFolder());
    const image = { kind: "generated", seed: "linux", sizeBytes: 4 * 2 ** 30, allocatedBytes: 100 * 2 ** 20 } as const;
    const { id: from, entries } = store.disks.planImage(image);
    await store.state.commit(entries);
    const disks: number[] = [];
    for (let index = 0; index < 1000; index += 1) disks.push(await newDisk(store, 4 * 2 ** 30, from));
    let allocated = 0;
    store.disks.visitRanges(disks[999] as number, 0, 4 * 2 ** 30, (start, end) => {
      allocated += end - start;
      return true;
    });
    expect(allocated).toBe(100 * 2 ** 20);
    const whole = await store.disks.read(disks[0] as number, 0, 300_000);
    expect(
      (await store.disks.read(disks[500] as number, 12_345, 100_000)).equals(whole.subarray(12_345, 112_345)),
    ).toBe(true);
    await store.close();
  });

  it("holds 32 TiB: a page at the very end, a clear of everything, and a snapshot of it", async () => {
    const store = await openStore(await newFolder());
    const size = 32 * 2 ** 40;
    const disk = await newDisk(store, size);
    await store.disks.write(disk, size - PAGE, [Buffer.alloc(PAGE, 3)]);
    const frozen = await snapshot(store, disk);
    await store.disks.clear(disk, 0, size);
    const changes: unknown[] = [];
    store.disks.visitChanges(disk, frozen, 0, size, (...change) => changes.push(change) > 0);
    expect(changes).toEqual([[size - PAGE, size, true]]);
    expect((await store.disks.read(frozen, size - PAGE, PAGE))[9]).toBe(3);
    await store.close();
  });

  it("takes a raw file as an image, without the footer of a fixed VHD, and refuses half a sector", async () => {
    const folder = await newFolder();
    const raw = Buffer.alloc(20 * PAGE, 0x61);
    const footer = Buffer.alloc(PAGE);
    footer.write("conectix");
    await writeFile(join(folder, "disk.vhd"), Buffer.concat([raw, footer]));
    const store = await openStore(join(folder, "data"));
    const image = await imageFromFile(join(folder, "disk.vhd"));
    const { id: from, entries } = store.disks.planImage(image);
    await store.state.commit(entries);
    const disk = await newDisk(store, image.sizeBytes, from);
    expect((await store.disks.read(disk, 0, image.sizeBytes)).equals(raw)).toBe(true);
    await writeFile(join(folder, "odd.raw"), Buffer.alloc(700));
    await expect(imageFromFile(join(folder, "odd.raw"))).rejects.toMatchObject({ code: "ImageFileNotWholePages" });
    await store.close();
  });

  it("lets only one process work in a folder, and takes over from a dead one", async () => {
    const folder = await newFolder();
    const birth =
      (await readFile(`/proc/${process.ppid}/stat`, "utf8").catch(() => "")).replace(/^.*\) /s, "").split(" ")[19] ??
      "";
    await writeFile(join(folder, "owner"), `${process.ppid} ${birth}`);
    await expect(AzureState.open(folder)).rejects.toMatchObject({ code: "DataFolderInUse" });
    const { pid = 0 } = spawnSync(process.execPath, ["--version"]);
    await writeFile(join(folder, "owner"), `${pid} 1`);
    await (await AzureState.open(folder)).close();
  });
});

async function allocatedOnly({ disks }: Store, id: number, size: number): Promise<Buffer> {
  const result = Buffer.alloc(size);
  const ranges: [number, number][] = [];
  disks.visitRanges(id, 0, size, (start, end) => ranges.push([start, end]) > 0);
  for (const [start, end] of ranges) (await disks.read(id, start, end - start)).copy(result, start);
  return result;
}

async function expectDiffTurns(
  store: Store,
  older: { id: number; model: Buffer },
  newer: { id: number; model: Buffer },
) {
  const result = Buffer.concat([older.model], newer.model.length);
  const changes: [number, number, boolean][] = [];
  store.disks.visitChanges(newer.id, older.id, 0, newer.model.length, (...change) => changes.push(change) > 0);
  for (const [start, end, cleared] of changes) {
    if (cleared) result.fill(0, start, end);
    else (await store.disks.read(newer.id, start, end - start)).copy(result, start);
  }
  expect(result.equals(newer.model)).toBe(true);
}
