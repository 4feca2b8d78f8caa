// Long-running operations of the backup resources (style B of the contract): 202 without a body, and two addresses to ask
// at. Clients keep the operation's id and ask at other places of the same vault too, so any of them resolves any id.

import type { Answer, ApiCall } from "./api-call.ts";

/** Where the two addresses lie; each ends in the operation's id. */
export interface OperationPlaces {
  readonly status: string;
  readonly result: string;
}

export const resourcePlaces = (path: string): OperationPlaces => ({
  status: `${path}/operationsStatus`,
  result: `${path}/operationResults`,
});

export const vaultPlaces = (vaultPath: string): OperationPlaces => ({
  status: `${vaultPath}/backupOperations`,
  result: `${vaultPath}/backupOperationResults`,
});

export const validationPlaces = (vaultPath: string): OperationPlaces => ({
  status: `${vaultPath}/backupValidateOperationsStatuses`,
  result: `${vaultPath}/backupValidateOperationResults`,
});

/** As long as most operations take; clients without a rule of their own wait half a minute otherwise. */
export const RETRY_AFTER: Readonly<Record<string, string>> = { "Retry-After": "2" };

export function accepted(call: ApiCall, places: OperationPlaces, operationId: string): Answer {
  return {
    status: 202,
    headers: {
      "Azure-AsyncOperation": call.links.to(`${places.status}/${operationId}`),
      Location: call.links.to(`${places.result}/${operationId}`),
      ...RETRY_AFTER,
    },
  };
}

/** For operations that have a result to wait for, and no status. */
export function acceptedAt(call: ApiCall, resultPath: string): Answer {
  return { status: 202, headers: { Location: call.links.to(resultPath), ...RETRY_AFTER } };
}
