// The first and the last step of every job.

import type { JobRef } from "../../orchestrations/contracts.ts";
import type { ControlDeps } from "../control/control-deps.ts";
import { endJob, readJob } from "../control/job-changes.ts";
import { freePhase } from "../control/phases.ts";
import { ITEM_ROWS, type ItemBody, itemPlace } from "../control/rows/item-row.ts";
import { JOB_ROWS, type JobBody, jobPlace } from "../control/rows/job-row.ts";
import { changeRow, readRow } from "../control/rows/row-kind.ts";
import { nextItemState } from "../domain/item-states.ts";
import { hasEnded } from "../domain/job.ts";

/** How a backup fails whose machine is gone: when it is looked at, and when its snapshot is asked for. */
const MACHINE_LOST: readonly string[] = ["BCMV2VMNotFound", "VMNotFoundV2"];

/** A job without a row, or with an end, has nothing to be done: a start that came late, or twice. */
export async function openJob(deps: ControlDeps, { vault, job }: JobRef): Promise<{ isOver: boolean }> {
  const held = await readRow(deps.tables, JOB_ROWS, jobPlace(vault, job));
  return { isOver: held === undefined || held.body.endedAt !== null };
}

/** The item learns of a backup's end before the job shows it: who waits for the job finds the item as it left it. */
export async function closeJob(deps: ControlDeps, ref: JobRef): Promise<{ status: string }> {
  const job = await readJob(deps, ref);
  if (job.operation === "Backup" && job.endedAt === null && hasEnded(job.status)) {
    await tellItem(deps, ref.vault, job);
    // An execution that was ended between closing a phase and freeing it leaves that to the next.
    for (const phase of ["snapshot", "transfer"] as const) {
      await freePhase(deps, { vault: ref.vault, item: job.item, phase }, ref.job);
    }
  }
  const { status } = await endJob(deps, ref);
  return { status };
}

async function tellItem(deps: ControlDeps, vault: string, job: JobBody): Promise<void> {
  const place = itemPlace(vault, job.item);
  if (!(await readRow(deps.tables, ITEM_ROWS, place))) return;
  const at = deps.clock.now().toISOString();
  await changeRow(deps.tables, ITEM_ROWS, place, (item) => {
    // A job that ended meanwhile began later: its news is fresher.
    if (item.lastBackup && item.lastBackup.startedAt > job.startedAt) return undefined;
    const lastBackup = {
      status: job.status,
      at,
      startedAt: job.startedAt,
      errorCode: job.failure?.code ?? null,
      jobId: job.id,
    };
    return { ...item, lastBackup, state: stateAfter(item, job) };
  });
}

function stateAfter(item: ItemBody, job: JobBody): ItemBody["state"] {
  if (item.deletedAt !== null) return item.state;
  const hasSnapshot = job.tasks[0]?.status === "Completed";
  const isMachineLost = MACHINE_LOST.includes(job.failure?.code ?? "");
  const event = hasSnapshot ? "backup-succeeded" : isMachineLost ? "machine-lost" : "backup-failed";
  const next = nextItemState(
    { state: item.state, hasPoints: item.lastPointAt !== null, name: item.machineName },
    event,
  );
  return next === "NotProtected" || next === "SoftDeleted" ? item.state : next;
}
