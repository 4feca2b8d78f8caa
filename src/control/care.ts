// Care for what vaults have stored: items whose soft deletion is over go for good, and then data that no point needs. The
// collector is safe against everything that runs beside it (src/vault/collect.ts); one that meets another, or what looks
// wrong, refuses, and comes again tomorrow.

import { collect, planCollection } from "../vault/collect.ts";
import { forEachVault } from "./all-vaults.ts";
import type { ControlDeps } from "./control-deps.ts";
import { purgeDueItems } from "./purge.ts";
import { ITEM_ROWS } from "./rows/item-row.ts";
import { listRows } from "./rows/row-kind.ts";

/** Soft-deleted items whose time is over go for good. */
export function purgeVaults(deps: ControlDeps): Promise<void> {
  return forEachVault(deps, ({ key }) => purgeDueItems(deps, key));
}

export function collectVaults(deps: ControlDeps): Promise<void> {
  return forEachVault(deps, async ({ key, body }) => {
    if (!body.archive) return;
    const archive = await deps.archives.open(body);
    const { emptiedItems } = await planCollection(archive);
    // The collector does not let an item's last point go unasked. Of items that were removed for good, that is what was asked.
    const isPurged = emptiedItems.length > 0 && !(await hasAny(deps, key, emptiedItems));
    await collect(archive, { force: isPurged });
  });
}

async function hasAny(deps: ControlDeps, vault: string, archiveItems: readonly string[]): Promise<boolean> {
  for await (const { body } of listRows(deps.tables, ITEM_ROWS, vault)) {
    if (archiveItems.includes(body.archiveItem)) return true;
  }
  return false;
}
