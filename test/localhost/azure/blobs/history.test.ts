import fc from "fast-check";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { pageBlob } from "../support/azure.ts";
import { type DiskEndpoint, startDiskEndpoint } from "../support/disk-endpoint.ts";

// What the disk store's own property says, seen by a backup product: everything goes through the official client.
const PAGE = 512;
const PAGES = 2500;
let azure: DiskEndpoint;

beforeAll(async () => {
  azure = await startDiskEndpoint();
});

afterAll(() => azure.close());

const span = { start: fc.nat(PAGES - 1), pages: fc.integer({ min: 1, max: 300 }) };
const step = fc.oneof(
  {
    weight: 5,
    arbitrary: fc.record({ do: fc.constant("write" as const), ...span, fill: fc.integer({ min: 1, max: 255 }) }),
  },
  { weight: 2, arbitrary: fc.record({ do: fc.constant("clear" as const), ...span }) },
  { weight: 2, arbitrary: fc.record({ do: fc.constant("snapshot" as const) }) },
  { weight: 1, arbitrary: fc.record({ do: fc.constant("grow" as const), pages: fc.integer({ min: 1, max: 200 }) }) },
);

describe("a disk's history, through the official client", () => {
  it("can be followed snapshot by snapshot with page lists and differences, in one piece or in pages", async () => {
    await fc.assert(
      fc.asyncProperty(
        fc.array(step, { minLength: 4, maxLength: 14 }),
        fc.integer({ min: 1, max: 4 }),
        async (steps, pageSize) => {
          const disk = await azure.disk(PAGES * PAGE);
          const writer = pageBlob(await azure.sas(disk, "Write"));
          let model = Buffer.alloc(PAGES * PAGE);
          const snapshots: { sas: string; model: Buffer }[] = [];
          const snapshot = async () =>
            snapshots.push({ sas: await azure.sas(await azure.snapshot(disk)), model: Buffer.from(model) });
          for (const one of steps) {
            if (one.do === "snapshot") await snapshot();
            else if (one.do === "grow") {
              model = Buffer.concat([model], model.length + one.pages * PAGE);
              await azure.state.commit([{ kind: "volume-grown", id: disk, sizeBytes: model.length }]);
            } else {
              const offset = one.start * PAGE;
              const length = Math.min(one.pages * PAGE, model.length - offset);
              if (one.do === "write") await writer.uploadPages(Buffer.alloc(length, one.fill), offset, length);
              else await writer.clearPages(offset, length);
              model.fill(one.do === "write" ? one.fill : 0, offset, offset + length);
            }
          }
          await snapshot();
          const [first] = snapshots;
          let rebuilt = Buffer.alloc(first?.model.length ?? 0);
          for await (const { start, end, isClear } of pageBlob(first?.sas).listPageRanges(0, rebuilt.length)) {
            expect(isClear ?? false).toBe(false);
            (await pageBlob(first?.sas).downloadToBuffer(start, end + 1 - start)).copy(rebuilt, start);
          }
          expect(rebuilt.equals(first?.model ?? Buffer.alloc(0))).toBe(true);
          for (const [index, newer] of snapshots.entries()) {
            if (index === 0) continue;
            const older = snapshots[index - 1]?.sas ?? "";
            rebuilt = Buffer.concat([rebuilt], newer.model.length);
            const diff = await pageBlob(newer.sas).getPageRangesDiffForManagedDisks(0, newer.model.length, older);
            const changes = [
              ...(diff.pageRange ?? []).map(({ offset, count = 0 }) => ({
                start: offset,
                end: offset + count,
                cleared: false,
              })),
              ...(diff.clearRange ?? []).map(({ offset, count = 0 }) => ({
                start: offset,
                end: offset + count,
                cleared: true,
              })),
            ].sort((a, b) => a.start - b.start);
            expect(await pagedDiff(newer.sas, older, newer.model.length, pageSize)).toEqual(changes);
            for (const { start, end, cleared } of changes) {
              if (cleared) rebuilt.fill(0, start, end + 1);
              else (await pageBlob(newer.sas).downloadToBuffer(start, end + 1 - start)).copy(rebuilt, start);
            }
            expect(rebuilt.equals(newer.model)).toBe(true);
          }
        },
      ),
      { numRuns: 12 },
    );
    expect(azure.defects).toEqual([]);
  }, 60_000);
});

/** The client has no paged difference for managed disks: the wire does. */
async function pagedDiff(sas: string, older: string, length: number, maxResults: number) {
  const found: { start: number; end: number; cleared: boolean }[] = [];
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
