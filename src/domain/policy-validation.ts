// Whether a policy makes sense: all the rules it breaks at once, each with its place in the document that clients write,
// and what is legal but probably not meant.

import { HoldfastFailure } from "../base/failure.ts";
import { type LocalTime, renderLocalTime, sameLocalTime, type Weekday } from "./calendar.ts";
import { type DaysOfMonth, type Policy, type Schedule, timeOf } from "./policy.ts";
import { findTimeZone, unknownTimeZone } from "./time-zones.ts";

export type PolicyRule =
  | "time-zone"
  | "schedule-kind"
  | "schedule-time"
  | "schedule-days"
  | "hourly-interval"
  | "hourly-window"
  | "every-minutes"
  | "instant-days"
  | "instant-exceeds-vault"
  | "daily-rule"
  | "weekly-rule"
  | "keep-count"
  | "retention-time"
  | "retention-days"
  | "group-affix";

export interface BrokenRule {
  readonly rule: PolicyRule;
  /** As on the wire, below `properties`. */
  readonly field: string;
  readonly message: string;
}

const HOURLY_INTERVALS = [4, 6, 8, 12];
const WINDOW_HOURS = { min: 4, max: 24 };
const EVERY_MINUTES = { min: 1, max: 720 };
/** Azure's; weekly policies of type V1 have exactly five. */
const INSTANT_DAYS = { V1: { min: 1, max: 5 }, V2: { min: 1, max: 30 }, weeklyV1: 5 };
const MAX_COUNT = 9999;
const MIN_DAILY_COUNT = 7;
/** What fits into a group's name of 90 characters beside the number. */
const MAX_AFFIX_LENGTH = 40;

type Report = (rule: PolicyRule, field: string, message: string) => void;

/** `before`: the policy as it stands. What was accepted once is not held against an edit that does not touch it. */
export function brokenRulesOf(policy: Policy, before?: Policy): BrokenRule[] {
  const broken: BrokenRule[] = [];
  const report: Report = (rule, field, message) => broken.push({ rule, field, message });
  if (findTimeZone(policy.timeZone) === undefined) report("time-zone", "timeZone", unknownTimeZone(policy.timeZone));
  checkSchedule(policy, report);
  checkRulesFit(policy, report);
  checkCounts(policy, before, report);
  checkTimes(policy, report);
  checkDesignatedDays(policy, report);
  checkInstantRestore(policy, report);
  checkAffixes(policy, report);
  return broken;
}

/** Throws one failure that names every broken rule. */
export function requireValidPolicy(policy: Policy, before?: Policy): void {
  const broken = brokenRulesOf(policy, before);
  if (broken.length > 0) throw invalidPolicy(broken);
}

export function invalidPolicy(broken: readonly BrokenRule[]): HoldfastFailure {
  const onlyInstant = broken.every(({ rule }) => rule === "instant-exceeds-vault");
  const code = onlyInstant ? "BMSUserErrorInstantRPRetentionExceedsVaultedRetention" : "BMSUserErrorInvalidPolicyInput";
  const rules = broken.map(({ field, message }) => `${field}: ${message}`).join("; ");
  return new HoldfastFailure("invalid", code, `The policy cannot be used. ${rules}`, {
    hint: broken.length === 1 ? "Change this field." : `Change these ${broken.length} fields.`,
  });
}

/** Legal, and probably not meant. */
export function warningsOf({ schedule, retention }: Policy): string[] {
  const { daily, weekly, monthly, yearly } = retention;
  const DAYS = { daily: 1, weekly: 7, monthly: 30, yearly: 365 };
  const kept = [
    { name: "daily", days: daily && daily.keepDays * DAYS.daily },
    { name: "weekly", days: weekly && weekly.keepWeeks * DAYS.weekly },
    { name: "monthly", days: monthly && monthly.keepMonths * DAYS.monthly },
    { name: "yearly", days: yearly && yearly.keepYears * DAYS.yearly },
  ].flatMap(({ name, days }) => (days === undefined ? [] : [{ name, days }]));
  const shorter = kept.slice(1).flatMap((senior, at) => {
    const junior = kept[at];
    if (junior === undefined || senior.days >= junior.days) return [];
    return [`The ${senior.name} rule keeps points shorter than the ${junior.name} one, so it changes nothing`];
  });
  return [...shorter, ...windowWarnings(schedule)];
}

function windowWarnings(schedule: Schedule): string[] {
  if (schedule.frequency !== "Hourly" || schedule.windowHours % schedule.intervalHours === 0) return [];
  const { windowHours, intervalHours } = schedule;
  return [
    `A window of ${windowHours} hours has no run in its last part: it is no multiple of the interval of ${intervalHours}`,
  ];
}

