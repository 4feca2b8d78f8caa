import fc from "fast-check";
import { describe, expect, it } from "vitest";
import type { LocalDay } from "../../../src/domain/calendar.ts";
import type { Policy } from "../../../src/domain/policy.ts";
import { tagsOf } from "../../../src/domain/retention-tags.ts";
import { occurrencesIn } from "../../../src/domain/schedule.ts";
import { SAMPLE_POLICY } from "./sample-policy.ts";

describe("tags, against a calendar that is counted day by day", () => {
  /** Every day of a year with what one finds by counting, from a known Thursday on. */
  function* countedDays(year: number) {
    const names = ["Thursday", "Friday", "Saturday", "Sunday", "Monday", "Tuesday", "Wednesday"] as const;
    const leap = (y: number) => (y % 4 === 0 && y % 100 !== 0) || y % 400 === 0;
    const lengths = (y: number) => [31, leap(y) ? 29 : 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31];
    let sinceThursday = 0;
    for (let y = 1970; y < year; y++) sinceThursday += leap(y) ? 366 : 365;
    for (const [month, length] of lengths(year).entries()) {
      const seen = new Map<string, number>();
      for (let date = 1; date <= length; date++, sinceThursday++) {
        const weekday = names[sinceThursday % 7] as (typeof names)[number];
        const number = (seen.get(weekday) ?? 0) + 1;
        seen.set(weekday, number);
        const day = `${year}-${String(month + 1).padStart(2, "0")}-${String(date).padStart(2, "0")}` as LocalDay;
        yield { day, month, date, weekday, number, isLast: date + 7 > length, isLastDay: date === length };
      }
    }
  }
  const WEEKS = ["First", "Second", "Third", "Fourth", "Last"] as const;
  const WEEKDAYS = ["Sunday", "Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday"] as const;
  const MONTHS = [
    "January",
    "February",
    "March",
    "April",
    "May",
    "June",
    "July",
    "August",
    "September",
    "October",
    "November",
    "December",
  ] as const;

  it("are the same for any rule in any year", () => {
    const weekBased = fc.record({
      format: fc.constant("Weekly" as const),
      weekdays: fc.subarray([...WEEKDAYS], { minLength: 1 }),
      weeks: fc.subarray([...WEEKS], { minLength: 1 }),
    });
    const dayBased = fc.record({
      format: fc.constant("Daily" as const),
      dates: fc.uniqueArray(fc.integer({ min: 1, max: 31 }), { maxLength: 4 }),
      lastDay: fc.boolean(),
    });
    const on = fc.oneof(weekBased, dayBased);
    fc.assert(
      fc.property(
        fc.integer({ min: 1999, max: 2040 }),
        fc.subarray([...WEEKDAYS], { minLength: 1 }),
        on,
        on,
        fc.subarray([...MONTHS], { minLength: 1 }),
        (year, weekdays, monthlyOn, yearlyOn, months) => {
          const policy: Policy = {
            ...SAMPLE_POLICY,
            retention: {
              daily: { keepDays: 30 },
              weekly: { weekdays, keepWeeks: 1 },
              monthly: { on: monthlyOn, keepMonths: 1 },
              yearly: { months, on: yearlyOn, keepYears: 1 },
            },
          };
          for (const counted of countedDays(year)) {
            const isOn = (rule: typeof monthlyOn) => {
              if (rule.format === "Daily")
                return rule.dates.includes(counted.date) || (rule.lastDay && counted.isLastDay);
              const inWeek = rule.weeks.some((week) =>
                week === "Last" ? counted.isLast : WEEKS.indexOf(week) + 1 === counted.number,
              );
              return inWeek && rule.weekdays.includes(counted.weekday);
            };
            const expected = [
              "Daily",
              ...(weekdays.includes(counted.weekday) ? ["Weekly"] : []),
              ...(isOn(monthlyOn) ? ["Monthly"] : []),
              ...(isOn(yearlyOn) && months.includes(MONTHS[counted.month] as (typeof MONTHS)[number])
                ? ["Yearly"]
                : []),
            ];
            const found = tagsOf(policy, { day: counted.day, isLastOfDay: true });
            if (found.join() !== expected.join()) expect({ counted, found }).toEqual({ counted, found: expected });
          }
        },
      ),
      { numRuns: 60 },
    );
  });

  it("of an hourly window go to the day's last run, by the day the window began", () => {
    const policy: Policy = {
      ...SAMPLE_POLICY,
      type: "V2",
      timeZone: "Europe/Berlin",
      schedule: { frequency: "Hourly", windowStart: { hour: 8, minute: 0 }, intervalHours: 4, windowHours: 24 },
    };
    // Sunday 14 June 2026: its last run is on Monday at 04:00 in Berlin.
    const runs = occurrencesIn(policy, new Date("2026-06-14T05:59:00Z"), new Date("2026-06-15T05:59:00Z"));
    expect(runs.map((run) => tagsOf(policy, run))).toEqual([[], [], [], [], [], ["Daily", "Weekly"]]);
  });

  it("of a demonstration are daily, and once a day those of the calendar", () => {
    const policy: Policy = { ...SAMPLE_POLICY, everyMinutes: 720 };
    const runs = occurrencesIn(policy, new Date("2026-06-13T23:59:00Z"), new Date("2026-06-14T23:59:00Z"));
    expect(runs.map((run) => tagsOf(policy, run))).toEqual([["Daily"], ["Daily", "Weekly"]]);
  });
});
