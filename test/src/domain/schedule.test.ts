import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { WEEKDAYS } from "../../../src/domain/calendar.ts";
import type { Schedule } from "../../../src/domain/policy.ts";
import { latestOccurrence, nextOccurrences, occurrencesIn } from "../../../src/domain/schedule.ts";
import { WatchedClock } from "./wall-clock-oracle.ts";

const DAY_MS = 24 * 60 * 60_000;
const WATCHED_DAYS = 12;
const ASKED_DAYS = 6;

/** Around changes of the clock of every kind, and around none. */
const MOMENTS: readonly (readonly [string, string, string])[] = [
  ["Europe/Berlin", "2026-03-29T01:00:00Z", "an hour is skipped"],
  ["Europe/Berlin", "2026-10-25T01:00:00Z", "an hour comes twice"],
  ["W. Europe Standard Time", "2026-03-29T01:00:00Z", "a Windows name"],
  ["America/New_York", "2026-03-08T07:00:00Z", "an hour is skipped"],
  ["America/New_York", "2026-11-01T06:00:00Z", "an hour comes twice"],
  ["Australia/Lord_Howe", "2026-10-03T15:30:00Z", "half an hour is skipped"],
  ["Australia/Lord_Howe", "2026-04-04T15:00:00Z", "half an hour comes twice"],
  ["Asia/Kathmandu", "2026-06-01T00:00:00Z", "no change"],
  ["Asia/Kathmandu", "1985-12-31T18:30:00Z", "a quarter of an hour is skipped at midnight"],
  ["America/Sao_Paulo", "2018-11-04T03:00:00Z", "midnight is skipped"],
  ["America/Sao_Paulo", "2018-02-18T02:00:00Z", "the hour before midnight comes twice"],
  ["Africa/Casablanca", "2026-02-15T02:00:00Z", "an hour comes twice before Ramadan"],
  ["Africa/Casablanca", "2026-03-22T02:00:00Z", "an hour is skipped after Ramadan"],
  ["America/Havana", "2026-11-01T05:00:00Z", "midnight comes twice"],
  ["Antarctica/Troll", "2026-03-29T01:00:00Z", "two hours are skipped"],
  ["America/Toronto", "1919-03-31T04:30:00Z", "the gap spans midnight"],
  ["America/St_Johns", "2010-11-07T02:31:00Z", "a minute after midnight it is yesterday again"],
  ["Pacific/Apia", "2011-12-30T10:00:00Z", "a whole day is skipped"],
  ["UTC", "2026-02-28T12:00:00Z", "no change"],
];

const localTime = fc.record({ hour: fc.nat(23), minute: fc.oneof(fc.nat(59), fc.constantFrom(0, 30)) });
/** Most changes of clocks happen in these hours. */
const nightTime = fc.record({
  hour: fc.constantFrom(23, 0, 1, 2, 3),
  minute: fc.constantFrom(0, 1, 14, 15, 29, 30, 45, 59),
});
const time = fc.oneof(localTime, nightTime);
const schedule: fc.Arbitrary<Schedule> = fc.oneof(
  fc.record({ frequency: fc.constant("Daily" as const), time }),
  fc.record({
    frequency: fc.constant("Weekly" as const),
    days: fc.subarray([...WEEKDAYS], { minLength: 1 }),
    time,
  }),
  fc
    .record({
      windowStart: time,
      intervalHours: fc.constantFrom(4, 6, 8, 12),
      windowHours: fc.integer({ min: 4, max: 24 }),
    })
    .filter(({ intervalHours, windowHours }) => windowHours >= intervalHours)
    .map((window) => ({ frequency: "Hourly" as const, ...window })),
);
const everyMinutes = fc.option(fc.constantFrom(5, 7, 60, 90, 720), { nil: undefined, freq: 4 });
const offsetMs = fc
  .integer({ min: -ASKED_DAYS * 24 * 60, max: ASKED_DAYS * 24 * 60 })
  .map((minutes) => minutes * 60_000);

