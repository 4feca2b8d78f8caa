// Giving up what a phase has begun, after a failure or because the user wants it. Called until it is done; what was not begun
// is given up at once. If the phase had come to its good end after all, that stands, and is shown.

import type { JobRef, Phase, StepFailure } from "../../orchestrations/contracts.ts";
import { HoldfastFailure } from "../base/failure.ts";
import type { ControlDeps } from "../control/control-deps.ts";
import { hasSubTaskEnded, moveSubTask, readJob } from "../control/job-changes.ts";
import { freePhase } from "../control/phases.ts";
import { deleteInArchive } from "../control/point-removal.ts";
import type { JobBody } from "../control/rows/job-row.ts";
import { POINT_ROWS, pointPlace } from "../control/rows/point-row.ts";
import { readRow } from "../control/rows/row-kind.ts";
import { VAULT_ROWS, vaultPlace } from "../control/rows/vault-row.ts";
import { freeSlot } from "../control/slots.ts";
import { abandonTransfer, readManifest } from "../vault/points.ts";
import { backupOf } from "./backup-work.ts";
import { SUB_TASK_OF } from "./phases.ts";
import { completeSnapshot } from "./points.ts";
import { mirrorCommit, transferOf } from "./transfer.ts";
import { pointOfJob } from "./transfer-session.ts";

interface GiveUp extends JobRef {
  readonly phase: Phase;
  readonly failure?: StepFailure;
}

export async function giveUpPhase(
  deps: ControlDeps,
  { phase, failure, ...ref }: GiveUp,
): Promise<{ state: "done" | "pending" }> {
  // First, for what follows may fail for hours, and the place is wanted by all vaults.
  if (phase === "transfer") await freeSlot(deps, "transfers", transferOf(ref));
  const job = await readJob(deps, ref);
  // A phase is closed only when nothing of it is left.
  if (hasSubTaskEnded(job, SUB_TASK_OF[phase])) return { state: "done" };
  const given = phase === "snapshot" ? await giveUpSnapshot(deps, ref, job) : await giveUpTransfer(deps, ref, job);
  if (given === "pending") return { state: "pending" };
  if (given === "gone") {
    const close = (row: JobBody) => {
      requireSameTransfer(job, row);
      return failure ? { failure } : {};
    };
    await moveSubTask(deps, ref, SUB_TASK_OF[phase], failure ? "fail" : "cancel", close);
    // The transfer phase is freed by `endTransfer`, after access to the snapshots has ended.
    if (phase === "snapshot") await freePhase(deps, { vault: ref.vault, item: job.item, phase }, ref.job);
  }
  return { state: "done" };
}

/** An execution that nobody waits for any more may have begun one since it was looked for: then it has to go as well. */
function requireSameTransfer(seen: JobBody, now: JobBody): void {
  if (backupOf(seen).transfer === backupOf(now).transfer) return;
  throw new HoldfastFailure("unavailable", "HoldfastTransferBegan", "A transfer began while it was given up", {
    hint: "The next attempt gives it up.",
  });
}

async function giveUpSnapshot(deps: ControlDeps, ref: JobRef, job: JobBody): Promise<"gone" | "pending" | "stands"> {
  const { snapshot, pointId } = backupOf(job);
  if (await readRow(deps.tables, POINT_ROWS, pointPlace(ref.vault, job.item, pointId))) {
    await completeSnapshot(deps, ref, job);
    return "stands";
  }
  if (!snapshot) return "gone";
  return (await deps.snapshots.remove(snapshot)) === "gone" ? "gone" : "pending";
}

/**
 * The void and the manifest race on one name, and one of them wins. The point's row tells whether the item, or its data, was
 * removed for good while nobody worked on the job: then a manifest that no row tells of goes the way of the others.
 */
async function giveUpTransfer(deps: ControlDeps, ref: JobRef, job: JobBody): Promise<"gone" | "stands"> {
  const point = await pointOfJob(deps, ref, job);
  const owner = await readRow(deps.tables, VAULT_ROWS, vaultPlace(ref.vault));
  if (!point || !owner?.body.archive) return "gone";
  const vault = await deps.archives.open(owner.body);
  if ((await abandonTransfer(vault, point, `job ${ref.job} gave it up`)) === "void") return "gone";
  if (await readRow(deps.tables, POINT_ROWS, pointPlace(ref.vault, job.item, backupOf(job).pointId))) {
    await mirrorCommit(deps, ref, job, (await readManifest(vault, point)).manifest);
    return "stands";
  }
  const deletion = { reason: "its item is removed", evenLast: true };
  await deleteInArchive(deps, ref.vault, { archiveItem: point.item }, { archive: point }, deletion);
  return "gone";
}
