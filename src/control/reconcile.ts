// Finding what a crash, a terminated orchestration or a lost message has left: jobs that are open and have nobody who works
// on them, and snapshots that no point and no job knows. Everything here is found by comparing, nothing by age alone.
//
// An open job whose orchestration is gone is started again under the same id: every step finds what was done before it. One
// that does not come to an end in several lives is told to cancel, which cleans up what it has begun.

import { BACKUP, ITEM_JOB, type JobRef, type OrchestrationContract, RESTORE } from "../../orchestrations/contracts.ts";
import { forEachVault } from "./all-vaults.ts";
import type { ControlDeps } from "./control-deps.ts";
import { changeJob } from "./job-changes.ts";
import { JOB_ROWS, type JobBody } from "./rows/job-row.ts";
import { listRows } from "./rows/row-kind.ts";

/** A job's row is written before its orchestration is started; whoever does that gets this long. */
const START_GRACE_MS = 30_000;
/** Open jobs are among the newest: a transfer that takes longer than this is found by its own retries only. */
const LOOK_BACK_MS = 30 * 24 * 3_600_000;
const MAX_LIVES = 3;

export function reconcileVaults(deps: ControlDeps): Promise<void> {
  return forEachVault(deps, ({ key }) => reconcileJobs(deps, key));
}

/** Answers how many jobs were started again. */
export async function reconcileJobs(deps: ControlDeps, vault: string): Promise<number> {
  const nowMs = deps.clock.now().getTime();
  let count = 0;
  for await (const { body: job } of listRows(deps.tables, JOB_ROWS, vault)) {
    const ageMs = nowMs - Date.parse(job.startedAt);
    if (ageMs > LOOK_BACK_MS) break;
    if (job.endedAt !== null || ageMs < START_GRACE_MS) continue;
    if (await revive(deps, vault, job)) count++;
  }
  return count;
}

async function revive(deps: ControlDeps, vault: string, job: JobBody): Promise<boolean> {
  const ref = { vault, job: job.id };
  if ((await deps.workflow.stateOf(job.id)) === "running") return false;
  const { restarts } = await changeJob(deps, ref, (row) => {
    if (row.endedAt !== null) return undefined;
    const isHopeless = row.restarts >= MAX_LIVES;
    const cancelRequestedAt = isHopeless
      ? (row.cancelRequestedAt ?? deps.clock.now().toISOString())
      : row.cancelRequestedAt;
    return { restarts: row.restarts + 1, cancelRequestedAt };
  });
  if (restarts === job.restarts) return false;
  await deps.workflow.start(orchestrationOf(job).name, job.id, ref);
  return true;
}

function orchestrationOf({ operation }: JobBody): OrchestrationContract<JobRef> {
  if (operation === "Backup") return BACKUP;
  return operation === "Restore" ? RESTORE : ITEM_JOB;
}
