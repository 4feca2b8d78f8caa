// Removing what no point needs. The order of the steps is the proof:
//  1 sidecars of points deleted past their grace become *dropping*, by compare-and-swap
//  2 pins are listed; D is the store's date of that listing
//  3 dropping manifests that no listed pin names are deleted
//  4 manifests are listed, and marked from their lists of packs; so are the points that listed pins name
//  5 sidecars are listed again: if somebody else made one dropping since 1, this collection ends here. A transfer that
//    began after 2 may have borrowed from that point and committed where 4 had already looked
//  6 packs are listed and swept: unmarked, of a transfer without a listed pin, and older than D by a margin
// What is unmarked and closed can never live again, so a stale, doubled or killed collection is harmless. In any other
// order, or without 5, the same steps lose data: test/src/vault/collector-model.test.ts shows how.

import { HoldfastFailure } from "../base/failure.ts";
import type { StoredObject } from "../ports/object-store.ts";
import { COLLECTION_MARGINS, DAY_MS, type DroppingPoint, type ListedPins } from "./collection-margins.ts";
import {
  type ItemId,
  PACKS_PREFIX,
  type PackId,
  PINS_PREFIX,
  POINTS_PREFIX,
  type PointId,
  parsePackName,
  parsePinName,
  parsePointObject,
  parseStateName,
  pointName,
  pointPacksName,
  STATES_PREFIX,
  stateName,
  type TransferId,
} from "./format/names.ts";
import { readPointPacks as packsIn } from "./format/pack-counts.ts";
import { pinRecord, type StateRecord } from "./format/records.ts";
import { findRemains, findScratch, type Leftover } from "./leftovers.ts";
import { listObjects, readIfPresent, readRecord, unseal, writeRecord } from "./objects.ts";
import { requireWritable, type Vault } from "./open-vault.ts";
import { PackSet } from "./pack-set.ts";
import { changedState, isKept, readState } from "./point-states.ts";
import { readPoint } from "./points.ts";

const MAX_FREED_SHARE = 0.2;

export interface CollectionPlan {
  readonly storeDate: string;
  /** Deleted longer ago than the soft-delete period, and free to go. */
  readonly drops: readonly { readonly point: PointId; readonly reason: string }[];
  /** Would be dropped, but a pin names them. */
  readonly pinned: readonly PointId[];
  /** Items that have no point left afterwards. */
  readonly emptiedItems: readonly ItemId[];
  readonly sweeps: readonly PackSweep[];
  /** What else is left over: lists of dropped points, old voids and sidecars. */
  readonly remains: readonly Leftover[];
  /** Manifests and voids that stand, before anything is dropped. */
  readonly pointCount: number;
  readonly packCount: number;
  readonly packBytes: number;
  readonly freedBytes: number;
  readonly liveTransfers: number;
}

export interface PackSweep {
  readonly name: string;
  readonly pack: PackId;
  readonly sizeBytes: number;
  readonly reason: string;
  /** A void says so: no broken listing can have made it look like garbage. */
  readonly isOfVoid: boolean;
}

export interface CollectionOptions {
  /** Lets a plan through that empties an item or frees a large share of the vault. */
  readonly force?: boolean;
}

export interface AskedOptions {
  /** The same, or who decides it when the plan is known. */
  readonly force?: boolean | ((plan: CollectionPlan) => Promise<boolean>);
}

/** What collecting would do now. Changes nothing. */
export function planCollection(vault: Vault): Promise<CollectionPlan> {
  return planSteps(vault, false);
}

/** Looks first, refuses what looks wrong, then does it step by step, and says what it did. */
export async function collect(vault: Vault, { force = false }: AskedOptions = {}): Promise<CollectionPlan> {
  requireWritable(vault);
  const plan = await planSteps(vault, false);
  const options = { force: typeof force === "function" ? await force(plan) : force };
  refuseIfSuspicious(plan, options);
  return executeCollection(vault, options);
}

/** The steps themselves. The plan is made anew on the way, for the vault has not stood still since it was looked at. */
export async function executeCollection(vault: Vault, options: CollectionOptions = {}): Promise<CollectionPlan> {
  const plan = await planSteps(vault, true);
  refuseIfSuspicious(plan, options);
  await sweep(vault, plan);
  return plan;
}

export async function sweep(vault: Vault, plan: Pick<CollectionPlan, "sweeps" | "remains">): Promise<void> {
  for (const { name } of plan.sweeps) await vault.archive.delete(name);
  for (const { store, name } of plan.remains) await vault[store].delete(name);
}

