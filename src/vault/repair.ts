// Healing damaged packs, and with them every point that uses them: what was lost is found again in another pack that has
// it, most often the one of a backup that read it anew, or in a copy of the vault, and the pack is written as its next
// generation. The record of the damage goes last, when the damaged generation has gone: whoever dies in between leaves a
// record, and the next one comes back to it. What cannot be found stays recorded.

import { HoldfastFailure, messageOf } from "../base/failure.ts";
import { listPins } from "./collect.ts";
import { type Damage, damagedPacks, readDamage, readPackDamage, recordRepair } from "./damage.ts";
import { decodeFrameHeader } from "./format/frame.ts";
import type { ChunkPlace } from "./format/index-node.ts";
import type { VaultKey } from "./format/keys.ts";
import { PACKS_PREFIX, type PackId, packKey, parsePackName } from "./format/names.ts";
import { listPoints } from "./list-points.ts";
import { isKind, listObjects } from "./objects.ts";
import { requireWritable, type Vault } from "./open-vault.ts";
import { isSound, listGenerations, type PackPart, readGeneration } from "./pack-generations.ts";
import { PackReader } from "./pack-reader.ts";
import { rewritePack } from "./rewrite-pack.ts";
import { UsedParts } from "./used-parts.ts";

/** Looked for together: one walk over all trees for so many packs, and a few hundred bytes for each of their chunks. */
const PACKS_AT_ONCE = 1_000;

export interface RepairOptions {
  /** A copy of the vault, which may still have what this one has lost. */
  readonly from?: Vault;
}

export interface PackRepair {
  readonly pack: PackId;
  readonly healed: number;
  /** Ids that are still bad. */
  readonly lost: readonly string[];
  /** Why the pack was left as it is. */
  readonly failure?: string;
}

/** Where another pack holds a chunk. */
export interface Twin {
  readonly place: ChunkPlace;
  readonly key: VaultKey;
}

/** By hex id. */
export type Twins = ReadonlyMap<string, Twin>;

export async function repairVault(vault: Vault, { from }: RepairOptions = {}): Promise<readonly PackRepair[]> {
  requireWritable(vault);
  if (from && from.vaultId !== vault.vaultId) {
    throw new HoldfastFailure("invalid", "HoldfastOtherVault", "That is no copy of this vault, but another one");
  }
  const packs = [...(await damagedOrUnfinished(vault)).values()];
  // A running transfer counts on its packs as it wrote them. Pins are listed after the packs: whose is missing is over.
  const { transfers } = await listPins(vault);
  const idle = packs.filter(({ transfer }) => !transfers.has(transfer));
  const damage = await readDamage(vault);
  const repairs: PackRepair[] = [];
  for (let start = 0; start < idle.length; start += PACKS_AT_ONCE) {
    const batch = idle.slice(start, start + PACKS_AT_ONCE);
    const twins = await findTwins(vault, await badChunksOf(vault, batch), damage);
    for (const pack of batch) repairs.push(await repairPack(vault, pack, twins, from));
  }
  return repairs;
}

/** Those recorded, and those with several generations: whoever wrote the last one did not come to removing the first. */
async function damagedOrUnfinished(vault: Vault): Promise<Map<string, PackId>> {
  const packs = new Map<string, PackId>();
  for await (const { pack } of damagedPacks(vault)) packs.set(packKey(pack), pack);
  let last = "";
  for await (const { name } of listObjects(vault.archive, PACKS_PREFIX)) {
    const { pack } = parsePackName(name);
    if (packKey(pack) === last) packs.set(last, pack);
    last = packKey(pack);
  }
  return packs;
}

async function badChunksOf(vault: Vault, packs: readonly PackId[]): Promise<ReadonlySet<string>> {
  const ids = new Set<string>();
  for (const pack of packs) for (const id of (await readPackDamage(vault, pack))?.chunkIds ?? []) ids.add(id);
  return ids;
}

async function findTwins(vault: Vault, wanted: ReadonlySet<string>, damage: Damage): Promise<Twins> {
  const twins = new Map<string, Twin>();
  const used = new UsedParts(vault, "is skipped");
  if (wanted.size === 0) return twins;
  for await (const { manifest } of listPoints(vault)) {
    const key = vault.keyOf(manifest.keyId);
    for await (const { chunks } of used.of(manifest)) {
      for (const place of chunks) {
        const id = place.chunkId.toString("hex");
        if (wanted.has(id) && !twins.has(id) && !damage.has(place.pack, place.chunkId)) twins.set(id, { place, key });
      }
      if (twins.size === wanted.size) return twins;
    }
  }
  return twins;
}

export async function repairPack(vault: Vault, pack: PackId, twins: Twins, from?: Vault): Promise<PackRepair> {
  const record = await readPackDamage(vault, pack);
  const bad = record?.chunkIds ?? [];
  try {
    const { found, key } = await findParts(vault, pack, bad, twins, from);
    const lost = record?.whole ? "all" : new Set(bad);
    const keeps = () => true;
    const rewritten = await rewritePack(vault, pack, { keeps, lost, found, mayHoldMore: true, key });
    if (rewritten && record) await recordRepair(vault, record, pack, rewritten.ids);
    const stillBad = bad.filter((id) => !rewritten?.ids.has(id));
    return { pack, healed: bad.length - stillBad.length, lost: stillBad };
  } catch (cause) {
    // One pack that cannot be repaired now keeps no other from it; its record stands.
    if (!isKind(cause, "corrupt")) throw cause;
    return { pack, healed: 0, lost: bad, failure: messageOf(cause) };
  }
}

async function findParts(vault: Vault, pack: PackId, bad: readonly string[], twins: Twins, from: Vault | undefined) {
  const found = new Map<string, PackPart>();
  let key: VaultKey | undefined;
  for (const stored of from ? await listGenerations(from.archive, pack) : []) {
    const copy = await readGeneration(from as Vault, pack, stored);
    for (const [id, part] of copy?.sound ?? []) if (copy?.listed || bad.includes(id)) found.set(id, part);
    key ??= copy?.key;
  }
  const packs = new PackReader(vault);
  for (const id of bad) {
    const twin = twins.get(id);
    const part = twin && !found.has(id) ? await readTwin(packs, twin) : undefined;
    if (part) found.set(id, part);
    key ??= twin?.key;
  }
  return { found: [...found.values()], key: key ?? vault.activeKey };
}

/** Undefined when that is not sound either, or has been collected meanwhile. */
async function readTwin(packs: PackReader, { place, key }: Twin): Promise<PackPart | undefined> {
  try {
    const { offset, length, chunkId: id } = place;
    const bytes = await packs.read(place.pack, { offset, length, id });
    const part = { id, rawLength: decodeFrameHeader(bytes, "A frame").rawLength, bytes };
    return (await isSound(key, part)) ? part : undefined;
  } catch (cause) {
    if (isKind(cause, "corrupt")) return undefined;
    throw cause;
  }
}
