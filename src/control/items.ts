// Protected items and their containers, as users see them.

import { HoldfastFailure } from "../base/failure.ts";
import type { ItemFacts, ItemState } from "../domain/item-states.ts";
import type { ControlDeps } from "./control-deps.ts";
import { type Page, type PageRequest, pageOfRows } from "./paging.ts";
import { ITEM_ROWS, type ItemBody, itemPlace } from "./rows/item-row.ts";
import { POINT_ROWS, pointsPartition } from "./rows/point-row.ts";
import { type Held, listRows, readRow } from "./rows/row-kind.ts";
import type { VaultKey } from "./rows/vault-row.ts";
import { requireVault } from "./vaults.ts";

export interface ItemRef {
  readonly vault: VaultKey;
  /** The item's wire name, in any case. */
  readonly item: string;
}

export async function getItem(deps: ControlDeps, ref: ItemRef): Promise<ItemBody> {
  return (await heldItem(deps, ref)).body;
}

/** Soft-deleted ones included. */
export async function listItems(
  deps: ControlDeps,
  { vault, ...page }: { readonly vault: VaultKey } & PageRequest<ItemBody>,
): Promise<Page<ItemBody>> {
  await requireVault(deps, vault);
  return pageOfRows(deps.tables, ITEM_ROWS, vault, page);
}

export interface PointCounts {
  readonly count: number;
  readonly oldestAt: string | null;
  readonly oldestInVaultAt: string | null;
}

export async function countPoints(deps: ControlDeps, { vault, item }: ItemRef): Promise<PointCounts> {
  let counts: PointCounts = { count: 0, oldestAt: null, oldestInVaultAt: null };
  // Newest first: the last one seen is the oldest.
  for await (const { body } of listRows(deps.tables, POINT_ROWS, pointsPartition(vault, item))) {
    const oldestInVaultAt = body.archive ? body.time : counts.oldestInVaultAt;
    counts = { count: counts.count + 1, oldestAt: body.time, oldestInVaultAt };
  }
  return counts;
}

export async function heldItem(deps: Pick<ControlDeps, "tables">, { vault, item }: ItemRef): Promise<Held<ItemBody>> {
  const held = await readRow(deps.tables, ITEM_ROWS, itemPlace(vault, item));
  if (held) return held;
  throw new HoldfastFailure(
    "not-found",
    "BMSUserErrorDataSourceObjectNotFound",
    `There is no protected item "${item}" in this vault`,
  );
}

/** What the domain's transitions go by. */
export function itemFactsOf(item: ItemBody): ItemFacts {
  const state: ItemState = item.deletedAt === null ? item.state : "SoftDeleted";
  return { state, hasPoints: item.lastPointAt !== null, name: item.machineName };
}
