// Care for what vaults have stored: items whose soft deletion is over go for good, transfers that nobody works on any more
// are given up, and then data goes that no point needs. The collector is safe against everything that runs beside it
// (src/vault/collect.ts); one that meets another, or what looks wrong, refuses, and comes again tomorrow.

import { collect } from "../vault/collect.ts";
import type { TransferId } from "../vault/format/names.ts";
import { voidStaleTransfers } from "../vault/leftovers.ts";
import { forEachVault } from "./all-vaults.ts";
import type { ControlDeps } from "./control-deps.ts";
import { purgeDueItems } from "./purge.ts";
import { ITEM_ROWS } from "./rows/item-row.ts";
import { JOB_ROWS, OPEN_JOB_MARK } from "./rows/job-row.ts";
import { listRows } from "./rows/row-kind.ts";

/** Soft-deleted items whose time is over go for good. */
export function purgeVaults(deps: ControlDeps): Promise<void> {
  return forEachVault(deps, ({ key }) => purgeDueItems(deps, key));
}

export function collectVaults(deps: ControlDeps): Promise<void> {
  return forEachVault(deps, async ({ key, body }) => {
    if (!body.archive) return;
    const archive = await deps.archives.open(body);
    await voidStaleTransfers(archive, isOfOpenJob(deps, key));
    // The collector does not let an item's last point go unasked. Of items that were removed for good, that is what was asked.
    await collect(archive, {
      force: async ({ emptiedItems }) => emptiedItems.length > 0 && !(await hasAny(deps, key, emptiedItems)),
    });
  });
}

/**
 * A transfer may be slower than any period: the platform away, the service stopped for a week. So the row of its job decides,
 * not its age. A job's row names its transfer before the vault hears of it, and until the job has ended or the transfer is
 * void; the pins that are asked about are a week old. So rows that are read afterwards tell of every one that is worked on.
 */
function isOfOpenJob(deps: ControlDeps, vault: string): (transfer: TransferId) => Promise<boolean> {
  // Only when there is a pin that was forgotten, or waits.
  let open: Promise<ReadonlySet<string>> | undefined;
  return async (transfer) => {
    open ??= transfersOfOpenJobs(deps, vault);
    return (await open).has(transfer);
  };
}

async function transfersOfOpenJobs(deps: ControlDeps, vault: string): Promise<ReadonlySet<string>> {
  const transfers = new Set<string>();
  for await (const { body } of listRows(deps.tables, JOB_ROWS, vault, { mark: OPEN_JOB_MARK })) {
    if (body.backup?.transfer) transfers.add(body.backup.transfer);
  }
  return transfers;
}

async function hasAny(deps: ControlDeps, vault: string, archiveItems: readonly string[]): Promise<boolean> {
  for await (const { body } of listRows(deps.tables, ITEM_ROWS, vault)) {
    if (archiveItems.includes(body.archiveItem)) return true;
  }
  return false;
}
