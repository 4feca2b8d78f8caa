// Recovery points: lists with real filters, one point, and restoring from one.

import { startRestore, validateRestore } from "../../control/restores.ts";
import { POINT_ROWS, type PointBody, pointPlace, pointsPartition } from "../../control/rows/point-row.ts";
import { type Held, listRows, readRow } from "../../control/rows/row-kind.ts";
import { type Answer, type ApiCall, ok, PATHS, type Route } from "../api-call.ts";
import { accepted, itemPlaces } from "../long-running.ts";
import { pageOf } from "../paging.ts";
import { parseBody } from "../request-body.ts";
import { renderPoint } from "../wire/recovery-point.ts";
import { restoreBody } from "../wire/restore-request.ts";
import { type InItem, itemOf, notFound } from "./in-vault.ts";

export const POINT_ROUTES: readonly Route[] = [
  {
    method: "GET",
    path: `${PATHS.item}/recoveryPoints`,
    operation: "points/read",
    isChange: false,
    handle: listPoints,
  },
  { method: "GET", path: PATHS.point, operation: "points/read", isChange: false, handle: showPoint },
  { method: "POST", path: `${PATHS.point}/restore`, operation: "points/restore", isChange: true, handle: restore },
  {
    method: "POST",
    path: `${PATHS.item}/recoveryPointsRecommendedForMove`,
    operation: "points/read",
    isChange: false,
    // There is no archive tier that a point could move to.
    handle: async (call) => {
      await itemOf(call);
      return ok({ value: [] });
    },
  },
];

async function listPoints(call: ApiCall): Promise<Answer> {
  const { key, item, itemPath } = await itemOf(call);
  const source = {
    after: (after?: string) =>
      listRows(call.deps.tables, POINT_ROWS, pointsPartition(key, item.name), after === undefined ? {} : { after }),
    keyOf: ({ key: pointKey }: Held<PointBody>) => pointKey,
    admits: ({ body }: Held<PointBody>) => call.filter.admitsTime("startDate", "endDate", new Date(body.time)),
  };
  return ok(await pageOf(call.page, source, ({ body }) => renderPoint({ itemPath, point: body })));
}

async function showPoint(call: ApiCall): Promise<Answer> {
  const { point, itemPath } = await pointOf(call);
  return ok(renderPoint({ itemPath, point }));
}

async function pointOf(call: ApiCall): Promise<InItem & { readonly point: PointBody }> {
  const inItem = await itemOf(call);
  const id = call.name("point");
  const place = /^\d{1,20}$/.test(id) ? pointPlace(inItem.key, inItem.item.name, id) : undefined;
  const held = place && (await readRow(call.deps.tables, POINT_ROWS, place));
  if (held === undefined) throw notFound("UserErrorRecoveryPointNotFound", `There is no recovery point ${id}`);
  return { ...inItem, point: held.body };
}

async function restore(call: ApiCall): Promise<Answer> {
  const wish = parseBody(restoreBody, call.body);
  const { key, item, point, itemPath } = await pointOf(call);
  await call.requireReach("machine", item.machineId);
  for (const target of reachedBy(wish)) await call.requireReach("restore-target", target);
  const { operationId } = await startRestore(call.deps, { vault: key, item: item.name, pointId: point.pointId, wish });
  return accepted(call, itemPlaces(itemPath), operationId);
}
