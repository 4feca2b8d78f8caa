// Jobs on the wire. A list shows less than one job by itself, which always carries its tasks.

import type { JobBody, JobSubTask } from "../../control/rows/job-row.ts";
import { catalogEntryOf } from "../../domain/failure-catalog.ts";
import { isCancellable, shownStatus, shownSubTasks } from "../../domain/job.ts";
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
  return {
    tasksList: job.tasks.filter(({ name }) => shown.has(name)).map((task) => renderTask(task, job, now)),
    propertyBag: { ...job.properties, ...sizeOf(job) },
    internalPropertyBag: internalPropertiesOf(job),
    ...progressOf(job, now),
    ...(job.failure !== null && { dynamicErrorMessage: job.failure.message }),
  };
}

function renderTask(task: JobSubTask, job: JobBody, now: Date) {
  const percent = task.status === "InProgress" ? percentOf(job) : undefined;
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

function progressOf(job: JobBody, now: Date) {
  const { doneBytes, totalBytes } = progressOfAllDisks(job);
  const percent = percentOf(job);
  if (percent === undefined || job.endedAt !== null) return {};
  const elapsedMs = now.getTime() - Date.parse(job.startedAt);
  const remaining = doneBytes > 0 ? renderDuration((elapsedMs / doneBytes) * (totalBytes - doneBytes)) : undefined;
  return {
    progressPercentage: percent,
    ...(remaining !== undefined && { estimatedRemainingDuration: remaining }),
    // Ours: a percentage tells no rate.
    ...{ doneBytes, totalBytes },
  };
}

/** Undefined: what there is to do is not known yet. */
function percentOf(job: JobBody): number | undefined {
  if (Object.keys(job.progress).length === 0) return undefined;
  const { doneBytes, totalBytes } = progressOfAllDisks(job);
  return totalBytes === 0 ? 100 : Math.floor((100 * doneBytes) / totalBytes);
}

function progressOfAllDisks({ progress }: JobBody) {
  const disks = Object.values(progress);
  const totalBytes = disks.reduce((sum, disk) => sum + disk.totalBytes, 0);
  const doneBytes = disks.reduce((sum, disk) => sum + disk.doneBytes, 0);
  return { totalBytes, doneBytes: Math.min(doneBytes, totalBytes) };
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
