import fc from "fast-check";
import { describe, expect, it } from "vitest";
import type { Policy, RetentionRules } from "../../../src/domain/policy.ts";
import {
  expiryOf,
  type PointPlan,
  planExpiry,
  type RetainedPoint,
  type RetentionFacts,
} from "../../../src/domain/retention.ts";
import { RETENTION_TAGS, tagsOf } from "../../../src/domain/retention-tags.ts";
import { occurrencesIn } from "../../../src/domain/schedule.ts";
import { SAMPLE_POLICY } from "./sample-policy.ts";

const DAY_MS = 24 * 60 * 60_000;
const NOW = new Date("2026-06-15T12:00:00Z");

function pointsOfRuns(policy: Policy, after: string, until: string): RetainedPoint[] {
  return occurrencesIn(policy, new Date(after), new Date(until)).map((run) => ({
    id: run.scheduledAt.toISOString(),
    scheduledAt: run.scheduledAt,
    takenAt: run.scheduledAt,
    origin: { kind: "Scheduled", tags: tagsOf(policy, run) },
    hasSnapshot: false,
    inVault: "Present",
  }));
}

const point = (id: string, change: Partial<RetainedPoint> = {}): RetainedPoint => {
  const at = change.scheduledAt ?? new Date(NOW.getTime() - 100 * DAY_MS);
  return {
    id,
    scheduledAt: at,
    takenAt: at,
    origin: { kind: "Scheduled", tags: ["Daily"] },
    hasSnapshot: false,
    inVault: "Present",
    ...change,
  };
};
const daysAgo = (days: number) => new Date(NOW.getTime() - days * DAY_MS);
const inDays = (days: number) => daysAgo(-days);
const facts = (change: Partial<RetentionFacts> = {}): RetentionFacts => ({
  now: NOW,
  item: "InForce",
  policy: SAMPLE_POLICY,
  ...change,
});
const onDemand = (retainUntil: Date) => ({ kind: "OnDemand" as const, retainUntil });
const rules = (retention: RetentionRules) => ({ policy: { ...SAMPLE_POLICY, retention } });
const kept = (plans: readonly PointPlan[]) => plans.filter(({ vault }) => vault.action === "keep").map(({ id }) => id);
const because = (plan: PointPlan | undefined, copy: "vault" | "snapshot" = "vault") => {
  const planned = plan?.[copy];
  return planned === undefined || planned.action === "none" ? [] : planned.reasons.map((reason) => reason.because);
};
/** A newer point, so that the one in question is not the last. */
const newer = point("newer", { scheduledAt: daysAgo(1), hasSnapshot: true });

describe("the sample of 2016, on the first morning of 2017", () => {
  const points = pointsOfRuns(SAMPLE_POLICY, "2015-12-31T12:00:00Z", "2016-12-31T12:00:00Z");
  const plans = planExpiry(points, facts({ now: new Date("2017-01-01T03:00:00Z") }));
  const withTag = (tag: string) =>
    points.filter(({ origin }) => origin.kind === "Scheduled" && origin.tags.some((t) => t === tag));
  const keptFor = (tag: string) =>
    plans.filter(
      ({ vault }) => vault.action === "keep" && vault.reasons.some((r) => r.because === "rule" && r.tag === tag),
    );

  it("keeps 77 recovery points of 366", () => {
    expect(points).toHaveLength(366);
    expect(kept(plans)).toHaveLength(77);
  });

  it("keeps 29 as daily ones: that of 2 December has expired an hour ago", () => {
    const days = keptFor("Daily").map(({ id }) => id.slice(5, 10));
    expect(days).toHaveLength(29);
    expect([days[0], days.at(-1)]).toEqual(["12-03", "12-31"]);
    const gone = plans.find(({ id }) => id.startsWith("2016-12-02"));
    const reason = { because: "rule-over", tag: "Daily", since: new Date("2017-01-01T02:00:00Z") };
    expect(gone?.vault).toEqual({ action: "expire", reasons: [reason] });
  });

  it("keeps all 52 Sundays, 12 of them as monthly ones", () => {
    expect(keptFor("Weekly")).toHaveLength(52);
    expect(keptFor("Monthly")).toHaveLength(12);
    expect(withTag("Monthly").map(({ id }) => id.slice(5, 10))).toEqual([
      "01-31",
      "02-28",
      "03-27",
      "04-24",
      "05-29",
      "06-26",
      "07-31",
      "08-28",
      "09-25",
      "10-30",
      "11-27",
      "12-25",
    ]);
  });

  it("keeps 3 January until 3 January 2115", () => {
    expect(keptFor("Yearly").map(({ id }) => id)).toEqual(["2016-01-03T02:00:00.000Z"]);
    const plan = keptFor("Yearly")[0]?.vault;
    expect(plan?.action === "keep" && plan.expiresAt).toEqual(new Date("2115-01-03T02:00:00Z"));
  });
});

