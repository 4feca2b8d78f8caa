// What becomes of a rule whose day had no backup: the first later point of the same week, month or year takes its place,
// and when the period ends without one, the latest earlier point does. A rule's promise ("one a month") then holds even
// though its day was missed; Azure Backup leaves a hole there. Whoever wants that hole does not call this.

import {
  addDays,
  dayOf,
  daysBetween,
  type LocalDay,
  lastDayOfMonth,
  partsOf,
  WEEKDAYS,
  weekdayOf,
} from "./calendar.ts";
import type { Policy, RetentionRules } from "./policy.ts";
import { matchesRule, type RetentionTag } from "./retention-tags.ts";
import { requireTimeZone } from "./time-zones.ts";
import { localDayOf } from "./zoned-time.ts";

type PromotedTag = Exclude<RetentionTag, "Daily">;

export interface PromotionFacts {
  readonly now: Date;
  readonly policy: Pick<Policy, "schedule" | "timeZone" | "retention">;
  /** When the item came under these rules: a day before that was not missed. */
  readonly since: Date;
  /** Days whose run is still under way, or is about to be caught up with. */
  readonly openDays: ReadonlySet<LocalDay>;
  /** The item's points that a schedule took and that are in the vault. */
  readonly points: readonly PromotablePoint[];
}

export interface PromotablePoint {
  readonly id: string;
  /** Of the occurrence it was taken for. */
  readonly day: LocalDay;
  readonly tags: readonly RetentionTag[];
}

export interface Promotion {
  readonly id: string;
  readonly tag: PromotedTag;
  readonly missedDay: LocalDay;
}

export interface PromotionPlan {
  readonly promotions: readonly Promotion[];
  /** Points that are promoted at the end of their period unless a later one comes: not to be expired before. */
  readonly standIns: ReadonlySet<string>;
}

interface Period {
  readonly first: LocalDay;
  readonly last: LocalDay;
}

/** How many periods back are looked at. Whoever looks daily has settled the others. */
const LOOK_BACK: Readonly<Record<PromotedTag, number>> = { Weekly: 5, Monthly: 2, Yearly: 1 };

export function planPromotions(facts: PromotionFacts): PromotionPlan {
  const today = localDayOf(facts.now, requireTimeZone(facts.policy.timeZone));
  // An hourly window's last run comes on the day after.
  const isOver = (day: LocalDay) => addDays(day, facts.policy.schedule.frequency === "Hourly" ? 1 : 0) < today;
  const points = [...facts.points].sort((one, other) => (one.day < other.day ? -1 : 1));
  const promotions: Promotion[] = [];
  const standIns = new Set<string>();
  for (const tag of tagsWithRule(facts.policy.retention)) {
    for (const period of periodsOf(tag, today)) {
      const inPeriod = points.filter(({ day }) => day >= period.first && day <= period.last);
      for (const missedDay of missedDays(facts, tag, period, inPeriod, isOver)) {
        const later = inPeriod.find(({ day }) => day > missedDay);
        const chosen = later ?? inPeriod.findLast(({ day }) => day < missedDay);
        const isSettled = later !== undefined || (isOver(period.last) && !mayStillCome(facts, missedDay, period));
        if (chosen === undefined || chosen.tags.includes(tag)) continue;
        if (!isSettled) standIns.add(chosen.id);
        else if (!promotions.some((done) => done.id === chosen.id && done.tag === tag)) {
          promotions.push({ id: chosen.id, tag, missedDay });
        }
      }
    }
  }
  return { promotions, standIns };
}

function tagsWithRule({ weekly, monthly, yearly }: RetentionRules): PromotedTag[] {
  const rules = { Weekly: weekly, Monthly: monthly, Yearly: yearly };
  return (Object.keys(rules) as PromotedTag[]).filter((tag) => rules[tag] !== undefined);
}

function missedDays(
  facts: PromotionFacts,
  tag: PromotedTag,
  period: Period,
  inPeriod: readonly PromotablePoint[],
  isOver: (day: LocalDay) => boolean,
): LocalDay[] {
  const sinceDay = localDayOf(facts.since, requireTimeZone(facts.policy.timeZone));
  return daysBetween(period.first, period.last).filter(
    (day) =>
      day > sinceDay &&
      isOver(day) &&
      matchesRule(facts.policy.retention, tag, day) &&
      !facts.openDays.has(day) &&
      !inPeriod.some((point) => point.day === day),
  );
}

function mayStillCome({ openDays }: PromotionFacts, after: LocalDay, { last }: Period): boolean {
  return [...openDays].some((day) => day > after && day <= last);
}

/** The period of today, and those before it. */
function periodsOf(tag: PromotedTag, today: LocalDay): Period[] {
  return Array.from({ length: LOOK_BACK[tag] + 1 }, (_, back) => periodOf(tag, today, back));
}

function periodOf(tag: PromotedTag, today: LocalDay, back: number): Period {
  const { year, month } = partsOf(today);
  switch (tag) {
    case "Weekly": {
      const first = addDays(today, -WEEKDAYS.indexOf(weekdayOf(today)) - 7 * back);
      return { first, last: addDays(first, 6) };
    }
    case "Monthly": {
      const first = dayOf(year, month - back, 1);
      return { first, last: lastDayOfMonth(first) };
    }
    case "Yearly":
      return { first: dayOf(year - back, 1, 1), last: dayOf(year - back, 12, 31) };
  }
}
