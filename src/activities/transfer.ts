// The transfer of a backup into the vault's archive, as steps that each may run anywhere and more than once. The vault's own
// protocol makes them safe (src/vault/points.ts): fragments are adopted, and commit and abandonment race on one name.

import type {
  DiskStep,
  JobRef,
  SliceAnswer,
  SliceStep,
  StepOutcome,
  TransferBeginning,
} from "../../orchestrations/contracts.ts";
import { HoldfastFailure } from "../base/failure.ts";
import type { ControlDeps } from "../control/control-deps.ts";
import { changeJob, hasSubTaskEnded, moveSubTask, readJob } from "../control/job-changes.ts";
import { freePhase, requirePhase } from "../control/phases.ts";
import { releaseSnapshots } from "../control/retention.ts";
import { ITEM_ROWS, itemPlace } from "../control/rows/item-row.ts";
import type { JobBody } from "../control/rows/job-row.ts";
import { readRow } from "../control/rows/row-kind.ts";
import { freeSlot, type SlotHolder, takeSlot } from "../control/slots.ts";
import type { Manifest } from "../vault/format/manifest.ts";
import { releaseTransfer } from "../vault/points.ts";
import { newTransferId } from "../vault/transfer.ts";
import { backupOf, changeBackup, readItem, readVault } from "./backup-work.ts";
import { asOutcome, unlessBug } from "./outcome.ts";
import { SUB_TASK_OF } from "./phases.ts";
import { recordArchive } from "./points.ts";
import { planProgress } from "./progress.ts";
import { rememberRelative } from "./relatives.ts";
import { runSlice } from "./slices.ts";
import { endAccess, openDisks } from "./snapshot-access.ts";
import { type ActivityDeps, committedManifest, openSession } from "./transfer-session.ts";

/** A point it wants to build on may be deleted at that moment; then the next attempt builds on another. */
const MAX_BEGINNINGS = 3;

/** "busy": so many transfers are under way that another one would only wait, with access to its disks, for its slices' places. */
export function beginTransfer(deps: ActivityDeps, ref: JobRef): Promise<StepOutcome<TransferBeginning>> {
  return asOutcome(async () => {
    const asked = await readJob(deps, ref);
    if (asked.cancelRequestedAt !== null || hasSubTaskEnded(asked, SUB_TASK_OF.transfer)) return { state: "cancelled" };
    if (!(await takeSlot(deps, "transfers", transferOf(ref)))) return { state: "busy" };
    for (let beginning = 1; ; beginning++) {
      const decided = await decideTransfer(deps, ref);
      if (backupOf(decided).transfer === null) {
        await freeSlot(deps, "transfers", transferOf(ref));
        return { state: "cancelled" };
      }
      const job = await openDisks(deps, ref, decided);
      try {
        await openSession(deps, ref, job);
        return { state: "begun", diskCount: backupOf(job).snapshotDisks.length };
      } catch (cause) {
        const isOvertaken = cause instanceof HoldfastFailure && cause.code === "HoldfastPointDeleted";
        if (!isOvertaken || beginning === MAX_BEGINNINGS) throw cause;
        const { transfer } = backupOf(job);
        await changeBackup(deps, ref, (backup) => (backup.transfer === transfer ? { transfer: null } : undefined));
      }
    }
  });
}

/** Who holds a place among the transfers. */
export function transferOf({ vault, job }: JobRef): SlotHolder {
  return { vault, job, part: "transfer" };
}

/**
 * The id of the attempt stands in the job's row before the vault sees it: who cleans up knows what to give up. None, when the
 * phase was given up meanwhile: then this is an execution that nobody waits for any more.
 */
async function decideTransfer(deps: ControlDeps, ref: JobRef): Promise<JobBody> {
  const job = await readJob(deps, ref);
  if (backupOf(job).transfer !== null) return job;
  const vault = await deps.archives.open(await readVault(deps, ref.vault));
  const { archiveItem } = await readItem(deps, ref.vault, job.item);
  const decided = { transfer: newTransferId(vault), archiveItem };
  return changeJob(deps, ref, (row) => {
    const backup = backupOf(row);
    const isWanted = backup.transfer === null && !hasSubTaskEnded(row, SUB_TASK_OF.transfer);
    return isWanted ? { backup: { ...backup, ...decided } } : undefined;
  });
}

