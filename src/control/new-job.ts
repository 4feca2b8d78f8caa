// What every job begins as; who makes it adds what was decided.

import { type JobKind, newSubTasks, statusOfJob } from "../domain/job.ts";
import type { JobId } from "../domain/job-id.ts";
import type { JobBody } from "./rows/job-row.ts";

/** What a job is about: parts of an item, or of one that is to be. */
export type JobSubject = Pick<JobBody, "containerName" | "machineName" | "machineKind"> & { readonly name: string };

export interface NewJob {
  readonly id: JobId;
  readonly kind: JobKind;
  readonly subject: JobSubject;
  readonly isUserTriggered: boolean;
  readonly now: Date;
  /** What is done: exactly one of them. */
  readonly work: Pick<JobBody, "backup"> | Pick<JobBody, "restore"> | Pick<JobBody, "change">;
  readonly properties?: JobBody["properties"];
}

export function newJob({ id, kind, subject, isUserTriggered, now, work, properties }: NewJob): JobBody {
  const tasks = newSubTasks(kind);
  return {
    id,
    operation: kind.operation,
    item: subject.name,
    containerName: subject.containerName,
    machineName: subject.machineName,
    machineKind: subject.machineKind,
    isUserTriggered,
    startedAt: now.toISOString(),
    endedAt: null,
    status: statusOfJob(tasks, false),
    cancelRequestedAt: null,
    tasks: tasks.map((task) => ({ ...task, startedAt: null, endedAt: null, failure: null })),
    failure: null,
    restarts: 0,
    progress: {},
    ...{ backup: null, restore: null, change: null, ...work },
    properties: { "VM Name": subject.machineName, ...properties },
  };
}
