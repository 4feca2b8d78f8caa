// How long recovery points are kept, as a plan with reasons: values in, decisions out. Expiry is computed from the tags a
// point got when it was taken and the policy of today, so that an edited policy acts on what exists already.
//
// Days and weeks are multiples of 24 hours, months and years go by the calendar of the policy's zone; both count from the
// scheduled instant. Of several rules the longest holds. What is due at this very instant is due.

import type { Policy, WeeklyRule } from "./policy.ts";
import type { RetentionTag } from "./retention-tags.ts";
import { requireTimeZone } from "./time-zones.ts";
import { addMonths } from "./zoned-time.ts";

/** A recovery point as far as retention is concerned. */
export interface RetainedPoint {
  readonly id: string;
  /** Durations count from here: the scheduled instant, or when it was asked for. */
  readonly scheduledAt: Date;
  /** What its content is of; a run that was late took its snapshot later. */
  readonly takenAt: Date;
  readonly origin: ScheduledOrigin | OnDemandOrigin;
  readonly hasSnapshot: boolean;
  /** The next transfer reads what changed since this snapshot: without it, it would have to read everything. */
  readonly isDiffBase?: boolean;
  /** "Pending" while its transfer is live or waits for its turn. */
  readonly inVault: "Absent" | "Pending" | "Present";
  /** Damage was found: it does not count as the last point that one could restore. */
  readonly isDamaged?: boolean;
  /** A floor: never sooner than this, whatever the policy says (extended by hand, or immutable). */
  readonly keepUntil?: Date;
  /** Held, with the reason: kept until somebody releases it. */
  readonly hold?: string;
}

export interface ScheduledOrigin {
  readonly kind: "Scheduled";
  readonly tags: readonly RetentionTag[];
}

export interface OnDemandOrigin {
  readonly kind: "OnDemand";
  /** What was asked for when it was taken. Policies do not touch it. */
  readonly retainUntil: Date;
}

export interface RetentionFacts {
  readonly now: Date;
  /** What the item's state means for its points. */
  readonly item: "InForce" | "ProtectionStopped" | "BackupsSuspended" | "SoftDeleted";
  readonly policy: RetentionPolicy;
  /** The rule under which points live on that a weekly schedule left behind (policy-change.ts). */
  readonly formerWeeklyRule?: WeeklyRule;
  /** Points that may have to stand in for a missed day yet (promotion.ts). */
  readonly standIns?: ReadonlySet<string>;
}

export type RetentionPolicy = Pick<Policy, "retention" | "timeZone" | "instantRestoreDays">;

export type KeepReason =
  | { readonly because: "rule"; readonly tag: RetentionTag; readonly until: Date }
  | { readonly because: "on-demand" | "kept-until" | "instant-restore"; readonly until: Date }
  | { readonly because: "held"; readonly hold: string }
  | { readonly because: EventReason };

/** What keeps a copy until something happens. */
export type EventReason =
  | "last-point"
  | "stands-in"
  | "transfer-pending"
  | "diff-base"
  | "protection-stopped"
  | "soft-deleted";

export type ExpireReason =
  | { readonly because: "rule-over"; readonly tag: RetentionTag; readonly since: Date }
  | { readonly because: "rule-gone"; readonly tag: RetentionTag }
  | { readonly because: "on-demand-over" | "instant-restore-over"; readonly since: Date }
  | { readonly because: "untagged" | "point-expired" };

/** What becomes of one copy of a point: its snapshot, or what is in the vault. */
export type CopyPlan =
  | { readonly action: "none" }
  /** `expiresAt`: as far as can be told today; undefined for as long as nothing ends it. */
  | { readonly action: "keep"; readonly reasons: readonly KeepReason[]; readonly expiresAt: Date | undefined }
  | { readonly action: "expire"; readonly reasons: readonly ExpireReason[] };

export interface PointPlan {
  readonly id: string;
  readonly snapshot: CopyPlan;
  readonly vault: CopyPlan;
}

const DAY_MS = 24 * 60 * 60_000;

/** One plan for each point, in the order given. `points` are all points of one item. */
export function planExpiry(points: readonly RetainedPoint[], facts: RetentionFacts): PointPlan[] {
  const lastInVault = lastOf(points.filter(({ inVault }) => inVault === "Present"));
  const lastSnapshot = lastOf(points.filter(({ hasSnapshot }) => hasSnapshot));
  return points.map((point) => {
    const vault = planVaultCopy(point, facts, point === lastInVault);
    return { id: point.id, vault, snapshot: planSnapshot(point, facts, point === lastSnapshot, vault) };
  });
}

/** When today's policy, or what was asked for, ends a point in the vault; undefined if no rule is left that keeps it. */
export function expiryOf(point: RetainedPoint, facts: Pick<RetentionFacts, "policy" | "formerWeeklyRule">) {
  return latest(endsOf(point, facts).flatMap(({ at }) => at ?? []));
}

function planVaultCopy(point: RetainedPoint, facts: RetentionFacts, isLast: boolean): CopyPlan {
  if (point.inVault === "Absent") return { action: "none" };
  const ends = endsOf(point, facts);
  const reasons: KeepReason[] = [
    ...ends.flatMap((end) => (end.at !== undefined && end.at > facts.now ? keptBy(end, end.at) : [])),
    ...reasonsBeyondRules(point, facts),
    ...(point.inVault === "Pending" ? [{ because: "transfer-pending" } as const] : []),
    ...(isLast ? [{ because: "last-point" } as const] : []),
  ];
  if (reasons.length === 0) return { action: "expire", reasons: ends.length === 0 ? UNTAGGED : ends.map(endedBy) };
  return { action: "keep", reasons, expiresAt: endOfKeeping(facts, reasons) };
}

