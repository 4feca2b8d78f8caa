// A short job on an item: enabling, stopping, deleting, undeleting. One activity does it all, called until it says done.

import type { OrchestrationContext } from "durable-functions";
import { CLOSE_JOB, type JobRef, OPEN_JOB, RUN_ITEM_JOB } from "./contracts.ts";
import { call, lookUntil, type Steps } from "./steps.ts";

const PATIENCE_MS = 3_600_000;

export function* itemJob(context: OrchestrationContext): Steps<void> {
  const job = context.df.getInput() as JobRef;
  const { isOver } = yield* call(context, OPEN_JOB, job);
  if (isOver) return;
  const run = () => call(context, RUN_ITEM_JOB, job);
  yield* lookUntil(context, run, (answer) => answer.failure !== undefined || answer.state === "done", PATIENCE_MS);
  yield* call(context, CLOSE_JOB, job);
}
