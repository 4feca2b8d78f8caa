// Retention of policies on the wire, and the domain's rules in both directions.

import { z } from "zod";
import { type LocalTime, sameLocalTime } from "../../domain/calendar.ts";
import type { MonthlyRule, RetentionRules, YearlyRule } from "../../domain/policy.ts";
import {
  daysOfMonthFields,
  months,
  parseDaysOfMonth,
  renderDaysOfMonth,
  renderTimeOfDay,
  timeOfDay,
  weekdays,
} from "./calendar.ts";
import { oneOf, optional } from "./text.ts";

const duration = <const Unit extends string>(unit: Unit) =>
  z.object({ count: z.number().int(), durationType: oneOf([unit]) });

const retentionTimes = optional(z.array(timeOfDay).max(24));

const daily = z.object({ retentionTimes, retentionDuration: duration("Days") });
const weekly = z.object({ daysOfTheWeek: weekdays, retentionTimes, retentionDuration: duration("Weeks") });
const monthly = z
  .object({ ...daysOfMonthFields, retentionTimes, retentionDuration: duration("Months") })
  .transform((wire, context): MonthlyRule => {
    const on = parseDaysOfMonth(wire, context);
    return { on, keepMonths: wire.retentionDuration.count, ...timesOf(wire.retentionTimes) };
  });
const yearly = z
  .object({ ...daysOfMonthFields, monthsOfYear: months, retentionTimes, retentionDuration: duration("Years") })
  .transform((wire, context): YearlyRule => {
    const on = parseDaysOfMonth(wire, context);
    const { monthsOfYear, retentionDuration } = wire;
    return { months: monthsOfYear, on, keepYears: retentionDuration.count, ...timesOf(wire.retentionTimes) };
  });

const longTerm = z
  .object({
    retentionPolicyType: z.literal("LongTermRetentionPolicy"),
    dailySchedule: optional(daily),
    weeklySchedule: optional(weekly),
    monthlySchedule: optional(monthly),
    yearlySchedule: optional(yearly),
  })
  .transform(({ dailySchedule, weeklySchedule, monthlySchedule, yearlySchedule }): RetentionRules => {
    return {
      ...(dailySchedule && {
        daily: { keepDays: dailySchedule.retentionDuration.count, ...timesOf(dailySchedule.retentionTimes) },
      }),
      ...(weeklySchedule && {
        weekly: {
          weekdays: weeklySchedule.daysOfTheWeek,
          keepWeeks: weeklySchedule.retentionDuration.count,
          ...timesOf(weeklySchedule.retentionTimes),
        },
      }),
      ...(monthlySchedule && { monthly: monthlySchedule }),
      ...(yearlySchedule && { yearly: yearlySchedule }),
    };
  });

const simple = z
  .object({ retentionPolicyType: z.literal("SimpleRetentionPolicy"), retentionDuration: duration("Days") })
  .transform(({ retentionDuration }): RetentionRules => ({ daily: { keepDays: retentionDuration.count } }));

export const retentionPolicy = z.discriminatedUnion("retentionPolicyType", [longTerm, simple]);

const timesOf = (times: LocalTime[] | undefined) => (times === undefined || times.length === 0 ? {} : { times });

/** Times that say what the schedule says anyway are left out: they mean the same, and then follow it. */
export function withoutRepeatedTimes(rules: RetentionRules, scheduleTime: LocalTime): RetentionRules {
  const bare = <Rule extends { readonly times?: readonly LocalTime[] }>(rule: Rule): Rule => {
    const { times, ...rest } = rule;
    const isRepeated = times?.length === 1 && sameLocalTime(times[0] as LocalTime, scheduleTime);
    return isRepeated ? (rest as Rule) : rule;
  };
  return {
    ...(rules.daily && { daily: bare(rules.daily) }),
    ...(rules.weekly && { weekly: bare(rules.weekly) }),
    ...(rules.monthly && { monthly: bare(rules.monthly) }),
    ...(rules.yearly && { yearly: bare(rules.yearly) }),
  };
}

export function renderRetention(rules: RetentionRules, scheduleTime: LocalTime): Record<string, unknown> {
  const tail = (times: readonly LocalTime[] | undefined, count: number, durationType: string) => ({
    retentionTimes: (times ?? [scheduleTime]).map(renderTimeOfDay),
    retentionDuration: { count, durationType },
  });
  const { daily: day, weekly: week, monthly: month, yearly: year } = rules;
  return {
    retentionPolicyType: "LongTermRetentionPolicy",
    ...(day && { dailySchedule: tail(day.times, day.keepDays, "Days") }),
    ...(week && { weeklySchedule: { daysOfTheWeek: week.weekdays, ...tail(week.times, week.keepWeeks, "Weeks") } }),
    ...(month && {
      monthlySchedule: { ...renderDaysOfMonth(month.on), ...tail(month.times, month.keepMonths, "Months") },
    }),
    ...(year && {
      yearlySchedule: {
        monthsOfYear: year.months,
        ...renderDaysOfMonth(year.on),
        ...tail(year.times, year.keepYears, "Years"),
      },
    }),
  };
}
