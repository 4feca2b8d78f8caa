import fc from "fast-check";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { GROUP, POLL, pageBlob, startTestAzure, type TestAzure } from "../support/azure.ts";

// What the disk store's own property says, seen by a backup product: disks are uploaded, attached, grown, snapshotted, read,
// compared and deleted through the official clients. Only what the machine's own guest writes has no client.
const PAGE = 512;
const MIB = 1024 * 1024;
const GIB = 1024 * MIB;
const UPLOAD_BYTES = 20 * MIB;
const MAX_SIZE_GIB = 6;
const LOCATION = "westeurope";
const HOLDER = "web-01";
let azure: TestAzure;
let compute: ReturnType<TestAzure["compute"]>;

beforeAll(async () => {
  azure = await startTestAzure();
  compute = azure.compute();
});

afterAll(async () => {
  expect(azure.defects).toEqual([]);
  await azure.stop();
});

/** Positions near the beginning, near the end of the upload, and near the end of whatever the disk has grown to. */
const place = fc.record({
  from: fc.constantFrom("start" as const, "upload" as const, "end" as const),
  pages: fc.nat(900),
  count: fc.integer({ min: 1, max: 300 }),
});
const write = fc.record({ do: fc.constant("write" as const), place, fill: fc.integer({ min: 1, max: 255 }) });
const clear = fc.record({ do: fc.constant("clear" as const), place });
const upload = fc.array(fc.oneof({ weight: 3, arbitrary: write }, { weight: 1, arbitrary: clear }), { maxLength: 5 });
const step = fc.oneof(
  { weight: 5, arbitrary: write },
  { weight: 2, arbitrary: clear },
  { weight: 3, arbitrary: fc.record({ do: fc.constant("snapshot" as const) }) },
  { weight: 1, arbitrary: fc.record({ do: fc.constant("grow" as const) }) },
  { weight: 1, arbitrary: fc.record({ do: fc.constant("delete" as const), which: fc.nat(20) }) },
);
type Place = { from: "start" | "upload" | "end"; pages: number; count: number };
type Step = typeof step extends fc.Arbitrary<infer One> ? One : never;

/** A plain model of a disk: what is in each page that is not zeros. */
interface Model {
  readonly sizeBytes: number;
  readonly pages: ReadonlyMap<number, number>;
}

interface Taken {
  readonly name: string;
  readonly model: Model;
}

let histories = 0;

class History {
  readonly name = `history-${histories++}`;
  readonly taken: Taken[] = [];
  #sizeBytes = UPLOAD_BYTES;
  #pages = new Map<number, number>();
  #snapshots = 0;

  async upload(steps: readonly Step[]): Promise<void> {
    const creationData = { createOption: "Upload", uploadSizeBytes: UPLOAD_BYTES + PAGE };
    await compute.disks.createOrUpdate("demo", this.name, { location: LOCATION, creationData }, POLL);
    const access = { access: "Write", durationInSeconds: 3600 };
    const blob = pageBlob((await compute.disks.grantAccess("demo", this.name, access, POLL)).accessSAS);
    for (const one of steps) {
      if (one.do !== "write" && one.do !== "clear") continue;
      const { offset, length } = this.#apply(one.place, one.do === "write" ? one.fill : 0);
      if (one.do === "write") await blob.uploadPages(Buffer.alloc(length, one.fill), offset, length);
      else await blob.clearPages(offset, length);
    }
    const footer = Buffer.alloc(PAGE);
    footer.write("conectix");
    await blob.uploadPages(footer, UPLOAD_BYTES, PAGE);
    await compute.disks.revokeAccess("demo", this.name, POLL);
    const dataDisksToAttach = [{ diskId: diskId(this.name) }];
    await compute.virtualMachines.attachDetachDataDisks("demo", HOLDER, { dataDisksToAttach }, POLL);
  }

  async do(one: Step): Promise<void> {
    if (one.do === "snapshot") return this.snapshot();
    if (one.do === "grow") return this.#grow();
    if (one.do === "delete") return this.#deleteSnapshot(one.which);
    const { offset, length } = this.#apply(one.place, one.do === "write" ? one.fill : 0);
    const query = `disk=${encodeURIComponent(diskId(this.name))}&offset=${offset}`;
    const url = `${azure.origin}/control/guest-pages?${query}`;
    const answer =
      one.do === "write"
        ? await fetch(url, { method: "PUT", body: Buffer.alloc(length, one.fill) })
        : await fetch(`${url}&length=${length}`, { method: "DELETE" });
    expect(answer.status).toBe(200);
  }

