// A copy of a vault in other stores: manifests are listed first, then everything they need is copied, then exactly those
// manifests. A killed copy is continued by doing it again. The copy keeps the identity of its source, and is therefore
// read-only until it is adopted.

import pMap from "p-map";
import { HoldfastFailure } from "../base/failure.ts";
import type { ObjectStore } from "../ports/object-store.ts";
import {
  ITEMS_PREFIX,
  KEYS_PREFIX,
  PACKS_PREFIX,
  POLICIES_PREFIX,
  type PointId,
  parsePackName,
  pointName,
  pointPacksName,
  STATES_PREFIX,
  VAULT_RECORD,
} from "./format/names.ts";
import { unverifiedRecord, vaultRecord } from "./format/records.ts";
import { listPoints } from "./list-points.ts";
import { createOrAdopt, isKind, listObjects, readIfPresent } from "./objects.ts";
import type { Vault, VaultStores } from "./open-vault.ts";
import { listGenerations } from "./pack-generations.ts";
import { PackSet } from "./pack-set.ts";
import { readPointPacks } from "./points.ts";
import { pinFor, whilePinned } from "./reader-pins.ts";
import { newTransferId } from "./transfer.ts";

const COPIES_AT_ONCE = 4;

export interface Copied {
  readonly points: number;
  readonly packs: number;
  readonly bytes: number;
}

export async function copyVault(vault: Vault, target: VaultStores, onPack?: (bytes: number) => void): Promise<Copied> {
  await refuseOtherVault(vault, target);
  const points: PointId[] = [];
  for await (const { point, state } of listPoints(vault)) if (!state?.deletedAt) points.push(point);
  if (!vault.isWritable) return copyPoints(vault, target, points, onPack);
  const pin = pinFor(vault, "copy", newTransferId(vault), null, points, `copy to ${target.archive.location}`);
  return whilePinned(vault, pin, () => copyPoints(vault, target, points, onPack));
}

async function copyPoints(
  vault: Vault,
  target: VaultStores,
  points: readonly PointId[],
  onPack?: (bytes: number) => void,
) {
  for await (const { name } of listObjects(vault.archive, KEYS_PREFIX))
    await copyObject(vault.archive, target.archive, name);
  const needed = new PackSet();
  for (const point of points) {
    for (const counts of await readPointPacks(vault, point)) for (const { pack } of counts.list()) needed.add(pack);
  }
  const present = new Set<string>();
  for await (const { name } of listObjects(target.archive, PACKS_PREFIX)) present.add(name);
  let packs = 0;
  let bytes = 0;
  const wanted = packsToCopy(vault.archive, needed, present);
  await pMap(
    wanted,
    async (name) => {
      const size = await copyPack(vault.archive, target.archive, name);
      packs++;
      bytes += size;
      onPack?.(size);
    },
    { concurrency: COPIES_AT_ONCE },
  );
  for (const point of points) {
    await copyObject(vault.archive, target.archive, pointPacksName(point));
    await copyObject(vault.archive, target.archive, pointName(point));
  }
  await copyState(vault, target);
  return { points: points.length, packs, bytes };
}

async function* packsToCopy(
  archive: ObjectStore,
  needed: PackSet,
  present: ReadonlySet<string>,
): AsyncGenerator<string> {
  for await (const { name } of listObjects(archive, PACKS_PREFIX)) {
    if (needed.has(parsePackName(name).pack) && !present.has(name)) yield name;
  }
}

/** Sidecars and items as they are now; the record of the vault last, for it makes the copy one that opens. */
async function copyState(vault: Vault, target: VaultStores): Promise<void> {
  for (const prefix of [STATES_PREFIX, ITEMS_PREFIX, POLICIES_PREFIX]) {
    for await (const { name } of listObjects(vault.state, prefix)) await copyObject(vault.state, target.state, name);
  }
  const { body } = await vault.state.read(VAULT_RECORD);
  const earlier = await readIfPresent(target.state, VAULT_RECORD);
  // What an earlier copy knows of the keys may be out of date, and a copy that is adopted would go on with the old ones.
  if (!earlier) await createOrAdopt(target.state, VAULT_RECORD, body);
  else if (sequenceOf(earlier.body) < sequenceOf(body)) {
    await target.state.replace(VAULT_RECORD, body, earlier.object.etag);
  }
}

const sequenceOf = (body: Uint8Array) => unverifiedRecord(vaultRecord, VAULT_RECORD, body).sequence;

/** A copy goes to an empty place, or onto an earlier copy of the same vault that has no life of its own. */
async function refuseOtherVault(vault: Vault, target: VaultStores): Promise<void> {
  const { archive, state } = target;
  if (archive.location === vault.archive.location || state.location === vault.state.location) {
    throw new HoldfastFailure("conflict", "HoldfastTargetTaken", "The target is the vault itself");
  }
  const found = await readIfPresent(state, VAULT_RECORD);
  const record = found && unverifiedRecord(vaultRecord, VAULT_RECORD, found.body);
  if (!record) return;
  if (record.vaultId === vault.vaultId && record.instanceId === vault.record.instanceId) return;
  const what = record.vaultId === vault.vaultId ? "a copy that was adopted" : "another vault";
  throw new HoldfastFailure("conflict", "HoldfastTargetTaken", `${state.location} holds ${what}`, {
    hint: "Nothing was copied. Choose another place.",
  });
}

/** A pack may be rewritten between its listing and its copy: then its next generation is what is needed. */
async function copyPack(source: ObjectStore, target: ObjectStore, name: string): Promise<number> {
  try {
    return await copyObject(source, target, name);
  } catch (cause) {
    if (!isKind(cause, "not-found")) throw cause;
    const now = (await listGenerations(source, parsePackName(name).pack)).at(-1);
    // Neither: it was collected, and the pin of the copy says that no point of it is.
    if (now === undefined || now.name === name) throw cause;
    return copyPack(source, target, now.name);
  }
}

async function copyObject(source: ObjectStore, target: ObjectStore, name: string): Promise<number> {
  const { body } = await source.read(name);
  await createOrAdopt(target, name, body);
  return body.length;
}
