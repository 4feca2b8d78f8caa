import { describe, expect, it } from "vitest";
import { DEFAULT_POLICIES } from "../../../src/domain/default-policies.ts";
import type { Policy, Schedule } from "../../../src/domain/policy.ts";
import { brokenRulesOf, requireValidPolicy, warningsOf } from "../../../src/domain/policy-validation.ts";

const time = { hour: 2, minute: 0 };
const DAILY = DEFAULT_POLICIES.DefaultPolicy as Policy;
const HOURLY = DEFAULT_POLICIES.EnhancedPolicy as Policy;
const weekly = { weekdays: ["Sunday" as const], keepWeeks: 4 };
const WEEKLY: Policy = {
  ...DAILY,
  schedule: { frequency: "Weekly", days: ["Sunday", "Friday"], time },
  retention: { weekly },
  instantRestoreDays: 5,
};
const monthlyOn = (on: NonNullable<Policy["retention"]["monthly"]>["on"]): Policy => ({
  ...DAILY,
  retention: { ...DAILY.retention, monthly: { on, keepMonths: 12 } },
});
const window = (change: Partial<Extract<Schedule, { frequency: "Hourly" }>>): Policy => ({
  ...HOURLY,
  schedule: { frequency: "Hourly", windowStart: time, intervalHours: 4, windowHours: 24, ...change },
});
const found = (policy: Policy, before?: Policy) =>
  brokenRulesOf(policy, before).map(({ rule, field }) => `${rule} ${field}`);

describe("the policies that every vault has", () => {
  it("are valid and give no warning", () => {
    expect(Object.keys(DEFAULT_POLICIES)).toEqual(["DefaultPolicy", "EnhancedPolicy"]);
    for (const policy of [...Object.values(DEFAULT_POLICIES), WEEKLY]) {
      expect([found(policy), warningsOf(policy)]).toEqual([[], []]);
    }
  });

  it("are once a day for 30 days with snapshots for 2, and every four hours", () => {
    expect(DAILY).toMatchObject({ type: "V1", retention: { daily: { keepDays: 30 } }, instantRestoreDays: 2 });
    expect(HOURLY).toMatchObject({ type: "V2", schedule: { frequency: "Hourly", intervalHours: 4 } });
  });
});

