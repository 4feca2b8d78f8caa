// Finding what a crash, a terminated orchestration or a lost message has left: jobs that are open and have nobody who works
// on them, runs of policies that were cut off, and places that are held for jobs that are over. Everything here is found by
// comparing, nothing by age alone. Snapshots that nobody knows are found by orphans.ts.
//
// An open job whose orchestration is gone is started again under the same id: every step finds what was done before it. One
// that does not come to an end in several lives is told to cancel, which cleans up what it has begun.

import { BACKUP, ITEM_JOB, type JobRef, type OrchestrationContract, RESTORE } from "../../orchestrations/contracts.ts";
import { forEachVault, tryEach } from "./all-vaults.ts";
import type { ControlDeps } from "./control-deps.ts";
import { resumeRuns } from "./dispatch.ts";
import { changeJob } from "./job-changes.ts";
import { JOB_ROWS, type JobBody, OPEN_JOB_MARK } from "./rows/job-row.ts";
import { listRows } from "./rows/row-kind.ts";
import { freeAbandonedSlots } from "./slots.ts";

/** A job's row is written before its orchestration is started; whoever does that gets this long. */
const START_GRACE_MS = 30_000;
const MAX_LIVES = 3;

export function reconcileVaults(deps: ControlDeps): Promise<void> {
  const jobsAndRuns = () =>
    forEachVault(deps, async ({ key }) => {
      await reconcileJobs(deps, key);
      await resumeRuns(deps, key);
    });
  return tryEach([jobsAndRuns, () => freeAbandonedSlots(deps)], (part) => part());
}

/** Answers how many jobs were started again. */
export async function reconcileJobs(deps: ControlDeps, vault: string): Promise<number> {
  let count = 0;
  await tryEach(listRows(deps.tables, JOB_ROWS, vault, { mark: OPEN_JOB_MARK }), async ({ body: job }) => {
    const ageMs = deps.clock.now().getTime() - Date.parse(job.startedAt);
    if (ageMs >= START_GRACE_MS && (await revive(deps, vault, job))) count++;
  });
  return count;
}

async function revive(deps: ControlDeps, vault: string, job: JobBody): Promise<boolean> {
  const ref = { vault, job: job.id };
  if ((await deps.workflow.stateOf(job.id)) === "running") return false;
  const next = job.restarts + 1;
  const { restarts, endedAt } = await changeJob(deps, ref, (row) => {
    // Of two reconcilers that meet here, one counts.
    if (row.endedAt !== null || row.restarts !== job.restarts) return undefined;
    const isHopeless = row.restarts >= MAX_LIVES;
    const cancelRequestedAt = isHopeless
      ? (row.cancelRequestedAt ?? deps.clock.now().toISOString())
      : row.cancelRequestedAt;
    return { restarts: next, cancelRequestedAt };
  });
  if (endedAt !== null || restarts !== next) return false;
  await deps.workflow.start(orchestrationOf(job).name, job.id, ref);
  return true;
}

function orchestrationOf({ operation }: JobBody): OrchestrationContract<JobRef> {
  if (operation === "Backup") return BACKUP;
  return operation === "Restore" ? RESTORE : ITEM_JOB;
}
