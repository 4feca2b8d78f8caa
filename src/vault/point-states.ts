// What may happen to a committed point: holds, a floor under its expiry, deletion and its undoing. Each is a
// compare-and-swap on the point's sidecar; that a protected item keeps its last point is one on the item's own record.
//
// Deleting writes a claim into the item's record first, then the sidecar. A claim names the sequence of the sidecar that
// it wants to replace: as long as the sidecar has it, the point does not count as one that stays; once anything else was
// written there, the claim can never be carried out, and is dead by itself. So nobody ever has to take a claim back.

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
    if (!(await claimDeletion(vault, point, seen?.body.sequence ?? 0, evenLast))) return undefined;
    return changeState(vault, point, seen, { deletedAt: storeDate.toISOString(), deletedReason: reason });
  });
}

/** Writes a new sidecar even when none says deleted: that ends every deletion that is under way. */
export async function undeletePoint(vault: Vault, point: PointId): Promise<StateRecord> {
  requireWritable(vault);
  return untilSwapped(stateName(point), async () => {
    const seen = await readState(vault, point);
    await readManifest(vault, point);
    refuseIfDropping(point, seen?.body);
    return changeState(vault, point, seen, { deletedAt: null, deletedReason: "" });
  });
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

/** True once the item's record says that this sidecar may become a deleted one, and another point stays. */
async function claimDeletion(vault: Vault, point: PointId, sequence: number, evenLast: boolean): Promise<boolean> {
  const name = itemName(point.item);
  const seen = await readRecord(vault, itemRecord, name);
  const claims = new Map(seen?.body.deleting.map((claim) => [claim.transfer, claim.sequence]));
  const standing = await pointsStanding(vault, point.item);
  if (!evenLast && !(await anotherStays(vault, point, standing, claims))) {
    throw new HoldfastFailure(
      "conflict",
      "HoldfastLastPoint",
      `Point ${point.transfer} is the last one of ${point.item}`,
      {
        hint: "The last point goes only when protection stops, or with --force.",
      },
    );
  }
  if (claims.get(point.transfer) === sequence) return true;
  const others = standing.filter(({ transfer }) => transfer !== point.transfer && claims.has(transfer));
  const kept = others.map(({ transfer }) => ({ transfer, sequence: claims.get(transfer) as number }));
  const deleting = [...kept, { transfer: point.transfer, sequence }];
  const next: ItemRecord = { item: point.item, sequence: (seen?.body.sequence ?? 0) + 1, deleting };
  return writeRecord(vault, name, next, seen);
}

/** Newest first: they are the likeliest to stay. */
async function pointsStanding(vault: Vault, item: ItemId): Promise<PointId[]> {
  const points: PointId[] = [];
  for await (const { name } of listObjects(vault.archive, pointsOf(item))) {
    const found = parsePointObject(name);
    if (found.kind === "manifest-or-void") points.push(found.point);
  }
  return points.reverse();
}

async function anotherStays(
  vault: Vault,
  leaving: PointId,
  standing: readonly PointId[],
  claims: ReadonlyMap<TransferId, number>,
): Promise<boolean> {
  for (const point of standing) {
    if (point.transfer === leaving.transfer) continue;
    const state = (await readState(vault, point))?.body;
    if (state?.deletedAt || state?.droppingSince || claims.get(point.transfer) === (state?.sequence ?? 0)) continue;
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
