// One run of a policy: sleeps until its exact instant, then starts a backup of each item, detached. It waits for none of
// them: each is an orchestration of its own, named by its job.

import type { OrchestrationContext } from "durable-functions";
import { type PolicyRun, START_BACKUPS } from "./contracts.ts";
import { call, type Steps } from "./steps.ts";

/** At five hundred items each (LIMITS), the most that a vault may have take twenty: a bound that only a fault ever meets. */
const MAX_BATCHES = 150;

export function* policyRun(context: OrchestrationContext): Steps<void> {
  const run = context.df.getInput() as PolicyRun;
  const due = new Date(run.scheduledAt);
  if (due > context.df.currentUtcDateTime) yield context.df.createTimer(due);
  let after: string | null = null;
  for (let batch = 0; batch < MAX_BATCHES; batch++) {
    const { next }: { readonly next: string | null } = yield* call(context, START_BACKUPS, { ...run, after });
    if (next === null) return;
    after = next;
  }
}
