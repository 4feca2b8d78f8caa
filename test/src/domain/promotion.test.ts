import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { addDays, daysBetween, type LocalDay } from "../../../src/domain/calendar.ts";
import type { Policy } from "../../../src/domain/policy.ts";
import { type PromotionFacts, planPromotions } from "../../../src/domain/promotion.ts";
import { tagsOf } from "../../../src/domain/retention-tags.ts";

const POLICY: Pick<Policy, "schedule" | "timeZone" | "retention"> = {
  timeZone: "UTC",
  schedule: { frequency: "Daily", time: { hour: 2, minute: 0 } },
  retention: {
    daily: { keepDays: 30 },
    weekly: { weekdays: ["Wednesday"], keepWeeks: 12 },
    monthly: { on: { format: "Daily", dates: [10], lastDay: false }, keepMonths: 12 },
  },
};
const WEEKLY_ONLY = { ...POLICY, retention: { weekly: { weekdays: ["Wednesday" as const], keepWeeks: 12 } } };

const day = (text: string) => text as LocalDay;
const taken = (days: readonly string[], policy = POLICY) =>
  days.map((text) => ({ id: text, day: day(text), tags: tagsOf(policy, { day: day(text), isLastOfDay: true }) }));

function plan(now: string, days: readonly string[], change: Partial<PromotionFacts> = {}) {
  const policy = change.policy ?? WEEKLY_ONLY;
  const { promotions, standIns } = planPromotions({
    now: new Date(now),
    policy,
    since: new Date("2026-01-01T00:00:00Z"),
    openDays: new Set(),
    points: taken(days, policy),
    ...change,
  });
  return {
    promoted: promotions.map(({ id, tag, missedDay }) => `${id} ${tag} for ${missedDay}`),
    standIns: [...standIns],
  };
}

// 2026-06-14 is a Sunday: the week is 14 to 20 June, and its Wednesday is the 17th.
describe("a missed Wednesday", () => {
  const since = { since: new Date("2026-06-13T00:00:00Z") };

  it("gives its tag to the first later point of the week", () => {
    const found = plan("2026-06-20T12:00:00Z", ["2026-06-15", "2026-06-16", "2026-06-19", "2026-06-20"], since);
    expect(found).toEqual({ promoted: ["2026-06-19 Weekly for 2026-06-17"], standIns: [] });
  });

  it("keeps the latest earlier point in hand until the week is over, and then promotes it", () => {
    const days = ["2026-06-15", "2026-06-16"];
    expect(plan("2026-06-19T12:00:00Z", days, since)).toEqual({ promoted: [], standIns: ["2026-06-16"] });
    expect(plan("2026-06-20T23:59:00Z", days, since)).toEqual({ promoted: [], standIns: ["2026-06-16"] });
    const promoted = ["2026-06-16 Weekly for 2026-06-17"];
    expect(plan("2026-06-21T00:00:00Z", days, since)).toEqual({ promoted, standIns: [] });
  });

  it("does not mind in which order the points come", () => {
    const days = ["2026-06-20", "2026-06-19", "2026-06-16", "2026-06-15"];
    expect(plan("2026-06-20T12:00:00Z", days, since).promoted).toEqual(["2026-06-19 Weekly for 2026-06-17"]);
  });

  it("takes no point of another week", () => {
    expect(plan("2026-06-22T12:00:00Z", ["2026-06-13", "2026-06-21"], since)).toEqual({ promoted: [], standIns: [] });
  });

  it("is not missed while its run is under way, nor before the day is over", () => {
    const openDays = new Set([day("2026-06-17")]);
    expect(plan("2026-06-19T12:00:00Z", ["2026-06-16", "2026-06-18"], { ...since, openDays }).promoted).toEqual([]);
    expect(plan("2026-06-17T23:00:00Z", ["2026-06-16"], since)).toEqual({ promoted: [], standIns: [] });
  });

  it("waits for a later run that is under way at the end of the week", () => {
    const openDays = new Set([day("2026-06-20")]);
    const found = plan("2026-06-22T12:00:00Z", ["2026-06-16"], { ...since, openDays });
    expect(found).toEqual({ promoted: [], standIns: ["2026-06-16"] });
  });

  it("is nobody's loss before the item came under the rule", () => {
    const late = { since: new Date("2026-06-17T12:00:00Z") };
    expect(plan("2026-06-20T12:00:00Z", ["2026-06-18"], late).promoted).toEqual([]);
  });

  it("of an hourly policy is over only when the window's last run is, on the day after", () => {
    const schedule = {
      frequency: "Hourly" as const,
      windowStart: { hour: 8, minute: 0 },
      intervalHours: 4,
      windowHours: 24,
    };
    const hourly = { ...since, policy: { ...WEEKLY_ONLY, schedule } };
    expect(plan("2026-06-18T03:00:00Z", ["2026-06-16"], hourly).standIns).toEqual([]);
    expect(plan("2026-06-19T00:00:00Z", ["2026-06-16"], hourly).standIns).toEqual(["2026-06-16"]);
  });

  it("promotes a point once, for however many missed days", () => {
    const policy = {
      ...POLICY,
      retention: { weekly: { weekdays: ["Monday" as const, "Tuesday" as const], keepWeeks: 1 } },
    };
    expect(plan("2026-06-20T12:00:00Z", ["2026-06-18"], { ...since, policy }).promoted).toEqual([
      "2026-06-18 Weekly for 2026-06-15",
    ]);
  });

  it("asks for nothing when a later point has the tag of its own", () => {
    const policy = {
      ...POLICY,
      retention: { weekly: { weekdays: ["Monday" as const, "Tuesday" as const], keepWeeks: 1 } },
    };
    expect(plan("2026-06-20T12:00:00Z", ["2026-06-16", "2026-06-18"], { ...since, policy }).promoted).toEqual([]);
  });
});