describe("durations", () => {
  const ends = (scheduledAt: string, retention: RetentionRules, timeZone = "UTC") =>
    expiryOf(
      point("p", { scheduledAt: new Date(scheduledAt), origin: { kind: "Scheduled", tags: RETENTION_TAGS } }),
      facts({ policy: { ...SAMPLE_POLICY, timeZone, retention } }),
    )?.toISOString();
  const on = { format: "Daily" as const, dates: [31], lastDay: false };

  it("of days and weeks are multiples of 24 hours, whatever the clocks do", () => {
    expect(ends("2026-03-28T01:30:00Z", { daily: { keepDays: 7 } }, "Europe/Berlin")).toBe("2026-04-04T01:30:00.000Z");
    const weekly = { weekdays: ["Saturday" as const], keepWeeks: 2 };
    expect(ends("2026-03-28T01:30:00Z", { weekly }, "Europe/Berlin")).toBe("2026-04-11T01:30:00.000Z");
  });

  it("are over at their very end, and not a moment before", () => {
    const policy = { ...SAMPLE_POLICY, retention: { daily: { keepDays: 30 } } };
    const points = [point("p", { scheduledAt: daysAgo(30) }), newer];
    expect(kept(planExpiry(points, facts({ policy })))).toEqual(["newer"]);
    const before = new Date(NOW.getTime() - 1);
    expect(kept(planExpiry(points, facts({ policy, now: before })))).toEqual(["p", "newer"]);
  });

  it("of months go by the calendar, with the last day of a shorter month", () => {
    expect(ends("2026-01-31T02:00:00Z", { monthly: { on, keepMonths: 1 } })).toBe("2026-02-28T02:00:00.000Z");
    expect(ends("2028-01-31T02:00:00Z", { monthly: { on, keepMonths: 1 } })).toBe("2028-02-29T02:00:00.000Z");
    expect(ends("2026-01-31T02:00:00Z", { monthly: { on, keepMonths: 15 } })).toBe("2027-04-30T02:00:00.000Z");
    const yearly = { months: ["February" as const], on, keepYears: 1 };
    expect(ends("2028-02-29T02:00:00Z", { yearly })).toBe("2029-02-28T02:00:00.000Z");
  });

  it("of months keep the time of day of the policy's zone", () => {
    // 02:30 in winter is 01:30 UTC, in summer 00:30.
    expect(ends("2026-01-10T01:30:00Z", { monthly: { on, keepMonths: 6 } }, "Europe/Berlin")).toBe(
      "2026-07-10T00:30:00.000Z",
    );
    expect(ends("2026-02-28T23:30:00Z", { monthly: { on, keepMonths: 1 } }, "Pacific/Auckland")).toBe(
      "2026-03-31T23:30:00.000Z",
    );
    // 29 March has no 02:30: the first instant after the gap.
    expect(ends("2026-01-29T01:30:00Z", { monthly: { on, keepMonths: 2 } }, "Europe/Berlin")).toBe(
      "2026-03-29T01:00:00.000Z",
    );
  });

  it("are those of the longest rule, senior or not", () => {
    const yearly = { months: ["May" as const], on, keepYears: 1 };
    const weekly = { weekdays: ["Sunday" as const], keepWeeks: 520 };
    expect(ends("2026-05-31T02:00:00Z", { weekly, yearly })).toBe("2036-05-18T02:00:00.000Z");
  });
});

