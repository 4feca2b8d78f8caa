// The life of a protected item: its states, what may happen in each, and when a soft-deleted one is gone for good.

export const ITEM_STATES = [
  /** Enabled; the initial backup is still to come. */
  "IRPending",
  "Protected",
  /** Its machine is gone. Runs fail until it is back, or protection is stopped. */
  "ProtectionError",
  /** Stopped; every recovery point is kept for good. */
  "ProtectionStopped",
  /** Stopped; recovery points go as the policy says, but for the last. */
  "BackupsSuspended",
  /** Stopped with deletion of its data, which can be undone for a while. On the wire: ProtectionStopped, with the date. */
  "SoftDeleted",
] as const;
export type ItemState = (typeof ITEM_STATES)[number];

export const ITEM_EVENTS = [
  /** A backup starts, on schedule or on demand. */
  "back-up",
  "backup-succeeded",
  "backup-failed",
  "machine-lost",
  "machine-found",
  /** Another policy, or other disks. */
  "reconfigure",
  "restore",
  "stop-and-retain",
  "suspend",
  "resume",
  "delete",
  "undelete",
  /** The time of soft deletion is over, or soft deletion is off: nothing is left. */
  "purge",
] as const;
export type ItemEvent = (typeof ITEM_EVENTS)[number];
