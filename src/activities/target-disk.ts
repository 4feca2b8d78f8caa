// One disk of a restore: made from its snapshot, or made empty and filled from the vault's archive slice by slice. Slices may
// run twice and at once: they write the same bytes to the same places.

import type { DiskStep, JobRef, SliceAnswer, SliceStep, StepOutcome } from "../../orchestrations/contracts.ts";
import { assert } from "../base/assert.ts";
import { HoldfastFailure } from "../base/failure.ts";
import type { ControlDeps } from "../control/control-deps.ts";
import { changeJob, readJob } from "../control/job-changes.ts";
import type { JobBody, RestoreWork } from "../control/rows/job-row.ts";
import type { NewDisk } from "../ports/target-disks.ts";
import type { Manifest, ManifestDisk } from "../vault/format/manifest.ts";
import { parseItemId, parseTransferId } from "../vault/format/names.ts";
import type { Vault } from "../vault/open-vault.ts";
import { readManifest } from "../vault/points.ts";
import { countRestoreSlices, restoreSlice as restoreVaultSlice } from "../vault/restore-disk.ts";
import { readItem, readVault } from "./backup-work.ts";
import { asOutcome } from "./outcome.ts";
import { changeProgress, planProgress } from "./progress.ts";
import { isGivenUp, readPointOf, restoreOf } from "./restore.ts";
import { runSlice } from "./slices.ts";

/** Of a dense disk; of a sparse one progress comes in leaps. */
const RESTORE_SLICE_BYTES = 512 * 2 ** 20;

interface RestoreSource {
  readonly vault: Vault;
  readonly manifest: Manifest;
  readonly source: ManifestDisk;
}

type RestoredDisk = RestoreWork["disks"][number];

export function beginTargetDisk(deps: ControlDeps, { disk, ...ref }: DiskStep): Promise<StepOutcome> {
  return asOutcome(async () => {
    const job = await readJob(deps, ref);
    if (isGivenUp(job)) return {};
    await makeDisk(deps, ref, job, disk);
    // An execution that nobody waits for any more may come here after the cleaning: then what it made is its own to remove.
    const { targetDiskId } = diskOf(job, disk);
    if (isGivenUp(await readJob(deps, ref))) await deps.targets.remove(targetDiskId, ref.job);
    return {};
  });
}

async function makeDisk(deps: ControlDeps, ref: JobRef, job: JobBody, disk: number): Promise<void> {
  const target = diskOf(job, disk);
  const wanted = await newDisk(deps, ref, job, target);
  const { snapshotDiskId } = target;
  const isMade =
    snapshotDiskId !== null && (await madeFromSnapshot(deps, ref, job, disk, { ...wanted, snapshotDiskId }));
  if (!isMade) await deps.targets.beginUpload(wanted);
}

/** False when the snapshot went meanwhile, or is of a kind that makes no disks, and the vault has a copy to use instead. */
async function madeFromSnapshot(
  deps: ControlDeps,
  ref: JobRef,
  job: JobBody,
  disk: number,
  request: NewDisk & { readonly snapshotDiskId: string },
): Promise<boolean> {
  try {
    await deps.targets.beginFromSnapshot(request);
    return true;
  } catch (cause) {
    const isUnusable =
      cause instanceof HoldfastFailure && (cause.kind === "not-found" || cause.code === "HoldfastClassicSnapshot");
    if (!isUnusable) throw cause;
    if (!(await readPointOf(deps, ref, job)).archive) throw cause;
    await changeJob(deps, ref, (row) => {
      const restore = restoreOf(row);
      const disks = restore.disks.map((each, at) => (at === disk ? { ...each, snapshotDiskId: null } : each));
      return { restore: { ...restore, disks } };
    });
    return false;
  }
}

async function newDisk(deps: ControlDeps, ref: JobRef, job: JobBody, target: RestoredDisk): Promise<NewDisk> {
  const { location, zones } = restoreOf(job);
  const { machine } = await readPointOf(deps, ref, job);
  return {
    diskId: target.targetDiskId,
    ...{ location, zones },
    sizeBytes: target.sizeBytes,
    skuName: target.skuName,
    osType: target.lun === -1 ? machine.osType : undefined,
    hyperVGeneration: undefined,
    owner: ref.job,
  };
}

