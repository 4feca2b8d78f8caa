// Jobs: lists with real filters, one job with its tasks, and cancelling.

import { cancelJob, getJob, listJobs } from "../../control/jobs.ts";
import { createOperation } from "../../control/operations.ts";
import type { JobBody } from "../../control/rows/job-row.ts";
import { shownStatus } from "../../domain/job.ts";
import { parseJobId } from "../../domain/job-id.ts";
import { type Answer, type ApiCall, ok, PATHS, type Route } from "../api-call.ts";
import type { Filter } from "../filter.ts";
import { acceptedAt } from "../long-running.ts";
import { pageOf } from "../paging.ts";
import { renderJob, renderListedJob } from "../wire/job.ts";
import { vaultOf } from "./in-vault.ts";

const JOBS = `${PATHS.vault}/backupJobs`;

export const JOB_ROUTES: readonly Route[] = [
  { method: "GET", path: JOBS, operation: "jobs/read", isChange: false, handle: list },
  { method: "GET", path: `${JOBS}/{job}`, operation: "jobs/read", isChange: false, handle: show },
  { method: "POST", path: `${JOBS}/{job}/cancel`, operation: "jobs/cancel", isChange: true, handle: cancel },
];

async function list(call: ApiCall): Promise<Answer> {
  const { key, path } = await vaultOf(call);
  const now = call.deps.clock.now();
  return ok(
    await pageOf<JobBody>(
      call.page,
      (page) => listJobs(call.deps, { vault: key, ...page }),
      (job) => admits(call.filter, job),
      (job) => renderListedJob(path, job, now),
    ),
  );
}

function admits(filter: Filter, job: JobBody): boolean {
  return (
    filter.admits("status", shownStatus(job)) &&
    filter.admits("operation", job.operation) &&
    filter.admits("jobId", job.id) &&
    filter.admits("backupManagementType", "AzureIaasVM") &&
    filter.admitsTime("startTime", "endTime", new Date(job.startedAt))
  );
}

async function show(call: ApiCall): Promise<Answer> {
  const { key, path } = await vaultOf(call);
  const job = await getJob(call.deps, { vault: key, job: parseJobId(call.name("job")) });
  return ok(renderJob(path, job, call.deps.clock.now()));
}

/** The wish is granted at once; the job itself tells when it has ended. */
async function cancel(call: ApiCall): Promise<Answer> {
  const { key, path } = await vaultOf(call);
  const job = await cancelJob(call.deps, { vault: key, job: parseJobId(call.name("job")) });
  const { operationId } = await createOperation(call.deps, key, { job: job.id, endsWithJob: false });
  return acceptedAt(call, `${path}/backupJobs/${job.id}/operationResults/${operationId}`);
}
