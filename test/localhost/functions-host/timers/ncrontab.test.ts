// Expressions against an oracle that shares nothing with the parser: it tries every allowed second of every day in
// turn. Moments are what a clock on the wall shows, written here as if it hung in UTC.

import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { type Ncrontab, parseNcrontab } from "../../../../localhost/functions-host/timers/ncrontab.ts";
import type { HoldfastFailure } from "../../../../src/base/failure.ts";

const DAY_MS = 86_400_000;

function parse(text: string): Ncrontab {
  const cron = parseNcrontab(text);
  if (cron === undefined) throw new Error(`'${text}' is no expression`);
  return cron;
}

function occurrences(text: string, after: string, count: number): string[] {
  const cron = parse(text);
  const found: string[] = [];
  let atMs = Date.parse(`${after}Z`);
  for (let index = 0; index < count; index++) {
    const nextMs = cron.nextWallMs(atMs);
    if (nextMs === undefined) break;
    found.push(new Date(nextMs).toISOString().slice(0, 19));
    atMs = nextMs;
  }
  return found;
}

describe("an NCRONTAB expression", () => {
  it.each([
    ["every five minutes", "0 */5 * * * *", "2026-03-01T10:03:00", ["2026-03-01T10:05:00", "2026-03-01T10:10:00"]],
    ["second 0, given five fields", "*/5 * * * *", "2026-03-01T10:03:07", ["2026-03-01T10:05:00"]],
    ["a list of seconds", "5,10,20 * * * * *", "2026-03-01T10:00:10", ["2026-03-01T10:00:20", "2026-03-01T10:01:05"]],
    ["working days by number", "0 30 9 * * 1-5", "2026-03-06T09:30:00", ["2026-03-09T09:30:00"]],
    ["Mondays of January by name", "0 30 9 * Jan Mon", "2026-03-01T00:00:00", ["2027-01-04T09:30:00"]],
    [
      "whole names and beginnings of names",
      "0 0 0 1 J,sept *",
      "2026-03-01T00:00:00",
      ["2026-09-01T00:00:00", "2027-01-01T00:00:00"],
    ],
    [
      "a step from a start",
      "0 10/20 8 * * *",
      "2026-03-01T00:00:00",
      ["2026-03-01T08:10:00", "2026-03-01T08:30:00", "2026-03-01T08:50:00", "2026-03-02T08:10:00"],
    ],
    [
      "a range with a step",
      "0 0 9-17/4 * * *",
      "2026-03-01T09:00:00",
      ["2026-03-01T13:00:00", "2026-03-01T17:00:00", "2026-03-02T09:00:00"],
    ],
    [
      "a range that runs backwards as if swapped",
      "0 0 0 * * Fri-Wed",
      "2026-03-01T00:00:00",
      ["2026-03-04T00:00:00", "2026-03-05T00:00:00", "2026-03-06T00:00:00", "2026-03-11T00:00:00"],
    ],
    ["a step of 0 as 1", "0 */0 * * * *", "2026-03-01T00:00:00", ["2026-03-01T00:01:00"]],
    [
      "the 31st in months that have one",
      "0 0 0 31 * *",
      "2026-03-31T00:00:00",
      ["2026-05-31T00:00:00", "2026-07-31T00:00:00"],
    ],
    ["leap days only", "0 0 0 29 2 *", "2097-01-01T00:00:00", ["2104-02-29T00:00:00"]],
    [
      "a leap day on a Monday, forty years apart",
      "0 0 0 29 2 Mon",
      "2072-02-28T00:00:00",
      ["2072-02-29T00:00:00", "2112-02-29T00:00:00"],
    ],
    [
      "the last second of a year",
      "59 59 23 31 12 *",
      "2026-12-31T23:59:58",
      ["2026-12-31T23:59:59", "2027-12-31T23:59:59"],
    ],
  ])("means %s", (_, text, after, expected) => {
    expect(occurrences(text, after, expected.length)).toEqual(expected);
  });

  it("requires day and day of week together, where classic cron takes either", () => {
    expect(occurrences("0 0 12 13 * Fri", "2026-01-01T00:00:00", 3)).toEqual([
      "2026-02-13T12:00:00",
      "2026-03-13T12:00:00",
      "2026-11-13T12:00:00",
    ]);
  });

  it("is due strictly after the given moment, parts of a second included", () => {
    expect(occurrences("0 0 * * * *", "2026-03-01T10:00:00", 1)).toEqual(["2026-03-01T11:00:00"]);
    expect(occurrences("0 0 * * * *", "2026-03-01T09:59:59.999", 1)).toEqual(["2026-03-01T10:00:00"]);
    expect(occurrences("0 0 * * * *", "2026-03-01T10:00:00.001", 1)).toEqual(["2026-03-01T11:00:00"]);
  });

  it("is never due on a day that no year has", () => {
    expect(parse("0 0 0 30 2 *").nextWallMs(Date.parse("2026-03-01T00:00:00Z"))).toBeUndefined();
    expect(parse("0 0 0 31 4,6,9,11 *").nextWallMs(Date.parse("2026-03-01T00:00:00Z"))).toBeUndefined();
  });

  it("tells intervals from given times of day", () => {
    for (const text of ["0 */5 * * * *", "0 0 * * * *", "0 0-10 3 * * *", "*/1 0 0 * * *", "0 0 1,2 * * *"]) {
      expect([text, parse(text).isInterval]).toEqual([text, true]);
    }
    for (const text of ["0 30 1 * * *", "0 0,30 1,3 * * *", "0 5 * * *", "0 0 12 1-5 * *"]) {
      expect([text, parse(text).isInterval]).toEqual([text, false]);
    }
  });

  it.each([
    ["60 * * * * *", "second"],
    ["0 60 * * * *", "minute"],
    ["0 0 24 * * *", "hour"],
    ["0 0 0 0 * *", "day"],
    ["0 0 0 32 * *", "day"],
    ["0 0 0 * 13 *", "month"],
    ["0 0 0 * Monday *", "month"],
    ["0 0 0 * * 7", "day-of-week"],
    ["0 0 0 * * Noday", "day-of-week"],
    ["0 1, * * * *", "minute"],
    ["0 ,1 * * * *", "minute"],
    ["0 1-2-3 * * * *", "minute"],
    ["0 -1 * * * *", "minute"],
    ["0 */x * * * *", "minute"],
    ["0 5/ * * * *", "minute"],
    ["0 1.5 * * * *", "minute"],
    ["0 L * * * *", "minute"],
    ["0 ? * * * *", "minute"],
  ])("'%s' is refused, naming the %s and the schedule", (text, field) => {
    const refusal = (): unknown => parseNcrontab(text);
    expect(refusal).toThrow(`no valid ${field} in the schedule '${text}'`);
    try {
      refusal();
    } catch (failure) {
      expect((failure as HoldfastFailure).hint).toContain(`A ${field} is`);
    }
  });

  it.each(["", "0 0 0", "* * * *", "* * * * * * *", "00:05:00"])("'%s' does not have its form", (text) => {
    expect(parseNcrontab(text)).toBeUndefined();
  });

  it("is due when a walk through every second of every day finds it due", () => {
    fc.assert(
      fc.property(expressions, moments, ({ text, allows }, afterMs) => {
        expect(parse(text).nextWallMs(afterMs)).toBe(walkToNext(allows, afterMs));
      }),
      { numRuns: 400 },
    );
  });
});