describe("occurrences", () => {
  it.each(MOMENTS)("are what a watched wall clock shows: %s around %s, %s", (timeZone, around, _what) => {
    const centre = new Date(around);
    const zone = timeZone.includes("Standard Time") ? "Europe/Berlin" : timeZone;
    const clock = new WatchedClock(zone, centre, WATCHED_DAYS);
    fc.assert(
      fc.property(schedule, everyMinutes, offsetMs, offsetMs, (of, minutes, one, other) => {
        const policy = { timeZone, schedule: of, ...(minutes === undefined ? {} : { everyMinutes: minutes }) };
        const after = new Date(centre.getTime() + Math.min(one, other));
        const until = new Date(centre.getTime() + Math.max(one, other));
        const watched = clock.runs(of, minutes);
        const due = watched.filter(({ scheduledAt }) => scheduledAt > after && scheduledAt <= until);
        expect(occurrencesIn(policy, after, until)).toEqual(due);
        expect(latestOccurrence(policy, after, until)).toEqual(due.at(-1));
        const count = Math.min(3, due.length);
        expect(nextOccurrences(policy, after, count)).toEqual(due.slice(0, count));
      }),
      { numRuns: 100 },
    );
  });

  it("at times that are skipped and repeated in Berlin come exactly once on each day of a year", () => {
    for (const minute of [119, 120, 121, 135, 150, 165, 179, 180, 181]) {
      const policy = {
        timeZone: "Europe/Berlin",
        schedule: { frequency: "Daily" as const, time: { hour: Math.floor(minute / 60), minute: minute % 60 } },
      };
      const runs = occurrencesIn(policy, new Date("2025-12-31T12:00:00Z"), new Date("2026-12-31T12:00:00Z"));
      expect(new Set(runs.map(({ day }) => day)).size).toBe(365);
      expect(runs).toHaveLength(365);
    }
  });

  it("do not depend on how a stretch of time is cut into ticks", () => {
    const policy = {
      timeZone: "America/New_York",
      schedule: {
        frequency: "Hourly" as const,
        windowStart: { hour: 22, minute: 30 },
        intervalHours: 4,
        windowHours: 24,
      },
    };
    const start = Date.parse("2026-10-30T00:00:00Z");
    fc.assert(
      fc.property(fc.array(fc.integer({ min: 1, max: 26 * 60 }), { minLength: 1, maxLength: 12 }), (steps) => {
        const cuts: number[] = [];
        for (const minutes of steps) cuts.push((cuts.at(-1) ?? start) + minutes * 60_000);
        const inTicks = cuts.flatMap((cut, at) =>
          occurrencesIn(policy, new Date(cuts[at - 1] ?? start), new Date(cut)),
        );
        expect(inTicks).toEqual(occurrencesIn(policy, new Date(start), new Date(cuts.at(-1) ?? start)));
      }),
    );
  });
});

describe("a daily run", () => {
  const daily = (timeZone: string, hour: number, minute: number) => ({
    timeZone,
    schedule: { frequency: "Daily" as const, time: { hour, minute } },
  });
  const instants = (policy: ReturnType<typeof daily>, day: string) =>
    occurrencesIn(policy, new Date(Date.parse(day) - DAY_MS), new Date(Date.parse(day) + 2 * DAY_MS))
      .filter((run) => run.day === day)
      .map(({ scheduledAt }) => scheduledAt.toISOString());

  it("in a gap comes at the first instant after the gap, not an hour late", () => {
    expect(instants(daily("Europe/Berlin", 2, 30), "2026-03-29")).toEqual(["2026-03-29T01:00:00.000Z"]);
    expect(instants(daily("Europe/Berlin", 2, 0), "2026-03-29")).toEqual(["2026-03-29T01:00:00.000Z"]);
    expect(instants(daily("Australia/Lord_Howe", 2, 15), "2026-10-04")).toEqual(["2026-10-03T15:30:00.000Z"]);
  });

  it("in an overlap comes the first time only", () => {
    expect(instants(daily("Europe/Berlin", 2, 30), "2026-10-25")).toEqual(["2026-10-25T00:30:00.000Z"]);
    expect(instants(daily("America/New_York", 1, 0), "2026-11-01")).toEqual(["2026-11-01T05:00:00.000Z"]);
  });

  it("is seen even while the clock shows yesterday again", () => {
    const at = new Date("2010-11-07T02:30:00Z");
    const policy = daily("America/St_Johns", 0, 0);
    const until = new Date("2010-11-07T03:00:00Z");
    const run = { scheduledAt: at, day: "2010-11-07", isLastOfDay: true };
    expect(occurrencesIn(policy, new Date(at.getTime() - 1), until)).toEqual([run]);
    expect(latestOccurrence(policy, new Date(at.getTime() - 1), until)).toEqual(run);
  });

  it("counts for the day it was meant for, even when the gap ends on the next", () => {
    expect(instants(daily("America/Toronto", 23, 45), "1919-03-30")).toEqual(["1919-03-31T04:30:00.000Z"]);
  });

  it("does not come on a day that the zone skipped", () => {
    expect(instants(daily("Pacific/Apia", 2, 0), "2011-12-30")).toEqual([]);
  });
});