describe("an edited policy", () => {
  it("acts on the points that exist: up, down, and the latest wins", () => {
    const old = point("old", { scheduledAt: daysAgo(50) });
    expect(kept(planExpiry([old, newer], facts(rules({ daily: { keepDays: 30 } }))))).toEqual(["newer"]);
    expect(kept(planExpiry([old, newer], facts(rules({ daily: { keepDays: 100 } }))))).toEqual(["old", "newer"]);
    expect(kept(planExpiry([old, newer], facts(rules({ daily: { keepDays: 7 } }))))).toEqual(["newer"]);
  });

  it("does not touch points that were taken on demand", () => {
    const asked = point("asked", { scheduledAt: daysAgo(50), origin: onDemand(inDays(1)) });
    const over = point("over", { scheduledAt: daysAgo(2), origin: onDemand(daysAgo(1)) });
    const plans = planExpiry([asked, over, newer], facts(rules({ daily: { keepDays: 9999 } })));
    expect(kept(plans)).toEqual(["asked", "newer"]);
    expect(because(plans[1])).toEqual(["on-demand-over"]);
  });

  it("with a new rule lifts no point without its tag", () => {
    const monthly = point("monthly", {
      scheduledAt: daysAgo(500),
      origin: { kind: "Scheduled", tags: ["Daily", "Monthly"] },
    });
    const on = { format: "Daily" as const, dates: [1], lastDay: false };
    const yearly = { months: ["January" as const], on, keepYears: 50 };
    expect(kept(planExpiry([monthly, newer], facts(rules({ daily: { keepDays: 30 }, yearly }))))).toEqual(["newer"]);
  });

  it("from daily to weekly lets the daily points go, and keeps those with the weekly tag", () => {
    const daily = point("daily", { scheduledAt: daysAgo(3) });
    const both = point("both", { scheduledAt: daysAgo(4), origin: { kind: "Scheduled", tags: ["Daily", "Weekly"] } });
    const plans = planExpiry([daily, both, newer], facts(rules({ weekly: { weekdays: ["Sunday"], keepWeeks: 4 } })));
    expect(kept(plans)).toEqual(["both", "newer"]);
    expect(plans[0]?.vault).toEqual({ action: "expire", reasons: [{ because: "rule-gone", tag: "Daily" }] });
  });

  it("from weekly to daily lets the weekly points live out the rule they were under", () => {
    const weekly = (id: string, days: number) =>
      point(id, { scheduledAt: daysAgo(days), origin: { kind: "Scheduled", tags: ["Weekly"] } });
    const points = [weekly("young", 20), weekly("old", 30), newer];
    const formerWeeklyRule = { weekdays: ["Sunday" as const], keepWeeks: 4 };
    const after = facts({ ...rules({ daily: { keepDays: 7 } }), formerWeeklyRule });
    expect(kept(planExpiry(points, after))).toEqual(["young", "newer"]);
  });
});

describe("what is kept whatever the rules say", () => {
  it("is the last point of an item, in both tiers, and the last means the newest", () => {
    const old = point("old", { scheduledAt: daysAgo(90), hasSnapshot: true });
    const last = point("last", { scheduledAt: daysAgo(80), hasSnapshot: true });
    for (const item of ["InForce", "BackupsSuspended"] as const) {
      const plans = planExpiry([last, old], facts({ item }));
      expect(plans.map(({ vault, snapshot }) => [vault.action, snapshot.action])).toEqual([
        ["keep", "keep"],
        ["expire", "expire"],
      ]);
      expect([because(plans[0]), because(plans[0], "snapshot")]).toEqual([["last-point"], ["last-point"]]);
    }
  });

  it("is the last one in the vault besides a newer one that is only a snapshot", () => {
    const vaulted = point("vaulted", { scheduledAt: daysAgo(90) });
    const snapshot = point("snapshot", { scheduledAt: daysAgo(80), hasSnapshot: true, inVault: "Absent" });
    const plans = planExpiry([vaulted, snapshot], facts());
    expect([because(plans[0]), because(plans[1], "snapshot")]).toEqual([["last-point"], ["last-point"]]);
  });

  it("is the newest that can be restored: a damaged one does not stand for it", () => {
    const sound = point("sound", { scheduledAt: daysAgo(90) });
    const damaged = point("damaged", { scheduledAt: daysAgo(80), isDamaged: true });
    expect(kept(planExpiry([sound, damaged], facts()))).toEqual(["sound"]);
    expect(kept(planExpiry([damaged], facts()))).toEqual(["damaged"]);
  });

  it("goes by what a point holds, not by when it was due: a late run is newer than one on demand before it", () => {
    const late = point("late", { scheduledAt: daysAgo(90), takenAt: daysAgo(88) });
    const between = point("between", { scheduledAt: daysAgo(89), origin: onDemand(daysAgo(88)) });
    expect(kept(planExpiry([late, between], facts()))).toEqual(["late"]);
  });

  it("is everything while protection is stopped or the item is soft-deleted, without an end", () => {
    const old = point("old", { scheduledAt: daysAgo(5000), hasSnapshot: true });
    const asked = point("asked", { origin: onDemand(daysAgo(5)) });
    for (const item of ["ProtectionStopped", "SoftDeleted"] as const) {
      const plans = planExpiry([old, asked, newer], facts({ item }));
      expect(kept(plans)).toEqual(["old", "asked", "newer"]);
      expect(plans[0]?.snapshot.action).toBe("keep");
      for (const { vault } of plans) expect(vault.action === "keep" && vault.expiresAt).toBeUndefined();
    }
    // Resumed, the expired ones go at the next clean-up.
    expect(kept(planExpiry([old, asked, newer], facts()))).toEqual(["newer"]);
  });

  it("is what is held, what has a floor, and what may have to stand in for a missed day", () => {
    const held = point("held", { hold: "a court asked for it" });
    const floor = point("floor", { keepUntil: inDays(1) });
    const past = point("past", { keepUntil: daysAgo(1) });
    const standIn = point("stand-in");
    const plans = planExpiry([held, floor, past, standIn, newer], facts({ standIns: new Set(["stand-in"]) }));
    expect(kept(plans)).toEqual(["held", "floor", "stand-in", "newer"]);
    expect(plans.slice(0, 4).map((plan) => because(plan)[0])).toEqual(["held", "kept-until", "rule-over", "stands-in"]);
  });

  it("is what is still on its way into the vault", () => {
    const plans = planExpiry([point("p", { inVault: "Pending", hasSnapshot: true }), newer], facts());
    expect([because(plans[0]), because(plans[0], "snapshot")]).toEqual([["transfer-pending"], ["transfer-pending"]]);
  });
});

