// Short jobs: written down by the request that asks for them, carried out by item-jobs.ts.

import { ITEM_JOB } from "../../orchestrations/contracts.ts";
import { jobIdOf } from "../domain/job-id.ts";
import type { ControlDeps } from "./control-deps.ts";
import { randomNonce } from "./ids.ts";
import { type ItemChange, OPERATION_OF } from "./item-change.ts";
import { type JobSubject, newJob } from "./new-job.ts";
import { createOperation } from "./operations.ts";
import { JOB_ROWS, type JobBody, jobPlace } from "./rows/job-row.ts";
import { insertRow, removeRow } from "./rows/row-kind.ts";
import type { VaultKey } from "./rows/vault-row.ts";

/** What a request is answered with whose work goes on in a job. */
export interface Accepted {
  readonly jobId: string;
  readonly operationId: string;
}

export async function insertShortJob(
  deps: ControlDeps,
  vault: VaultKey,
  subject: JobSubject,
  change: ItemChange,
  properties: JobBody["properties"] = {},
): Promise<JobBody> {
  const now = deps.clock.now();
  const operation = OPERATION_OF[change.kind];
  const about = `${vault}/${subject.name.toLowerCase()}`;
  const id = jobIdOf({ kind: operation, subject: about, at: now, nonce: randomNonce(deps.random) });
  const job = newJob({ id, kind: { operation }, subject, isUserTriggered: true, now, work: { change }, properties });
  // The id was drawn: what stands there already can only be this very row, after a lost answer.
  await insertRow(deps.tables, JOB_ROWS, jobPlace(vault, id), job);
  return job;
}

export async function startShortJob(deps: ControlDeps, vault: VaultKey, { id }: JobBody): Promise<Accepted> {
  const { operationId } = await createOperation(deps, vault, { job: id, endsWithJob: true });
  await deps.workflow.start(ITEM_JOB.name, id, { vault, job: id });
  return { jobId: id, operationId };
}

/** Of a request that was refused after it had written its job down: nobody was told of it, and nothing was started. */
export function takeBackJob(deps: ControlDeps, vault: VaultKey, { id }: JobBody): Promise<void> {
  return removeRow(deps.tables, JOB_ROWS, jobPlace(vault, id));
}
