// Timer functions, and an HTTP function that tells how they ran in this process.

import { app } from "@azure/functions";
import * as df from "durable-functions";

const runs = [];

function record(timer, context) {
  const { isPastDue, schedule, scheduleStatus } = timer;
  runs.push({ name: context.functionName, at: Date.now(), isPastDue, schedule, scheduleStatus });
}

app.timer("each-second", { schedule: "* * * * * *", handler: record });
app.timer("nightly", { schedule: "%NIGHTLY%", handler: record });
app.timer("on-startup", { schedule: "0 0 4 * * *", runOnStartup: true, handler: record });
app.timer("fails-first", {
  schedule: "0 0 5 * * *",
  retry: { strategy: "fixedDelay", maxRetryCount: 3, delayInterval: { milliseconds: 10 } },
  handler: (timer, context) => {
    record(timer, context);
    runs.at(-1).retryContext = context.retryContext;
    if ((context.retryContext?.retryCount ?? 0) < 2) throw new Error("not yet");
  },
});
df.app.client.timer("starts-work", {
  schedule: "0 0 6 * * *",
  handler: async (_timer, client) => {
    await client.startNew("hooked", { instanceId: "started-by-timer" });
  },
});

app.http("timer-runs", {
  handler: (request) => ({ jsonBody: runs.filter(({ name }) => name === request.query.get("name")) }),
});
