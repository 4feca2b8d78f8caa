// The words that people read for states; the wire has its own (arm names), and never these.

import type { ItemState } from "./item-states.ts";
import type { JobOperation, JobStatus } from "./job.ts";

export const JOB_STATUS_TEXTS: Readonly<Record<JobStatus, string>> = {
  InProgress: "In progress",
  Completed: "Completed",
  CompletedWithWarnings: "Completed with warning",
  Failed: "Failed",
  Cancelling: "Cancelling",
  Cancelled: "Cancelled",
};

export const JOB_OPERATION_TEXTS: Readonly<Record<JobOperation, string>> = {
  Register: "Register",
  UnRegister: "Unregister",
  ConfigureBackup: "Configure backup",
  Backup: "Backup",
  Restore: "Restore",
  DisableBackup: "Disable backup",
  DeleteBackupData: "Delete backup data",
  Undelete: "Undelete",
};

/** What a list of backup items shows of the last backup, before there was one. */
export const INITIAL_BACKUP_PENDING = "Warning (Initial backup pending)";

export const ITEM_STATE_TEXTS: Readonly<Record<ItemState, string>> = {
  NotProtected: "Not protected",
  IRPending: "Protected - (pending initial backup)",
  Protected: "Protected",
  ProtectionError: "Protection error",
  ProtectionStopped: "Protection stopped",
  BackupsSuspended: "Backups suspended",
  SoftDeleted: "Soft deleted",
};
