// Turning schedules into runs: each tick expands what is due between the mark and a little after now, writes a row for each
// occurrence, and starts its run, which sleeps until the exact instant. The row decides that a run happens once; the mark only
// saves work, and moves after everything before it is started. So ticks may be lost, doubled, late, or at once on two hosts.

import { createHash } from "node:crypto";
import { POLICY_RUN } from "../../orchestrations/contracts.ts";
import { LIMITS } from "../domain/limits.ts";
import { latestOccurrence, type Occurrence, occurrencesIn } from "../domain/schedule.ts";
import { forEachVault, tryEach } from "./all-vaults.ts";
import type { ControlDeps } from "./control-deps.ts";
import { POLICY_ROWS, type PolicyBody } from "./rows/policy-row.ts";
import { insertRow, listRows, readRow, replaceRow } from "./rows/row-kind.ts";
import { MARK_ROWS, markPlace, OCCURRENCE_ROWS, occurrencePlace } from "./rows/work-rows.ts";

/** A run that is noticed later than this was missed: of all that were, the latest is caught up with. */
const LATE_MS = 2 * 60_000;
/** How long a run that was cut off is worth going on with. */
const RESUME_MS = 24 * 3_600_000;
const MARK = markPlace("dispatch");

interface Due {
  readonly scheduledAt: Date;
  readonly isCatchUp: boolean;
}

/** One tick. Answers how many runs it started. */
export async function dispatch(deps: ControlDeps): Promise<number> {
  const now = deps.clock.now();
  const until = new Date(now.getTime() + LIMITS.dispatchAheadMs);
  const mark = await readRow(deps.tables, MARK_ROWS, MARK);
  // A first tick that dies leaves its beginning to the second.
  if (!mark) await moveMark(deps, now);
  const after = mark ? new Date(mark.body.at) : now;
  let startedCount = 0;
  await forEachVault(deps, ({ key }) =>
    tryEach(listRows(deps.tables, POLICY_ROWS, key), async ({ body }) => {
      for (const due of dueRuns(body, after, now, until)) startedCount += await startRun(deps, key, body, due);
    }),
  );
  await moveMark(deps, until);
  return startedCount;
}

/** What is due in (after, until], of what was missed only the latest. */
export function dueRuns(
  { policy, changedAt }: Pick<PolicyBody, "policy" | "changedAt">,
  after: Date,
  now: Date,
  until: Date,
): Due[] {
  const late = new Date(now.getTime() - LATE_MS);
  const from = startOf(after, new Date(changedAt));
  const missed = from < late ? latestOccurrence(policy, from, late) : undefined;
  const coming = occurrencesIn(policy, from > late ? from : late, until);
  return [...(missed ? [asDue(missed, true)] : []), ...coming.map((occurrence) => asDue(occurrence, false))];
}

/** A policy that was written after a tick has looked ahead would lose its first runs: its own beginning counts then. */
function startOf(after: Date, changedAt: Date): Date {
  const lookedBackMs = after.getTime() - LIMITS.dispatchAheadMs;
  return new Date(Math.min(after.getTime(), Math.max(changedAt.getTime(), lookedBackMs)));
}

function asDue({ scheduledAt }: Occurrence, isCatchUp: boolean): Due {
  return { scheduledAt, isCatchUp };
}

/**
 * Runs whose row stands, whose instant is past, and whose orchestration came to an end before all of their backups were
 * started. Older ones are left to the next run of their policy. Answers how many were taken up.
 */
export async function resumeRuns(deps: ControlDeps, vault: string): Promise<number> {
  const now = deps.clock.now();
  const late = new Date(now.getTime() - LATE_MS).toISOString();
  const after = occurrencePlace(vault, "", new Date(now.getTime() - RESUME_MS).toISOString()).key;
  let count = 0;
  await tryEach(listRows(deps.tables, OCCURRENCE_ROWS, vault, { after }), async ({ body }) => {
    const { policy, scheduledAt, startedAt } = body;
    if (startedAt !== null || scheduledAt > late) return;
    const run = runIdOf(vault, policy, scheduledAt);
    if ((await deps.workflow.stateOf(run)) === "running") return;
    await deps.workflow.start(POLICY_RUN.name, run, { vault, policy, scheduledAt, isCatchUp: true });
    count++;
  });
  return count;
}

/** The row first. One that stands without having been started is a tick that died in between. */
async function startRun(deps: ControlDeps, vault: string, policy: PolicyBody, due: Due): Promise<number> {
  const scheduledAt = due.scheduledAt.toISOString();
  const place = occurrencePlace(vault, policy.name, scheduledAt);
  const body = { vault, policy: policy.name, scheduledAt, isCatchUp: due.isCatchUp, startedAt: null };
  const isNew = await insertRow(deps.tables, OCCURRENCE_ROWS, place, body);
  const standing = isNew ? body : (await readRow(deps.tables, OCCURRENCE_ROWS, place))?.body;
  if (!standing || standing.startedAt !== null) return 0;
  const { isCatchUp } = standing;
  const run = { vault, policy: policy.name, scheduledAt, isCatchUp };
  await deps.workflow.start(POLICY_RUN.name, runIdOf(vault, policy.name, scheduledAt), run);
  return isNew ? 1 : 0;
}

/** Instance ids take no slashes; people find the run by its time. */
function runIdOf(vault: string, policy: string, scheduledAt: string): string {
  const digest = createHash("sha256").update(`${vault}/${policy.toLowerCase()}`).digest("hex").slice(0, 16);
  return `run-${scheduledAt.replace(/\D/g, "")}-${digest}`;
}

/** Only forward: of two ticks at once, the one that looked further wins. */
async function moveMark(deps: ControlDeps, until: Date): Promise<void> {
  const at = until.toISOString();
  for (;;) {
    const mark = await readRow(deps.tables, MARK_ROWS, MARK);
    if (mark && mark.body.at >= at) return;
    const isMoved = mark
      ? await replaceRow(deps.tables, MARK_ROWS, mark, { at })
      : await insertRow(deps.tables, MARK_ROWS, MARK, { at });
    if (isMoved) return;
  }
}
