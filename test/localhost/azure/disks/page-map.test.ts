import fc from "fast-check";
import { describe, expect, it } from "vitest";
import {
  EMPTY_MAP,
  type Extent,
  extentsIn,
  MAX_PAGES,
  type PageMap,
  visitChanges,
  withExtent,
  withoutRange,
} from "../../../../localhost/azure/disks/page-map.ts";

// The model is an array with the write that each page last saw; the tree must say the same in ranges.
const PAGES = 5000; // more than two leaves
type Step = { start: number; length: number; clear: boolean };

const step = fc.record({
  start: fc.nat(PAGES - 1),
  length: fc.oneof(fc.constant(1), fc.integer({ min: 1, max: 40 }), fc.integer({ min: 1, max: PAGES })),
  clear: fc.boolean(),
});

function play(steps: Step[], offset: number) {
  const versions: { map: PageMap; model: (string | undefined)[] }[] = [
    { map: EMPTY_MAP, model: new Array<string | undefined>(PAGES).fill(undefined) },
  ];
  let source = 0;
  for (const { start, length, clear } of steps) {
    const before = versions.at(-1) as (typeof versions)[number];
    const end = Math.min(PAGES, start + length);
    const model = before.model.slice();
    source += 1;
    for (let page = start; page < end; page += 1) model[page] = clear ? undefined : `${source}:${page - start}`;
    const map = clear
      ? withoutRange(before.map, offset + start, offset + end)
      : withExtent(before.map, { start: offset + start, end: offset + end, source, at: 0 });
    versions.push({ map, model });
  }
  return versions;
}

function pagesOf(extents: Extent[], offset: number): (string | undefined)[] {
  const pages = new Array<string | undefined>(PAGES).fill(undefined);
  for (const { start, end, source, at } of extents)
    for (let page = start; page < end; page += 1) pages[page - offset] = `${source}:${at + page - start}`;
  return pages;
}

describe("the page map", () => {
  it("holds for every page what was last written to it, in every version, anywhere on the disk", () => {
    const offsets = fc.constantFrom(0, 2048 * 32 - 2500, 2 ** 34 - 1000, MAX_PAGES - PAGES);
    fc.assert(
      fc.property(fc.array(step, { maxLength: 12 }), offsets, (steps, offset) => {
        for (const { map, model } of play(steps, offset))
          expect(pagesOf(extentsIn(map, offset, offset + PAGES), offset)).toEqual(model);
      }),
      { numRuns: 60 },
    );
  });

  it("names exactly the pages that differ between any two versions, in order, and whether they were cleared", () => {
    const offsets = fc.constantFrom(0, 2 ** 21 - 1234);
    fc.assert(
      fc.property(
        fc.array(step, { maxLength: 10 }),
        fc.nat(),
        fc.nat(),
        fc.nat(PAGES - 1),
        offsets,
        (steps, a, b, from, offset) => {
          const versions = play(steps, offset);
          const older = versions[a % versions.length] as (typeof versions)[number];
          const newer = versions[b % versions.length] as (typeof versions)[number];
          const expected = newer.model.map((is, page) => {
            if (page < from || is === older.model[page]) return "same";
            return is === undefined ? "cleared" : "written";
          });
          const found = new Array<string>(PAGES).fill("same");
          let last = 0;
          visitChanges(older.map, newer.map, offset + from, offset + PAGES, (start, end, kind) => {
            expect(start).toBeGreaterThanOrEqual(last);
            last = end;
            found.fill(kind, start - offset, end - offset);
            return true;
          });
          expect(found).toEqual(expected);
        },
      ),
      { numRuns: 80 },
    );
  });

  it("clears 32 TiB and covers 32 TiB with one extent without building nodes for each MiB", () => {
    const whole = withExtent(EMPTY_MAP, { start: 0, end: MAX_PAGES, source: 7, at: 0 });
    expect(extentsIn(whole, 0, MAX_PAGES)).toEqual([{ start: 0, end: MAX_PAGES, source: 7, at: 0 }]);
    const holed = withoutRange(whole, 12_345_678_901, 12_345_678_902);
    expect(extentsIn(holed, 0, MAX_PAGES)).toEqual([
      { start: 0, end: 12_345_678_901, source: 7, at: 0 },
      { start: 12_345_678_902, end: MAX_PAGES, source: 7, at: 12_345_678_902 },
    ]);
    expect(withoutRange(holed, 0, MAX_PAGES)).toBe(EMPTY_MAP);
  });

  it("stops a walk when the visitor has enough", () => {
    let map: PageMap = EMPTY_MAP;
    for (let page = 0; page < 10_000; page += 2)
      map = withExtent(map, { start: page, end: page + 1, source: page, at: 0 });
    let seen = 0;
    visitChanges(EMPTY_MAP, map, 0, MAX_PAGES, () => {
      seen += 1;
      return seen < 10;
    });
    expect(seen).toBe(10);
  });
});
