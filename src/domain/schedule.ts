// The occurrences of a schedule: at which instants a policy runs, and to which day of its calendar a run belongs.
// Daylight saving: a wall time that is skipped becomes the first instant after the gap, one that comes twice is the first
// of the two; hours and minutes between runs are elapsed time, and each day begins anew from its wall time. So no clock
// change adds a run to a day or takes one away.

import { addDays, type LocalDay, weekdayOf } from "./calendar.ts";
import { type HourlySchedule, type Policy, timeOf } from "./policy.ts";
import { type IanaZone, requireTimeZone } from "./time-zones.ts";
import { instantAt, localDayOf, startOfDay } from "./zoned-time.ts";

export type PolicySchedule = Pick<Policy, "schedule" | "timeZone" | "everyMinutes">;

export interface Occurrence {
  /** The instant. With the item, it is the key of a run. */
  readonly scheduledAt: Date;
  /** The day it counts for: of an hourly window, the day the window began. */
  readonly day: LocalDay;
  readonly isLastOfDay: boolean;
}

const MINUTE_MS = 60_000;
const HOUR_MS = 60 * MINUTE_MS;
/** The first run of a window comes from the day before; a zone may have skipped another. */
const DAYS_BEFORE = 2;
/** A clock that is set back over midnight shows yesterday again after today's first runs. */
const DAYS_AFTER = 1;
/** A weekly schedule meets a zone that skipped a day: 14. Beyond this a schedule has no runs at all. */
const MAX_DAYS_WITHOUT_RUN = 21;

/** All with `after` < instant ≤ `until`, in order. */
export function occurrencesIn(policy: PolicySchedule, after: Date, until: Date): Occurrence[] {
  const zone = requireTimeZone(policy.timeZone);
  const lastDay = addDays(localDayOf(until, zone), DAYS_AFTER);
  const occurrences: Occurrence[] = [];
  for (let day = addDays(localDayOf(after, zone), -DAYS_BEFORE); day <= lastDay; day = addDays(day, 1)) {
    occurrences.push(...occurrencesOfDay(policy, day, zone).filter(isIn(after, until)));
  }
  return occurrences;
}

export function nextOccurrences(policy: PolicySchedule, after: Date, count: number): Occurrence[] {
  const zone = requireTimeZone(policy.timeZone);
  const occurrences: Occurrence[] = [];
  let day = addDays(localDayOf(after, zone), -DAYS_BEFORE);
  for (let without = 0; occurrences.length < count && without <= MAX_DAYS_WITHOUT_RUN; day = addDays(day, 1)) {
    const found = occurrencesOfDay(policy, day, zone).filter(({ scheduledAt }) => scheduledAt > after);
    occurrences.push(...found);
    without = found.length > 0 ? 0 : without + 1;
  }
  return occurrences.slice(0, count);
}

/** The last one with `after` < instant ≤ `until`: what a catch-up run is for, however many were missed. */
export function latestOccurrence(policy: PolicySchedule, after: Date, until: Date): Occurrence | undefined {
  const zone = requireTimeZone(policy.timeZone);
  const firstDay = addDays(localDayOf(after, zone), -DAYS_BEFORE);
  for (let day = addDays(localDayOf(until, zone), DAYS_AFTER); day >= firstDay; day = addDays(day, -1)) {
    const latest = occurrencesOfDay(policy, day, zone).findLast(isIn(after, until));
    if (latest !== undefined) return latest;
  }
  return undefined;
}

/** How often a window runs: a last part that is shorter than the interval has no run. */
export function runsOfWindow({ intervalHours, windowHours }: HourlySchedule): number {
  return Math.floor(windowHours / intervalHours);
}

function occurrencesOfDay(policy: PolicySchedule, day: LocalDay, zone: IanaZone): Occurrence[] {
  const instants =
    policy.everyMinutes === undefined
      ? instantsOfSchedule(policy.schedule, day, zone)
      : instantsOfDemonstration(policy.everyMinutes, day, zone);
  return instants.map((scheduledAt, at) => ({ scheduledAt, day, isLastOfDay: at === instants.length - 1 }));
}

function instantsOfSchedule(schedule: Policy["schedule"], day: LocalDay, zone: IanaZone): Date[] {
  if (schedule.frequency === "Weekly" && !schedule.days.includes(weekdayOf(day))) return [];
  const start = instantAt(day, timeOf(schedule), zone);
  if (start === undefined) return [];
  if (schedule.frequency !== "Hourly") return [start];
  return steps(start, schedule.intervalHours * HOUR_MS, runsOfWindow(schedule));
}

function instantsOfDemonstration(everyMinutes: number, day: LocalDay, zone: IanaZone): Date[] {
  const start = startOfDay(day, zone);
  if (start === undefined) return [];
  const stepMs = everyMinutes * MINUTE_MS;
  return steps(start, stepMs, Math.ceil((startOfNextDay(day, zone).getTime() - start.getTime()) / stepMs));
}

function steps(start: Date, stepMs: number, count: number): Date[] {
  return Array.from({ length: count }, (_, at) => new Date(start.getTime() + at * stepMs));
}

function startOfNextDay(day: LocalDay, zone: IanaZone): Date {
  const next = addDays(day, 1);
  return startOfDay(next, zone) ?? startOfNextDay(next, zone);
}

function isIn(after: Date, until: Date): (occurrence: Occurrence) => boolean {
  return ({ scheduledAt }) => scheduledAt > after && scheduledAt <= until;
}