async function planSteps(vault: Vault, really: boolean): Promise<CollectionPlan> {
  const dropping = await markDropping(vault, really);
  const pins = await listPins(vault);
  const { drops, pinned } = await removeDropped(vault, dropping, pins, really);
  const dropped = new Set(drops.map(({ point }) => pointName(point)));
  const live = await markLive(vault, dropping, pins, dropped);
  if (really) await refuseIfOthersDropped(vault, dropping);
  const packs = await findGarbage(vault, pins, live);
  const remains = [...findRemains(dropping, pins, live), ...(await findScratch(vault, pins, live.marked))];
  return {
    storeDate: pins.storeDate.toISOString(),
    drops,
    pinned,
    emptiedItems: [...new Set(drops.map(({ point }) => point.item))].filter((item) => !live.items.has(item)),
    pointCount: live.standing.size + dropped.size,
    ...packs,
    remains,
    liveTransfers: pins.transfers.size,
  };
}

/** Step 1. From here on nobody borrows from these points, and nobody undeletes them. */
export async function markDropping(vault: Vault, really: boolean): Promise<readonly DroppingPoint[]> {
  const dropping: DroppingPoint[] = [];
  for await (const page of vault.state.list(STATES_PREFIX)) {
    for (const { name } of page.objects) {
      const point = parseStateName(name);
      const state = await toDropping(vault, point, page.storeDate, really);
      if (state) dropping.push({ point, state });
    }
  }
  return dropping;
}

async function toDropping(
  vault: Vault,
  point: PointId,
  storeDate: Date,
  really: boolean,
): Promise<StateRecord | undefined> {
  const seen = await readState(vault, point);
  if (!seen) return undefined;
  if (seen.body.droppingSince) return seen.body;
  const { deletedAt } = seen.body;
  const graceMs = vault.record.defaults.softDeleteDays * DAY_MS;
  if (deletedAt === null || Date.parse(deletedAt) + graceMs > storeDate.getTime()) return undefined;
  if (isKept(seen.body, storeDate)) return undefined;
  const next = changedState(point, seen.body, { droppingSince: storeDate.toISOString() });
  if (!really) return next;
  return (await writeRecord(vault, stateName(point), next, seen)) ? next : undefined;
}

/** Step 2. A pin that vanishes while it is read belongs to a transfer that is over: its own packs still count as pinned. */
export async function listPins(vault: Vault): Promise<ListedPins> {
  const transfers = new Set<TransferId>();
  const points = new Map<string, PointId>();
  let storeDate: Date | undefined;
  for await (const page of vault.state.list(PINS_PREFIX)) {
    storeDate ??= page.storeDate;
    for (const { name } of page.objects) {
      transfers.add(parsePinName(name));
      const pin = await readRecord(vault, pinRecord, name);
      for (const point of pin?.body.points ?? []) points.set(pointName(point), point);
    }
  }
  if (!storeDate) throw new HoldfastFailure("unavailable", "HoldfastNoListing", "The store answered no page of pins");
  return { transfers, points, storeDate };
}

/** Step 3. The manifest goes first: while it stands its sidecar says *dropping*, and nobody takes it for a point. */
export async function removeDropped(
  vault: Vault,
  dropping: readonly DroppingPoint[],
  pins: ListedPins,
  really: boolean,
) {
  const drops: { point: PointId; reason: string }[] = [];
  const pinned: PointId[] = [];
  for (const { point, state } of dropping) {
    if (pins.points.has(pointName(point)) || pins.transfers.has(point.transfer)) {
      pinned.push(point);
      continue;
    }
    if (!(await readIfPresent(vault.archive, pointName(point)))) continue;
    drops.push({ point, reason: state.deletedReason });
    if (really) await vault.archive.delete(pointName(point));
  }
  return { drops, pinned };
}

interface LivePoints {
  readonly marked: PackSet;
  readonly items: ReadonlySet<ItemId>;
  /** Manifests and voids that stood there, dropped ones included. */
  readonly standing: ReadonlySet<string>;
  readonly voids: readonly StoredObject[];
  readonly packLists: readonly StoredObject[];
}

