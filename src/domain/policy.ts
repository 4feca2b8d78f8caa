// A policy: when the machines it covers are backed up, and how long their recovery points are kept. This is what a policy
// says; its name, version and vault belong to the row that holds it. Whether it makes sense: policy-validation.ts.

import type { LocalTime, Month, Weekday, WeekOfMonth } from "./calendar.ts";

export interface Policy {
  /** V1: daily or weekly. V2 ("enhanced"): hourly, daily or weekly. */
  readonly type: PolicyType;
  /** A Windows or IANA name, as the client wrote it. */
  readonly timeZone: string;
  readonly schedule: Schedule;
  readonly retention: RetentionRules;
  /** For how many days a snapshot stays with the machine's disks after it was taken. */
  readonly instantRestoreDays: number;
  readonly snapshotGroup: SnapshotGroupAffixes;
  /**
   * Ours, for demonstrations: a run every so many minutes instead of the schedule. A sub-resource of its own, so that a
   * policy written by another client keeps it.
   */
  readonly everyMinutes?: number;
}

export type PolicyType = "V1" | "V2";

export type Schedule = DailySchedule | WeeklySchedule | HourlySchedule;

export interface DailySchedule {
  readonly frequency: "Daily";
  readonly time: LocalTime;
}

export interface WeeklySchedule {
  readonly frequency: "Weekly";
  readonly days: readonly Weekday[];
  readonly time: LocalTime;
}

/** Runs at the window's start and each interval after it, as long as a whole interval fits into the window. */
export interface HourlySchedule {
  readonly frequency: "Hourly";
  readonly windowStart: LocalTime;
  readonly intervalHours: number;
  readonly windowHours: number;
}

/** "Grandfather, father, son": a point is kept as long as the longest rule that it carries the tag of. */
export interface RetentionRules {
  readonly daily?: DailyRule;
  readonly weekly?: WeeklyRule;
  readonly monthly?: MonthlyRule;
  readonly yearly?: YearlyRule;
}

interface RuleTimes {
  /** As a client sent them; they must equal the schedule's time. Absent: the schedule's. */
  readonly times?: readonly LocalTime[];
}

export interface DailyRule extends RuleTimes {
  readonly keepDays: number;
}

export interface WeeklyRule extends RuleTimes {
  readonly weekdays: readonly Weekday[];
  readonly keepWeeks: number;
}

export interface MonthlyRule extends RuleTimes {
  readonly on: DaysOfMonth;
  readonly keepMonths: number;
}

export interface YearlyRule extends RuleTimes {
  readonly months: readonly Month[];
  readonly on: DaysOfMonth;
  readonly keepYears: number;
}

/** Which days of a month a monthly or yearly rule means: "the 1st and the last", or "the first Sunday". */
export type DaysOfMonth =
  | { readonly format: "Daily"; readonly dates: readonly number[]; readonly lastDay: boolean }
  | { readonly format: "Weekly"; readonly weekdays: readonly Weekday[]; readonly weeks: readonly WeekOfMonth[] };

/** Around the number in the name of the resource group that takes snapshots: `<prefix><n><suffix>`. */
export interface SnapshotGroupAffixes {
  readonly prefix: string;
  readonly suffix: string;
}

/** The time of day that a schedule and its retention rules share. */
export function timeOf(schedule: Schedule): LocalTime {
  return schedule.frequency === "Hourly" ? schedule.windowStart : schedule.time;
}
