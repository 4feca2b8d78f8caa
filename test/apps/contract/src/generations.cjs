// biome-ignore-all lint/correctness/useYield: a generation may do nothing but begin the next

// Orchestrations that continue as new.

const df = require("durable-functions");

df.app.orchestration("sum-up", function* (context) {
  const { left, total } = context.df.getInput();
  if (left === 0) return total;
  const doubled = yield context.df.callActivity("double", left);
  context.df.setCustomStatus({ left });
  context.df.continueAsNew({ left: left - 1, total: total + doubled });
});

// Of a text the next generation sees the JSON text, as on Azure.
df.app.orchestration("continue-with-text", function* (context) {
  const input = context.df.getInput();
  if (input !== "x") return input;
  context.df.continueAsNew("x");
});

df.app.orchestration("continue-without", function* (context) {
  const input = context.df.getInput();
  if (input === "first") context.df.continueAsNew();
  else return { input };
});

df.app.orchestration("hear-one-at-a-time", function* (context) {
  const { words, heard } = context.df.getInput();
  const word = yield context.df.waitForExternalEvent("word");
  const now = [...heard, word];
  if (now.length === words) return now;
  context.df.continueAsNew({ words, heard: now });
});

// Leaves a timer behind, which must not reach the next generation.
df.app.orchestration("continue-with-open-timer", function* (context) {
  const generation = context.df.getInput();
  const fireAt = new Date(context.df.currentUtcDateTime.getTime() + (generation === 1 ? 150 : 400));
  const timer = context.df.createTimer(fireAt);
  if (generation === 1) {
    yield context.df.Task.any([context.df.callActivity("double", 1), timer]);
    context.df.continueAsNew(2);
    return;
  }
  const startedAt = context.df.currentUtcDateTime.getTime();
  yield timer;
  return context.df.currentUtcDateTime.getTime() - startedAt;
});

df.app.orchestration("child-in-generations", function* (context) {
  const left = context.df.getInput();
  if (left === 0) return "grown up";
  context.df.continueAsNew(left - 1);
});

df.app.orchestration("parent-of-generations", function* (context) {
  return yield context.df.callSubOrchestrator("child-in-generations", 3);
});
