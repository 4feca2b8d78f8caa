// Operations: what an ARM client polls after its request was accepted. One ends at once, or with its job.

import type { StepFailure } from "../../orchestrations/contracts.ts";
import { HoldfastFailure } from "../base/failure.ts";
import type { ControlDeps } from "./control-deps.ts";
import { randomUuid } from "./ids.ts";
import { JOB_ROWS, type JobBody, jobPlace } from "./rows/job-row.ts";
import { insertRow, readRow } from "./rows/row-kind.ts";
import type { VaultKey } from "./rows/vault-row.ts";
import { OPERATION_ROWS, operationPlace } from "./rows/work-rows.ts";

/** Without a job an operation is over at once, with a result of its own. */
export type NewOperation =
  | { readonly job: string; readonly endsWithJob: boolean }
  | { readonly result: unknown; readonly job?: undefined };

export async function createOperation(
  deps: ControlDeps,
  vault: VaultKey,
  operation: NewOperation,
): Promise<{ readonly operationId: string }> {
  const operationId = randomUuid(deps.random);
  const startedAt = deps.clock.now().toISOString();
  const about =
    operation.job === undefined
      ? { jobId: null, endsWithJob: false, result: operation.result }
      : { jobId: operation.job, endsWithJob: operation.endsWithJob, result: null };
  // Drawn at random, so what stands there already can only be this very row, after a lost answer.
  await insertRow(deps.tables, OPERATION_ROWS, operationPlace(vault, operationId), {
    id: operationId,
    startedAt,
    ...about,
  });
  return { operationId };
}

export interface OperationState {
  readonly id: string;
  readonly status: "InProgress" | "Succeeded" | "Failed" | "Canceled";
  readonly startedAt: string;
  readonly endedAt: string | null;
  readonly jobId: string | null;
  readonly failure: StepFailure | null;
  readonly result: unknown;
}

export async function getOperation(
  deps: ControlDeps,
  { vault, operation }: { readonly vault: VaultKey; readonly operation: string },
): Promise<OperationState> {
  const held = await readRow(deps.tables, OPERATION_ROWS, operationPlace(vault, operation));
  if (!held) throw operationNotFound(operation);
  const { id, startedAt, jobId, endsWithJob, result } = held.body;
  const known = { id, startedAt, jobId, result };
  if (jobId === null || !endsWithJob) {
    return { ...known, status: "Succeeded", endedAt: startedAt, failure: null };
  }
  const job = await readRow(deps.tables, JOB_ROWS, jobPlace(vault, jobId));
  if (!job) throw operationNotFound(operation);
  // The status may be final before the job is closed, and everybody who has to know has been told.
  const status = job.body.endedAt === null ? "InProgress" : STATUS_OF[job.body.status];
  return { ...known, status, endedAt: job.body.endedAt, failure: status === "Failed" ? failureOf(job.body) : null };
}

const STATUS_OF: Readonly<Record<JobBody["status"], OperationState["status"]>> = {
  InProgress: "InProgress",
  Cancelling: "InProgress",
  Completed: "Succeeded",
  CompletedWithWarnings: "Succeeded",
  Failed: "Failed",
  Cancelled: "Canceled",
};

function failureOf({ id, failure }: JobBody): StepFailure {
  return failure ?? { code: "CloudInternalError", message: `The job ${id} failed` };
}

function operationNotFound(operation: string): HoldfastFailure {
  return new HoldfastFailure(
    "not-found",
    "BMSUserErrorDataSourceObjectNotFound",
    `There is no operation "${operation}"`,
  );
}