describe("a policy is refused, with the rule and the field", () => {
  const schedule = "schedulePolicy";
  const retention = "retentionPolicy";
  it.each<readonly [string, Policy, string[]]>([
    ["an unknown zone", { ...DAILY, timeZone: "Berlin" }, ["time-zone timeZone"]],
    [
      "hours in V1",
      { ...HOURLY, type: "V1", instantRestoreDays: 5 },
      [`schedule-kind ${schedule}.scheduleRunFrequency`],
    ],
    [
      "a time that no clock shows",
      { ...DAILY, schedule: { frequency: "Daily", time: { hour: 24, minute: 0 } } },
      [`schedule-time ${schedule}.scheduleRunTimes`],
    ],
    [
      "a week without days",
      { ...WEEKLY, schedule: { frequency: "Weekly", days: [], time } },
      [`schedule-days ${schedule}.scheduleRunDays`, `retention-days ${retention}.weeklySchedule.daysOfTheWeek`],
    ],
    ["an interval of 5 hours", window({ intervalHours: 5 }), [`hourly-interval ${schedule}.hourlySchedule.interval`]],
    [
      "a window of 25 hours",
      window({ windowHours: 25 }),
      [`hourly-window ${schedule}.hourlySchedule.scheduleWindowDuration`],
    ],
    [
      "a window without room for a run",
      window({ intervalHours: 12, windowHours: 8 }),
      [`hourly-window ${schedule}.hourlySchedule.scheduleWindowDuration`],
    ],
    ["runs every 0 minutes", { ...DAILY, everyMinutes: 0 }, ["every-minutes everyMinutes"]],
    [
      "a daily schedule without a daily rule",
      { ...DAILY, retention: { weekly } },
      [`daily-rule ${retention}.dailySchedule`],
    ],
    [
      "a weekly schedule without a weekly rule",
      { ...WEEKLY, retention: {} },
      [`weekly-rule ${retention}.weeklySchedule`],
    ],
    [
      "a weekly schedule with a daily rule",
      { ...WEEKLY, retention: { weekly, daily: { keepDays: 7 } } },
      [`daily-rule ${retention}.dailySchedule`],
    ],
    [
      "6 days",
      { ...DAILY, retention: { daily: { keepDays: 6 } } },
      [`keep-count ${retention}.dailySchedule.retentionDuration.count`],
    ],
    [
      "10,000 days",
      { ...DAILY, retention: { daily: { keepDays: 10_000 } } },
      [`keep-count ${retention}.dailySchedule.retentionDuration.count`],
    ],
    [
      "0 weeks",
      { ...DAILY, retention: { ...DAILY.retention, weekly: { ...weekly, keepWeeks: 0 } } },
      [`keep-count ${retention}.weeklySchedule.retentionDuration.count`],
    ],
    [
      "another time than the schedule's",
      { ...DAILY, retention: { daily: { keepDays: 30, times: [{ hour: 2, minute: 30 }] } } },
      [`retention-time ${retention}.dailySchedule.retentionTimes`],
    ],
    [
      "a weekday on which a weekly schedule does not run",
      { ...WEEKLY, retention: { weekly: { ...weekly, weekdays: ["Monday"] } } },
      [`retention-days ${retention}.weeklySchedule.daysOfTheWeek`],
    ],
    [
      "the 32nd",
      monthlyOn({ format: "Daily", dates: [32], lastDay: false }),
      [`retention-days ${retention}.monthlySchedule.retentionScheduleDaily.daysOfTheMonth`],
    ],
    [
      "no date at all",
      monthlyOn({ format: "Daily", dates: [], lastDay: false }),
      [`retention-days ${retention}.monthlySchedule.retentionScheduleDaily.daysOfTheMonth`],
    ],
    [
      "no week",
      monthlyOn({ format: "Weekly", weekdays: ["Sunday"], weeks: [] }),
      [`retention-days ${retention}.monthlySchedule.retentionScheduleWeekly.weeksOfTheMonth`],
    ],
    ["0 snapshot days", { ...DAILY, instantRestoreDays: 0 }, ["instant-days instantRpRetentionRangeInDays"]],
    ["6 snapshot days in V1", { ...DAILY, instantRestoreDays: 6 }, ["instant-days instantRpRetentionRangeInDays"]],
    [
      "31 snapshot days in V2",
      { ...HOURLY, instantRestoreDays: 31 },
      ["instant-days instantRpRetentionRangeInDays", "instant-exceeds-vault instantRpRetentionRangeInDays"],
    ],
    [
      "4 snapshot days of a weekly V1",
      { ...WEEKLY, instantRestoreDays: 4 },
      ["instant-days instantRpRetentionRangeInDays"],
    ],
    [
      "a slash in a group's name",
      { ...DAILY, snapshotGroup: { prefix: "a/b", suffix: "" } },
      ["group-affix instantRPDetails.azureBackupRGNamePrefix"],
    ],
    [
      "a suffix alone",
      { ...DAILY, snapshotGroup: { prefix: "", suffix: "x" } },
      ["group-affix instantRPDetails.azureBackupRGNameSuffix"],
    ],
  ])("%s", (_what, policy, expected) => {
    expect(found(policy)).toEqual(expected);
  });

  it("and named for all broken rules at once, in one failure", () => {
    const policy = { ...DAILY, timeZone: "Mars", instantRestoreDays: 9, retention: { daily: { keepDays: 1 } } };
    expect(() => requireValidPolicy(policy)).toThrow(
      expect.objectContaining({
        code: "BMSUserErrorInvalidPolicyInput",
        message: expect.stringMatching(/timeZone.*dailySchedule.*instantRpRetentionRangeInDays/s),
      }),
    );
  });

  it("under a code of its own when only the snapshots outlive the vault", () => {
    const policy = { ...HOURLY, instantRestoreDays: 8, retention: { daily: { keepDays: 7 } } };
    expect(() => requireValidPolicy(policy)).toThrow(
      expect.objectContaining({ code: "BMSUserErrorInstantRPRetentionExceedsVaultedRetention" }),
    );
    expect(() => requireValidPolicy({ ...policy, instantRestoreDays: 7 })).not.toThrow();
  });
});

describe("a policy is accepted", () => {
  it("with fewer days than today's least, as long as an edit leaves them alone", () => {
    const old = { ...DAILY, retention: { daily: { keepDays: 3 } } };
    expect(found({ ...old, timeZone: "Europe/Berlin" }, old)).toEqual([]);
    expect(found({ ...old, retention: { daily: { keepDays: 4 } } }, old)).toHaveLength(1);
  });

  it("at any minute, and with a window that is no multiple of its interval, which it is warned of", () => {
    expect(found({ ...DAILY, schedule: { frequency: "Daily", time: { hour: 2, minute: 7 } } })).toEqual([]);
    const sample = window({ windowHours: 23 });
    expect(found(sample)).toEqual([]);
    expect(warningsOf(sample)).toEqual([expect.stringContaining("23 hours")]);
  });

  it("with a warning when a senior rule is shorter than a junior one", () => {
    const policy = { ...DAILY, retention: { daily: { keepDays: 100 }, weekly: { ...weekly, keepWeeks: 2 } } };
    expect(warningsOf(policy)).toEqual([expect.stringMatching(/weekly rule .* shorter than the daily/)]);
  });
});
