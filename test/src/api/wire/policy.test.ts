// Policies between the wire and the domain: nothing is lost on the way there and back, and what cannot be read is named.

import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { parseBody } from "../../../../src/api/request-body.ts";
import { policyBody, renderPolicy } from "../../../../src/api/wire/policy.ts";
import { MONTHS, WEEKDAYS, WEEKS_OF_MONTH } from "../../../../src/domain/calendar.ts";
import type { DaysOfMonth, Policy, RetentionRules, Schedule } from "../../../../src/domain/policy.ts";

const localTime = fc.record({ hour: fc.integer({ min: 0, max: 23 }), minute: fc.integer({ min: 0, max: 59 }) });
const some = <Value>(values: readonly Value[]) => fc.subarray([...values], { minLength: 1 });
const count = fc.integer({ min: 1, max: 9999 });

const simpleSchedule: fc.Arbitrary<Schedule> = fc.oneof(
  fc.record({ frequency: fc.constant("Daily" as const), time: localTime }),
  fc.record({ frequency: fc.constant("Weekly" as const), days: some(WEEKDAYS), time: localTime }),
);
const hourlySchedule: fc.Arbitrary<Schedule> = fc.record({
  frequency: fc.constant("Hourly" as const),
  windowStart: localTime,
  intervalHours: fc.constantFrom(4, 6, 8, 12),
  windowHours: fc.integer({ min: 4, max: 24 }),
});
const daysOfMonth: fc.Arbitrary<DaysOfMonth> = fc.oneof(
  fc.record({
    format: fc.constant("Daily" as const),
    dates: some(Array.from({ length: 31 }, (_, index) => index + 1)),
    lastDay: fc.boolean(),
  }),
  fc.record({ format: fc.constant("Weekly" as const), weekdays: some(WEEKDAYS), weeks: some(WEEKS_OF_MONTH) }),
);
const retention: fc.Arbitrary<RetentionRules> = fc.record(
  {
    daily: fc.record({ keepDays: count }),
    weekly: fc.record({ weekdays: some(WEEKDAYS), keepWeeks: count }),
    monthly: fc.record({ on: daysOfMonth, keepMonths: count }),
    yearly: fc.record({ months: some(MONTHS), on: daysOfMonth, keepYears: count }),
  },
  { requiredKeys: [] },
);
const affix = fc.stringMatching(/^[a-z]{0,8}$/);
const policyOf = (type: "V1" | "V2", schedule: fc.Arbitrary<Schedule>): fc.Arbitrary<Policy> =>
  fc.record({
    type: fc.constant(type),
    timeZone: fc.constantFrom("UTC", "Pacific Standard Time", "Europe/Berlin"),
    schedule,
    retention,
    instantRestoreDays: fc.integer({ min: 1, max: 30 }),
    snapshotGroup: fc.record({ prefix: affix, suffix: affix }),
  });
const policy = fc.oneof(policyOf("V1", simpleSchedule), policyOf("V2", simpleSchedule), policyOf("V2", hourlySchedule));

const onTheWire = (value: Policy): unknown =>
  JSON.parse(JSON.stringify(renderPolicy({ vaultPath: "/v", name: "p", policy: value, itemCount: 3 })));
const parse = (wire: unknown): Policy => parseBody(policyBody, wire, "BMSUserErrorInvalidPolicyInput");

/** As az sends it for a daily policy. */
const DAILY = {
  properties: {
    backupManagementType: "AzureIaasVM",
    instantRpRetentionRangeInDays: 2,
    instantRPDetails: {},
    schedulePolicy: {
      schedulePolicyType: "SimpleSchedulePolicy",
      scheduleRunFrequency: "Daily",
      scheduleRunTimes: ["2018-01-24T10:00:00Z"],
      scheduleWeeklyFrequency: 0,
    },
    retentionPolicy: {
      retentionPolicyType: "LongTermRetentionPolicy",
      dailySchedule: {
        retentionTimes: ["2018-01-24T10:00:00.000Z"],
        retentionDuration: { count: 180, durationType: "Days" },
      },
    },
    timeZone: "Pacific Standard Time",
    protectedItemsCount: 12,
  },
};

const changed = (change: object): unknown => ({ properties: { ...DAILY.properties, ...change } });
const weekly = { ...DAILY.properties.schedulePolicy, scheduleRunFrequency: "Weekly", scheduleRunDays: ["sunday"] };