export function checkTargetDisk(
  deps: ControlDeps,
  { disk, ...ref }: DiskStep,
): Promise<StepOutcome<{ state: "pending" | "waits" | "ready" | "cancelled" }>> {
  return asOutcome(async () => {
    const job = await readJob(deps, ref);
    if (isGivenUp(job)) return { state: "cancelled" };
    const { targetDiskId, sizeBytes } = diskOf(job, disk);
    const seen = await deps.targets.read(targetDiskId);
    if (seen?.owner !== ref.job || seen.state === "failed") {
      throw new HoldfastFailure("conflict", "HoldfastTargetDiskFailed", `The disk ${targetDiskId} could not be made`);
    }
    if (seen.state === "waits-for-upload") return { state: "waits" };
    if (seen.state === "pending") return { state: "pending" };
    await changeProgress(deps, ref, disk, { doneBytes: sizeBytes, totalBytes: sizeBytes, since: null });
    return { state: "ready" };
  });
}

export function planRestore(
  deps: ControlDeps,
  { disk, ...ref }: DiskStep,
): Promise<StepOutcome<{ sliceCount: number }>> {
  return asOutcome(async () => {
    const job = await readJob(deps, ref);
    const { vault, manifest, source } = await openSource(deps, ref, job, disk);
    await planProgress(deps, ref, disk, source.sizeBytes);
    return { sliceCount: await countRestoreSlices(vault, manifest, source) };
  });
}

export function restoreSlice(deps: ControlDeps, step: SliceStep): Promise<StepOutcome<SliceAnswer>> {
  const { disk, slice, ...ref } = step;
  return asOutcome(async () => {
    const job = await readJob(deps, ref);
    return runSlice(deps, step, isGivenUp(job), async () => {
      const { vault, manifest, source } = await openSource(deps, ref, job, disk);
      await writeRestoredSlice(deps, diskOf(job, disk), { vault, manifest, source, slice });
      const { sizeBytes } = source;
      return { doneBytes: Math.min(sizeBytes, (slice + 1) * RESTORE_SLICE_BYTES), totalBytes: sizeBytes };
    });
  });
}

async function writeRestoredSlice(
  deps: ControlDeps,
  { targetDiskId }: RestoredDisk,
  { vault, manifest, source, slice }: RestoreSource & { readonly slice: number },
): Promise<void> {
  // An execution that nobody waits for any more may have been faster: only a disk that is whole is ever ready.
  if ((await deps.targets.read(targetDiskId))?.state === "ready") return;
  const sink = await deps.targets.openForWriting(targetDiskId);
  await restoreVaultSlice(vault, manifest, source, slice, sink);
  await sink.finish();
}

export function finishTargetDisk(deps: ControlDeps, { disk, ...ref }: DiskStep): Promise<StepOutcome> {
  return asOutcome(async () => {
    const job = await readJob(deps, ref);
    await deps.targets.finishUpload(diskOf(job, disk).targetDiskId);
    return {};
  });
}

async function openSource(deps: ControlDeps, ref: JobRef, job: JobBody, disk: number): Promise<RestoreSource> {
  const point = await readPointOf(deps, ref, job);
  if (!point.archive) throw new HoldfastFailure("conflict", "HoldfastNotInVault", "The vault has no copy of the point");
  const vault = await deps.archives.open(await readVault(deps, ref.vault));
  const { archiveItem } = await readItem(deps, ref.vault, job.item);
  const id = { item: parseItemId(archiveItem), transfer: parseTransferId(point.archive.transfer) };
  const { manifest } = await readManifest(vault, id);
  const { lun, name } = diskOf(job, disk);
  const source = manifest.disks.find((each) => each.lun === lun && each.name === name);
  if (source) return { vault, manifest, source };
  throw new HoldfastFailure("corrupt", "HoldfastDiskNotInPoint", `The point has no disk ${name} at LUN ${lun}`);
}

function diskOf(job: JobBody, disk: number): RestoredDisk {
  const target = restoreOf(job).disks[disk];
  assert(target !== undefined, `job ${job.id} has a disk ${disk}`);
  return target;
}
