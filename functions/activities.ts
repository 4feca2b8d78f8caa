// Registers every activity under the name of its contract. Each invocation has its own durable client, for those that start
// or ask about other work.

import * as df from "durable-functions";
import { ACTIVITIES } from "../src/activities/catalog.ts";
import { openService } from "../src/wiring.ts";
import { durableWorkflow } from "./durable-workflow.ts";

for (const [name, run] of Object.entries(ACTIVITIES)) {
  df.app.activity(name, {
    extraInputs: [df.input.durableClient()],
    handler: (input, context) =>
      run(openService().activityDeps(durableWorkflow(df.getClient(context))), input as never),
  });
}
