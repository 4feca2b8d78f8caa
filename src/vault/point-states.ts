// What may happen to a committed point: holds, a floor under its expiry, deletion and its undoing. Each is a
// compare-and-swap on the point's sidecar; that a protected item keeps its last point is one on the item's own record.
//
// Deleting writes the item's record first ("deleting"), then the sidecar. A point in `deleting` never counts as the one
// that stays, whatever became of its sidecar: a crash in between can only make later deletions more careful.

import { HoldfastFailure } from "../base/failure.ts";
import {
  type ItemId,
  itemName,
  type PointId,
  parsePointObject,
  pointsOf,
  stateName,
  type TransferId,
} from "./format/names.ts";
import { type ItemRecord, itemRecord, type StateRecord, stateRecord } from "./format/records.ts";
import { type FoundRecord, listObjects, readRecord, untilSwapped, writeRecord } from "./objects.ts";
import { requireWritable, type Vault } from "./open-vault.ts";
import { readManifest, readPoint } from "./points.ts";

export interface Deletion {
  readonly reason: string;
  /** The item is no longer protected, or somebody insists: its last point may go too. */
  readonly evenLast?: boolean;
}

export async function deletePoint(
  vault: Vault,
  point: PointId,
  { reason, evenLast = false }: Deletion,
): Promise<StateRecord> {
  requireWritable(vault);
  return untilSwapped(stateName(point), async () => {
    const { storeDate } = await readManifest(vault, point);
    const seen = await readState(vault, point);
    if (seen?.body.deletedAt) return seen.body;
    refuseIfKept(point, seen?.body, storeDate);
    if (!(await claimDeletion(vault, point, evenLast))) return undefined;
    return changeState(vault, point, seen, { deletedAt: storeDate.toISOString(), deletedReason: reason });
  });
}

/** Also takes back a deletion that is under way: it writes a new sidecar even when none says deleted. */
export async function undeletePoint(vault: Vault, point: PointId): Promise<StateRecord> {
  requireWritable(vault);
  const state = await untilSwapped(stateName(point), async () => {
    const seen = await readState(vault, point);
    await readManifest(vault, point);
    refuseIfDropping(point, seen?.body);
    return changeState(vault, point, seen, { deletedAt: null, deletedReason: "" });
  });
  await forgetDeletion(vault, point);
  return state;
}

export async function holdPoint(vault: Vault, point: PointId, reason: string): Promise<StateRecord> {
  return changeKept(vault, point, () => ({ hold: reason }));
}

export async function releaseHold(vault: Vault, point: PointId): Promise<StateRecord> {
  return changeKept(vault, point, () => ({ hold: null }));
}

/** Never shorter than it was. */
export async function extendPoint(vault: Vault, point: PointId, keepUntil: Date): Promise<StateRecord> {
  return changeKept(vault, point, (state) => {
    const wanted = keepUntil.toISOString();
    return { keepUntil: state?.keepUntil && state.keepUntil > wanted ? state.keepUntil : wanted };
  });
}

export function readState(vault: Vault, point: PointId) {
  return readRecord(vault, stateRecord, stateName(point));
}

/** Whether something forbids that a point goes: a hold, or a floor that is not reached by the store's clock. */
export function isKept(state: StateRecord | undefined, storeDate: Date): boolean {
  return (
    state !== undefined &&
    (state.hold !== null || (state.keepUntil !== null && state.keepUntil > storeDate.toISOString()))
  );
}

export function changedState(point: PointId, seen: StateRecord | undefined, change: Partial<StateRecord>): StateRecord {
  const { item, transfer } = point;
  const untouched = { hold: null, keepUntil: null, deletedAt: null, deletedReason: "", droppingSince: null };
  return { ...untouched, ...seen, ...change, item, transfer, sequence: (seen?.sequence ?? 0) + 1 };
}

async function changeKept(
  vault: Vault,
  point: PointId,
  change: (state: StateRecord | undefined) => Partial<StateRecord>,
): Promise<StateRecord> {
  requireWritable(vault);
  return untilSwapped(stateName(point), async () => {
    const seen = await readState(vault, point);
    await readManifest(vault, point);
    refuseIfDropping(point, seen?.body);
    if (seen?.body.deletedAt) {
      throw new HoldfastFailure("conflict", "HoldfastPointDeleted", `Point ${point.transfer} is deleted`, {
        hint: "Undelete it first.",
      });
    }
    return changeState(vault, point, seen, change(seen?.body));
  });
}

async function changeState(
  vault: Vault,
  point: PointId,
  seen: FoundRecord<StateRecord> | undefined,
  change: Partial<StateRecord>,
): Promise<StateRecord | undefined> {
  const next = changedState(point, seen?.body, change);
  return (await writeRecord(vault, stateName(point), next, seen)) ? next : undefined;
}

/** True once the item's record says that this point is being deleted, and another one stays. */
async function claimDeletion(vault: Vault, point: PointId, evenLast: boolean): Promise<boolean> {
  const name = itemName(point.item);
  const seen = await readRecord(vault, itemRecord, name);
  const deleting = seen?.body.deleting ?? [];
  const others = new Set([...deleting, point.transfer]);
  if (!evenLast && !(await hasLivePoint(vault, point.item, others))) {
    throw new HoldfastFailure(
      "conflict",
      "HoldfastLastPoint",
      `Point ${point.transfer} is the last one of ${point.item}`,
      {
        hint: "The last point goes only when protection stops, or with --force.",
      },
    );
  }
  if (deleting.includes(point.transfer)) return true;
  const next: ItemRecord = {
    item: point.item,
    sequence: (seen?.body.sequence ?? 0) + 1,
    deleting: [...deleting, point.transfer],
  };
  return writeRecord(vault, name, next, seen);
}

async function forgetDeletion(vault: Vault, point: PointId): Promise<void> {
  const name = itemName(point.item);
  await untilSwapped(name, async () => {
    const seen = await readRecord(vault, itemRecord, name);
    if (!seen?.body.deleting.includes(point.transfer)) return true;
    const deleting = seen.body.deleting.filter((transfer) => transfer !== point.transfer);
    const next = { ...seen.body, sequence: seen.body.sequence + 1, deleting };
    return (await writeRecord(vault, name, next, seen)) || undefined;
  });
}

async function hasLivePoint(vault: Vault, item: ItemId, except: ReadonlySet<TransferId>): Promise<boolean> {
  const points: PointId[] = [];
  for await (const { name } of listObjects(vault.archive, pointsOf(item))) {
    const found = parsePointObject(name);
    if (found.kind === "manifest-or-void" && !except.has(found.point.transfer)) points.push(found.point);
  }
  // The newest are the likeliest to be alive.
  for (const point of points.reverse()) {
    const state = await readState(vault, point);
    if (state?.body.deletedAt || state?.body.droppingSince) continue;
    if ((await readPoint(vault, point))?.kind === "manifest") return true;
  }
  return false;
}

function refuseIfKept(point: PointId, state: StateRecord | undefined, storeDate: Date): void {
  refuseIfDropping(point, state);
  if (state === undefined || !isKept(state, storeDate)) return;
  const why = state.hold !== null ? `it is held: ${state.hold}` : `it is to be kept until ${state.keepUntil}`;
  throw new HoldfastFailure("conflict", "HoldfastPointKept", `Point ${point.transfer} cannot be deleted: ${why}`);
}

function refuseIfDropping(point: PointId, state: StateRecord | undefined): void {
  if (!state?.droppingSince) return;
  throw new HoldfastFailure("conflict", "HoldfastPointDropping", `Point ${point.transfer} is being removed for good`);
}