type Allows = (value: number) => boolean;

interface FieldCase {
  readonly text: string;
  readonly allows: Allows;
}

const NAMES = {
  month: ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"],
  dayOfWeek: ["Sun", "Mon", "Tue", "Wed", "Thu", "Fri", "Sat"],
};

function field(least: number, most: number, names: readonly string[] = []): fc.Arbitrary<FieldCase> {
  const value = fc.integer({ min: least, max: most });
  const step = fc.integer({ min: 1, max: most });
  const spoken = (number: number, named: boolean): string =>
    (named ? (names[number - least] ?? "") : "") || String(number);
  const items: fc.Arbitrary<FieldCase>[] = [
    fc.tuple(value, fc.boolean()).map(([one, named]) => ({ text: spoken(one, named), allows: (at) => at === one })),
    fc.tuple(value, value, fc.boolean()).map(([a, b, named]) => ({
      text: `${spoken(a, named)}-${spoken(b, named)}`,
      allows: (at) => at >= Math.min(a, b) && at <= Math.max(a, b),
    })),
    fc.tuple(value, value, step).map(([a, b, by]) => ({
      text: `${a}-${b}/${by}`,
      allows: (at) => at >= Math.min(a, b) && at <= Math.max(a, b) && (at - Math.min(a, b)) % by === 0,
    })),
    fc.tuple(value, step).map(([a, by]) => ({ text: `${a}/${by}`, allows: (at) => at >= a && (at - a) % by === 0 })),
    step.map((by) => ({ text: `*/${by}`, allows: (at) => (at - least) % by === 0 })),
  ];
  const list = fc.array(fc.oneof(...items), { minLength: 1, maxLength: 3 }).map((parts) => ({
    text: parts.map(({ text }) => text).join(","),
    allows: (at: number) => parts.some(({ allows }) => allows(at)),
  }));
  return fc.oneof(
    { arbitrary: fc.constant({ text: "*", allows: () => true }), weight: 2 },
    { arbitrary: list, weight: 3 },
  );
}

const expressions = fc
  .tuple(
    field(0, 59),
    field(0, 59),
    field(0, 23),
    field(1, 31),
    field(1, 12, NAMES.month),
    field(0, 6, NAMES.dayOfWeek),
  )
  .map((fields) => ({ text: fields.map(({ text }) => text).join(" "), allows: fields.map(({ allows }) => allows) }));

const moments = fc.integer({ min: Date.UTC(2000, 0, 1), max: Date.UTC(2090, 0, 1) });

function walkToNext(allows: readonly Allows[], afterMs: number): number | undefined {
  const within = (index: number, most: number): number[] =>
    Array.from({ length: most + 1 }, (_, value) => value).filter((value) => allows[index]?.(value));
  const [seconds, minutes, hours] = [within(0, 59), within(1, 59), within(2, 23)];
  const firstDayMs = Math.floor(afterMs / DAY_MS) * DAY_MS;
  for (let dayMs = firstDayMs; dayMs < firstDayMs + 15_000 * DAY_MS; dayMs += DAY_MS) {
    const date = new Date(dayMs);
    if (!allows[3]?.(date.getUTCDate()) || !allows[4]?.(date.getUTCMonth() + 1) || !allows[5]?.(date.getUTCDay()))
      continue;
    for (const hour of hours) {
      for (const minute of minutes) {
        for (const second of seconds) {
          const atMs = dayMs + ((hour * 60 + minute) * 60 + second) * 1000;
          if (atMs > afterMs) return atMs;
        }
      }
    }
  }
  return undefined;
}
