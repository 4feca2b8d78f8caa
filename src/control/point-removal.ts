// Taking a recovery point away, copy by copy: its snapshot, what the vault's archive has of it, and its row last, when
// neither is left. Every step may be repeated, and goes on where an earlier pass was cut off.
//
// In the archive a point is marked deleted here and removed by the collector after the vault's own grace; the archive
// refuses when the point is held there, or its item's last.

import { HoldfastFailure } from "../base/failure.ts";
import { nextSnapshotState, type SnapshotEvent } from "../domain/point-states.ts";
import { parseItemId, parseTransferId } from "../vault/format/names.ts";
import { type Deletion, deletePoint } from "../vault/point-states.ts";
import type { ControlDeps } from "./control-deps.ts";
import type { ItemBody } from "./rows/item-row.ts";
import { POINT_ROWS, type PointBody, pointPlace } from "./rows/point-row.ts";
import { changeRow, readRow, removeRow } from "./rows/row-kind.ts";
import { VAULT_ROWS, vaultPlace } from "./rows/vault-row.ts";
import { CAPTURE_ROWS, capturePlace } from "./rows/work-rows.ts";

/** Both copies, whatever a policy says: the point's item is being removed. Called until it says gone. */
export async function dropPoint(
  deps: ControlDeps,
  vault: string,
  item: ItemBody,
  point: PointBody,
): Promise<"gone" | "pending"> {
  await releaseSnapshot(deps, vault, item, point);
  const deletion = { reason: "its item is removed", evenLast: true };
  if (point.archive && !(await deleteInArchive(deps, vault, item, point, deletion))) {
    throw new HoldfastFailure("conflict", "HoldfastPointKept", `The recovery point ${point.pointId} is held`, {
      hint: "Release it; its item goes when no point of it is held any more.",
    });
  }
  await forgetPoint(deps, vault, item, point.pointId);
  const isLeft = await readRow(deps.tables, POINT_ROWS, pointPlace(vault, item.name, point.pointId));
  return isLeft ? "pending" : "gone";
}

/** Restores stop choosing the snapshot before it goes. */
export async function releaseSnapshot(
  deps: ControlDeps,
  vault: string,
  item: ItemBody,
  point: PointBody,
): Promise<void> {
  const place = pointPlace(vault, item.name, point.pointId);
  const { snapshot } = await changeRow(deps.tables, POINT_ROWS, place, (row) => afterSnapshotEvent(row, "released"));
  if (snapshot.state !== "leaving" || !snapshot.ref) return;
  if ((await deps.snapshots.remove(snapshot.ref)) !== "gone") return;
  await changeRow(deps.tables, POINT_ROWS, place, (row) => afterSnapshotEvent(row, "gone"));
}

/** Undefined when it was known. */
function afterSnapshotEvent(point: PointBody, event: SnapshotEvent): PointBody | undefined {
  const { snapshot } = point;
  const state = nextSnapshotState(snapshot.state, event);
  if (state === snapshot.state) return undefined;
  return { ...point, snapshot: { ...snapshot, state, ref: state === "deleted" ? null : snapshot.ref } };
}

/** False when the archive has a reason to keep it. */
export async function deleteInArchive(
  deps: ControlDeps,
  vault: string,
  item: Pick<ItemBody, "archiveItem">,
  point: { readonly archive: Pick<NonNullable<PointBody["archive"]>, "transfer"> | null },
  deletion: Deletion,
): Promise<boolean> {
  const held = await readRow(deps.tables, VAULT_ROWS, vaultPlace(vault));
  if (!held || !point.archive) return false;
  const archive = await deps.archives.open(held.body);
  const id = { item: parseItemId(item.archiveItem), transfer: parseTransferId(point.archive.transfer) };
  try {
    await deletePoint(archive, id, deletion);
    return true;
  } catch (cause) {
    // Held there, the last one, or gone already: the archive knows better than a row.
    if (cause instanceof HoldfastFailure && cause.kind === "not-found") return true;
    if (cause instanceof HoldfastFailure && cause.kind === "conflict") return false;
    throw cause;
  }
}

/** Does nothing while its snapshot is left. What the archive has is the caller's to have seen to. */
export async function forgetPoint(deps: ControlDeps, vault: string, item: ItemBody, pointId: string): Promise<void> {
  const place = pointPlace(vault, item.name, pointId);
  const held = await readRow(deps.tables, POINT_ROWS, place);
  if (held?.body.snapshot.state !== "deleted") return;
  await removeRow(deps.tables, CAPTURE_ROWS, capturePlace(vault, held.body.jobId));
  await removeRow(deps.tables, POINT_ROWS, place);
}
