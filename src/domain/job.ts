// Jobs as users see them: what each kind consists of, how sub-tasks move, and the job's status, which is a function of
// its sub-tasks' statuses and of nothing else.

import { assert } from "../base/assert.ts";
import { HoldfastFailure } from "../base/failure.ts";

export const JOB_OPERATIONS = [
  "Register",
  "UnRegister",
  "ConfigureBackup",
  "Backup",
  "Restore",
  "DisableBackup",
  "DeleteBackupData",
  "Undelete",
] as const;
export type JobOperation = (typeof JOB_OPERATIONS)[number];

export const JOB_STATUSES = [
  "InProgress",
  "Completed",
  "CompletedWithWarnings",
  "Failed",
  "Cancelling",
  "Cancelled",
] as const;
export type JobStatus = (typeof JOB_STATUSES)[number];

export const SUB_TASK_STATUSES = ["NotStarted", "InProgress", "Completed", "Skipped", "Failed", "Cancelled"] as const;
export type SubTaskStatus = (typeof SUB_TASK_STATUSES)[number];

export const SUB_TASK_EVENTS = ["start", "complete", "skip", "fail", "cancel"] as const;
export type SubTaskEvent = (typeof SUB_TASK_EVENTS)[number];

/** Spelled as clients show them. */
export type SubTaskName =
  | "Take Snapshot"
  | "Transfer data to vault"
  | "Transfer data from vault"
  | "Create the restored virtual machine"
  | "Replace disks"
  /** What jobs consist of that show no sub-tasks: the work itself. */
  | "Work";

export interface SubTask {
  readonly name: SubTaskName;
  readonly status: SubTaskStatus;
}

export type JobPlan =
  | { readonly operation: "Restore"; readonly recoveryType: "RestoreDisks" | "AlternateLocation" | "OriginalLocation" }
  | { readonly operation: Exclude<JobOperation, "Restore"> };