  async snapshot(): Promise<void> {
    const name = `${this.name}-${this.#snapshots++}`;
    const creationData = { createOption: "Copy", sourceResourceId: diskId(this.name) };
    await compute.snapshots.createOrUpdate("demo", name, { location: LOCATION, incremental: true, creationData }, POLL);
    this.taken.push({ name, model: { sizeBytes: this.#sizeBytes, pages: new Map(this.#pages) } });
  }

  /** Deletes all there still is; snapshots outlive their disk. */
  async end(check: () => Promise<void>): Promise<void> {
    const dataDisksToDetach = [{ diskId: diskId(this.name) }];
    await compute.virtualMachines.attachDetachDataDisks("demo", HOLDER, { dataDisksToDetach }, POLL);
    await compute.disks.delete("demo", this.name, POLL);
    await check();
    for (const { name } of this.taken) await compute.snapshots.delete("demo", name, POLL);
  }

  async #grow(): Promise<void> {
    const diskSizeGB = Math.floor(this.#sizeBytes / GIB) + 2;
    if (diskSizeGB > MAX_SIZE_GIB) return;
    const grown = await compute.disks.update("demo", this.name, { diskSizeGB }, POLL);
    expect(grown.diskSizeBytes).toBe(diskSizeGB * GIB);
    this.#sizeBytes = diskSizeGB * GIB;
  }

  async #deleteSnapshot(which: number): Promise<void> {
    const [gone] = this.taken.splice(which % Math.max(1, this.taken.length), 1);
    if (gone !== undefined) await compute.snapshots.delete("demo", gone.name, POLL);
  }

  #apply({ from, pages, count }: Place, fill: number): { offset: number; length: number } {
    const all = this.#sizeBytes / PAGE;
    const base = from === "start" ? 0 : (from === "upload" ? UPLOAD_BYTES / PAGE : all) - 700;
    const first = Math.min(base + pages, all - 1);
    const end = Math.min(first + count, all);
    for (let page = first; page < end; page += 1) {
      if (fill === 0) this.#pages.delete(page);
      else this.#pages.set(page, fill);
    }
    return { offset: first * PAGE, length: (end - first) * PAGE };
  }
}

function diskId(name: string): string {
  return `${GROUP}/providers/Microsoft.Compute/disks/${name}`;
}

async function sasOf(name: string): Promise<string> {
  const access = { access: "Read", durationInSeconds: 3600 };
  return (await compute.snapshots.grantAccess("demo", name, access, POLL)).accessSAS ?? "";
}

/** The pages of a byte range that are not zeros; each page of these tests is full of one byte. */
async function pagesOf(sas: string, start: number, end: number): Promise<[number, number][]> {
  const bytes = await pageBlob(sas).downloadToBuffer(start, end - start);
  return Array.from({ length: (end - start) / PAGE }, (_, index): [number, number] => {
    const page = bytes.subarray(index * PAGE, (index + 1) * PAGE);
    const fill = page[0] ?? 0;
    expect(page.equals(Buffer.alloc(PAGE, fill))).toBe(true);
    return [start / PAGE + index, fill];
  }).filter(([, fill]) => fill !== 0);
}

/** All of a snapshot, by its page list: what is not listed is zeros, which a look beside every listed range confirms. */
async function contentOf(sas: string, sizeBytes: number): Promise<Map<number, number>> {
  const pages = new Map<number, number>();
  let position = 0;
  for await (const { start, end, isClear } of pageBlob(sas).listPageRanges(0, sizeBytes)) {
    expect(isClear ?? false).toBe(false);
    if (start > position) expect(await pagesOf(sas, Math.max(position, start - 64 * PAGE), start)).toEqual([]);
    for (const [page, fill] of await pagesOf(sas, start, end + 1)) pages.set(page, fill);
    position = end + 1;
  }
  return pages;
}

interface Change {
  readonly start: number;
  readonly end: number;
  readonly cleared: boolean;
}

async function differences(sas: string, older: string, sizeBytes: number): Promise<Change[]> {
  const diff = await pageBlob(sas).getPageRangesDiffForManagedDisks(0, sizeBytes, older);
  // The client counts one byte too few: `offset + count` is the last byte.
  const changes = (ranges: typeof diff.pageRange, cleared: boolean) =>
    (ranges ?? []).map(({ offset, count = 0 }) => ({ start: offset, end: offset + count, cleared }));
  return [...changes(diff.pageRange, false), ...changes(diff.clearRange, true)].sort((a, b) => a.start - b.start);
}

/** The client has no paged difference for managed disks: the wire does. */
async function pagedDifferences(sas: string, older: string, length: number, maxResults: number): Promise<Change[]> {
  const found: Change[] = [];
  for (let marker = ""; ; ) {
    const response = await fetch(`${sas}&comp=pagelist&maxresults=${maxResults}&marker=${marker}`, {
      headers: {
        "x-ms-version": "2024-11-04",
        "x-ms-previous-snapshot-url": older,
        "x-ms-range": `bytes=0-${length - 1}`,
      },
    });
    const xml = await response.text();
    const ranges = [...xml.matchAll(/<(Page|Clear)Range><Start>(\d+)<\/Start><End>(\d+)</g)];
    expect(ranges.length).toBeLessThanOrEqual(maxResults);
    for (const [, kind, start, end] of ranges)
      found.push({ start: Number(start), end: Number(end), cleared: kind === "Clear" });
    const next = /<NextMarker>(\d+)</.exec(xml)?.[1];
    if (next === undefined) return found;
    marker = next;
  }
}

/** Each snapshot is what the model says, and the newer is the older with the differences applied. */
async function check(taken: readonly Taken[], pageSize: number): Promise<void> {
  let older: { sas: string; rebuilt: Map<number, number>; name: string } | undefined;
  for (const { name, model } of taken) {
    const sas = await sasOf(name);
    expect(await contentOf(sas, model.sizeBytes)).toEqual(sorted(model.pages));
    const rebuilt = new Map(older?.rebuilt ?? model.pages);
    if (older !== undefined) {
      const changes = await differences(sas, older.sas, model.sizeBytes);
      expect(await pagedDifferences(sas, older.sas, model.sizeBytes, pageSize)).toEqual(changes);
      for (const { start, end, cleared } of changes) {
        for (let page = start / PAGE; page < (end + 1) / PAGE; page += 1) rebuilt.delete(page);
        if (!cleared) for (const [page, fill] of await pagesOf(sas, start, end + 1)) rebuilt.set(page, fill);
      }
      await compute.snapshots.revokeAccess("demo", older.name, POLL);
    }
    expect(sorted(rebuilt)).toEqual(sorted(model.pages));
    older = { sas, rebuilt, name };
  }
  if (older !== undefined) await compute.snapshots.revokeAccess("demo", older.name, POLL);
}

function sorted(pages: ReadonlyMap<number, number>): Map<number, number> {
  return new Map([...pages].sort(([a], [b]) => a - b));
}

describe("a disk's history, through the official clients", () => {
  it("can be followed snapshot by snapshot with page lists and differences, in one piece or in pages", async () => {
    const before = await inventory();
    await fc.assert(
      fc.asyncProperty(
        upload,
        fc.array(step, { minLength: 4, maxLength: 14 }),
        fc.integer({ min: 1, max: 4 }),
        async (first, steps, pageSize) => {
          const history = new History();
          await history.upload(first);
          for (const one of steps) await history.do(one);
          await history.snapshot();
          await history.end(() => check(history.taken, pageSize));
        },
      ),
      { numRuns: 25 },
    );
    expect(await inventory()).toEqual(before);
  }, 120_000);
});

/** Disks, snapshots and volumes there are: nothing of a history is left behind. */
async function inventory(): Promise<unknown> {
  const { volumes } = await azure.control("GET", "state");
  const names: string[] = [];
  for await (const { name = "" } of compute.disks.list()) names.push(name);
  for await (const { name = "" } of compute.snapshots.list()) names.push(name);
  return { volumes, names };
}
