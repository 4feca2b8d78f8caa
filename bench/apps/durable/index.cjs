// The app of the host's benches: the smallest functions that show what the host itself costs.

const { app } = require("@azure/functions");
const df = require("durable-functions");

app.http("ok", { methods: ["GET"], route: "ok", handler: () => ({ body: "ok" }) });

df.app.activity("trivial", { handler: async (input) => input });

df.app.orchestration("fan", function* (context) {
  const count = context.df.getInput();
  const results = yield context.df.Task.all(
    Array.from({ length: count }, (_, index) => context.df.callActivity("trivial", index)),
  );
  return results.length;
});

df.app.orchestration("chain", function* (context) {
  let value = 0;
  for (let step = 0; step < 5; step++) value = yield context.df.callActivity("trivial", value + 1);
  return value;
});

// biome-ignore lint/correctness/useYield: it is there to end at once
df.app.orchestration("nothing", function* () {
  return "done";
});

df.app.orchestration("waits", function* (context) {
  return yield context.df.waitForExternalEvent("go");
});

df.app.orchestration("family", function* (context) {
  const count = context.df.getInput();
  yield context.df.Task.all(Array.from({ length: count }, () => context.df.callSubOrchestrator("single")));
});

df.app.orchestration("single", function* (context) {
  return yield context.df.callActivity("trivial", context.df.instanceId);
});
