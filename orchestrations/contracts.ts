// Names and payloads of every orchestration and activity: what the durable engine keeps, and what must therefore stay
// small (ids, counts, verdicts) and stay as it is once released. The work itself reads what it needs from the job's row.
// A step that cannot succeed answers a failure as a value; it throws only what another attempt may cure.

export interface OrchestrationContract<Input, Output = void> {
  readonly name: string;
  /** Never there: it carries the types. */
  readonly types?: (input: Input) => Output;
}

export interface ActivityContract<Input, Output> {
  readonly name: string;
  readonly types?: (input: Input) => Output;
}

/** Names a job, whose id is also the id of the orchestration that does it. */
export interface JobRef {
  readonly vault: string;
  readonly job: string;
}

/** A failure as data: exceptions do not cross the durable engine whole. */
export interface StepFailure {
  readonly code: string;
  readonly message: string;
}

export type StepOutcome<Answer = object> =
  | ({ readonly failure?: undefined } & Answer)
  | { readonly failure: StepFailure };

export type Phase = "snapshot" | "transfer";

export interface DiskStep extends JobRef {
  /** Position among the job's disks. */
  readonly disk: number;
}

export interface SliceStep extends DiskStep {
  readonly slice: number;
}

/** "busy": every place for slices is taken; ask again later. "cancelled": the user wants no more of it. */
export interface SliceAnswer {
  readonly state: "done" | "busy" | "cancelled";
}

export interface DiskEnd {
  readonly state: "done" | "cancelled";
}

export interface PolicyRun {
  readonly vault: string;
  readonly policy: string;
  /** RFC 3339, UTC: when its backups are due. */
  readonly scheduledAt: string;
  readonly isCatchUp: boolean;
}

export interface DiskRun extends DiskStep {
  /** Null before the disk is planned. A long run goes on from here as new. */
  readonly progress: { readonly sliceCount: number; readonly nextSlice: number } | null;
}

/** Of a backup that found no place among the transfers: it goes on as new, to wait with a short history. */
export interface BackupRun extends JobRef {
  readonly isWaiting?: boolean;
}

export const BACKUP: OrchestrationContract<BackupRun> = { name: "backup-v1" };
export const TRANSFER_DISK: OrchestrationContract<DiskRun, StepOutcome<DiskEnd>> = { name: "transfer-disk-v1" };
export const RESTORE: OrchestrationContract<JobRef> = { name: "restore-v1" };
export const RESTORE_DISK: OrchestrationContract<DiskRun, StepOutcome<DiskEnd>> = { name: "restore-disk-v1" };
export const ITEM_JOB: OrchestrationContract<JobRef> = { name: "item-job-v1" };
export const POLICY_RUN: OrchestrationContract<PolicyRun> = { name: "policy-run-v1" };

/** What an activity answers instead when the platform asked for patience: it is called again after that time. */
export interface Throttled {
  readonly retryAfterMs: number;
}

// Any job.
export const OPEN_JOB: ActivityContract<JobRef, { readonly isOver: boolean }> = { name: "open-job-v1" };
export const CLOSE_JOB: ActivityContract<JobRef, { readonly status: string }> = { name: "close-job-v1" };

// Backups.
/**
 * "done": an earlier life of the orchestration has brought the phase to its good end. "refused": somebody else holds it, it
 * ended badly, or the user wants no more of the job. Whatever an earlier life has begun is to be given up then.
 */
export const CLAIM_PHASE: ActivityContract<
  JobRef & { readonly phase: Phase },
  { readonly state: "granted" | "done" } | { readonly state: "refused"; readonly failure?: StepFailure }
> = { name: "claim-phase-v1" };
export const BEGIN_SNAPSHOT: ActivityContract<JobRef, StepOutcome> = { name: "begin-snapshot-v1" };
export const CHECK_SNAPSHOT: ActivityContract<
  JobRef,
  StepOutcome<{ readonly state: "pending" | "done" | "cancelled" }>
> = { name: "check-snapshot-v1" };
/** The recovery point exists in the snapshot tier from here on, and the snapshot phase is free. */
export const ADD_POINT: ActivityContract<JobRef, StepOutcome> = { name: "add-point-v1" };
/** "busy": as many transfers as there are places for are under way; ask again later. */
export type TransferBeginning =
  | { readonly state: "begun"; readonly diskCount: number }
  | { readonly state: "busy" | "cancelled" };
export const BEGIN_TRANSFER: ActivityContract<JobRef, StepOutcome<TransferBeginning>> = { name: "begin-transfer-v1" };
export const PLAN_DISK: ActivityContract<DiskStep, StepOutcome<{ readonly sliceCount: number }>> = {
  name: "plan-disk-v1",
};
export const WRITE_SLICE: ActivityContract<SliceStep, StepOutcome<SliceAnswer>> = { name: "write-slice-v1" };
export const SEAL_DISK: ActivityContract<DiskStep, StepOutcome> = { name: "seal-disk-v1" };
export const COMMIT_TRANSFER: ActivityContract<JobRef, StepOutcome> = { name: "commit-transfer-v1" };
/** Gives up what a phase has begun: the snapshot, or packs and pin. Without a failure, because the user wants it. */
export const GIVE_UP_PHASE: ActivityContract<
  JobRef & { readonly phase: Phase; readonly failure?: StepFailure },
  { readonly state: "done" | "pending" }
> = { name: "give-up-phase-v1" };
/** Ends access to the snapshot's disks, lets superseded snapshots go, and frees the transfer phase. */
export const END_TRANSFER: ActivityContract<JobRef, { readonly state: "done" | "pending" }> = {
  name: "end-transfer-v1",
};

// Restores.
export const BEGIN_RESTORE: ActivityContract<JobRef, StepOutcome<{ readonly diskCount: number }>> = {
  name: "begin-restore-v1",
};
export const BEGIN_TARGET_DISK: ActivityContract<DiskStep, StepOutcome> = { name: "begin-target-disk-v1" };
export const CHECK_TARGET_DISK: ActivityContract<
  DiskStep,
  /** "waits": for its bytes, from the vault. */
  StepOutcome<{ readonly state: "pending" | "waits" | "ready" | "cancelled" }>
> = { name: "check-target-disk-v1" };
export const PLAN_RESTORE: ActivityContract<DiskStep, StepOutcome<{ readonly sliceCount: number }>> = {
  name: "plan-restore-v1",
};
export const RESTORE_SLICE: ActivityContract<SliceStep, StepOutcome<SliceAnswer>> = { name: "restore-slice-v1" };
export const FINISH_TARGET_DISK: ActivityContract<DiskStep, StepOutcome> = { name: "finish-target-disk-v1" };
export const WRITE_RESTORE_FILES: ActivityContract<JobRef, StepOutcome> = { name: "write-restore-files-v1" };
/** Removes what a restore has made. Without a failure, because the user wants it. */
export const CLEAN_RESTORE: ActivityContract<
  JobRef & { readonly failure?: StepFailure },
  { readonly state: "done" | "pending" }
> = { name: "clean-restore-v1" };

// Short jobs on an item: enabling, stopping, deleting, undeleting.
export const RUN_ITEM_JOB: ActivityContract<JobRef, StepOutcome<{ readonly state: "done" | "pending" }>> = {
  name: "run-item-job-v1",
};

// Policy runs.
export const START_BACKUPS: ActivityContract<
  PolicyRun & { readonly after: string | null },
  { readonly next: string | null; readonly startedCount: number }
> = { name: "start-backups-v1" };