/**
 * A snapshot is there for instant restore, for the days the policy says, and goes with its point. Where it is the only
 * copy, whatever keeps a point keeps the snapshot.
 */
function planSnapshot(point: RetainedPoint, facts: RetentionFacts, isLast: boolean, vault: CopyPlan): CopyPlan {
  if (!point.hasSnapshot) return { action: "none" };
  const daysOver = new Date(point.scheduledAt.getTime() + facts.policy.instantRestoreDays * DAY_MS);
  const asked = point.origin.kind === "OnDemand" ? point.origin.retainUntil : daysOver;
  const until = asked < daysOver ? asked : daysOver;
  const isOver = until <= facts.now;
  const hasPointExpired = vault.action === "expire";
  const isPaused = facts.item === "ProtectionStopped" || facts.item === "SoftDeleted";
  const reasons: KeepReason[] = [
    ...(isOver || hasPointExpired ? [] : [{ because: "instant-restore", until } as const]),
    ...(vault.action === "none" || isPaused ? reasonsBeyondRules(point, facts) : []),
    ...(point.inVault === "Pending" ? [{ because: "transfer-pending" } as const] : []),
    ...(point.isDiffBase ? [{ because: "diff-base" } as const] : []),
    ...(isLast ? [{ because: "last-point" } as const] : []),
  ];
  if (reasons.length > 0) return { action: "keep", reasons, expiresAt: endOfKeeping(facts, reasons) };
  if (!isOver) return { action: "expire", reasons: [{ because: "point-expired" }] };
  return { action: "expire", reasons: [{ because: "instant-restore-over", since: until }] };
}

/** Why a point stays that no rule keeps. */
function reasonsBeyondRules(point: RetainedPoint, { now, item, standIns }: RetentionFacts): KeepReason[] {
  const reasons: KeepReason[] = [];
  if (point.hold !== undefined) reasons.push({ because: "held", hold: point.hold });
  if (point.keepUntil !== undefined && point.keepUntil > now) {
    reasons.push({ because: "kept-until", until: point.keepUntil });
  }
  if (item === "ProtectionStopped") reasons.push({ because: "protection-stopped" });
  if (item === "SoftDeleted") reasons.push({ because: "soft-deleted" });
  if (standIns?.has(point.id)) reasons.push({ because: "stands-in" });
  return reasons;
}

interface RuleEnd {
  readonly tag: RetentionTag | "on-demand";
  /** Undefined: today's policy has no such rule. */
  readonly at: Date | undefined;
}

function endsOf(point: RetainedPoint, facts: Pick<RetentionFacts, "policy" | "formerWeeklyRule">): RuleEnd[] {
  const { origin } = point;
  if (origin.kind === "OnDemand") return [{ tag: "on-demand", at: origin.retainUntil }];
  return origin.tags.map((tag) => ({ tag, at: endOfRule(tag, point.scheduledAt, facts) }));
}

function endOfRule(
  tag: RetentionTag,
  from: Date,
  { policy, formerWeeklyRule }: Pick<RetentionFacts, "policy" | "formerWeeklyRule">,
): Date | undefined {
  const { daily, weekly = formerWeeklyRule, monthly, yearly } = policy.retention;
  const afterDays = (days: number) => new Date(from.getTime() + days * DAY_MS);
  const afterMonths = (months: number) => addMonths(from, months, requireTimeZone(policy.timeZone));
  switch (tag) {
    case "Daily":
      return daily && afterDays(daily.keepDays);
    case "Weekly":
      return weekly && afterDays(7 * weekly.keepWeeks);
    case "Monthly":
      return monthly && afterMonths(monthly.keepMonths);
    case "Yearly":
      return yearly && afterMonths(12 * yearly.keepYears);
  }
}

const UNTAGGED: readonly ExpireReason[] = [{ because: "untagged" }];

function keptBy({ tag }: RuleEnd, until: Date): KeepReason {
  return tag === "on-demand" ? { because: "on-demand", until } : { because: "rule", tag, until };
}

function endedBy({ tag, at }: RuleEnd): ExpireReason {
  if (tag === "on-demand") return { because: "on-demand-over", since: at as Date };
  return at === undefined ? { because: "rule-gone", tag } : { because: "rule-over", tag, since: at };
}

/** The last of the dates that keep a copy. That it may turn out to be the last point is not foreseen. */
function endOfKeeping(facts: RetentionFacts, reasons: readonly KeepReason[]): Date | undefined {
  if (facts.item === "ProtectionStopped" || facts.item === "SoftDeleted") return undefined;
  if (reasons.some(({ because }) => because === "held")) return undefined;
  return latest(reasons.flatMap((reason) => ("until" in reason ? reason.until : [])));
}

function latest(dates: readonly Date[]): Date | undefined {
  return dates.reduce<Date | undefined>((last, date) => (last === undefined || date > last ? date : last), undefined);
}

/** The newest that can be restored; the newest of all when none can. */
function lastOf(points: readonly RetainedPoint[]): RetainedPoint | undefined {
  const sound = points.filter(({ isDamaged }) => isDamaged !== true);
  return (sound.length > 0 ? sound : points).reduce<RetainedPoint | undefined>(
    (last, point) => (last === undefined || isNewer(point, last) ? point : last),
    undefined,
  );
}

function isNewer(point: RetainedPoint, other: RetainedPoint): boolean {
  const [at, otherAt] = [point.takenAt.getTime(), other.takenAt.getTime()];
  return at === otherAt ? point.id > other.id : at > otherAt;
}
