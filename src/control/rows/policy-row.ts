// A policy of a vault. Partition: the vault; key: the policy's name, lower case. What it says is the domain's, checked by the
// domain before it is written; its version counts edits, and is recorded with each run.

import { z } from "zod";
import { MONTHS, WEEKDAYS, WEEKS_OF_MONTH } from "../../domain/calendar.ts";
import type { Policy, WeeklyRule } from "../../domain/policy.ts";
import { instant } from "./fields.ts";
import type { Place, RowKind } from "./row-kind.ts";
import type { VaultKey } from "./vault-row.ts";

const count = z.number().int();
const time = z.object({ hour: count, minute: count });
const times = z.array(time).optional();
const weekdays = z.array(z.enum(WEEKDAYS));

const schedule = z.discriminatedUnion("frequency", [
  z.object({ frequency: z.literal("Daily"), time }),
  z.object({ frequency: z.literal("Weekly"), days: weekdays, time }),
  z.object({ frequency: z.literal("Hourly"), windowStart: time, intervalHours: count, windowHours: count }),
]);

const daysOfMonth = z.discriminatedUnion("format", [
  z.object({ format: z.literal("Daily"), dates: z.array(count), lastDay: z.boolean() }),
  z.object({ format: z.literal("Weekly"), weekdays, weeks: z.array(z.enum(WEEKS_OF_MONTH)) }),
]);

const weekly = z.object({ times, weekdays, keepWeeks: count });

const retention = z.object({
  daily: z.object({ times, keepDays: count }).optional(),
  weekly: weekly.optional(),
  monthly: z.object({ times, on: daysOfMonth, keepMonths: count }).optional(),
  yearly: z.object({ times, on: daysOfMonth, months: z.array(z.enum(MONTHS)), keepYears: count }).optional(),
});

const policy = z.object({
  type: z.enum(["V1", "V2"]),
  timeZone: z.string(),
  schedule,
  retention,
  instantRestoreDays: count,
  snapshotGroup: z.object({ prefix: z.string(), suffix: z.string() }),
  everyMinutes: count.optional(),
});

// JSON leaves out what is undefined, so an optional field is absent or has a value, as the domain's types say.
export const weeklyRule = weekly as unknown as z.ZodType<WeeklyRule>;

const body = z.object({
  name: z.string(),
  version: z.number().int(),
  changedAt: instant,
  policy: policy as unknown as z.ZodType<Policy>,
  /** Of the vault it was made for: what an earlier vault of the same name left behind is no policy of this one. */
  vaultIncarnation: z.string(),
  /** Set while a deletion looks whether anything uses the policy; lifted by whoever begins to. */
  deletingSince: instant.nullable(),
  /** The weekly rule that an earlier version left behind, for as long as the present one has none. */
  formerWeeklyRule: weeklyRule.nullable(),
});

export type PolicyBody = z.infer<typeof body>;

export const POLICY_ROWS: RowKind<PolicyBody> = { table: "policies", schema: body, noun: "policy" };

export const policyPlace = (vault: VaultKey, name: string): Place => ({ partition: vault, key: name.toLowerCase() });

/** As every policy begins. */
export function newPolicy(
  name: string,
  said: Policy,
  { vaultIncarnation, now }: { readonly vaultIncarnation: string; readonly now: string },
): PolicyBody {
  return {
    name,
    policy: said,
    version: 1,
    changedAt: now,
    vaultIncarnation,
    deletingSince: null,
    formerWeeklyRule: null,
  };
}