describe("a policy", () => {
  it("comes back from the wire as it went there", () => {
    fc.assert(
      fc.property(policy, (value) => {
        expect(parse(onTheWire(value))).toEqual(value);
      }),
    );
  });

  it("looks the same on the wire after a client has sent back what it read", () => {
    fc.assert(
      fc.property(policy, (value) => {
        const wire = onTheWire(value);
        expect(onTheWire(parse(wire))).toEqual(wire);
      }),
    );
  });

  it("runs at the wall time of its zone, whatever the Z says", () => {
    expect(parse(DAILY)).toEqual({
      type: "V1",
      timeZone: "Pacific Standard Time",
      schedule: { frequency: "Daily", time: { hour: 10, minute: 0 } },
      retention: { daily: { keepDays: 180 } },
      instantRestoreDays: 2,
      snapshotGroup: { prefix: "", suffix: "" },
    });
  });

  it("has the defaults of its version where a client is silent", () => {
    const silent = { instantRpRetentionRangeInDays: null, timeZone: undefined, instantRPDetails: null };
    expect(parse(changed(silent))).toMatchObject({ type: "V1", timeZone: "UTC", instantRestoreDays: 2 });
    expect(parse(changed({ ...silent, schedulePolicy: weekly }))).toMatchObject({ instantRestoreDays: 5 });
    const v2 = {
      schedulePolicyType: "SimpleSchedulePolicyV2",
      scheduleRunFrequency: "Hourly",
      hourlySchedule: { interval: 4, scheduleWindowStartTime: "2024-01-01T08:00:00Z", scheduleWindowDuration: 12 },
    };
    expect(parse(changed({ ...silent, schedulePolicy: v2 }))).toMatchObject({ type: "V2", instantRestoreDays: 7 });
  });

  it("keeps times that differ from its schedule's, for the domain to refuse", () => {
    const dailySchedule = {
      retentionTimes: ["2018-01-24T11:30:00Z"],
      retentionDuration: { count: 7, durationType: "Days" },
    };
    const wire = changed({ retentionPolicy: { ...DAILY.properties.retentionPolicy, dailySchedule } });
    expect(parse(wire).retention.daily).toEqual({ keepDays: 7, times: [{ hour: 11, minute: 30 }] });
  });

  it("takes the last day of the month as clients write it", () => {
    const monthlySchedule = {
      retentionScheduleFormatType: "daily",
      retentionScheduleDaily: { daysOfTheMonth: [{ date: 1 }, { date: 0, isLast: true }] },
      retentionScheduleWeekly: null,
      retentionDuration: { count: 60, durationType: "Months" },
    };
    const wire = changed({ retentionPolicy: { ...DAILY.properties.retentionPolicy, monthlySchedule } });
    expect(parse(wire).retention.monthly?.on).toEqual({ format: "Daily", dates: [1], lastDay: true });
  });

  it.each([
    [
      "two times a day",
      { schedulePolicy: { ...weekly, scheduleRunTimes: ["2018-01-24T10:00:00Z", "2018-01-24T12:00:00Z"] } },
      "schedulePolicy.scheduleRunTimes",
    ],
    [
      "seconds",
      { schedulePolicy: { ...weekly, scheduleRunTimes: ["2018-01-24T10:00:07Z"] } },
      "schedulePolicy.scheduleRunTimes.0",
    ],
    [
      "a schedule of another workload",
      { schedulePolicy: { schedulePolicyType: "LogSchedulePolicy", scheduleFrequencyInMins: 60 } },
      "schedulePolicy.schedulePolicyType",
    ],
    ["a version that its schedule has not", { policyType: "V2" }, "schedulePolicy.schedulePolicyType"],
    [
      "days counted in years",
      {
        retentionPolicy: {
          retentionPolicyType: "SimpleRetentionPolicy",
          retentionDuration: { count: 1, durationType: "Years" },
        },
      },
      "retentionPolicy.retentionDuration.durationType",
    ],
    [
      "an archive tier",
      { tieringPolicy: { ArchivedRP: { tieringMode: "TierAfter", duration: 45, durationType: "Days" } } },
      "tieringPolicy.ArchivedRP.tieringMode",
    ],
    ["a policy for SQL", { backupManagementType: "AzureWorkload" }, "backupManagementType"],
  ])("is refused with %s, by the name of the field", (_what, change, place) => {
    expect(() => parse(changed(change))).toThrow(
      expect.objectContaining({
        code: "BMSUserErrorInvalidPolicyInput",
        kind: "invalid",
        message: expect.stringContaining(`at properties.${place}: `),
      }),
    );
  });
});