function checkSchedule({ type, schedule, everyMinutes }: Policy, report: Report): void {
  const prefix = "schedulePolicy";
  if (type === "V1" && schedule.frequency === "Hourly") {
    report("schedule-kind", `${prefix}.scheduleRunFrequency`, "hourly schedules need a policy of type V2");
  }
  if (!isTime(timeOf(schedule))) {
    report("schedule-time", timeField(type, schedule), "the time is between 00:00 and 23:59");
  }
  if (schedule.frequency === "Weekly" && !isSet(schedule.days)) {
    const field = type === "V1" ? `${prefix}.scheduleRunDays` : `${prefix}.weeklySchedule.scheduleRunDays`;
    report("schedule-days", field, "a weekly schedule names its weekdays, each once");
  }
  if (schedule.frequency === "Hourly") checkWindow(schedule, report);
  if (everyMinutes !== undefined && !isWithin(everyMinutes, EVERY_MINUTES)) {
    report("every-minutes", "everyMinutes", `it is ${EVERY_MINUTES.min} to ${EVERY_MINUTES.max} minutes`);
  }
}

function checkWindow(schedule: Extract<Schedule, { frequency: "Hourly" }>, report: Report): void {
  const { intervalHours, windowHours } = schedule;
  const prefix = "schedulePolicy.hourlySchedule";
  if (!HOURLY_INTERVALS.includes(intervalHours)) {
    report("hourly-interval", `${prefix}.interval`, `the interval is ${HOURLY_INTERVALS.join(", ")} hours`);
  }
  if (!isWithin(windowHours, WINDOW_HOURS) || windowHours < intervalHours) {
    const { min, max } = WINDOW_HOURS;
    const message = `the window is ${min} to ${max} hours, and not shorter than the interval`;
    report("hourly-window", `${prefix}.scheduleWindowDuration`, message);
  }
}

function checkRulesFit({ schedule, retention }: Policy, report: Report): void {
  const prefix = "retentionPolicy";
  if (schedule.frequency === "Weekly") {
    if (retention.weekly === undefined) {
      report("weekly-rule", `${prefix}.weeklySchedule`, "a weekly schedule needs a weekly rule");
    }
    if (retention.daily !== undefined) {
      report("daily-rule", `${prefix}.dailySchedule`, "a weekly schedule has no daily rule");
    }
  } else if (retention.daily === undefined) {
    const frequency = schedule.frequency === "Daily" ? "a daily" : "an hourly";
    report("daily-rule", `${prefix}.dailySchedule`, `${frequency} schedule needs a daily rule`);
  }
}

function checkCounts({ retention }: Policy, before: Policy | undefined, report: Report): void {
  const count = (name: string, value: number | undefined, min: number, unit: string) => {
    if (value === undefined || isWithin(value, { min, max: MAX_COUNT })) return;
    const field = `retentionPolicy.${name}.retentionDuration.count`;
    report("keep-count", field, `it is ${min} to ${MAX_COUNT} ${unit}`);
  };
  const days = retention.daily?.keepDays;
  // Policies from before the rule keep their few days until somebody edits them.
  const minDays = days !== undefined && days === before?.retention.daily?.keepDays ? 1 : MIN_DAILY_COUNT;
  count("dailySchedule", days, minDays, "days");
  count("weeklySchedule", retention.weekly?.keepWeeks, 1, "weeks");
  count("monthlySchedule", retention.monthly?.keepMonths, 1, "months");
  count("yearlySchedule", retention.yearly?.keepYears, 1, "years");
}

function checkTimes({ schedule, retention }: Policy, report: Report): void {
  const time = timeOf(schedule);
  for (const [name, rule] of Object.entries(retention) as [string, { times?: readonly LocalTime[] } | undefined][]) {
    if (rule?.times === undefined || rule.times.every((one) => sameLocalTime(one, time))) continue;
    const field = `retentionPolicy.${name}Schedule.retentionTimes`;
    report("retention-time", field, `it equals the schedule's time, ${renderLocalTime(time)}`);
  }
}

function checkDesignatedDays({ schedule, retention }: Policy, report: Report): void {
  const { weekly, monthly, yearly } = retention;
  const runsOn = schedule.frequency === "Weekly" ? schedule.days : undefined;
  if (weekly !== undefined) {
    checkWeekdays(weekly.weekdays, runsOn, "retentionPolicy.weeklySchedule.daysOfTheWeek", report);
  }
  if (monthly !== undefined) checkDaysOfMonth(monthly.on, runsOn, "retentionPolicy.monthlySchedule", report);
  if (yearly === undefined) return;
  if (!isSet(yearly.months)) {
    report("retention-days", "retentionPolicy.yearlySchedule.monthsOfYear", "it names months, each once");
  }
  checkDaysOfMonth(yearly.on, runsOn, "retentionPolicy.yearlySchedule", report);
}

