// Claiming a phase for a job, and what the job shows of it.

import type { JobRef, Phase, StepFailure } from "../../orchestrations/contracts.ts";
import type { ControlDeps } from "../control/control-deps.ts";
import { hasSubTaskEnded, moveSubTask, readJob } from "../control/job-changes.ts";
import { claimPhase as claim } from "../control/phases.ts";
import { ITEM_ROWS, itemPlace } from "../control/rows/item-row.ts";
import type { JobBody } from "../control/rows/job-row.ts";
import { readRow } from "../control/rows/row-kind.ts";
import type { SubTaskName } from "../domain/job.ts";
import type { JobId } from "../domain/job-id.ts";
import { backupInProgress } from "../domain/phases.ts";
import { backupOf } from "./backup-work.ts";

export const SUB_TASK_OF = { snapshot: "Take Snapshot", transfer: "Transfer data to vault" } as const;

type ClaimAnswer =
  | { readonly state: "granted" | "done" }
  | { readonly state: "refused"; readonly failure?: StepFailure };

/**
 * A live snapshot of another job fails this one, a live transfer skips its transfer, a wish to cancel ends it. What an
 * earlier life of the job has begun in the phase is not closed here: giving it up comes first, and closes it then.
 */
export async function claimPhase(
  deps: ControlDeps,
  { phase, ...ref }: JobRef & { readonly phase: Phase },
): Promise<ClaimAnswer> {
  const job = await readJob(deps, ref);
  const task = SUB_TASK_OF[phase];
  if (hasSubTaskEnded(job, task)) return { state: isCompleted(job, task) ? "done" : "refused" };
  if (job.cancelRequestedAt !== null) return { state: "refused" };
  if (phase === "transfer" && !backupOf(job).goesToVault) return skip(deps, ref);
  const claimed = await claim(deps, { vault: ref.vault, item: job.item, phase }, ref.job);
  if ("holder" in claimed) {
    const hasBegun = backupOf(job).fences[phase] !== null;
    if (phase === "transfer" && !hasBegun) return skip(deps, ref);
    const { code, message } = hasBegun ? phaseLost(phase) : backupInProgress(job.machineName, claimed.holder as JobId);
    return { state: "refused", failure: { code, message } };
  }
  await moveSubTask(deps, ref, task, "start", (body) => withFence(body, phase, claimed.fence));
  // After the claim: who removes an item flags it first and looks for claims afterwards, so that one of the two sees the other.
  const item = await readRow(deps.tables, ITEM_ROWS, itemPlace(ref.vault, job.item));
  if (item && item.body.deletedAt === null) return { state: "granted" };
  const message = `${job.machineName} is not protected any more`;
  return { state: "refused", failure: { code: "BMSUserErrorDataSourceObjectNotFound", message } };
}

async function skip(deps: ControlDeps, ref: JobRef): Promise<ClaimAnswer> {
  await moveSubTask(deps, ref, SUB_TASK_OF.transfer, "skip");
  return { state: "refused" };
}

/** While its orchestration was gone, another job took the phase over. */
function phaseLost(phase: Phase): StepFailure {
  return { code: "HoldfastPhaseLost", message: `The job was interrupted, and another one has the ${phase} phase now` };
}

function isCompleted(job: JobBody, name: SubTaskName): boolean {
  return job.tasks.some((task) => task.name === name && task.status === "Completed");
}

function withFence(job: JobBody, phase: Phase, fence: number): Pick<JobBody, "backup"> {
  const backup = backupOf(job);
  return { backup: { ...backup, fences: { ...backup.fences, [phase]: fence } } };
}