describe("a snapshot", () => {
  const snapshot = (days: number, change: Partial<RetainedPoint> = {}) =>
    point("p", { scheduledAt: daysAgo(days), hasSnapshot: true, ...change });
  const action = (of: RetainedPoint, change: Partial<RetentionFacts> = {}) =>
    planExpiry([of, newer], facts(change))[0]?.snapshot.action;

  it("stays for the days of instant restore, while its point stays on in the vault", () => {
    expect(action(snapshot(2 - 1e-6))).toBe("keep");
    expect(action(snapshot(2))).toBe("expire");
    expect(planExpiry([snapshot(2), newer], facts())[0]?.vault.action).toBe("keep");
  });

  it("goes with its point, even within those days", () => {
    expect(action(snapshot(1.5, { origin: onDemand(daysAgo(0.5)) }))).toBe("expire");
    expect(action(snapshot(1.5), rules({ weekly: { weekdays: ["Sunday"], keepWeeks: 4 } }))).toBe("expire");
  });

  it("that is the only copy goes after those days, whatever its tags", () => {
    expect(action(snapshot(3, { inVault: "Absent" }))).toBe("expire");
    expect(action(snapshot(3, { inVault: "Absent", hold: "court" }))).toBe("keep");
  });

  it("stays while the next transfer needs it to read what changed", () => {
    expect(action(snapshot(3, { isDiffBase: true }))).toBe("keep");
  });
});

