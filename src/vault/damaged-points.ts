// Which points of an item damage has reached, as far as a verifier has found it: those that use a pack with a damage record.
// One that uses only sound parts of such a pack counts as well: who asks wants points that can be relied on.

import { DAMAGE_PREFIX, type ItemId, type PackId, parseDamageName, type TransferId } from "./format/names.ts";
import { isKind, listObjects } from "./objects.ts";
import type { Vault } from "./open-vault.ts";
import { readPointPacks } from "./points.ts";

export async function damagedPoints(
  vault: Vault,
  item: ItemId,
  transfers: readonly TransferId[],
): Promise<Set<TransferId>> {
  const bad: PackId[] = [];
  for await (const { name } of listObjects(vault.state, DAMAGE_PREFIX)) bad.push(parseDamageName(name));
  const damaged = new Set<TransferId>();
  if (bad.length === 0) return damaged;
  for (const transfer of transfers) {
    if (await usesAny(vault, { item, transfer }, bad)) damaged.add(transfer);
  }
  return damaged;
}

async function usesAny(
  vault: Vault,
  point: { readonly item: ItemId; readonly transfer: TransferId },
  bad: readonly PackId[],
): Promise<boolean> {
  try {
    const disks = await readPointPacks(vault, point);
    return disks.some((packs) => bad.some((pack) => packs.has(pack)));
  } catch (cause) {
    // Without its list of packs nothing can be said in its favour.
    if (isKind(cause, "corrupt")) return true;
    throw cause;
  }
}