describe("an hourly window", () => {
  const window = (timeZone: string, hour: number, intervalHours: number, windowHours: number) => ({
    timeZone,
    schedule: { frequency: "Hourly" as const, windowStart: { hour, minute: 0 }, intervalHours, windowHours },
  });
  const ofDay = (policy: ReturnType<typeof window>, day: string) =>
    occurrencesIn(policy, new Date(Date.parse(day) - DAY_MS), new Date(Date.parse(day) + 3 * DAY_MS)).filter(
      (run) => run.day === day,
    );
  const hours = (policy: ReturnType<typeof window>, day: string) =>
    ofDay(policy, day).map(({ scheduledAt }) => scheduledAt.toISOString().slice(5, 16));

  it("of 24 hours runs into the next day, and its last run belongs to the day it began", () => {
    const runs = ofDay(window("UTC", 8, 4, 24), "2026-05-01");
    expect(runs.map(({ scheduledAt }) => scheduledAt.toISOString().slice(5, 13))).toEqual([
      "05-01T08",
      "05-01T12",
      "05-01T16",
      "05-01T20",
      "05-02T00",
      "05-02T04",
    ]);
    expect(runs.map(({ isLastOfDay }) => isLastOfDay)).toEqual([false, false, false, false, false, true]);
  });

  it("ends before its end: 12 hours from eight on have no run at eight in the evening", () => {
    expect(hours(window("UTC", 8, 4, 12), "2026-05-01")).toEqual(["05-01T08:00", "05-01T12:00", "05-01T16:00"]);
  });

  it("whose length is no multiple of the interval has no run in the rest", () => {
    expect(hours(window("UTC", 8, 4, 23), "2026-05-01")).toHaveLength(5);
  });

  it("keeps elapsed hours and their number through both changes of the clock, and begins anew at its wall time", () => {
    const berlin = window("Europe/Berlin", 0, 4, 24);
    const spring = ["03-28T23:00", "03-29T03:00", "03-29T07:00", "03-29T11:00", "03-29T15:00", "03-29T19:00"];
    expect(hours(berlin, "2026-03-29")).toEqual(spring);
    expect(hours(berlin, "2026-03-30")[0]).toBe("03-29T22:00");
    const autumn = ["10-24T22:00", "10-25T02:00", "10-25T06:00", "10-25T10:00", "10-25T14:00", "10-25T18:00"];
    expect(hours(berlin, "2026-10-25")).toEqual(autumn);
    expect(hours(berlin, "2026-10-26")[0]).toBe("10-25T23:00");
  });
});

describe("what was missed", () => {
  it("over years is one run, the latest, and found at once", () => {
    const policy = {
      timeZone: "UTC",
      schedule: { frequency: "Daily" as const, time: { hour: 2, minute: 0 } },
      everyMinutes: 1,
    };
    const until = new Date("2026-05-01T12:34:56Z");
    expect(latestOccurrence(policy, new Date(0), until)?.scheduledAt).toEqual(new Date("2026-05-01T12:34:00Z"));
  });

  it("is nothing when nothing was due, and a schedule without days never is", () => {
    const policy = {
      timeZone: "UTC",
      schedule: { frequency: "Weekly" as const, days: [], time: { hour: 2, minute: 0 } },
    };
    expect(latestOccurrence(policy, new Date(0), new Date("1970-03-01"))).toBeUndefined();
    expect(nextOccurrences(policy, new Date(0), 5)).toEqual([]);
  });

  it("includes the end of the stretch and not its beginning", () => {
    const policy = { timeZone: "UTC", schedule: { frequency: "Daily" as const, time: { hour: 2, minute: 0 } } };
    const at = new Date("2026-05-01T02:00:00Z");
    const before = new Date(at.getTime() - 1);
    expect(occurrencesIn(policy, before, at)).toHaveLength(1);
    expect(occurrencesIn(policy, at, new Date(at.getTime() + 1))).toEqual([]);
  });
});
