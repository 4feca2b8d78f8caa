// Letting points go whose time is over: what the domain plans from rows and policy, carried out copy by copy. A plan may be
// carried out twice, late, or in part: every pass plans anew. What fails for one point or item (a lock on its snapshots, an
// unreadable row) is told when all others have had their turn, and tried again by the next pass.

import { type PointPlan, planExpiry, type RetainedPoint, type RetentionFacts } from "../domain/retention.ts";
import { damagedPoints } from "../vault/damaged-points.ts";
import { parseItemId, parseTransferId } from "../vault/format/names.ts";
import { forEachVault, tryEach } from "./all-vaults.ts";
import type { ControlDeps } from "./control-deps.ts";
import { deleteInArchive, forgetPoint, releaseSnapshot } from "./point-removal.ts";
import { promote } from "./promotions.ts";
import { ITEM_ROWS, type ItemBody } from "./rows/item-row.ts";
import { JOB_ROWS, jobPlace } from "./rows/job-row.ts";
import { POINT_ROWS, type PointBody, pointsPartition } from "./rows/point-row.ts";
import { POLICY_ROWS, type PolicyBody, policyPlace } from "./rows/policy-row.ts";
import { listRows, readRow } from "./rows/row-kind.ts";
import { VAULT_ROWS, vaultPlace } from "./rows/vault-row.ts";

export function retainVaults(deps: ControlDeps): Promise<void> {
  return forEachVault(deps, ({ key }) => retainVault(deps, key));
}

/** One pass over all items of a vault. A point that cannot go today is tried again by the next pass. */
export function retainVault(deps: ControlDeps, vault: string): Promise<void> {
  return tryEach(listRows(deps.tables, ITEM_ROWS, vault), ({ body }) => retainItem(deps, vault, body));
}

export async function retainItem(deps: ControlDeps, vault: string, item: ItemBody): Promise<void> {
  const policy = await policyOf(deps, vault, item);
  let points = await readPoints(deps, vault, item);
  let standIns: ReadonlySet<string> = new Set();
  if (policy && retentionStateOf(item) === "InForce")
    ({ points, standIns } = await promote(deps, vault, item, policy, points));
  const damaged = await findDamaged(deps, vault, item, points);
  const plans = await planPoints(deps, vault, item, { policy, points, standIns, damaged });
  await tryEach(points.keys(), (at) => carryOut(deps, vault, item, points[at] as PointBody, plans?.[at]));
}

/** Only what is left of snapshots whose time is over: at the end of a backup, when the next one has its base. */
export async function releaseSnapshots(deps: ControlDeps, vault: string, item: ItemBody): Promise<void> {
  const policy = await policyOf(deps, vault, item);
  const points = await readPoints(deps, vault, item);
  const plans = await planPoints(deps, vault, item, { policy, points });
  for (const [at, point] of points.entries()) {
    if (plans?.[at]?.snapshot.action === "expire") await releaseSnapshot(deps, vault, item, point);
  }
}

/** Newest first. */
export async function readPoints(
  deps: Pick<ControlDeps, "tables">,
  vault: string,
  item: ItemBody,
): Promise<PointBody[]> {
  const points: PointBody[] = [];
  for await (const { body } of listRows(deps.tables, POINT_ROWS, pointsPartition(vault, item.name))) points.push(body);
  return points;
}

async function policyOf(deps: ControlDeps, vault: string, { policy }: ItemBody): Promise<PolicyBody | undefined> {
  if (policy === null) return undefined;
  return (await readRow(deps.tables, POLICY_ROWS, policyPlace(vault, policy)))?.body;
}

interface Known {
  readonly policy: PolicyBody | undefined;
  readonly points: readonly PointBody[];
  readonly standIns?: ReadonlySet<string>;
  /** By their transfers. */
  readonly damaged?: ReadonlySet<string>;
}

/** Undefined when no policy says anything: then nothing expires. */
async function planPoints(
  deps: ControlDeps,
  vault: string,
  item: ItemBody,
  { policy, points, standIns, damaged }: Known,
): Promise<PointPlan[] | undefined> {
  if (!policy) return undefined;
  const formerWeeklyRule = item.formerWeeklyRule ?? policy.formerWeeklyRule;
  const facts: RetentionFacts = {
    now: deps.clock.now(),
    item: retentionStateOf(item),
    policy: policy.policy,
    ...(formerWeeklyRule && { formerWeeklyRule }),
    ...(standIns && { standIns }),
  };
  const newestInVault = points.find(({ archive }) => archive !== null);
  const retained: RetainedPoint[] = [];
  for (const point of points) {
    const inVault = point.archive ? "Present" : (await isJobLive(deps, vault, point.jobId)) ? "Pending" : "Absent";
    const isDamaged = point.archive !== null && damaged?.has(point.archive.transfer) === true;
    retained.push({ ...retainedOf(point), inVault, isDamaged, isDiffBase: point === newestInVault });
  }
  return planExpiry(retained, facts);
}

function retentionStateOf({ deletedAt, state }: ItemBody): RetentionFacts["item"] {
  if (deletedAt !== null) return "SoftDeleted";
  return state === "ProtectionStopped" || state === "BackupsSuspended" ? state : "InForce";
}

function retainedOf(point: PointBody): Omit<RetainedPoint, "inVault"> {
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
    // One that is on its way out is none that anybody could still rely on.
    hasSnapshot: point.snapshot.state === "valid",
    ...(point.keepUntil !== null && { keepUntil: new Date(point.keepUntil) }),
    ...(point.isHeld && { hold: "held" }),
  };
}

async function isJobLive(deps: ControlDeps, vault: string, job: string): Promise<boolean> {
  const held = await readRow(deps.tables, JOB_ROWS, jobPlace(vault, job));
  return held !== undefined && held.body.endedAt === null;
}

/** Points whose copy in the archive cannot be relied on. */
async function findDamaged(
  deps: ControlDeps,
  vault: string,
  { archiveItem }: ItemBody,
  points: readonly PointBody[],
): Promise<ReadonlySet<string>> {
  const transfers = points.flatMap(({ archive }) => (archive ? [parseTransferId(archive.transfer)] : []));
  const held = await readRow(deps.tables, VAULT_ROWS, vaultPlace(vault));
  if (transfers.length === 0 || !held) return new Set();
  return damagedPoints(await deps.archives.open(held.body), parseItemId(archiveItem), transfers);
}

async function carryOut(
  deps: ControlDeps,
  vault: string,
  item: ItemBody,
  point: PointBody,
  plan: PointPlan | undefined,
): Promise<void> {
  // What an earlier pass has begun is brought to its end, whatever the policy says today.
  if (point.snapshot.state === "leaving" || plan?.snapshot.action === "expire") {
    await releaseSnapshot(deps, vault, item, point);
  }
  const deletion = { reason: "its retention is over" };
  if (plan?.vault.action === "expire" && !(await deleteInArchive(deps, vault, item, point, deletion))) return;
  if (plan?.vault.action === "expire" || plan?.vault.action === "none") {
    await forgetPoint(deps, vault, item, point.pointId);
  }
}
