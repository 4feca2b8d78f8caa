// A protected machine. Partition: the vault; key: the item's wire name, lower case (`vm;iaasvmcontainerv2;<rg>;<vm>`).

import { z } from "zod";
import { diskChoice, instant, machineKind } from "./fields.ts";
import { weeklyRule } from "./policy-row.ts";
import type { Place, RowKind } from "./row-kind.ts";
import type { VaultKey } from "./vault-row.ts";

const body = z.object({
  /** Wire names in the casing of who enabled protection. */
  name: z.string(),
  containerName: z.string(),
  machineKind,
  machineId: z.string(),
  machineName: z.string(),
  /** Names the item's points in the vault's archive; made from the machine's id and never changed. */
  archiveItem: z.string(),
  policy: z.string().nullable(),
  state: z.enum(["IRPending", "Protected", "ProtectionError", "ProtectionStopped", "BackupsSuspended"]),
  /** Null while a job that enables protection has not come to an end. */
  protectedAt: instant.nullable(),
  disks: diskChoice,
  lastBackup: z
    .object({
      status: z.string(),
      at: instant,
      /** When its job began: of two that end out of order, the later one tells. */
      startedAt: instant,
      errorCode: z.string().nullable(),
      jobId: z.string(),
    })
    .nullable(),
  lastPointAt: instant.nullable(),
  /** Set while the item is soft-deleted. */
  deletedAt: instant.nullable(),
  /** When a soft-deleted item is gone for good: the vault's setting of the day it was deleted. */
  purgeAt: instant.nullable(),
  /** Its data is being removed, which nothing undoes. */
  isPurging: z.boolean(),
  /** The weekly rule that an earlier policy left behind, for as long as the present one has none. */
  formerWeeklyRule: weeklyRule.nullable(),
  /** Why the backup extension is not in place, if it is not. */
  extensionNote: z.string().nullable(),
  /** The short job that changes the item now: one at a time. */
  changingJob: z.string().nullable(),
  /** Counts snapshots of the machine, for names of collections when one is full. */
  collectionNumber: z.number().int(),
});

export type ItemBody = z.infer<typeof body>;

export const ITEM_ROWS: RowKind<ItemBody> = { table: "items", schema: body, noun: "protected item" };

export const itemPlace = (vault: VaultKey, itemName: string): Place => ({
  partition: vault,
  key: itemName.toLowerCase(),
});

// A machine belongs to one vault: whoever has its row has it. Partition: subscription; key: the machine's id, lower case.
const claim = z.object({
  vault: z.string(),
  item: z.string(),
  containerName: z.string(),
  /** Who claimed it. */
  job: z.string(),
  /** False until the item stands: see src/control/claims.ts. */
  isSettled: z.boolean(),
});

export type ClaimBody = z.infer<typeof claim>;

export const CLAIM_ROWS: RowKind<ClaimBody> = { table: "claims", schema: claim, noun: "machine" };

export const claimPlace = (machineId: string): Place => {
  const id = machineId.toLowerCase();
  return { partition: id.split("/")[2] ?? "", key: id };
};