describe("any plan", () => {
  const days = fc.integer({ min: 0, max: 400 * 4 }).map((quarters) => quarters / 4);
  const somePoint: fc.Arbitrary<RetainedPoint> = fc
    .record({
      age: days,
      lateness: fc.constantFrom(0, 0, 0, 0.5),
      tags: fc.subarray([...RETENTION_TAGS]),
      asked: fc.option(fc.integer({ min: -400, max: 400 }), { nil: undefined }),
      hasSnapshot: fc.boolean(),
      inVault: fc.constantFrom("Absent" as const, "Pending" as const, "Present" as const, "Present" as const),
      isDamaged: fc.boolean(),
      keepUntil: fc.option(fc.integer({ min: -50, max: 50 }), { nil: undefined, freq: 3 }),
      hold: fc.option(fc.constant("held"), { nil: undefined, freq: 9 }),
      isDiffBase: fc.boolean(),
    })
    .map(({ age, lateness, tags, asked, keepUntil, hold, ...rest }) =>
      point("", {
        ...rest,
        scheduledAt: daysAgo(age),
        takenAt: daysAgo(age - lateness),
        origin: asked === undefined ? { kind: "Scheduled", tags } : onDemand(inDays(asked)),
        ...(keepUntil === undefined ? {} : { keepUntil: inDays(keepUntil) }),
        ...(hold === undefined ? {} : { hold }),
      }),
    );
  const somePoints = fc
    .array(somePoint, { minLength: 1, maxLength: 12 })
    .map((points) => points.map((one, at) => ({ ...one, id: `p${at}` })));
  const someFacts = fc.record({
    item: fc.constantFrom("InForce" as const, "BackupsSuspended" as const, "ProtectionStopped" as const),
    daily: fc.option(fc.integer({ min: 7, max: 200 }), { nil: undefined }),
    weekly: fc.option(fc.integer({ min: 1, max: 60 }), { nil: undefined }),
    monthly: fc.option(fc.integer({ min: 1, max: 24 }), { nil: undefined }),
    yearly: fc.option(fc.integer({ min: 1, max: 3 }), { nil: undefined }),
    zone: fc.constantFrom("UTC", "Europe/Berlin", "Asia/Kathmandu"),
    instantRestoreDays: fc.integer({ min: 1, max: 30 }),
  });
  const on = { format: "Daily" as const, dates: [1], lastDay: false };
  const factsOf = (f: {
    item: "InForce" | "BackupsSuspended" | "ProtectionStopped";
    daily: number | undefined;
    weekly: number | undefined;
    monthly: number | undefined;
    yearly: number | undefined;
    zone: string;
    instantRestoreDays: number;
  }): RetentionFacts => ({
    now: NOW,
    item: f.item,
    policy: {
      timeZone: f.zone,
      instantRestoreDays: f.instantRestoreDays,
      retention: {
        ...(f.daily === undefined ? {} : { daily: { keepDays: f.daily } }),
        ...(f.weekly === undefined ? {} : { weekly: { weekdays: ["Sunday"], keepWeeks: f.weekly } }),
        ...(f.monthly === undefined ? {} : { monthly: { on, keepMonths: f.monthly } }),
        ...(f.yearly === undefined ? {} : { yearly: { months: ["January"], on, keepYears: f.yearly } }),
      },
    },
  });
  const afterwards = (points: readonly RetainedPoint[], plans: readonly PointPlan[]): RetainedPoint[] =>
    points.map((one, at) => ({
      ...one,
      hasSnapshot: plans[at]?.snapshot.action === "keep",
      inVault: plans[at]?.vault.action === "expire" ? "Absent" : one.inVault,
    }));

  it("lets nothing go that is held, has a floor ahead, or was asked to be kept until later", () => {
    fc.assert(
      fc.property(somePoints, someFacts, (points, some) => {
        planExpiry(points, factsOf(some)).forEach((plan, at) => {
          const of = points[at] as RetainedPoint;
          if (plan.vault.action !== "expire") return;
          expect(of.hold).toBeUndefined();
          expect(of.keepUntil === undefined || of.keepUntil <= NOW).toBe(true);
          expect(of.origin.kind === "Scheduled" || of.origin.retainUntil <= NOW).toBe(true);
          expect(of.inVault).toBe("Present");
          const ends = expiryOf(of, factsOf(some));
          expect(ends === undefined || ends <= NOW).toBe(true);
        });
      }),
    );
  });

  it("leaves a point that can be restored, where there was one", () => {
    const canRestore = ({ hasSnapshot, inVault, isDamaged }: RetainedPoint) =>
      hasSnapshot || (inVault === "Present" && isDamaged !== true);
    fc.assert(
      fc.property(somePoints, someFacts, (points, some) => {
        const left = afterwards(points, planExpiry(points, factsOf(some)));
        expect(left.some(canRestore)).toBe(points.some(canRestore));
      }),
    );
  });

  it("once carried out leaves nothing to do, and takes nothing from what stays", () => {
    fc.assert(
      fc.property(somePoints, someFacts, (points, some) => {
        const left = afterwards(points, planExpiry(points, factsOf(some)));
        for (const { vault, snapshot } of planExpiry(left, factsOf(some))) {
          expect([vault.action, snapshot.action]).not.toContain("expire");
        }
      }),
    );
  });

  it("does not depend on points that go: the first, one in the middle, or one on demand takes nothing along", () => {
    fc.assert(
      fc.property(somePoints, someFacts, (points, some) => {
        const plans = planExpiry(points, factsOf(some));
        const hasGone = ({ vault, snapshot }: PointPlan) => vault.action !== "keep" && snapshot.action !== "keep";
        const staying = points.filter((_, at) => !hasGone(plans[at] as PointPlan));
        expect(planExpiry(staying, factsOf(some))).toEqual(plans.filter((plan) => !hasGone(plan)));
      }),
    );
  });

  it("with longer rules lets no more go", () => {
    fc.assert(
      fc.property(somePoints, someFacts, fc.integer({ min: 0, max: 50 }), (points, some, more) => {
        const longer = {
          ...some,
          daily: (some.daily ?? 0) + more + 7,
          weekly: (some.weekly ?? 0) + more + 1,
          monthly: (some.monthly ?? 0) + more + 1,
          yearly: (some.yearly ?? 0) + more + 1,
        };
        const keptBefore = kept(planExpiry(points, factsOf(some)));
        expect(kept(planExpiry(points, factsOf(longer)))).toEqual(expect.arrayContaining(keptBefore));
      }),
    );
  });
});
