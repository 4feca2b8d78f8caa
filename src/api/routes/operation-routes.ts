// Where clients ask how an operation goes. One id is good at every one of these places, whatever it was begun with: some
// clients keep only the id, and ask at one place for all of them.

import { getOperation, type OperationState } from "../../control/operations.ts";
import { type Answer, type ApiCall, ok, PATHS, type Route } from "../api-call.ts";
import { acceptedAt, RETRY_AFTER } from "../long-running.ts";
import { renderOperationStatus } from "../wire/operation-status.ts";
import { vaultOf } from "./in-vault.ts";

const STATUS_PLACES = [
  `${PATHS.vault}/backupOperations/{operation}`,
  `${PATHS.item}/operationsStatus/{operation}`,
  `${PATHS.container}/operationsStatus/{operation}`,
  `${PATHS.vault}/backupPolicies/{policy}/operations/{operation}`,
  `${PATHS.vault}/backupValidateOperationsStatuses/{operation}`,
  `${PATHS.vault}/operationStatus/{operation}`,
];

const RESULT_PLACES = [
  `${PATHS.vault}/backupOperationResults/{operation}`,
  `${PATHS.item}/operationResults/{operation}`,
  `${PATHS.container}/operationResults/{operation}`,
  `${PATHS.fabric}/operationResults/{operation}`,
  `${PATHS.vault}/backupPolicies/{policy}/operationResults/{operation}`,
  `${PATHS.vault}/backupJobs/{job}/operationResults/{operation}`,
  `${PATHS.vault}/backupJobs/operationResults/{operation}`,
  `${PATHS.vault}/backupValidateOperationResults/{operation}`,
  `${PATHS.vault}/operationResults/{operation}`,
];

const route = (path: string, handle: Route["handle"]): Route => ({
  method: "GET",
  path,
  operation: "jobs/read",
  isChange: false,
  handle,
});

export const OPERATION_ROUTES: readonly Route[] = [
  ...STATUS_PLACES.map((path) => route(path, showStatus)),
  ...RESULT_PLACES.map((path) => route(path, showResult)),
];

async function showStatus(call: ApiCall): Promise<Answer> {
  const operation = await operationOf(call);
  const headers = operation.status === "InProgress" ? RETRY_AFTER : {};
  return { status: 200, body: renderOperationStatus(operation), headers };
}

/** 202 until it has ended; then its result, or nothing. */
async function showResult(call: ApiCall): Promise<Answer> {
  const { status, result } = await operationOf(call);
  if (status === "InProgress") return acceptedAt(call, call.path);
  return result === null || result === undefined ? { status: 204 } : ok(result);
}

async function operationOf(call: ApiCall): Promise<OperationState> {
  const { key } = await vaultOf(call);
  return getOperation(call.deps, { vault: key, operation: call.name("operation") });
}
