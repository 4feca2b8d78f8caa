// Claiming a phase for a job, and what the job shows of it.

import type { JobRef, Phase } from "../../orchestrations/contracts.ts";
import type { ControlDeps } from "../control/control-deps.ts";
import { changeJob, moveSubTask, readJob } from "../control/job-changes.ts";
import { claimPhase as claim } from "../control/phases.ts";
import type { JobBody } from "../control/rows/job-row.ts";
import type { JobId } from "../domain/job-id.ts";
import { backupInProgress } from "../domain/phases.ts";

export const SUB_TASK_OF = { snapshot: "Take Snapshot", transfer: "Transfer data to vault" } as const;

/** A live snapshot fails the job, a live transfer skips its transfer, a wish to cancel ends it: all are "not granted". */
export async function claimPhase(
  deps: ControlDeps,
  { phase, ...ref }: JobRef & { readonly phase: Phase },
): Promise<{ isGranted: boolean }> {
  const job = await readJob(deps, ref);
  const task = SUB_TASK_OF[phase];
  if (job.cancelRequestedAt !== null) {
    await moveSubTask(deps, ref, task, "cancel");
    return { isGranted: false };
  }
  const claimed = await claim(deps, { vault: ref.vault, item: job.item, phase }, ref.job);
  if ("holder" in claimed) {
    if (phase === "transfer") await moveSubTask(deps, ref, task, "skip");
    else {
      const { code, message } = backupInProgress(job.machineName, claimed.holder as JobId);
      await moveSubTask(deps, ref, task, "fail", { failure: { code, message } });
    }
    return { isGranted: false };
  }
  await changeJob(deps, ref, (body) => withFence(body, phase, claimed.fence));
  await moveSubTask(deps, ref, task, "start");
  return { isGranted: true };
}

function withFence(job: JobBody, phase: Phase, fence: number): Partial<JobBody> | undefined {
  const { backup } = job;
  if (!backup || backup.fences[phase] === fence) return undefined;
  return { backup: { ...backup, fences: { ...backup.fences, [phase]: fence } } };
}
