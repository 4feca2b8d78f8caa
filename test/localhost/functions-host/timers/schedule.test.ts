// Schedules in time zones: what daylight saving does to them, by the examples that the real host's sources give, and
// against an oracle that looks at every minute around the days on which clocks change.

import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { NEVER_MS, parseSchedule } from "../../../../localhost/functions-host/timers/schedule.ts";
import { nextOffsetChange, openTimeZone } from "../../../../localhost/functions-host/timers/time-zone.ts";

const MINUTE_MS = 60_000;
const HOUR_MS = 60 * MINUTE_MS;
const PACIFIC = "America/Los_Angeles";
const BERLIN = "Europe/Berlin";

function runs(text: string, zoneName: string, after: string, count: number): string[] {
  const schedule = parseSchedule(text, openTimeZone(zoneName));
  const found: string[] = [];
  let atMs = Date.parse(after);
  for (let index = 0; index < count; index++) {
    atMs = schedule.nextMs(atMs);
    found.push(new Date(atMs).toISOString());
  }
  return found;
}

const instants = (...texts: string[]): string[] => texts.map((text) => new Date(text).toISOString());

describe("a schedule", () => {
  it("is read in its time zone, whatever the season", () => {
    expect(runs("0 0 9 * * *", BERLIN, "2026-01-15T00:00:00Z", 1)).toEqual(instants("2026-01-15T09:00:00+01:00"));
    expect(runs("0 0 9 * * *", BERLIN, "2026-07-15T00:00:00Z", 1)).toEqual(instants("2026-07-15T09:00:00+02:00"));
    expect(runs("0 0 9 * * *", "Asia/Kathmandu", "2026-07-15T00:00:00Z", 1)).toEqual(
      instants("2026-07-15T09:00:00+05:45"),
    );
  });

  it("reaches over both changes of a year", () => {
    expect(runs("0 0 12 15 1,7 *", BERLIN, "2026-01-15T12:00:00+01:00", 3)).toEqual(
      instants("2026-07-15T12:00:00+02:00", "2027-01-15T12:00:00+01:00", "2027-07-15T12:00:00+02:00"),
    );
  });

  it("runs at a skipped time of day as soon as the clock has jumped over it", () => {
    expect(runs("0 30 2 * * *", PACIFIC, "2018-03-10T12:00:00-08:00", 2)).toEqual(
      instants("2018-03-11T03:30:00-07:00", "2018-03-12T02:30:00-07:00"),
    );
  });

  it("goes on through the skipped hour as an interval", () => {
    expect(runs("0 */30 * * * *", PACIFIC, "2018-03-11T01:00:00-08:00", 3)).toEqual(
      instants("2018-03-11T01:30:00-08:00", "2018-03-11T03:00:00-07:00", "2018-03-11T03:30:00-07:00"),
    );
  });

  it("runs at a repeated time of day once, the first time", () => {
    expect(runs("0 30 1 * * *", PACIFIC, "2018-11-03T12:00:00-07:00", 2)).toEqual(
      instants("2018-11-04T01:30:00-07:00", "2018-11-05T01:30:00-08:00"),
    );
  });

  it("takes a repeated time of day for done when it starts in the second of the equal hours", () => {
    expect(runs("0 30 1 * * *", PACIFIC, "2018-11-04T01:29:00-08:00", 1)).toEqual(
      instants("2018-11-05T01:30:00-08:00"),
    );
  });

  it("runs through both of the equal hours as an interval", () => {
    expect(runs("0 */30 * * * *", PACIFIC, "2018-11-04T00:30:00-07:00", 6)).toEqual(
      instants(
        "2018-11-04T01:00:00-07:00",
        "2018-11-04T01:30:00-07:00",
        "2018-11-04T01:00:00-08:00",
        "2018-11-04T01:30:00-08:00",
        "2018-11-04T02:00:00-08:00",
        "2018-11-04T02:30:00-08:00",
      ),
    );
  });

  it("finds the next run around a change that a look at every minute finds", () => {
    const change = fc.constantFrom(
      { zoneName: BERLIN, atMs: Date.parse("2026-03-29T01:00:00Z") },
      { zoneName: BERLIN, atMs: Date.parse("2026-10-25T01:00:00Z") },
      { zoneName: PACIFIC, atMs: Date.parse("2026-03-08T10:00:00Z") },
      { zoneName: PACIFIC, atMs: Date.parse("2026-11-01T09:00:00Z") },
      { zoneName: "America/Sao_Paulo", atMs: Date.parse("2018-11-04T03:00:00Z") },
    );
    const someMinutes = fc.uniqueArray(fc.constantFrom(0, 7, 20, 30, 41, 59), { minLength: 1, maxLength: 3 });
    const someHours = fc.oneof(
      fc.constantFrom("*", "0-4", "22-23,0-1"),
      fc.constantFrom("0", "1", "2", "3", "0,2", "1,3", "2,23"),
    );
    const minutesBefore = fc.integer({ min: -180, max: 300 });
    fc.assert(
      fc.property(change, someMinutes, someHours, minutesBefore, ({ zoneName, atMs }, minutes, hours, before) => {
        const afterMs = atMs - before * MINUTE_MS;
        const schedule = parseSchedule(`0 ${minutes.join(",")} ${hours} * * *`, openTimeZone(zoneName));
        expect(new Date(schedule.nextMs(afterMs)).toISOString()).toBe(
          new Date(lookForNext({ zoneName, minutes, hours, afterMs, changeMs: atMs })).toISOString(),
        );
      }),
      { numRuns: 150 },
    );
  });

  it("is never due when no day fits", () => {
    const schedule = parseSchedule("0 0 0 31 2 *", openTimeZone("UTC"));
    expect(schedule.nextMs(Date.parse("2026-03-01T00:00:00Z"))).toBe(NEVER_MS);
  });

  it("that is a time span is due that long after, whatever clocks do", () => {
    expect(runs("01:30:00", PACIFIC, "2018-11-04T00:00:00-07:00", 2)).toEqual(
      instants("2018-11-04T01:30:00-07:00", "2018-11-04T02:00:00-08:00"),
    );
    const zone = openTimeZone(PACIFIC);
    expect(parseSchedule("01:30:00", zone).adjustsForDaylightSaving).toBe(false);
    expect(parseSchedule("0 0 1 * * *", zone).adjustsForDaylightSaving).toBe(true);
  });

  it("knows whether it can be due more than once a minute", () => {
    const isSubMinute = (text: string): boolean => parseSchedule(text, openTimeZone("UTC")).isSubMinute;
    for (const text of ["*/10 * * * * *", "0,59 * * * * *", "* * * * * *", "00:00:59"]) {
      expect([text, isSubMinute(text)]).toEqual([text, true]);
    }
    // The real host looks at the seconds only when all else is open.
    for (const text of ["0 * * * * *", "* * * * *", "00:01:00", "*/10 30 * * * *", "*/10 * * * * Mon"]) {
      expect([text, isSubMinute(text)]).toEqual([text, false]);
    }
  });

  it.each(["", "tomorrow", "0 0 0", "00:00:00", "24:00"])("cannot be made of '%s'", (text) => {
    expect(() => parseSchedule(text, openTimeZone("UTC"))).toThrow("neither an NCRONTAB expression nor a time span");
  });
});