/** Step 4. Anything here that cannot be read and believed stops the whole collection. */
export async function markLive(
  vault: Vault,
  dropping: readonly DroppingPoint[],
  pins: ListedPins,
  dropped: ReadonlySet<string>,
): Promise<LivePoints> {
  const marked = new PackSet();
  const items = new Set<ItemId>();
  const standing = new Set<string>();
  const voids: StoredObject[] = [];
  const packLists: StoredObject[] = [];
  const leaving = new Set(dropping.map(({ point }) => pointName(point)));
  for (const point of pins.points.values()) await markPoint(vault, point, marked);
  for await (const object of listObjects(vault.archive, POINTS_PREFIX)) {
    const found = parsePointObject(object.name);
    if (found.kind === "packs") {
      packLists.push(object);
      continue;
    }
    if (dropped.has(object.name)) continue;
    const content = await readPoint(vault, found.point);
    if (content) standing.add(object.name);
    else if (!leaving.has(object.name)) throw anotherCollector(object.name);
    if (content?.kind === "void") voids.push(object);
    if (content?.kind !== "manifest") continue;
    items.add(found.point.item);
    await markPoint(vault, found.point, marked);
  }
  return { marked, items, standing, voids, packLists };
}

async function markPoint(vault: Vault, point: PointId, marked: PackSet): Promise<void> {
  const name = pointPacksName(point);
  const found = await readIfPresent(vault.archive, name);
  if (!found) {
    throw new HoldfastFailure("corrupt", "HoldfastPacksMissing", `${name} is missing: nothing is collected`, {
      hint: "If another collection runs, try again after it; else verify the vault.",
    });
  }
  for (const pack of packsIn(unseal(vault, { kind: "packs", ...point }, found.body), name)) marked.add(pack);
}

/** Step 5. */
async function refuseIfOthersDropped(vault: Vault, dropping: readonly DroppingPoint[]): Promise<void> {
  const mine = new Set(dropping.map(({ point }) => stateName(point)));
  for await (const { name } of listObjects(vault.state, STATES_PREFIX)) {
    if (mine.has(name)) continue;
    const state = await readState(vault, parseStateName(name));
    if (state?.body.droppingSince) throw anotherCollector(name);
  }
}

function anotherCollector(name: string): HoldfastFailure {
  return new HoldfastFailure(
    "conflict",
    "HoldfastCollectionOverlaps",
    `Another collection is at work: it removes ${name}`,
    {
      hint: "Nothing is wrong; collect again later.",
    },
  );
}

/** Step 6. */
export async function findGarbage(
  vault: Vault,
  pins: ListedPins,
  { marked, voids }: Pick<LivePoints, "marked" | "voids">,
) {
  const voided = new Set(voids.map(({ name }) => parsePointObject(name).point.transfer));
  const sweeps: PackSweep[] = [];
  let packCount = 0;
  let packBytes = 0;
  let freedBytes = 0;
  for await (const { name, sizeBytes, lastModified } of listObjects(vault.archive, PACKS_PREFIX)) {
    const { pack } = parsePackName(name);
    packCount++;
    packBytes += sizeBytes;
    if (marked.has(pack) || pins.transfers.has(pack.transfer)) continue;
    if (lastModified.getTime() >= pins.storeDate.getTime() - COLLECTION_MARGINS.packMs) continue;
    const isOfVoid = voided.has(pack.transfer);
    const reason = isOfVoid ? "its transfer was given up" : "no point needs it, and its transfer is over";
    sweeps.push({ name, pack, sizeBytes, reason, isOfVoid });
    freedBytes += sizeBytes;
  }
  return { sweeps, packCount, packBytes, freedBytes };
}

function refuseIfSuspicious(plan: CollectionPlan, { force = false }: CollectionOptions): void {
  if (force) return;
  if (plan.pointCount === 0 && plan.sweeps.length > 0) {
    // An empty answer where there was something is a sign of a wrong account or a broken store, not of garbage.
    throw new HoldfastFailure("corrupt", "HoldfastEmptyListing", "The vault lists packs, but no points", {
      hint: "Nothing was collected. Check that both containers belong together and are complete, then use --force.",
    });
  }
  if (plan.emptiedItems.length > 0) {
    throw new HoldfastFailure(
      "conflict",
      "HoldfastLastPoint",
      `The last point of ${plan.emptiedItems.join(", ")} would go`,
      {
        hint: "Look at the plan (--dry-run), then use --force.",
      },
    );
  }
  const voidCount = plan.sweeps.filter(({ isOfVoid }) => isOfVoid).length;
  const [others, otherSweeps] = [plan.packCount - voidCount, plan.sweeps.length - voidCount];
  if (otherSweeps > others * MAX_FREED_SHARE) {
    const share = Math.round((100 * otherSweeps) / others);
    throw new HoldfastFailure("conflict", "HoldfastLargeCollection", `${share} % of all packs would go`, {
      hint: "Look at the plan (--dry-run), then use --force.",
    });
  }
}
