// Every change of a job's row: by compare-and-swap, with the status that the domain's function says of the sub-tasks. What
// is repeated changes nothing, for activities run more than once.

import { HoldfastFailure } from "../base/failure.ts";
import { afterSubTaskEvent, hasEnded, type SubTaskEvent, type SubTaskName, statusOfJob } from "../domain/job.ts";
import type { ControlDeps } from "./control-deps.ts";
import { JOB_ROWS, type JobBody, type JobSubTask, jobPlace } from "./rows/job-row.ts";
import { changeRow, readRow } from "./rows/row-kind.ts";

/** What names a job everywhere: its vault's key and its id. */
export interface JobName {
  readonly vault: string;
  readonly job: string;
}

type JobDeps = Pick<ControlDeps, "tables" | "clock">;

export async function readJob(deps: Pick<ControlDeps, "tables">, { vault, job }: JobName): Promise<JobBody> {
  const held = await readRow(deps.tables, JOB_ROWS, jobPlace(vault, job));
  if (held) return held.body;
  throw new HoldfastFailure("not-found", "BMSUserErrorDataSourceObjectNotFound", `There is no job ${job}`);
}

/** `change` answers what is new, or undefined to leave the job as it is. */
export function changeJob(
  deps: JobDeps,
  { vault, job }: JobName,
  change: (job: JobBody) => Partial<JobBody> | undefined,
): Promise<JobBody> {
  return changeRow(deps.tables, JOB_ROWS, jobPlace(vault, job), (body) => {
    const news = change(body);
    if (news === undefined) return undefined;
    const next = { ...body, ...news };
    return { ...next, status: statusOfJob(next.tasks, next.cancelRequestedAt !== null) };
  });
}

type SubTaskNews = Partial<Pick<JobBody, "failure" | "backup" | "restore" | "properties" | "progress">>;

/** Moves a sub-task, and whatever is closed with it. One that has ended stays as it ended: late and repeated steps say no more. */
export function moveSubTask(
  deps: JobDeps,
  name: JobName,
  task: SubTaskName,
  event: SubTaskEvent,
  news: SubTaskNews | ((job: JobBody) => SubTaskNews) = {},
): Promise<JobBody> {
  return changeJob(deps, name, (job) => {
    if (hasSubTaskEnded(job, task)) return undefined;
    const more = typeof news === "function" ? news(job) : news;
    const tasks = movedTasks(job.tasks, task, event, deps.clock.now().toISOString(), more.failure ?? null);
    return { ...more, tasks, failure: more.failure ?? job.failure };
  });
}

export function hasSubTaskEnded(job: Pick<JobBody, "tasks">, name: SubTaskName): boolean {
  const status = job.tasks.find((task) => task.name === name)?.status;
  return status !== "NotStarted" && status !== "InProgress";
}

function movedTasks(
  tasks: readonly JobSubTask[],
  task: SubTaskName,
  event: SubTaskEvent,
  now: string,
  failure: JobBody["failure"],
): JobSubTask[] {
  return afterSubTaskEvent(tasks, task, event).map(({ status }, at) => {
    const before = tasks[at] as JobSubTask;
    if (status === before.status) return before;
    const isLive = status === "InProgress";
    return {
      ...before,
      status,
      startedAt: before.startedAt ?? (isLive ? now : null),
      endedAt: isLive ? null : now,
      failure: before.name === task ? failure : before.failure,
    };
  });
}

/** The last write of a job: nothing of it changes afterwards. */
export function endJob(deps: JobDeps, name: JobName): Promise<JobBody> {
  return changeJob(deps, name, (job) => {
    if (job.endedAt !== null || !hasEnded(statusOfJob(job.tasks, false))) return undefined;
    return { endedAt: deps.clock.now().toISOString() };
  });
}