export function planDisk(deps: ActivityDeps, { disk, ...ref }: DiskStep): Promise<StepOutcome<{ sliceCount: number }>> {
  return asOutcome(async () => {
    const { open } = await openSession(deps, ref, await readJob(deps, ref));
    const { slices } = await open.planDisk(disk);
    const totalBytes = slices.reduce((sum, slice) => sum + slice.dirtyBytes, 0);
    await planProgress(deps, ref, disk, totalBytes);
    return { sliceCount: slices.length };
  });
}

export function writeSlice(deps: ActivityDeps, step: SliceStep): Promise<StepOutcome<SliceAnswer>> {
  const { disk, slice, ...ref } = step;
  return asOutcome(async () => {
    const job = await readJob(deps, ref);
    return runSlice(deps, step, job.cancelRequestedAt !== null, async () => {
      const { open } = await openSession(deps, ref, job);
      const doneBytes = await open.writeSlice(disk, slice);
      return { doneBytes, totalBytes: job.progress[disk]?.totalBytes ?? doneBytes };
    });
  });
}

export function sealDisk(deps: ActivityDeps, { disk, ...ref }: DiskStep): Promise<StepOutcome> {
  return asOutcome(async () => {
    const { open } = await openSession(deps, ref, await readJob(deps, ref));
    await open.sealDisk(disk);
    return {};
  });
}

/** The manifest's create-only write is the backup; then the row that mirrors it, and the pin goes last. */
export function commitTransfer(deps: ActivityDeps, ref: JobRef): Promise<StepOutcome> {
  return asOutcome(async () => {
    const job = await readJob(deps, ref);
    const standing = await committedManifest(deps, ref, job);
    if (standing) return mirrorCommit(deps, ref, job, standing);
    const claim = { job: ref.job, fence: backupOf(job).fences.transfer };
    await requirePhase(deps, { vault: ref.vault, item: job.item, phase: "transfer" }, claim);
    const { open } = await openSession(deps, ref, job);
    return mirrorCommit(deps, ref, job, await open.commit());
  });
}

/** What every execution after the commit does, and who finds the commit while giving up. */
export async function mirrorCommit(deps: ControlDeps, ref: JobRef, job: JobBody, manifest: Manifest): Promise<object> {
  const storedBytes = manifest.disks.reduce((sum, { stats }) => sum + stats.storedBytes, 0);
  const readBytes = manifest.disks.reduce((sum, { stats }) => sum + stats.readBytes, 0);
  await recordArchive(deps, ref, job, { transfer: manifest.transfer, storedBytes });
  await rememberRelative(deps, ref, job, manifest.item);
  await moveSubTask(deps, ref, SUB_TASK_OF.transfer, "complete", (row) => ({
    properties: { ...row.properties, "Backup Size": `${Math.ceil(readBytes / 2 ** 20)} MB` },
    backup: { ...backupOf(row), transferredBytes: readBytes },
  }));
  const vault = await deps.archives.open(await readVault(deps, ref.vault));
  await releaseTransfer(vault, { item: manifest.item, transfer: manifest.transfer });
  return {};
}

/** The place is free, access to the snapshot's disks ends, the phase is free, and what no later backup needs goes. */
export async function endTransfer(deps: ActivityDeps, ref: JobRef): Promise<{ state: "done" | "pending" }> {
  const job = await readJob(deps, ref);
  const { transfer } = backupOf(job);
  if (transfer !== null) deps.sessions.forget(transfer);
  // First, for what follows may fail for hours, and the place is wanted by all vaults.
  await freeSlot(deps, "transfers", transferOf(ref));
  const held = await readRow(deps.tables, ITEM_ROWS, itemPlace(ref.vault, job.item));
  if (transfer !== null) await endAccess(deps, ref, job, held?.body);
  await freePhase(deps, { vault: ref.vault, item: job.item, phase: "transfer" }, ref.job);
  // A lock, or a platform that is not to be had, must not keep the job from ending: the next retention pass tries again.
  if (held) await releaseSnapshots(deps, ref.vault, held.body).catch(unlessBug);
  return { state: "done" };
}
