// What clients read while they wait for an operation.

import type { OperationState } from "../../control/operations.ts";
import { NO_TIME } from "./text.ts";

export function renderOperationStatus({ id, status, startedAt, endedAt, ...rest }: OperationState): unknown {
  const head = { id, name: id, status, startTime: startedAt, endTime: endedAt ?? NO_TIME };
  if (status === "Failed") return { ...head, error: rest.failure };
  if (status !== "Succeeded") return head;
  const properties = detailOf(rest);
  return properties === undefined ? head : { ...head, properties };
}

function detailOf({ jobId, result }: Pick<OperationState, "jobId" | "result">): unknown {
  if (jobId !== null) return { objectType: "OperationStatusJobExtendedInfo", jobId };
  const isValidation = typeof result === "object" && result !== null && "validateOperationResponse" in result;
  return isValidation ? { objectType: "OperationStatusValidateOperationExtendedInfo", ...result } : undefined;
}
