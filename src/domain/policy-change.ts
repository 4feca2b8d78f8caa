// What another policy, or an edited one, does to the points that exist: what a preview shows, what an immutable vault
// refuses, and which rule lives on.

import type { Policy, RetentionRules, WeeklyRule } from "./policy.ts";
import { expiryOf, planExpiry, type RetainedPoint, type RetentionFacts } from "./retention.ts";
import { RETENTION_TAGS, type RetentionTag } from "./retention-tags.ts";

type ChangedPolicy = Pick<Policy, "schedule" | "retention">;

/**
 * Points of a weekly schedule live out their rule under a daily one that has no weekly rule. The item carries that rule;
 * this says which it carries after a change.
 */
export function formerWeeklyRuleAfter(
  before: ChangedPolicy,
  after: ChangedPolicy,
  former: WeeklyRule | undefined,
): WeeklyRule | undefined {
  if (after.retention.weekly !== undefined) return undefined;
  if (before.schedule.frequency === "Weekly") return before.retention.weekly ?? former;
  return before.retention.weekly === undefined ? former : undefined;
}

export interface RetentionPreview {
  /** Gone at the next clean-up, and not before the change. */
  readonly expiring: readonly string[];
  readonly shortened: readonly string[];
  readonly lengthened: readonly string[];
}

/** The points of one item under the policy of now and under another. */
export function previewRetention(
  points: readonly RetainedPoint[],
  before: RetentionFacts,
  after: Pick<RetentionFacts, "policy" | "formerWeeklyRule">,
): RetentionPreview {
  // Not spread over `before` alone: an absent former rule must not leave the old one in force.
  const { formerWeeklyRule: _, ...facts } = before;
  const plansBefore = planExpiry(points, before);
  const plansAfter = planExpiry(points, { ...facts, ...after });
  const expiring = points
    .filter((_, at) => plansBefore[at]?.vault.action === "keep" && plansAfter[at]?.vault.action === "expire")
    .map(({ id }) => id);
  const moved = (isMoved: (from: number, to: number) => boolean) =>
    points
      .filter((point) => isMoved(endMs(point, before), endMs(point, after)) && !expiring.includes(point.id))
      .map(({ id }) => id);
  return { expiring, shortened: moved((from, to) => to < from), lengthened: moved((from, to) => to > from) };
}

/** No rule that keeps it: it ended before all time. */
function endMs(point: RetainedPoint, facts: Pick<RetentionFacts, "policy" | "formerWeeklyRule">): number {
  return expiryOf(point, facts)?.getTime() ?? Number.NEGATIVE_INFINITY;
}

/** The rules of which a change keeps less: refused in an immutable vault, by edit and by swap alike. */
export function shortenedRules(before: RetentionRules, after: RetentionRules): RetentionTag[] {
  return RETENTION_TAGS.filter((tag) => durationOf(after, tag) < durationOf(before, tag));
}

/** Only compared with a duration of the same rule. */
function durationOf({ daily, weekly, monthly, yearly }: RetentionRules, tag: RetentionTag): number {
  switch (tag) {
    case "Daily":
      return daily?.keepDays ?? 0;
    case "Weekly":
      return weekly?.keepWeeks ?? 0;
    case "Monthly":
      return monthly?.keepMonths ?? 0;
    case "Yearly":
      return yearly?.keepYears ?? 0;
  }
}