function checkDaysOfMonth(
  on: DaysOfMonth,
  runsOn: readonly Weekday[] | undefined,
  prefix: string,
  report: Report,
): void {
  if (on.format === "Weekly") {
    checkWeekdays(on.weekdays, runsOn, `${prefix}.retentionScheduleWeekly.daysOfTheWeek`, report);
    const field = `${prefix}.retentionScheduleWeekly.weeksOfTheMonth`;
    if (!isSet(on.weeks)) report("retention-days", field, "it names weeks, each once");
    return;
  }
  const isFine = on.dates.every((date) => isWithin(date, { min: 1, max: 31 })) && (isSet(on.dates) || on.lastDay);
  const isRepeated = new Set(on.dates).size !== on.dates.length;
  if (isFine && !isRepeated) return;
  const field = `${prefix}.retentionScheduleDaily.daysOfTheMonth`;
  report("retention-days", field, "it names dates from 1 to 31, each once, or the last day");
}

function checkWeekdays(
  weekdays: readonly Weekday[],
  runsOn: readonly Weekday[] | undefined,
  field: string,
  report: Report,
): void {
  if (!isSet(weekdays)) report("retention-days", field, "it names weekdays, each once");
  const idle = weekdays.filter((weekday) => runsOn !== undefined && !runsOn.includes(weekday));
  if (idle.length === 0) return;
  const days = `${idle.join(" and ")}, on which the schedule does not run`;
  report("retention-days", field, `it names ${days}: a subset of the schedule's days is needed`);
}

function checkInstantRestore({ type, schedule, retention, instantRestoreDays }: Policy, report: Report): void {
  const field = "instantRpRetentionRangeInDays";
  const { min, max } = INSTANT_DAYS[type];
  if (type === "V1" && schedule.frequency === "Weekly") {
    const { weeklyV1 } = INSTANT_DAYS;
    if (instantRestoreDays !== weeklyV1) report("instant-days", field, `with a weekly schedule it is ${weeklyV1}`);
  } else if (!isWithin(instantRestoreDays, { min, max })) {
    report("instant-days", field, `in a policy of type ${type} it is ${min} to ${max} days`);
  }
  const { daily, weekly } = retention;
  const vaultDays = daily?.keepDays ?? (weekly && 7 * weekly.keepWeeks);
  if (vaultDays !== undefined && instantRestoreDays > vaultDays) {
    const message = `snapshots would stay ${instantRestoreDays} days, longer than the ${vaultDays} days of the vault`;
    report("instant-exceeds-vault", field, message);
  }
}

function checkAffixes({ snapshotGroup }: Policy, report: Report): void {
  const { prefix, suffix } = snapshotGroup;
  const check = (field: string, text: string, allowed: RegExp, what: string) => {
    if (allowed.test(text) && text.length <= MAX_AFFIX_LENGTH) return;
    report("group-affix", `instantRPDetails.${field}`, `${what}, at most ${MAX_AFFIX_LENGTH}`);
  };
  const letters = "letters, digits, and . _ - ( )";
  check("azureBackupRGNamePrefix", prefix, /^[\p{L}\p{N}._()-]*$/u, letters);
  check(
    "azureBackupRGNameSuffix",
    suffix,
    /^(?:[\p{L}\p{N}._()-]*[\p{L}\p{N}_()-])?$/u,
    `${letters}, no dot at the end`,
  );
  if (suffix !== "" && prefix === "") {
    report("group-affix", "instantRPDetails.azureBackupRGNameSuffix", "a suffix needs a prefix");
  }
}

function timeField(type: Policy["type"], schedule: Schedule): string {
  if (schedule.frequency === "Hourly") return "schedulePolicy.hourlySchedule.scheduleWindowStartTime";
  const part = schedule.frequency === "Daily" ? "dailySchedule" : "weeklySchedule";
  return type === "V1" ? "schedulePolicy.scheduleRunTimes" : `schedulePolicy.${part}.scheduleRunTimes`;
}

const isWithin = (value: number, { min, max }: { readonly min: number; readonly max: number }): boolean =>
  Number.isInteger(value) && value >= min && value <= max;
const isTime = ({ hour, minute }: LocalTime): boolean =>
  isWithin(hour, { min: 0, max: 23 }) && isWithin(minute, { min: 0, max: 59 });
const isSet = (values: readonly unknown[]): boolean => values.length > 0 && new Set(values).size === values.length;
