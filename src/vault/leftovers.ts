// What besides packs is left over: lists of points that are gone, voids and sidecars that have served their time, plans
// and fragments of transfers that are over, and transfers that nobody works on any more.

import type { StoredObject } from "../ports/object-store.ts";
import { COLLECTION_MARGINS, DAY_MS, type DroppingPoint, type ListedPins } from "./collection-margins.ts";
import {
  DAMAGE_PREFIX,
  FRAGMENTS_PREFIX,
  fragmentsOf,
  PINS_PREFIX,
  PLANS_PREFIX,
  type PointId,
  parseDamageName,
  parsePinName,
  parsePointObject,
  pointName,
  stateName,
  type TransferId,
  transferOfScratch,
} from "./format/names.ts";
import { pinRecord } from "./format/records.ts";
import { listObjects, readRecord } from "./objects.ts";
import { requireWritable, type Vault } from "./open-vault.ts";
import type { PackSet } from "./pack-set.ts";
import { abandonTransfer } from "./points.ts";

export interface Leftover {
  readonly store: "archive" | "state";
  readonly name: string;
  readonly reason: string;
}

interface Standing {
  readonly standing: ReadonlySet<string>;
  readonly voids: readonly StoredObject[];
  readonly packLists: readonly StoredObject[];
}

/** Lists of points that are gone, and graves older than anybody who could still come to them. */
export function findRemains(dropping: readonly DroppingPoint[], pins: ListedPins, live: Standing) {
  const remains: Leftover[] = [];
  const isOver = ({ transfer }: PointId) => !pins.transfers.has(transfer);
  const voids = new Set(live.voids.map(({ name }) => name));
  for (const { name, lastModified } of live.packLists) {
    const { point } = parsePointObject(name);
    // Before the void goes: a list without manifest and void tells a verifier that a manifest was lost.
    const hasManifest = live.standing.has(pointName(point)) && !voids.has(pointName(point));
    if (hasManifest || !isOver(point) || !isOlder(lastModified, pins, COLLECTION_MARGINS.packMs)) continue;
    remains.push({ store: "archive", name, reason: "its point is gone" });
  }
  for (const { name, lastModified } of live.voids) {
    if (!isOver(parsePointObject(name).point) || !isOlder(lastModified, pins, COLLECTION_MARGINS.graveMs)) continue;
    remains.push({ store: "archive", name, reason: "a void has served its time" });
  }
  for (const { point, state } of dropping) {
    const since = new Date(state.droppingSince ?? pins.storeDate);
    if (live.standing.has(pointName(point)) || !isOlder(since, pins, COLLECTION_MARGINS.graveMs)) continue;
    remains.push({
      store: "state",
      name: stateName(point),
      reason: "the sidecar of a point that is gone has served its time",
    });
  }
  return remains;
}

/** Plans and fragments of transfers that are over, and what is known of damage in packs that nobody needs. */
export async function findScratch(vault: Vault, pins: ListedPins, marked: PackSet) {
  const remains: Leftover[] = [];
  for (const prefix of [PLANS_PREFIX, FRAGMENTS_PREFIX]) {
    for await (const { name, lastModified } of listObjects(vault.state, prefix)) {
      if (pins.transfers.has(transferOfScratch(name)) || !isOlder(lastModified, pins, COLLECTION_MARGINS.packMs))
        continue;
      remains.push({ store: "state", name, reason: "its transfer is over" });
    }
  }
  for await (const { name, lastModified } of listObjects(vault.state, DAMAGE_PREFIX)) {
    const pack = parseDamageName(name);
    if (marked.has(pack) || pins.transfers.has(pack.transfer)) continue;
    if (!isOlder(lastModified, pins, COLLECTION_MARGINS.packMs)) continue;
    remains.push({ store: "state", name, reason: "the damaged pack is not needed any more" });
  }
  return remains;
}

function isOlder(date: Date, pins: ListedPins, marginMs: number): boolean {
  return date.getTime() < pins.storeDate.getTime() - marginMs;
}

/** A transfer whose pin and fragments are older than this does nothing any more, or never will. */
const STALE_TRANSFER_MS = 7 * DAY_MS;

/**
 * Gives up transfers without progress, so that their packs can go. Only liveness depends on it, never safety. One that waits
 * for days looks the same as one that nobody works on any more; who knows better says so.
 */
export async function voidStaleTransfers(
  vault: Vault,
  isWorkedOn: (transfer: TransferId) => Promise<boolean> = async () => false,
): Promise<readonly TransferId[]> {
  requireWritable(vault);
  const stale: TransferId[] = [];
  for await (const page of vault.state.list(PINS_PREFIX)) {
    for (const { name, lastModified } of page.objects) {
      const transfer = parsePinName(name);
      const limit = new Date(page.storeDate.getTime() - STALE_TRANSFER_MS);
      const pin = lastModified < limit ? await readRecord(vault, pinRecord, name) : undefined;
      if (!pin || (await hasFragmentSince(vault, transfer, limit)) || (await isWorkedOn(transfer))) continue;
      if (pin.body.kind !== "transfer" || pin.body.item === null) await vault.state.delete(name);
      else await abandonTransfer(vault, { item: pin.body.item, transfer }, "no progress for seven days");
      stale.push(transfer);
    }
  }
  return stale;
}

async function hasFragmentSince(vault: Vault, transfer: TransferId, limit: Date): Promise<boolean> {
  for await (const { lastModified } of listObjects(vault.state, fragmentsOf(transfer))) {
    if (lastModified >= limit) return true;
  }
  return false;
}
