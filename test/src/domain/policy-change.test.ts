import { describe, expect, it } from "vitest";
import type { Policy } from "../../../src/domain/policy.ts";
import { formerWeeklyRuleAfter, previewRetention, shortenedRules } from "../../../src/domain/policy-change.ts";
import type { RetainedPoint, RetentionFacts } from "../../../src/domain/retention.ts";

const time = { hour: 2, minute: 0 };
const weeklyRule = { weekdays: ["Sunday" as const], keepWeeks: 4 };
const WEEKLY = {
  schedule: { frequency: "Weekly" as const, days: ["Sunday" as const], time },
  retention: { weekly: weeklyRule },
};
const DAILY = { schedule: { frequency: "Daily" as const, time }, retention: { daily: { keepDays: 30 } } };
const DAILY_AND_WEEKLY = { ...DAILY, retention: { ...DAILY.retention, weekly: { ...weeklyRule, keepWeeks: 9 } } };

describe("the rule that weekly points live out", () => {
  it("is that of the weekly schedule which a daily one follows, and stays through further edits", () => {
    const after = formerWeeklyRuleAfter(WEEKLY, DAILY, undefined);
    expect(after).toEqual(weeklyRule);
    expect(formerWeeklyRuleAfter(DAILY, { ...DAILY, retention: { daily: { keepDays: 7 } } }, after)).toEqual(
      weeklyRule,
    );
  });

  it("ends where a policy has a weekly rule of its own", () => {
    expect(formerWeeklyRuleAfter(DAILY, DAILY_AND_WEEKLY, weeklyRule)).toBeUndefined();
    expect(formerWeeklyRuleAfter(WEEKLY, DAILY_AND_WEEKLY, undefined)).toBeUndefined();
  });

  it("does not come from a rule that a daily policy dropped: that was an edit, and the latest wins", () => {
    expect(formerWeeklyRuleAfter(DAILY_AND_WEEKLY, DAILY, undefined)).toBeUndefined();
  });
});

describe("a preview", () => {
  const now = new Date("2026-06-15T12:00:00Z");
  const DAY_MS = 24 * 60 * 60_000;
  const point = (id: string, age: number, tag: "Daily" | "Weekly"): RetainedPoint => {
    const at = new Date(now.getTime() - age * DAY_MS);
    return {
      id,
      scheduledAt: at,
      takenAt: at,
      origin: { kind: "Scheduled", tags: [tag] },
      hasSnapshot: false,
      inVault: "Present",
    };
  };
  const policy = (of: Pick<Policy, "retention">) => ({
    retention: of.retention,
    timeZone: "UTC",
    instantRestoreDays: 2,
  });
  const factsUnder = (of: Pick<Policy, "retention">): RetentionFacts => ({ now, item: "InForce", policy: policy(of) });

  it("tells what goes at the next clean-up, what goes sooner, and what stays longer", () => {
    const points = [point("old", 20, "Daily"), point("young", 5, "Daily"), point("last", 1, "Daily")];
    const shorter = { policy: policy({ retention: { daily: { keepDays: 10 } } }) };
    expect(previewRetention(points, factsUnder(DAILY), shorter)).toEqual({
      expiring: ["old"],
      shortened: ["young", "last"],
      lengthened: [],
    });
    const longer = { policy: policy({ retention: { daily: { keepDays: 100 } } }) };
    expect(previewRetention(points, factsUnder(DAILY), longer).lengthened).toEqual(["old", "young", "last"]);
  });

  it("knows the rule that weekly points live out", () => {
    const points = [point("weekly", 10, "Weekly"), point("last", 1, "Weekly")];
    const after = { policy: policy(DAILY), formerWeeklyRule: weeklyRule };
    const nothing = { expiring: [], shortened: [], lengthened: [] };
    expect(previewRetention(points, factsUnder(WEEKLY), after)).toEqual(nothing);
    expect(previewRetention(points, factsUnder(WEEKLY), { policy: policy(DAILY) }).expiring).toEqual(["weekly"]);
    // A rule of the past does not go on in a preview that leaves it out.
    const past = { ...factsUnder(DAILY), formerWeeklyRule: weeklyRule };
    expect(previewRetention(points, past, { policy: policy(DAILY) }).expiring).toEqual(["weekly"]);
  });
});

it("An immutable vault refuses what keeps less, and nothing else: 35 days to 30 is shorter, 35 to 40 is not", () => {
  const days = (keepDays: number) => ({ daily: { keepDays } });
  expect(shortenedRules(days(35), days(30))).toEqual(["Daily"]);
  expect(shortenedRules(days(35), days(40))).toEqual([]);
  expect(shortenedRules({ ...days(35), weekly: weeklyRule }, days(35))).toEqual(["Weekly"]);
  expect(shortenedRules(days(35), { ...days(35), weekly: weeklyRule })).toEqual([]);
});
