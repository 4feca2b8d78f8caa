// What wakes the service by itself, one concern each. A tick that comes late, twice, or on two hosts at once does no harm:
// each of these compares what should be with what is.

import { app, type InvocationContext, type TimerHandler } from "@azure/functions";
import * as df from "durable-functions";
import { collectVaults, purgeVaults } from "../src/control/care.ts";
import type { ControlDeps } from "../src/control/control-deps.ts";
import { dispatch } from "../src/control/dispatch.ts";
import { removeOrphansOfVaults } from "../src/control/orphans.ts";
import { reconcileVaults } from "../src/control/reconcile.ts";
import { retainVaults } from "../src/control/retention.ts";
import { openService } from "../src/wiring.ts";
import { durableWorkflow } from "./durable-workflow.ts";
import { purgeHistory } from "./purge-history.ts";

/** Each minute; the dispatcher looks ahead by more than that. */
every("dispatch", "0 * * * * *", async (deps) => void (await dispatch(deps)));
every("reconcile", "30 */2 * * * *", async (deps) => void (await reconcileVaults(deps)));
every("retention", "0 7 * * * *", retainVaults);
every("orphans", "0 27 2 * * *", removeOrphansOfVaults);
every("purge-items", "0 22 * * * *", purgeVaults);
every("collect", "0 37 3 * * *", collectVaults);

app.timer("purge-history", {
  schedule: "0 17 4 * * *",
  extraInputs: [df.input.durableClient()],
  handler: async (_timer, context) => void (await purgeHistory(df.getClient(context), openService().clock.now())),
});

function every(name: string, schedule: string, work: (deps: ControlDeps) => Promise<void>): void {
  const handler: TimerHandler = (_timer, context) => work(depsOf(context));
  app.timer(name, { schedule, extraInputs: [df.input.durableClient()], handler });
}

function depsOf(context: InvocationContext): ControlDeps {
  return openService().activityDeps(durableWorkflow(df.getClient(context)));
}
