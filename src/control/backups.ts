// Backing up now, because somebody asks for it. Scheduled backups: policy-runs.ts.

import { BACKUP } from "../../orchestrations/contracts.ts";
import { HoldfastFailure } from "../base/failure.ts";
import { nextItemState } from "../domain/item-states.ts";
import type { JobId } from "../domain/job-id.ts";
import { jobIdOf, pointWireIdOf } from "../domain/job-id.ts";
import { backupInProgress } from "../domain/phases.ts";
import type { ControlDeps } from "./control-deps.ts";
import { randomNonce } from "./ids.ts";
import { getItem, type ItemRef, itemFactsOf } from "./items.ts";
import { newJob } from "./new-job.ts";
import { createOperation } from "./operations.ts";
import { liveHolder } from "./phases.ts";
import type { ItemBody } from "./rows/item-row.ts";
import { JOB_ROWS, jobPlace, newBackupWork } from "./rows/job-row.ts";
import { POLICY_ROWS, policyPlace } from "./rows/policy-row.ts";
import { insertRow, readRow } from "./rows/row-kind.ts";
import type { Accepted } from "./short-jobs.ts";
import { requireVault } from "./vaults.ts";

const DAY_MS = 24 * 3_600_000;
const DEFAULT_DAYS = 30;
/** Azure's longest retention. */
const MAX_DAYS = 99 * 365;

/**
 * Two that are asked for at once may both pass: which of them takes its snapshot is decided by the claim of the phase, and
 * the other job fails with the same code that would have been answered here.
 */
export async function backUpNow(
  deps: ControlDeps,
  { vault, item: name, retainUntil }: ItemRef & { readonly retainUntil?: Date | undefined },
): Promise<Accepted> {
  await requireVault(deps, vault);
  const item = await getItem(deps, { vault, item: name });
  requireInForce(item);
  const now = deps.clock.now();
  const until = requireRetainUntil(retainUntil ?? new Date(now.getTime() + DEFAULT_DAYS * DAY_MS), now);
  const holder = await liveHolder(deps, { vault, item: item.name, phase: "snapshot" });
  if (holder !== undefined) throw backupInProgress(item.machineName, holder as JobId);
  const subject = `${vault}/${item.name.toLowerCase()}`;
  const id = jobIdOf({ kind: "Backup", subject, at: now, nonce: randomNonce(deps.random) });
  const policy =
    item.policy === null ? undefined : await readRow(deps.tables, POLICY_ROWS, policyPlace(vault, item.policy));
  const backup = newBackupWork({
    ...{ scheduledAt: null, policy: item.policy, isCatchUp: false, tags: [], goesToVault: true },
    retainUntil: until.toISOString(),
    snapshotGroup: policy?.body.policy.snapshotGroup ?? { prefix: "", suffix: "" },
    pointId: pointWireIdOf(id),
  });
  const properties = { "Recovery Point Expiry Time in UTC": renderTime(until) };
  const job = newJob({
    ...{ id, kind: { operation: "Backup" }, subject: item, isUserTriggered: true, now, work: { backup }, properties },
  });
  await insertRow(deps.tables, JOB_ROWS, jobPlace(vault, id), job);
  const { operationId } = await createOperation(deps, vault, { job: id, endsWithJob: false });
  await deps.workflow.start(BACKUP.name, id, { vault, job: id });
  return { jobId: id, operationId };
}

function requireInForce(item: ItemBody): void {
  nextItemState(itemFactsOf(item), "back-up");
  if (item.protectedAt !== null) return;
  throw new HoldfastFailure(
    "conflict",
    "BMSUserErrorConflictingProtectionOperation",
    `The protection of ${item.machineName} is just being enabled`,
    { hint: "Wait until its job has ended." },
  );
}

function requireRetainUntil(until: Date, now: Date): Date {
  const days = (until.getTime() - now.getTime()) / DAY_MS;
  if (days > 0 && days <= MAX_DAYS) return until;
  throw new HoldfastFailure(
    "invalid",
    "HoldfastRetainUntilOutOfRange",
    `A recovery point cannot be kept until ${Number.isNaN(days) ? "that" : until.toISOString()}`,
    { hint: "Choose an instant between now and 99 years from now." },
  );
}

/** As Azure Backup writes it in a job: `3/13/2022 12:00:00 AM`. */
function renderTime(at: Date): string {
  const hour = at.getUTCHours();
  const two = (value: number): string => String(value).padStart(2, "0");
  const day = `${at.getUTCMonth() + 1}/${at.getUTCDate()}/${at.getUTCFullYear()}`;
  return `${day} ${hour % 12 || 12}:${two(at.getUTCMinutes())}:${two(at.getUTCSeconds())} ${hour < 12 ? "AM" : "PM"}`;
}
