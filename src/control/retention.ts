// Letting points go whose time is over: what the domain plans from rows and policy, carried out copy by copy. A plan may be
// carried out twice, late, or in part: every pass plans anew, and a row goes last, when neither copy is left.
//
// In the vault's archive a point is marked deleted here and removed by the collector after the vault's own grace; the
// archive refuses when it is held there, or the item's last.

import { HoldfastFailure } from "../base/failure.ts";
import { type PointPlan, planExpiry, type RetainedPoint, type RetentionFacts } from "../domain/retention.ts";
import { parseItemId, parseTransferId } from "../vault/format/names.ts";
import { type Deletion, deletePoint } from "../vault/point-states.ts";
import { forEachVault } from "./all-vaults.ts";
import type { ControlDeps } from "./control-deps.ts";
import { ITEM_ROWS, type ItemBody } from "./rows/item-row.ts";
import { JOB_ROWS, jobPlace } from "./rows/job-row.ts";
import { POINT_ROWS, type PointBody, pointPlace, pointsPartition } from "./rows/point-row.ts";
import { POLICY_ROWS, policyPlace } from "./rows/policy-row.ts";
import { changeRow, listRows, readRow, removeRow } from "./rows/row-kind.ts";
import { VAULT_ROWS, vaultPlace } from "./rows/vault-row.ts";
import { CAPTURE_ROWS, capturePlace } from "./rows/work-rows.ts";

export function retainVaults(deps: ControlDeps): Promise<void> {
  return forEachVault(deps, ({ key }) => retainVault(deps, key));
}

/** One pass over all items of a vault. A point that cannot go today is tried again by the next pass. */
export async function retainVault(deps: ControlDeps, vault: string): Promise<void> {
  for await (const { body: item } of listRows(deps.tables, ITEM_ROWS, vault)) await retainItem(deps, vault, item);
}

export async function retainItem(deps: ControlDeps, vault: string, item: ItemBody): Promise<void> {
  const points = await readPoints(deps, vault, item);
  const plans = await planPoints(deps, vault, item, points);
  for (const [at, plan] of plans.entries()) await carryOut(deps, vault, item, points[at] as PointBody, plan);
}

/** Only what is left of snapshots whose time is over: at the end of a backup, when the next one has its base. */
export async function releaseSnapshots(deps: ControlDeps, vault: string, item: ItemBody): Promise<void> {
  const points = await readPoints(deps, vault, item);
  const plans = await planPoints(deps, vault, item, points);
  for (const [at, plan] of plans.entries()) {
    if (plan.snapshot.action === "expire") await releaseSnapshot(deps, vault, item, points[at] as PointBody);
  }
}

async function readPoints(deps: ControlDeps, vault: string, item: ItemBody): Promise<PointBody[]> {
  const points: PointBody[] = [];
  for await (const { body } of listRows(deps.tables, POINT_ROWS, pointsPartition(vault, item.name))) points.push(body);
  return points;
}

async function planPoints(
  deps: ControlDeps,
  vault: string,
  item: ItemBody,
  points: readonly PointBody[],
): Promise<PointPlan[]> {
  const facts = await factsOf(deps, vault, item);
  if (!facts) return [];
  const newestInVault = points.find(({ archive }) => archive !== null);
  const retained: RetainedPoint[] = [];
  for (const point of points) {
    retained.push(await retainedOf(deps, vault, point, point === newestInVault));
  }
  return planExpiry(retained, facts);
}

/** Undefined when no policy says anything: then nothing goes. */
async function factsOf(deps: ControlDeps, vault: string, item: ItemBody): Promise<RetentionFacts | undefined> {
  if (item.policy === null) return undefined;
  const held = await readRow(deps.tables, POLICY_ROWS, policyPlace(vault, item.policy));
  if (!held) return undefined;
  return { now: deps.clock.now(), item: retentionStateOf(item), policy: held.body.policy };
}

function retentionStateOf({ deletedAt, state }: ItemBody): RetentionFacts["item"] {
  if (deletedAt !== null) return "SoftDeleted";
  return state === "ProtectionStopped" || state === "BackupsSuspended" ? state : "InForce";
}

