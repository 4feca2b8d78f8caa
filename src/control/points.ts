// Recovery points of an item, as users see them.

import { HoldfastFailure } from "../base/failure.ts";
import type { ControlDeps } from "./control-deps.ts";
import { getItem, type ItemRef } from "./items.ts";
import { type Page, type PageRequest, pageOfRows } from "./paging.ts";
import { POINT_ROWS, type PointBody, pointPlace, pointsPartition } from "./rows/point-row.ts";
import { readRow } from "./rows/row-kind.ts";

/** Newest first. */
export async function listPoints(
  deps: ControlDeps,
  { vault, item, ...page }: ItemRef & PageRequest<PointBody>,
): Promise<Page<PointBody>> {
  const { name } = await getItem(deps, { vault, item });
  return pageOfRows(deps.tables, POINT_ROWS, pointsPartition(vault, name), page);
}

export async function getPoint(
  deps: ControlDeps,
  { vault, item, pointId }: ItemRef & { readonly pointId: string },
): Promise<PointBody> {
  const { name } = await getItem(deps, { vault, item });
  const isId = /^\d{1,20}$/.test(pointId);
  const held = isId ? await readRow(deps.tables, POINT_ROWS, pointPlace(vault, name, pointId)) : undefined;
  if (held) return held.body;
  throw new HoldfastFailure(
    "not-found",
    "UserErrorRecoveryPointNotFound",
    `There is no recovery point "${pointId}" of ${name}`,
  );
}

/** Something of it is left to restore from. */
export const isRestorable = ({ snapshot, archive }: PointBody): boolean =>
  snapshot.state === "valid" || archive !== null;
