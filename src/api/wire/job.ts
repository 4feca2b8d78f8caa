// Jobs on the wire. A list shows less than one job by itself, which always carries its tasks.

import type { JobBody, JobSubTask } from "../../control/rows/job-row.ts";
import { catalogEntryOf } from "../../domain/failure-catalog.ts";
import { isCancellable, shownStatus, shownSubTasks } from "../../domain/job.ts";
import { type JobProgress, type Pace, paceOf, progressOf } from "../../domain/job-progress.ts";
import { renderDuration } from "./text.ts";

const BYTES_PER_MB = 1024 * 1024;

export function renderJob(vaultPath: string, job: JobBody, now: Date): unknown {
  return resource(vaultPath, job, { ...summaryOf(job, now), extendedInfo: extendedInfoOf(job, now) });
}

export function renderListedJob(vaultPath: string, job: JobBody, now: Date): unknown {
  return resource(vaultPath, job, summaryOf(job, now));
}

function resource(vaultPath: string, { id }: JobBody, properties: unknown): unknown {
  const type = "Microsoft.RecoveryServices/vaults/backupJobs";
  return { id: `${vaultPath}/backupJobs/${id}`, name: id, type, properties };
}

function summaryOf(job: JobBody, now: Date) {
  return {
    jobType: "AzureIaaSVMJob",
    operation: job.operation,
    status: shownStatus(job),
    startTime: job.startedAt,
    ...(job.endedAt !== null && { endTime: job.endedAt }),
    duration: spanOf(job.startedAt, job.endedAt, now),
    entityFriendlyName: job.machineName,
    backupManagementType: "AzureIaasVM",
    activityId: job.id,
    containerName: job.containerName,
    virtualMachineVersion: job.machineKind === "classic" ? "Classic" : "Compute",
    isUserTriggered: job.isUserTriggered,
    ...(isCancellable(job) && { actionsInfo: ["Cancellable"] }),
    ...(job.failure !== null && { errorDetails: [errorOf(job.failure)] }),
  };
}

function extendedInfoOf(job: JobBody, now: Date) {
  const shown = new Set(shownSubTasks(job.tasks).map(({ name }) => name));
  const movement = movementOf(job, now);
  return {
    tasksList: job.tasks.filter(({ name }) => shown.has(name)).map((task) => renderTask(task, job, now)),
    propertyBag: { ...job.properties, ...sizeOf(job), ...(movement && describeMovement(movement)) },
    internalPropertyBag: internalPropertiesOf(job),
    ...(movement && renderMovement(movement)),
    ...(job.failure !== null && { dynamicErrorMessage: job.failure.message }),
  };
}

function renderTask(task: JobSubTask, job: JobBody, now: Date) {
  const percent = task.status === "InProgress" ? movementOf(job, now)?.percent : undefined;
  return {
    taskId: task.name,
    status: task.status,
    ...(task.startedAt !== null && { startTime: task.startedAt }),
    ...(task.endedAt !== null && { endTime: task.endedAt }),
    duration: task.startedAt === null ? "PT0S" : spanOf(task.startedAt, task.endedAt, now),
    ...(percent !== undefined && { progressPercentage: percent }),
    ...(task.failure !== null && { taskExecutionDetails: `${task.failure.code}: ${task.failure.message}` }),
  };
}

/** What was transferred, once it is known: in megabytes, as scripts expect it. */
function sizeOf({ backup }: JobBody): Record<string, string> {
  const bytes = backup?.transferredBytes ?? null;
  return bytes === null ? {} : { "Backup Size": `${Math.ceil(bytes / BYTES_PER_MB)} MB` };
}

function internalPropertiesOf({ backup, restore }: JobBody): Record<string, string> {
  return { ...(backup && { IsInstantRpJob: "True" }), ...(restore && { restoreLocationType: restore.recoveryType }) };
}

interface Movement extends JobProgress {
  readonly pace: Pace | undefined;
}

/** Of a job that has not ended. It has a pace while a task is at work: cleaning up moves nothing. */
function movementOf(job: JobBody, now: Date): Movement | undefined {
  const disks = Object.values(job.progress);
  const progress = job.endedAt === null ? progressOf(disks) : undefined;
  const isAtWork = job.tasks.some(({ status }) => status === "InProgress");
  return progress && { ...progress, pace: isAtWork ? paceOf(disks, now) : undefined };
}

/** Clients show the property bag as it is: so it says this in words. */
function describeMovement({ doneBytes, totalBytes, pace }: Movement): Record<string, string> {
  const megabytes = (bytes: number) => (bytes / BYTES_PER_MB).toFixed(1);
  return {
    "Data Transferred": `${megabytes(doneBytes)} MB of ${megabytes(totalBytes)} MB`,
    ...(pace && { "Transfer Rate": `${megabytes(pace.bytesPerSecond)} MB/s` }),
  };
}

function renderMovement({ percent, doneBytes, totalBytes, pace }: Movement) {
  return {
    progressPercentage: percent,
    ...(pace && { estimatedRemainingDuration: renderDuration(Math.ceil(pace.remainingMs / 1000) * 1000) }),
    // Ours: a percentage tells no rate.
    ...{ doneBytes, totalBytes, ...(pace && { bytesPerSecond: pace.bytesPerSecond }) },
  };
}

function errorOf({ code, message }: NonNullable<JobBody["failure"]>) {
  const { number, title, recommendedActions } = catalogEntryOf(code);
  return {
    errorCode: number,
    errorTitle: title,
    errorString: `${code}: ${message}`,
    recommendations: recommendedActions,
  };
}

const spanOf = (from: string, until: string | null, now: Date): string =>
  renderDuration((until === null ? now.getTime() : Date.parse(until)) - Date.parse(from));
