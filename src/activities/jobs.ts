// The first and the last step of every job.

import type { JobRef } from "../../orchestrations/contracts.ts";
import type { ControlDeps } from "../control/control-deps.ts";
import { endJob } from "../control/job-changes.ts";
import { ITEM_ROWS, type ItemBody, itemPlace } from "../control/rows/item-row.ts";
import { JOB_ROWS, type JobBody, jobPlace } from "../control/rows/job-row.ts";
import { changeRow, readRow } from "../control/rows/row-kind.ts";
import { nextItemState } from "../domain/item-states.ts";

/** A job without a row, or with an end, has nothing to be done: a start that came late, or twice. */
export async function openJob(deps: ControlDeps, { vault, job }: JobRef): Promise<{ isOver: boolean }> {
  const held = await readRow(deps.tables, JOB_ROWS, jobPlace(vault, job));
  return { isOver: held === undefined || held.body.endedAt !== null };
}

/** The item learns of a backup's end before the job shows it: who waits for the job finds the item as it left it. */
export async function closeJob(deps: ControlDeps, ref: JobRef): Promise<{ status: string }> {
  const held = await readRow(deps.tables, JOB_ROWS, jobPlace(ref.vault, ref.job));
  if (held?.body.operation === "Backup" && held.body.endedAt === null) await tellItem(deps, ref.vault, held.body);
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
  if (item.deletedAt !== null || item.state === "ProtectionPaused") return item.state;
  const hasSnapshot = job.tasks[0]?.status === "Completed";
  const event = hasSnapshot ? "backup-succeeded" : "backup-failed";
  const next = nextItemState(
    { state: item.state, hasPoints: item.lastPointAt !== null, name: item.machineName },
    event,
  );
  return next === "NotProtected" || next === "SoftDeleted" ? item.state : next;
}
