// How long recovery points are kept, as a plan with reasons: values in, decisions out. Expiry is computed from the tags a
// point got when it was taken and the policy of today, so that an edited policy acts on what exists already.

import type { Policy, WeeklyRule } from "./policy.ts";

export const RETENTION_TAGS = ["Daily", "Weekly", "Monthly", "Yearly"] as const;
export type RetentionTag = (typeof RETENTION_TAGS)[number];

/** A recovery point as far as retention is concerned. */
export interface RetainedPoint {
  readonly id: string;
  /** Durations count from here: the scheduled instant, or when it was asked for. */
  readonly scheduledAt: Date;
  readonly origin: { readonly kind: "Scheduled"; readonly tags: readonly RetentionTag[] } | OnDemandOrigin;
  readonly hasSnapshot: boolean;
  /** "Pending" while its transfer is live or waits for its turn. */
  readonly inVault: "Absent" | "Pending" | "Present";
  /** Damage was found: it does not count as the last point that one could restore. */
  readonly isDamaged?: boolean;
  /** A floor: never sooner than this, whatever the policy (extended by hand, or immutable). */
  readonly keepUntil?: Date;
  /** Held, with the reason: kept until somebody releases it. */
  readonly hold?: string;
}

export interface OnDemandOrigin {
  readonly kind: "OnDemand";
  /** What was asked for when it was taken. Policies do not touch it. */
  readonly retainUntil: Date;
}

export interface RetentionFacts {
  readonly now: Date;
  /** What its state means for its points. */
  readonly item: "Protected" | "ProtectionStopped" | "BackupsSuspended" | "SoftDeleted";
  readonly policy: Pick<Policy, "retention" | "timeZone" | "instantRestoreDays">;
  /** The rule under which points live on that a weekly schedule left behind (`formerWeeklyRuleAfter`). */
  readonly formerWeeklyRule?: WeeklyRule;
  /** Points that may have to stand in for a missed day yet (`planPromotions`). */
  readonly standIns?: ReadonlySet<string>;
}

export type KeepReason =
  | { readonly because: "rule"; readonly tag: RetentionTag; readonly until: Date }
  | { readonly because: "on-demand"; readonly until: Date }
  | { readonly because: "kept-until"; readonly until: Date }
  | { readonly because: "instant-restore"; readonly until: Date }
  | { readonly because: "held"; readonly hold: string }
  | { readonly because: "last-point" }
  | { readonly because: "stands-in" }
  | { readonly because: "transfer-pending" }
  | { readonly because: "only-copy" }
  | { readonly because: "protection-stopped" }
  | { readonly because: "soft-deleted" };

export type ExpireReason =
  | { readonly because: "rule-over"; readonly tag: RetentionTag; readonly since: Date }
  | { readonly because: "rule-gone"; readonly tag: RetentionTag }
  | { readonly because: "on-demand-over"; readonly since: Date }
  | { readonly because: "instant-restore-over"; readonly since: Date }
  | { readonly because: "untagged" };

/** What becomes of one copy of a point: its snapshot, or what is in the vault. */
export type CopyPlan =
  | { readonly action: "none" }
  | { readonly action: "keep"; readonly reasons: readonly KeepReason[]; readonly expiresAt: Date | undefined }
  | { readonly action: "expire"; readonly reasons: readonly ExpireReason[]; readonly expiresAt: Date | undefined };

export interface PointPlan {
  readonly id: string;
  readonly snapshot: CopyPlan;
  readonly vault: CopyPlan;
}