async function retainedOf(
  deps: ControlDeps,
  vault: string,
  point: PointBody,
  isNewestInVault: boolean,
): Promise<RetainedPoint> {
  const takenAt = new Date(point.time);
  const origin: RetainedPoint["origin"] =
    point.retainUntil === null
      ? { kind: "Scheduled", tags: point.tags }
      : { kind: "OnDemand", retainUntil: new Date(point.retainUntil) };
  return {
    id: point.pointId,
    scheduledAt: point.scheduledAt === null ? takenAt : new Date(point.scheduledAt),
    takenAt,
    origin,
    hasSnapshot: point.snapshot.state !== "deleted",
    isDiffBase: isNewestInVault,
    inVault: point.archive ? "Present" : (await isJobLive(deps, vault, point.jobId)) ? "Pending" : "Absent",
    ...(point.keepUntil !== null && { keepUntil: new Date(point.keepUntil) }),
    ...(point.isHeld && { hold: "held" }),
  };
}

async function isJobLive(deps: ControlDeps, vault: string, job: string): Promise<boolean> {
  const held = await readRow(deps.tables, JOB_ROWS, jobPlace(vault, job));
  return held !== undefined && held.body.endedAt === null;
}

async function carryOut(
  deps: ControlDeps,
  vault: string,
  item: ItemBody,
  point: PointBody,
  plan: PointPlan,
): Promise<void> {
  if (plan.snapshot.action === "expire") await releaseSnapshot(deps, vault, item, point);
  if (plan.vault.action !== "expire" && !(plan.vault.action === "none" && plan.snapshot.action === "expire")) return;
  const deletion = { reason: "its retention is over" };
  if (plan.vault.action === "expire" && !(await deleteInArchive(deps, vault, item, point, deletion))) return;
  await forgetPoint(deps, vault, item, point.pointId);
}

/** Both copies, whatever a policy says: the point's item is being removed. Called until it says gone. */
export async function dropPoint(
  deps: ControlDeps,
  vault: string,
  item: ItemBody,
  point: PointBody,
): Promise<"gone" | "pending"> {
  await releaseSnapshot(deps, vault, item, point);
  const deletion = { reason: "its item is removed", evenLast: true };
  if (point.archive && !(await deleteInArchive(deps, vault, item, point, deletion))) {
    throw new HoldfastFailure("conflict", "HoldfastPointKept", `The recovery point ${point.pointId} is held`, {
      hint: "Release it; its item goes when no point of it is held any more.",
    });
  }
  await forgetPoint(deps, vault, item, point.pointId);
  const isLeft = await readRow(deps.tables, POINT_ROWS, pointPlace(vault, item.name, point.pointId));
  return isLeft ? "pending" : "gone";
}

/** Restores stop choosing the snapshot before it goes. */
async function releaseSnapshot(deps: ControlDeps, vault: string, item: ItemBody, point: PointBody): Promise<void> {
  const place = pointPlace(vault, item.name, point.pointId);
  const { snapshot } = await changeRow(deps.tables, POINT_ROWS, place, (row) =>
    row.snapshot.state === "valid" ? withSnapshot(row, { state: "leaving" }) : undefined,
  );
  if (snapshot.state !== "leaving" || !snapshot.ref) return;
  if ((await deps.snapshots.remove(snapshot.ref)) !== "gone") return;
  await changeRow(deps.tables, POINT_ROWS, place, (row) => withSnapshot(row, { state: "deleted", ref: null }));
}

function withSnapshot(point: PointBody, change: Partial<PointBody["snapshot"]>): PointBody {
  return { ...point, snapshot: { ...point.snapshot, ...change } };
}

/** False when the archive has a reason to keep it. */
async function deleteInArchive(
  deps: ControlDeps,
  vault: string,
  item: ItemBody,
  point: PointBody,
  deletion: Deletion,
): Promise<boolean> {
  const held = await readRow(deps.tables, VAULT_ROWS, vaultPlace(vault));
  if (!held || !point.archive) return false;
  const archive = await deps.archives.open(held.body);
  const id = { item: parseItemId(item.archiveItem), transfer: parseTransferId(point.archive.transfer) };
  try {
    await deletePoint(archive, id, deletion);
    return true;
  } catch (cause) {
    // Held there, the last one, or gone already: the archive knows better than a row.
    if (cause instanceof HoldfastFailure && cause.kind === "not-found") return true;
    if (cause instanceof HoldfastFailure && cause.kind === "conflict") return false;
    throw cause;
  }
}

/** When no copy is left. */
async function forgetPoint(deps: ControlDeps, vault: string, item: ItemBody, pointId: string): Promise<void> {
  const place = pointPlace(vault, item.name, pointId);
  const held = await readRow(deps.tables, POINT_ROWS, place);
  if (held?.body.snapshot.state !== "deleted") return;
  await removeRow(deps.tables, CAPTURE_ROWS, capturePlace(vault, held.body.jobId));
  await removeRow(deps.tables, POINT_ROWS, place);
}
