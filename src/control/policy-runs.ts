// Starting the backups of a policy's run, each once: the job's id follows from item and instant, its row is inserted before
// its orchestration is started, and whoever finds the row without an orchestration starts that again.

import pMap from "p-map";
import { BACKUP, type PolicyRun } from "../../orchestrations/contracts.ts";
import { jobIdOf, pointWireIdOf } from "../domain/job-id.ts";
import { LIMITS } from "../domain/limits.ts";
import type { Policy } from "../domain/policy.ts";
import { isTransferred, tagsOf } from "../domain/retention-tags.ts";
import { latestOccurrence, type Occurrence } from "../domain/schedule.ts";
import type { ControlDeps } from "./control-deps.ts";
import { newJob } from "./new-job.ts";
import { ITEM_ROWS, type ItemBody } from "./rows/item-row.ts";
import { JOB_ROWS, jobPlace, newBackupWork } from "./rows/job-row.ts";
import { POLICY_ROWS, type PolicyBody, policyPlace } from "./rows/policy-row.ts";
import { changeRow, type Held, insertRow, listRows, readRow } from "./rows/row-kind.ts";
import { OCCURRENCE_ROWS, occurrencePlace } from "./rows/work-rows.ts";

const STARTS_AT_ONCE = 16;
const IN_FORCE: readonly ItemBody["state"][] = ["IRPending", "Protected", "ProtectionError"];

/** The next batch of the run's items; the answer says where to go on. The last batch closes the occurrence. */
export async function startBackups(
  deps: ControlDeps,
  { after, ...run }: PolicyRun & { readonly after: string | null },
): Promise<{ next: string | null; startedCount: number }> {
  const policy = await readRow(deps.tables, POLICY_ROWS, policyPlace(run.vault, run.policy));
  const { items, next } = await nextItems(deps, run.vault, after);
  const due = policy ? items.filter(({ body }) => isDue(body, policy.body, run.scheduledAt)) : [];
  const occurrence = policy && occurrenceAt(policy.body.policy, run.scheduledAt);
  if (policy && occurrence) {
    // One that cannot be started does not keep the others from it.
    await pMap(due, (item) => startBackup(deps, run, item.body, policy.body, occurrence), {
      concurrency: STARTS_AT_ONCE,
      stopOnError: false,
    });
  }
  if (next === null) await closeOccurrence(deps, run);
  return { next, startedCount: due.length };
}

async function nextItems(deps: ControlDeps, vault: string, after: string | null) {
  const items: Held<ItemBody>[] = [];
  const options = { pageSize: LIMITS.startsPerBatch + 1, ...(after !== null && { after }) };
  for await (const item of listRows(deps.tables, ITEM_ROWS, vault, options)) {
    if (items.length === LIMITS.startsPerBatch) return { items, next: items.at(-1)?.key ?? null };
    items.push(item);
  }
  return { items, next: null };
}

/** One that was protected after the instant (of a run that is caught up with) has not missed it. */
function isDue(item: ItemBody, policy: PolicyBody, scheduledAt: string): boolean {
  const isOfPolicy = item.policy?.toLowerCase() === policy.name.toLowerCase();
  const isProtected = item.protectedAt !== null && Date.parse(item.protectedAt) <= Date.parse(scheduledAt);
  return isOfPolicy && item.deletedAt === null && isProtected && IN_FORCE.includes(item.state);
}

/** Undefined when the policy was edited meanwhile and has no run at this instant any more. */
function occurrenceAt(policy: Policy, scheduledAt: string): Occurrence | undefined {
  const at = new Date(scheduledAt);
  return latestOccurrence(policy, new Date(at.getTime() - 1), at);
}

async function startBackup(
  deps: ControlDeps,
  run: PolicyRun,
  item: ItemBody,
  policy: PolicyBody,
  occurrence: Occurrence,
): Promise<void> {
  const subject = `${run.vault}/${item.name.toLowerCase()}`;
  const job = jobIdOf({ kind: "Backup", subject, at: occurrence.scheduledAt, nonce: "" });
  const backup = newBackupWork({
    scheduledAt: run.scheduledAt,
    policy: policy.name,
    isCatchUp: run.isCatchUp,
    retainUntil: null,
    tags: [...tagsOf(policy.policy, occurrence)],
    goesToVault: isTransferred(policy.policy, occurrence),
    snapshotGroup: policy.policy.snapshotGroup,
    pointId: pointWireIdOf(job),
  });
  const body = newJob({
    id: job,
    kind: { operation: "Backup" },
    subject: item,
    isUserTriggered: false,
    now: deps.clock.now(),
    work: { backup },
  });
  const place = jobPlace(run.vault, job);
  const isNew = await insertRow(deps.tables, JOB_ROWS, place, body);
  if (!isNew && (await readRow(deps.tables, JOB_ROWS, place))?.body.endedAt) return;
  await deps.workflow.start(BACKUP.name, job, { vault: run.vault, job });
}

async function closeOccurrence(deps: ControlDeps, run: PolicyRun): Promise<void> {
  const place = occurrencePlace(run.vault, run.policy, run.scheduledAt);
  if (!(await readRow(deps.tables, OCCURRENCE_ROWS, place))) return;
  await changeRow(deps.tables, OCCURRENCE_ROWS, place, (row) =>
    row.startedAt === null ? { ...row, startedAt: deps.clock.now().toISOString() } : undefined,
  );
}
