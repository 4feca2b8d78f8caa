// Jobs as users see them: what each kind consists of, how its sub-tasks move, and the job's status, which is a function
// of the sub-tasks' statuses and of whether somebody asked to cancel, and of nothing else.

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

/** Spelled as clients show them. "Work" is all of a job that shows no sub-tasks. */
export type SubTaskName =
  | "Take Snapshot"
  | "Transfer data to vault"
  | "Transfer data from vault"
  | "Create the restored virtual machine"
  | "Replace disks"
  | "Work";

export interface SubTask {
  readonly name: SubTaskName;
  readonly status: SubTaskStatus;
}

export type RecoveryType = "RestoreDisks" | "AlternateLocation" | "OriginalLocation";

export type JobKind =
  | { readonly operation: "Restore"; readonly recoveryType: RecoveryType }
  | { readonly operation: Exclude<JobOperation, "Restore"> };

const RESTORE_SUB_TASKS: Readonly<Record<RecoveryType, readonly SubTaskName[]>> = {
  RestoreDisks: ["Transfer data from vault"],
  AlternateLocation: ["Transfer data from vault", "Create the restored virtual machine"],
  OriginalLocation: ["Transfer data from vault", "Replace disks"],
};

export function newSubTasks(kind: JobKind): readonly SubTask[] {
  return namesOf(kind).map((name) => ({ name, status: "NotStarted" }));
}

/** Those that clients see: a job without parts has an empty list on the wire. */
export const shownSubTasks = (tasks: readonly SubTask[]): readonly SubTask[] =>
  tasks.filter(({ name }) => name !== "Work");

function namesOf(kind: JobKind): readonly SubTaskName[] {
  switch (kind.operation) {
    case "Backup":
      return ["Take Snapshot", "Transfer data to vault"];
    case "Restore":
      return RESTORE_SUB_TASKS[kind.recoveryType];
    default:
      return ["Work"];
  }
}

const ENDED = { complete: undefined, skip: undefined, fail: undefined, cancel: undefined };

/** `undefined`: a bug. What was said before changes nothing, and a start that arrives late starts nothing. */
export const SUB_TASK_TRANSITIONS: Readonly<
  Record<SubTaskStatus, Readonly<Record<SubTaskEvent, SubTaskStatus | undefined>>>
> = {
  NotStarted: { start: "InProgress", complete: undefined, skip: "Skipped", fail: "Failed", cancel: "Cancelled" },
  InProgress: { start: "InProgress", complete: "Completed", skip: undefined, fail: "Failed", cancel: "Cancelled" },
  Completed: { ...ENDED, start: "Completed", complete: "Completed" },
  Skipped: { ...ENDED, start: "Skipped", skip: "Skipped" },
  Failed: { ...ENDED, start: "Failed", fail: "Failed" },
  Cancelled: { ...ENDED, start: "Cancelled", cancel: "Cancelled" },
};

/**
 * The sub-tasks after an event. What can no longer start is closed with it, in the same write: no reader ever sees a
 * failed snapshot whose transfer seems to wait.
 */
export function afterSubTaskEvent(tasks: readonly SubTask[], name: SubTaskName, event: SubTaskEvent): SubTask[] {
  const index = tasks.findIndex((task) => task.name === name);
  const before = tasks[index];
  assert(before !== undefined, `the job has no sub-task "${name}"`);
  const status = SUB_TASK_TRANSITIONS[before.status][event];
  assert(status !== undefined, `the sub-task "${name}" is ${before.status}; it cannot ${event}`);
  if (status === before.status) return [...tasks];
  const isItsTurn = tasks.slice(0, index).every((task) => task.status === "Completed");
  assert(isItsTurn, `the sub-task "${name}" cannot ${event} before its predecessor is completed`);
  assert(event !== "skip" || name === "Transfer data to vault", `the sub-task "${name}" is never skipped`);
  const closes = status === "Failed" || status === "Cancelled";
  return tasks.map((task, at) => (at === index || (at > index && closes) ? { ...task, status } : task));
}

/** `undefined`: no job ever gets there. */
const BACKUP_STATUS: Readonly<Record<SubTaskStatus, Partial<Readonly<Record<SubTaskStatus, JobStatus>>>>> = {
  // snapshot: { transfer: job }
  NotStarted: { NotStarted: "InProgress" },
  InProgress: { NotStarted: "InProgress" },
  Completed: {
    NotStarted: "InProgress",
    InProgress: "InProgress",
    Completed: "Completed",
    Skipped: "Completed",
    Failed: "CompletedWithWarnings",
    Cancelled: "CompletedWithWarnings",
  },
  Skipped: {},
  Failed: { Failed: "Failed" },
  Cancelled: { Cancelled: "Cancelled" },
};

export function statusOfJob(tasks: readonly SubTask[], isCancelRequested: boolean): JobStatus {
  const status = tasks[0]?.name === "Take Snapshot" ? statusOfBackup(tasks) : statusOfSequence(tasks);
  return status === "InProgress" && isCancelRequested ? "Cancelling" : status;
}

function statusOfBackup(tasks: readonly SubTask[]): JobStatus {
  const [snapshot, transfer] = tasks;
  assert(snapshot !== undefined && transfer !== undefined, "a backup has two sub-tasks");
  const status = BACKUP_STATUS[snapshot.status][transfer.status];
  assert(status !== undefined, `no backup has its snapshot ${snapshot.status} and its transfer ${transfer.status}`);
  return status;
}

function statusOfSequence(tasks: readonly SubTask[]): JobStatus {
  for (const end of ["Failed", "Cancelled"] as const) if (tasks.some(({ status }) => status === end)) return end;
  return tasks.every(({ status }) => status === "Completed") ? "Completed" : "InProgress";
}

export const hasEnded = (status: JobStatus): boolean => status !== "InProgress" && status !== "Cancelling";

/**
 * What clients see. A job whose sub-tasks are over has still to tell its item and to free what it holds: whoever waits for the
 * job finds everything as it left it only after that.
 */
export function shownStatus(job: { readonly status: JobStatus; readonly endedAt: string | null }): JobStatus {
  if (job.endedAt !== null || !hasEnded(job.status)) return job.status;
  return job.status === "Cancelled" ? "Cancelling" : "InProgress";
}

/** Where cancelling would leave a half-made machine behind. */
const PAST_RETURN: readonly SubTaskName[] = ["Create the restored virtual machine", "Replace disks"];

export interface CancelFacts {
  readonly operation: JobOperation;
  readonly status: JobStatus;
  readonly tasks: readonly SubTask[];
}

export const isCancellable = (job: CancelFacts): boolean => refusalToCancel(job) === undefined;

export function refusalToCancel({ operation, status, tasks }: CancelFacts): HoldfastFailure | undefined {
  const refuse = (code: string, message: string) => new HoldfastFailure("conflict", code, message);
  if (operation !== "Backup" && operation !== "Restore") {
    return refuse("HoldfastJobTypeNotCancellable", `A ${operation} job cannot be cancelled`);
  }
  if (status !== "InProgress") return refuse("HoldfastJobNotInProgress", `The job is not in progress: it is ${status}`);
  const past = tasks.find((task) => PAST_RETURN.includes(task.name) && task.status !== "NotStarted");
  if (past === undefined) return undefined;
  return refuse("HoldfastJobNotInCancellableState", `The job is past cancelling: "${past.name}" has begun`);
}
