// Which rules a scheduled recovery point falls under. Decided once, from the day that its run counts for, when it is
// taken; a rule that is written later does not reach back for it.

import {
  type LocalDay,
  lastDayOfMonth,
  monthOf,
  partsOf,
  WEEKS_OF_MONTH,
  type WeekOfMonth,
  weekdayOf,
} from "./calendar.ts";
import type { DaysOfMonth, Policy, RetentionRules } from "./policy.ts";
import type { Occurrence } from "./schedule.ts";

/** From junior to senior. */
export const RETENTION_TAGS = ["Daily", "Weekly", "Monthly", "Yearly"] as const;
export type RetentionTag = (typeof RETENTION_TAGS)[number];

/** Of an hourly window, only the day's last run goes into the vault; the others live as snapshots for a while. */
export function isTransferred(policy: Pick<Policy, "schedule" | "everyMinutes">, run: RunOfDay): boolean {
  return run.isLastOfDay || policy.everyMinutes !== undefined || policy.schedule.frequency !== "Hourly";
}

type RunOfDay = Pick<Occurrence, "day" | "isLastOfDay">;

export function tagsOf(
  policy: Pick<Policy, "schedule" | "everyMinutes" | "retention">,
  run: RunOfDay,
): readonly RetentionTag[] {
  if (!isTransferred(policy, run)) return [];
  // Of a day's many runs for demonstration, one is enough to keep for years.
  const tags = run.isLastOfDay ? RETENTION_TAGS : (["Daily"] as const);
  return tags.filter((tag) => matchesRule(policy.retention, tag, run.day));
}

export function matchesRule(rules: RetentionRules, tag: RetentionTag, day: LocalDay): boolean {
  switch (tag) {
    case "Daily":
      return rules.daily !== undefined;
    case "Weekly":
      return rules.weekly?.weekdays.includes(weekdayOf(day)) ?? false;
    case "Monthly":
      return rules.monthly !== undefined && isOn(rules.monthly.on, day);
    case "Yearly":
      return (rules.yearly?.months.includes(monthOf(day)) && isOn(rules.yearly.on, day)) ?? false;
  }
}

function isOn(on: DaysOfMonth, day: LocalDay): boolean {
  const { date } = partsOf(day);
  const lastDate = partsOf(lastDayOfMonth(day)).date;
  if (on.format === "Daily") return on.dates.includes(date) || (on.lastDay && date === lastDate);
  if (!on.weekdays.includes(weekdayOf(day))) return false;
  // The fifth weekday of a month is always the last, and stands where "Last" does in the list.
  const number = WEEKS_OF_MONTH[Math.ceil(date / 7) - 1] as WeekOfMonth;
  const isLast = date + 7 > lastDate;
  return on.weeks.includes(number) || (isLast && on.weeks.includes("Last"));
}