describe("a time zone", () => {
  it("knows its offset at any instant, to the second it changes", () => {
    const zone = openTimeZone(BERLIN);
    const changeMs = Date.parse("2026-03-29T01:00:00Z");
    expect([zone.offsetMs(changeMs - 1), zone.offsetMs(changeMs)]).toEqual([HOUR_MS, 2 * HOUR_MS]);
    expect(nextOffsetChange(zone, Date.parse("2026-01-01T00:00:00Z"), Date.parse("2027-01-01T00:00:00Z"))).toBe(
      changeMs,
    );
    expect(nextOffsetChange(zone, changeMs, Date.parse("2026-10-01T00:00:00Z"))).toBeUndefined();
  });

  it("is the machine's own without a name", () => {
    const machine = Intl.DateTimeFormat().resolvedOptions().timeZone;
    expect([openTimeZone(undefined).name, openTimeZone("").name]).toEqual([machine, machine]);
  });

  it("is refused by a name that is none of IANA's", () => {
    expect(() => openTimeZone("W. Europe Standard Time")).toThrow(
      "is 'W. Europe Standard Time', which is no IANA time zone",
    );
  });
});

interface Search {
  readonly zoneName: string;
  readonly minutes: readonly number[];
  readonly hours: string;
  readonly afterMs: number;
  /** When the clocks change. */
  readonly changeMs: number;
}

/**
 * The rule, spelled out minute by minute. A minute counts when the clock shows an allowed time; or when the clock would
 * show one had it not just jumped. Of two equal times the second counts only for intervals: hours without a gap.
 */
function lookForNext({ zoneName, minutes, hours, afterMs, changeMs }: Search): number {
  const shown = wallClock(zoneName);
  const isInterval = hours === "*" || hours.includes("-");
  const allowed = allowedHours(hours);
  const allows = (wallMs: number): boolean => {
    const date = new Date(wallMs);
    return minutes.includes(date.getUTCMinutes()) && allowed.includes(date.getUTCHours());
  };
  const jumpMs = shown(changeMs) - shown(changeMs - MINUTE_MS) - MINUTE_MS;
  for (let atMs = Math.floor(afterMs / MINUTE_MS + 1) * MINUTE_MS; ; atMs += MINUTE_MS) {
    const sinceChangeMs = atMs - changeMs;
    const wasSkipped =
      afterMs < changeMs && sinceChangeMs >= 0 && sinceChangeMs < jumpMs && allows(shown(atMs) - jumpMs);
    const isRepeat = sinceChangeMs >= 0 && sinceChangeMs < -jumpMs;
    if (wasSkipped || (allows(shown(atMs)) && (isInterval || !isRepeat))) return atMs;
  }
}

function allowedHours(text: string): number[] {
  const all = Array.from({ length: 24 }, (_, hour) => hour);
  if (text === "*") return all;
  return text.split(",").flatMap((part) => {
    const [from = 0, to = from] = part.split("-").map(Number);
    return all.filter((hour) => hour >= from && hour <= to);
  });
}

/** What a clock on the wall shows, as if it hung in UTC; read off the Swedish way of writing dates. */
function wallClock(zoneName: string): (atMs: number) => number {
  const format = new Intl.DateTimeFormat("sv-SE", { timeZone: zoneName, dateStyle: "short", timeStyle: "medium" });
  return (atMs) => Date.parse(`${format.format(atMs).replace(" ", "T")}Z`);
}