it("A missed 10th gives its monthly tag to the next point of the month, and a missed day of the year to one of the year", () => {
  const on = { format: "Daily" as const, dates: [10], lastDay: false };
  const retention = { monthly: { on, keepMonths: 12 }, yearly: { months: ["June" as const], on, keepYears: 9 } };
  const found = plan("2026-07-20T12:00:00Z", ["2026-06-05", "2026-07-10"], { policy: { ...POLICY, retention } });
  expect(found.promoted.toSorted()).toEqual(["2026-06-05 Monthly for 2026-06-10", "2026-07-10 Yearly for 2026-06-10"]);
});

it("Carried out day by day with any days missed, every week and month with a point has one with its tag, and no plan repeats", () => {
  const first = day("2026-02-01");
  const last = day("2026-07-25");
  const all = daysBetween(first, last);
  fc.assert(
    fc.property(fc.array(fc.boolean(), { minLength: all.length, maxLength: all.length }), (succeeds) => {
      let points = taken([]);
      for (const [at, today] of all.entries()) {
        const facts = {
          now: new Date(`${today}T12:00:00Z`),
          policy: POLICY,
          since: new Date(`${addDays(first, -1)}T00:00:00Z`),
          openDays: new Set<LocalDay>(),
        };
        for (const round of [1, 2]) {
          const { promotions } = planPromotions({ ...facts, points });
          if (round === 2) expect(promotions).toEqual([]);
          points = points.map((one) => ({
            ...one,
            tags: [...one.tags, ...promotions.filter(({ id }) => id === one.id).map(({ tag }) => tag)],
          }));
        }
        if (succeeds[at]) points = [...points, ...taken([today])];
      }
      // Whole weeks and months that have ended before the last day.
      for (let week = first; week < "2026-07-19"; week = addDays(week, 7)) {
        const inWeek = points.filter((one) => one.day >= week && one.day <= addDays(week, 6));
        if (inWeek.length > 0) expect(inWeek.some(({ tags }) => tags.includes("Weekly"))).toBe(true);
      }
      for (const month of ["2026-02", "2026-03", "2026-04", "2026-05", "2026-06"]) {
        const inMonth = points.filter((one) => one.day.startsWith(month));
        if (inMonth.length > 0) expect(inMonth.some(({ tags }) => tags.includes("Monthly"))).toBe(true);
      }
    }),
    { numRuns: 25 },
  );
});
