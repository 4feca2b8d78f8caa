// Removing an item for good: its points, their snapshots and their copies in the vault's archive, then the item, then the
// claim on its machine. It begins with a flag on the item that nothing takes away: from there on no backup starts, no
// undeletion is granted, and whoever comes by goes on with it.

import { dropClaim, readClaim } from "./claims.ts";
import type { ControlDeps } from "./control-deps.ts";
import type { ItemRef } from "./items.ts";
import { changeJob } from "./job-changes.ts";
import { isJobOver } from "./jobs.ts";
import { liveHolder } from "./phases.ts";
import { dropPoint } from "./point-removal.ts";
import { ITEM_ROWS, type ItemBody, itemPlace } from "./rows/item-row.ts";
import { POINT_ROWS, pointsPartition } from "./rows/point-row.ts";
import { listRows, readRow, removeHeldRow, replaceRow } from "./rows/row-kind.ts";
import type { VaultKey } from "./rows/vault-row.ts";

/** Soft-deleted items whose time is over. Called again and again; what is pending goes on with the next call. */
export async function purgeDueItems(deps: ControlDeps, vault: VaultKey): Promise<number> {
  const now = deps.clock.now().toISOString();
  let count = 0;
  for await (const held of listRows(deps.tables, ITEM_ROWS, vault)) {
    const { body } = held;
    const isDue = body.purgeAt !== null && body.purgeAt <= now;
    if (!isDue || !(await isFree(deps, vault, body))) continue;
    // An undeletion that comes first changes the row, and this swap fails.
    const isFlagged = body.isPurging || (await replaceRow(deps.tables, ITEM_ROWS, held, { ...body, isPurging: true }));
    if (isFlagged && (await purgeItem(deps, { vault, item: body.name })) === "done") count++;
  }
  return count;
}

async function isFree(deps: ControlDeps, vault: VaultKey, { changingJob: job }: ItemBody): Promise<boolean> {
  return job === null || isJobOver(deps, { vault, job });
}

/** Of an item that is flagged. Called until it says done. */
export async function purgeItem(deps: ControlDeps, ref: ItemRef): Promise<"done" | "pending"> {
  const { vault, item: name } = ref;
  const held = await readRow(deps.tables, ITEM_ROWS, itemPlace(vault, name));
  if (!held) return "done";
  if (await isWorkedOn(deps, ref)) return "pending";
  let isPending = false;
  for await (const { body: point } of listRows(deps.tables, POINT_ROWS, pointsPartition(vault, name))) {
    if ((await dropPoint(deps, vault, held.body, point)) === "pending") isPending = true;
  }
  if (isPending) return "pending";
  const claim = await readClaim(deps, held.body.machineId, vault);
  const last = await readRow(deps.tables, ITEM_ROWS, itemPlace(vault, name));
  if (last && !(await removeHeldRow(deps.tables, ITEM_ROWS, last))) return "pending";
  await dropClaim(deps, claim);
  return "done";
}

/** Backups that run are told to stop; a job that claims a phase looks at the item afterwards, and finds it deleted. */
async function isWorkedOn(deps: ControlDeps, { vault, item }: ItemRef): Promise<boolean> {
  let isLive = false;
  for (const phase of ["snapshot", "transfer"] as const) {
    const job = await liveHolder(deps, { vault, item, phase });
    if (job === undefined) continue;
    isLive = true;
    await changeJob(deps, { vault, job }, ({ cancelRequestedAt }) =>
      cancelRequestedAt === null ? { cancelRequestedAt: deps.clock.now().toISOString() } : undefined,
    );
  }
  return isLive;
}
