// What a backup does for older points: it read again what was recorded as damaged, so the packs they use can be repaired
// from what it stored.

import { HoldfastFailure } from "../base/failure.ts";
import type { ChunkEntry, ChunkPlace } from "./format/index-node.ts";
import { type PackId, packKey } from "./format/names.ts";
import { IndexTree } from "./index-tree.ts";
import { repairPack, type Twin } from "./repair.ts";
import type { ChangedLeaf } from "./seal-disk.ts";
import type { DiskTransfer } from "./write-slice.ts";

/** After the commit of a transfer. A repair that fails is none of its business: the record of the damage stands. */
export async function healOlderPoints(work: DiskTransfer, changed: AsyncIterable<ChangedLeaf>): Promise<void> {
  if (work.damage.size === 0) return;
  const healed = new Map<string, { readonly pack: PackId; readonly twins: Map<string, Twin> }>();
  try {
    for await (const leaf of changed) {
      for (const { pack, place } of await storedAgain(work, leaf)) {
        const found = healed.get(packKey(pack)) ?? { pack, twins: new Map() };
        found.twins.set(place.chunkId.toString("hex"), { place, key: work.key });
        healed.set(packKey(pack), found);
      }
    }
    for (const { pack, twins } of healed.values()) await repairPack(work.vault, pack, twins);
  } catch (cause) {
    if (!(cause instanceof HoldfastFailure)) throw cause;
  }
}

/** Damaged chunks of the parent and of the relative that the new leaf has in another pack. */
async function storedAgain(work: DiskTransfer, { leafIndex, ref }: ChangedLeaf) {
  if (ref === null) return [];
  const { vault, item, shape, parent, relative, damage } = work;
  const isDamaged = ({ pack, chunkId }: ChunkPlace) => damage.has(pack, chunkId);
  const old = await Promise.all([parent?.leaf(leafIndex), relative?.leaf(leafIndex)]);
  const damaged = old.flatMap((found) => placesOf(found?.leaf.entries ?? []).filter(isDamaged));
  if (damaged.length === 0) return [];
  const { entries } = await new IndexTree(vault, item, shape, null).readLeaf(leafIndex, ref);
  const now = new Map<string, ChunkPlace>();
  for (const place of placesOf(entries)) if (!isDamaged(place)) now.set(place.chunkId.toString("hex"), place);
  return damaged.flatMap(({ pack, chunkId }) => {
    const place = now.get(chunkId.toString("hex"));
    return place ? [{ pack, place }] : [];
  });
}

function placesOf(entries: readonly ChunkEntry[]): ChunkPlace[] {
  return entries.filter((entry) => entry.kind === "data");
}
