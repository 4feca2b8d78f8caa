// Claiming a phase for a job, and what the job shows of it.

import type { JobRef, Phase, StepFailure } from "../../orchestrations/contracts.ts";
import type { ControlDeps } from "../control/control-deps.ts";
import { changeJob, hasSubTaskEnded, moveSubTask, readJob } from "../control/job-changes.ts";
import { claimPhase as claim } from "../control/phases.ts";
import type { JobBody } from "../control/rows/job-row.ts";
import type { SubTaskEvent, SubTaskName } from "../domain/job.ts";
import type { JobId } from "../domain/job-id.ts";
import { backupInProgress } from "../domain/phases.ts";
import { backupOf } from "./backup-work.ts";

export const SUB_TASK_OF = { snapshot: "Take Snapshot", transfer: "Transfer data to vault" } as const;

/** A live snapshot of another job fails this one, a live transfer skips its transfer, a wish to cancel ends it. */
export async function claimPhase(
  deps: ControlDeps,
  { phase, ...ref }: JobRef & { readonly phase: Phase },
): Promise<{ state: "granted" | "done" | "refused" }> {
  const job = await readJob(deps, ref);
  const task = SUB_TASK_OF[phase];
  if (hasSubTaskEnded(job, task)) return { state: isCompleted(job, task) ? "done" : "refused" };
  if (job.cancelRequestedAt !== null) return refuse(deps, ref, task, "cancel");
  if (phase === "transfer" && !backupOf(job).goesToVault) return refuse(deps, ref, task, "skip");
  const claimed = await claim(deps, { vault: ref.vault, item: job.item, phase }, ref.job);
  if ("holder" in claimed) {
    if (phase === "transfer") return refuse(deps, ref, task, "skip");
    const { code, message } = backupInProgress(job.machineName, claimed.holder as JobId);
    return refuse(deps, ref, task, "fail", { code, message });
  }
  await changeJob(deps, ref, (body) => withFence(body, phase, claimed.fence));
  await moveSubTask(deps, ref, task, "start");
  return { state: "granted" };
}

async function refuse(
  deps: ControlDeps,
  ref: JobRef,
  task: SubTaskName,
  event: SubTaskEvent,
  failure?: StepFailure,
): Promise<{ state: "refused" }> {
  await moveSubTask(deps, ref, task, event, failure ? { failure } : {});
  return { state: "refused" };
}

function isCompleted(job: JobBody, name: SubTaskName): boolean {
  return job.tasks.some((task) => task.name === name && task.status === "Completed");
}

function withFence(job: JobBody, phase: Phase, fence: number): Partial<JobBody> | undefined {
  const { backup } = job;
  if (!backup || backup.fences[phase] === fence) return undefined;
  return { backup: { ...backup, fences: { ...backup.fences, [phase]: fence } } };
}
