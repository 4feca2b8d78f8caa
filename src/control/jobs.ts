// Jobs as users see and cancel them. Making one is new-job.ts, changing one job-changes.ts.

import type { JobRef } from "../../orchestrations/contracts.ts";
import { HoldfastFailure } from "../base/failure.ts";
import { hasEnded, refusalToCancel } from "../domain/job.ts";
import { parseJobId } from "../domain/job-id.ts";
import type { ControlDeps } from "./control-deps.ts";
import { changeJob } from "./job-changes.ts";
import { type Page, type PageRequest, pageOfRows } from "./paging.ts";
import { JOB_ROWS, type JobBody, jobPlace } from "./rows/job-row.ts";
import { readRow } from "./rows/row-kind.ts";
import type { VaultKey } from "./rows/vault-row.ts";
import { requireVault } from "./vaults.ts";

/** Jobs of an earlier vault of the same name are not this one's. */
export async function getJob(deps: ControlDeps, { vault, job }: JobRef): Promise<JobBody> {
  const { body: owner } = await requireVault(deps, vault);
  const held = await readRow(deps.tables, JOB_ROWS, jobPlace(vault, parseJobId(job)));
  if (held && held.body.startedAt >= owner.createdAt) return held.body;
  throw new HoldfastFailure("not-found", "BMSUserErrorDataSourceObjectNotFound", `There is no job "${job}"`);
}

export interface JobFilter {
  readonly status?: JobBody["status"] | undefined;
  readonly operation?: JobBody["operation"] | undefined;
  /** Started within these, both included. */
  readonly from?: Date | undefined;
  readonly until?: Date | undefined;
}

/** Newest first. */
export async function listJobs(
  deps: ControlDeps,
  { vault, filter = {}, ...page }: { readonly vault: VaultKey; readonly filter?: JobFilter } & PageRequest<JobBody>,
): Promise<Page<JobBody>> {
  const { body: owner } = await requireVault(deps, vault);
  return pageOfRows(deps.tables, JOB_ROWS, vault, {
    ...page,
    matches: (job) => job.startedAt >= owner.createdAt && matchesFilter(job, filter) && (page.matches?.(job) ?? true),
  });
}

/** The wish is written down; the job reads it between its steps, for some of them cannot be broken off. */
export async function cancelJob(deps: ControlDeps, ref: JobRef): Promise<JobBody> {
  const { id } = await getJob(deps, ref);
  return changeJob(deps, { vault: ref.vault, job: id }, (job) => {
    const refusal = refusalToCancel(job);
    if (refusal) throw refusal;
    return { cancelRequestedAt: deps.clock.now().toISOString() };
  });
}

/** Its work is done, whether or not its orchestration has said good-bye. A job without a row was never to be. */
export async function isJobOver(deps: Pick<ControlDeps, "tables">, { vault, job }: JobRef): Promise<boolean> {
  const held = await readRow(deps.tables, JOB_ROWS, jobPlace(vault, job));
  return !held || held.body.endedAt !== null || hasEnded(held.body.status);
}

function matchesFilter(job: JobBody, { status, operation, from, until }: JobFilter): boolean {
  const startedMs = Date.parse(job.startedAt);
  return (
    (status === undefined || job.status === status) &&
    (operation === undefined || job.operation === operation) &&
    (from === undefined || startedMs >= from.getTime()) &&
    (until === undefined || startedMs <= until.getTime())
  );
}
