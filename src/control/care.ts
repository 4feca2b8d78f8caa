// Care for what vaults have stored: items whose soft deletion is over go for good, and then data that no point needs. The
// collector is safe against everything that runs beside it (src/vault/collect.ts); one that meets another, or what looks
// wrong, refuses, and comes again tomorrow.

import { collect } from "../vault/collect.ts";
import { forEachVault } from "./all-vaults.ts";
import type { ControlDeps } from "./control-deps.ts";
import { purgeDueItems } from "./purge.ts";

/** Soft-deleted items whose time is over go for good. */
export function purgeVaults(deps: ControlDeps): Promise<void> {
  return forEachVault(deps, ({ key }) => purgeDueItems(deps, key));
}

export function collectVaults(deps: ControlDeps): Promise<void> {
  return forEachVault(deps, async ({ body }) => {
    if (body.archive) await collect(await deps.archives.open(body));
  });
}
