// Times of day, weekdays and months in policies. On the wire a time of day is a date and time that ends in Z, of which only
// the time counts, and that is what a clock on the wall of the policy's zone shows: not UTC.

import { z } from "zod";
import { type LocalTime, MONTHS, renderLocalTime, WEEKDAYS, WEEKS_OF_MONTH } from "../../domain/calendar.ts";
import type { DaysOfMonth } from "../../domain/policy.ts";
import { oneOf, optional, time } from "./text.ts";

export const timeOfDay = time.transform((value, context): LocalTime => {
  if (value.getTime() % 60_000 === 0) return { hour: value.getUTCHours(), minute: value.getUTCMinutes() };
  context.addIssue({ code: "custom", message: "a time of day is a whole minute" });
  return z.NEVER;
});

export const renderTimeOfDay = (value: LocalTime): string => `2024-01-01T${renderLocalTime(value)}:00Z`;

export const weekdays = z.array(oneOf(WEEKDAYS)).max(7);
export const months = z.array(oneOf(MONTHS)).max(12);

const dayOfMonth = z.object({ date: optional(z.number().int()), isLast: optional(z.boolean()) });
const byDate = z.object({ daysOfTheMonth: z.array(dayOfMonth).max(32) });
const byWeek = z.object({ daysOfTheWeek: weekdays, weeksOfTheMonth: z.array(oneOf(WEEKS_OF_MONTH)).max(5) });

/** The format says which of the two parts counts; clients send the other one as null, or as it was. */
export const daysOfMonthFields = {
  retentionScheduleFormatType: oneOf(["Daily", "Weekly"]),
  retentionScheduleDaily: optional(byDate),
  retentionScheduleWeekly: optional(byWeek),
};

type DaysOfMonthFields = z.infer<z.ZodObject<typeof daysOfMonthFields>>;

export function parseDaysOfMonth(fields: DaysOfMonthFields, context: z.RefinementCtx): DaysOfMonth {
  const { retentionScheduleFormatType: format, retentionScheduleDaily: dates, retentionScheduleWeekly: weeks } = fields;
  if (format === "Weekly" && weeks !== undefined) {
    return { format, weekdays: weeks.daysOfTheWeek, weeks: weeks.weeksOfTheMonth };
  }
  if (format === "Daily" && dates !== undefined) {
    const days = dates.daysOfTheMonth;
    const numbered = days.filter(({ isLast }) => isLast !== true).map(({ date }) => date ?? 0);
    return { format, dates: numbered, lastDay: days.some(({ isLast }) => isLast === true) };
  }
  context.addIssue({
    code: "custom",
    path: [`retentionSchedule${format}`],
    message: "is what the format type asks for",
  });
  return z.NEVER;
}

export function renderDaysOfMonth(on: DaysOfMonth): Record<keyof typeof daysOfMonthFields, unknown> {
  if (on.format === "Weekly") {
    const weekly = { daysOfTheWeek: on.weekdays, weeksOfTheMonth: on.weeks };
    return { retentionScheduleFormatType: "Weekly", retentionScheduleDaily: null, retentionScheduleWeekly: weekly };
  }
  const dates = on.dates.map((date) => ({ date, isLast: false }));
  const daily = { daysOfTheMonth: on.lastDay ? [...dates, { date: 0, isLast: true }] : dates };
  return { retentionScheduleFormatType: "Daily", retentionScheduleDaily: daily, retentionScheduleWeekly: null };
}
