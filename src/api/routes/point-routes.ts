// Recovery points: lists with real filters, one point, restoring from one, and asking beforehand whether that would work.

import { HoldfastFailure } from "../../base/failure.ts";
import { createOperation } from "../../control/operations.ts";
import { expiryOfPoints } from "../../control/point-expiry.ts";
import { getPoint, listPoints } from "../../control/points.ts";
import { type RestoreOf, startRestore, validateRestore } from "../../control/restores.ts";
import type { PointBody } from "../../control/rows/point-row.ts";
import { sameArmId } from "../../domain/arm-ids.ts";
import { type Answer, type ApiCall, ok, PATHS, type Route } from "../api-call.ts";
import type { Filter } from "../filter.ts";
import { accepted, resourcePlaces, validationPlaces } from "../long-running.ts";
import { pageOf } from "../paging.ts";
import { parseBody } from "../request-body.ts";
import { renderPoint } from "../wire/recovery-point.ts";
import { type RestoreWish, restoreBody, type ValidationWish, validationBody } from "../wire/restore-request.ts";
import { type InItem, itemNamed, itemOf, vaultOf } from "./in-vault.ts";

const POINTS = `${PATHS.item}/recoveryPoints`;

export const POINT_ROUTES: readonly Route[] = [
  { method: "GET", path: POINTS, operation: "points/read", isChange: false, handle: list },
  { method: "GET", path: PATHS.point, operation: "points/read", isChange: false, handle: show },
  { method: "POST", path: `${PATHS.point}/restore`, operation: "points/restore", isChange: true, handle: restore },
  {
    method: "POST",
    path: `${PATHS.vault}/backupTriggerValidateOperation`,
    operation: "points/restore",
    isChange: true,
    handle: triggerValidation,
  },
  {
    method: "POST",
    path: `${PATHS.vault}/backupValidateOperation`,
    operation: "points/restore",
    isChange: false,
    handle: validate,
  },
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

async function list(call: ApiCall): Promise<Answer> {
  const { key, item, itemPath } = await itemOf(call);
  const expiryOf = await expiryOfPoints(call.deps, key, item);
  return ok(
    await pageOf<PointBody>(
      call.page,
      (page) => listPoints(call.deps, { vault: key, item: item.name, ...page }),
      (point) => admits(call.filter, point),
      (point) => renderPoint({ itemPath, point, expiresAt: expiryOf(point) }),
    ),
  );
}

/** No point is ready to be moved, for want of an archive tier, and each is whole: logs and differentials are of databases. */
function admits(filter: Filter, { time }: PointBody): boolean {
  const kind = filter.value("restorePointQueryType")?.toLowerCase() ?? "all";
  return (
    filter.admits("moveReadyRPOnly", "false") &&
    ["all", "full", "fullanddifferential"].includes(kind) &&
    filter.admitsTime("startDate", "endDate", new Date(time))
  );
}

async function show(call: ApiCall): Promise<Answer> {
  const { key, item, itemPath } = await itemOf(call);
  const point = await getPoint(call.deps, { vault: key, item: item.name, pointId: call.name("point") });
  const expiryOf = await expiryOfPoints(call.deps, key, item);
  return ok(renderPoint({ itemPath, point, expiresAt: expiryOf(point) }));
}

async function restore(call: ApiCall): Promise<Answer> {
  const wish = parseBody(restoreBody, call.body);
  const inItem = await itemOf(call);
  const wanted = wantedOf(inItem, call.name("point"), wish);
  await requireReaches(call, wanted);
  const { operationId } = await startRestore(call.deps, wanted);
  return accepted(call, resourcePlaces(inItem.itemPath), operationId);
}

/** The service would read the machine's disks and write elsewhere: the caller must be allowed both by itself. */
async function requireReaches(call: ApiCall, { request }: RestoreOf): Promise<void> {
  await call.requireReach("machine", request.sourceResourceId);
  const { targetResourceGroupId, storageAccountId, targetVirtualMachineId } = request;
  for (const target of [targetResourceGroupId, storageAccountId, targetVirtualMachineId]) {
    if (target !== undefined) await call.requireReach("restore-target", target);
  }
}

function wantedOf({ key, item }: InItem, pointId: string, wish: RestoreWish): RestoreOf {
  const { sourceResourceId = item.machineId, zones, ...request } = wish;
  if (!sameArmId(sourceResourceId, item.machineId)) {
    const message = `The recovery point is not one of ${sourceResourceId}`;
    throw new HoldfastFailure("invalid", "HoldfastRestoreSourceMismatch", message);
  }
  return { vault: key, item: item.name, pointId, zones, request: { ...request, sourceResourceId: item.machineId } };
}

async function triggerValidation(call: ApiCall): Promise<Answer> {
  const { key, path } = await vaultOf(call);
  const result = await validationOf(call);
  const { operationId } = await createOperation(call.deps, key, { result });
  return accepted(call, validationPlaces(path), operationId);
}

async function validate(call: ApiCall): Promise<Answer> {
  return ok(await validationOf(call));
}

async function validationOf(call: ApiCall): Promise<unknown> {
  const { wish, pointId } = parseBody<ValidationWish>(validationBody, call.body);
  const inVault = await vaultOf(call);
  const wanted = wantedOf(await itemNamed(call, inVault, wish.sourceResourceId), pointId, wish);
  await requireReaches(call, wanted);
  const conflicts = await validateRestore(call.deps, wanted);
  const validationResults = conflicts.map(({ code, field, message }) => ({
    code,
    message: `${field}: ${message}`,
    recommendations: [],
  }));
  return { validateOperationResponse: { validationResults } };
}
