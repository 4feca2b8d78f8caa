// A job: one piece of work that users see. Partition: the vault; key: the job's id, which sorts newest first. The row holds
// all that the job's orchestration needs, so that histories carry ids alone; its activities change it by compare-and-swap.

import { z } from "zod";
import { JOB_OPERATIONS, JOB_STATUSES, SUB_TASK_STATUSES } from "../../domain/job.ts";
import { consistency, instant, pointMachine, retentionTag, snapshotDisk, snapshotRef, stepFailure } from "./fields.ts";
import type { Place, RowKind } from "./row-kind.ts";
import type { VaultKey } from "./vault-row.ts";

const subTask = z.object({
  name: z.enum([
    "Take Snapshot",
    "Transfer data to vault",
    "Transfer data from vault",
    "Create the restored virtual machine",
    "Replace disks",
    "Work",
  ]),
  status: z.enum(SUB_TASK_STATUSES),
  startedAt: instant.nullable(),
  endedAt: instant.nullable(),
  failure: stepFailure.nullable(),
});

/** What a backup job decides on its way, each once. */
const backup = z.object({
  /** Null for one that a user started. */
  scheduledAt: instant.nullable(),
  policy: z.string().nullable(),
  isCatchUp: z.boolean(),
  /** Of an on-demand backup: when its point expires. */
  retainUntil: instant.nullable(),
  /** Retention rules that the scheduled run falls under, decided by the policy when the job is made. */
  tags: z.array(retentionTag),
  /** False: the point stays in the snapshot tier, and the transfer is skipped (all but the last of a day's hourly runs). */
  goesToVault: z.boolean(),
  /** Around the number in the name of the resource group that takes snapshots, as the policy says. */
  snapshotGroup: z.object({ prefix: z.string(), suffix: z.string() }),
  pointId: z.string(),
  snapshot: snapshotRef.nullable(),
  snapshotTime: instant.nullable(),
  snapshotDisks: z.array(snapshotDisk),
  machine: pointMachine.nullable(),
  /** Machines with the same one hold mostly the same blocks. */
  relativeKey: z.string().nullable(),
  asksForCrashConsistent: z.boolean(),
  consistency: consistency.nullable(),
  consistencyReason: z.string(),
  /** Fence of each phase that this job was granted. */
  fences: z.object({ snapshot: z.number().int().nullable(), transfer: z.number().int().nullable() }),
  /** The id of the running attempt to write the point into the archive. */
  transfer: z.string().nullable(),
  /** Whose point that is in the archive: the item itself may be gone when the transfer is given up. */
  archiveItem: z.string().nullable().default(null),
  transferredBytes: z.number().int().nullable(),
});

const restoreDisk = z.object({
  lun: z.number().int(),
  name: z.string(),
  sizeBytes: z.number().int(),
  skuName: z.string(),
  targetDiskId: z.string(),
  /** Position among the point's disks. */
  sourceOrdinal: z.number().int(),
  /** Null: from the vault's archive. */
  snapshotDiskId: z.string().nullable(),
});

const restore = z.object({
  pointId: z.string(),
  recoveryType: z.enum(["RestoreDisks", "AlternateLocation", "OriginalLocation"]),
  targetSubscriptionId: z.string(),
  targetResourceGroup: z.string(),
  /** Where to: the disks' region. */
  location: z.string(),
  zones: z.array(z.string()),
  stagingAccountId: z.string(),
  /** Null: all disks. Else these and that of the operating system. */
  luns: z.array(z.number().int()).nullable(),
  /** Decided when the job begins. */
  disks: z.array(restoreDisk),
});

const diskProgress = z.object({
  doneBytes: z.number().int(),
  totalBytes: z.number().int(),
  /** Since when bytes move, and how many were done by then. Rows of an older release do not say. */
  moving: z.object({ since: instant, fromBytes: z.number().int() }).nullable().default(null),
});

const body = z.object({
  id: z.string(),
  operation: z.enum(JOB_OPERATIONS),
  item: z.string(),
  containerName: z.string(),
  machineName: z.string(),
  machineKind: z.string(),
  isUserTriggered: z.boolean(),
  startedAt: instant,
  endedAt: instant.nullable(),
  /** What the status function says of the tasks, and of a wish to cancel; written with every change of them. */
  status: z.enum(JOB_STATUSES),
  cancelRequestedAt: instant.nullable(),
  /** In the order in which they run; moved by the domain's `afterSubTaskEvent` alone. */
  tasks: z.array(subTask),
  failure: stepFailure.nullable(),
  /** How often its orchestration was lost and started again. */
  restarts: z.number().int(),
  /** Of what has to be read of the snapshot, or written to new disks; by the position of the disk. */
  progress: z.record(z.string(), diskProgress),
  backup: backup.nullable(),
  restore: restore.nullable(),
  /** Of short jobs: what the item shall become; interpreted by the use case that made the job. */
  change: z.record(z.string(), z.unknown()).nullable(),
  /** For people and scripts, under the names that Azure Backup uses. */
  properties: z.record(z.string(), z.string()),
});

export type JobBody = z.infer<typeof body>;
export type JobSubTask = z.infer<typeof subTask>;
export type BackupWork = z.infer<typeof backup>;
export type RestoreWork = z.infer<typeof restore>;

/** What is decided when a backup job is made; the rest is for its activities. */
export type NewBackupWork = Pick<
  BackupWork,
  "scheduledAt" | "policy" | "isCatchUp" | "retainUntil" | "tags" | "goesToVault" | "snapshotGroup" | "pointId"
>;

export function newBackupWork(decided: NewBackupWork): BackupWork {
  return {
    ...decided,
    snapshot: null,
    snapshotTime: null,
    snapshotDisks: [],
    machine: null,
    relativeKey: null,
    asksForCrashConsistent: false,
    consistency: null,
    consistencyReason: "",
    fences: { snapshot: null, transfer: null },
    transfer: null,
    archiveItem: null,
    transferredBytes: null,
  };
}

/** The reconciler looks for open jobs alone, among all that ever were. */
export const OPEN_JOB_MARK = "open";
export const JOB_ROWS: RowKind<JobBody> = {
  ...{ table: "jobs", schema: body, noun: "job" },
  markOf: ({ endedAt }) => (endedAt === null ? OPEN_JOB_MARK : undefined),
};

export const jobPlace = (vault: VaultKey, jobId: string): Place => ({ partition: vault, key: jobId.toLowerCase() });
