// biome-ignore-all lint/correctness/useYield: mistakes are what this file is for

// What people write and Azure punishes late, or never: each of these must fail with words that help.

const df = require("durable-functions");

df.app.orchestration("reuse-in-compound", function* (context) {
  const event = context.df.waitForExternalEvent("never");
  yield context.df.Task.any([context.df.callActivity("double", 1), event]);
  yield context.df.Task.any([event, context.df.callActivity("double", 2)]);
});

df.app.orchestration("reuse-activity-in-compound", function* (context) {
  const slow = context.df.callActivity("slow", { ms: 30, answer: 1 });
  yield context.df.Task.any([context.df.callActivity("double", 1), slow]);
  yield context.df.Task.all([slow, context.df.callActivity("double", 2)]);
});

df.app.orchestration("same-task-twice", function* (context) {
  const task = context.df.callActivity("double", 1);
  yield context.df.Task.all([task, task]);
});

df.app.orchestration("async-generator", async function* (context) {
  yield context.df.callActivity("double", 1);
});

df.app.orchestration("async-function", async (context) => {
  await context.df.callActivity("double", 1);
});

df.app.orchestration("plain-function", (context) => context.df.callActivity("double", 1));

df.app.orchestration("yield-promise", function* () {
  yield Promise.resolve(1);
});

df.app.orchestration("yield-number", function* () {
  yield 5;
});

df.app.orchestration("yield-signal", function* (context) {
  yield context.df.signalEntity(new df.EntityId("counter", "x"), "add", 1);
});

df.app.orchestration("no-tasks", function* (context) {
  yield context.df.Task.all([]);
});

let coin = 0;
df.app.orchestration("changes-its-mind", function* (context) {
  coin += 1;
  yield context.df.callActivity(coin % 2 === 1 ? "double" : "echo", 1);
  yield context.df.callActivity("double", 2);
});

let forgetful = 0;
df.app.orchestration("asks-for-less", function* (context) {
  forgetful += 1;
  if (forgetful > 1) return "nothing to do";
  yield context.df.callActivity("double", 2);
});

df.app.orchestration("wordy-status", function* (context) {
  context.df.setCustomStatus("x".repeat(9000));
  yield context.df.callActivity("double", 1);
});

df.app.orchestration("start-itself", function* (context) {
  yield context.df.callSubOrchestrator("child", 1, context.df.instanceId);
});

df.app.orchestration("bad-child-id", function* (context) {
  yield context.df.callSubOrchestrator("child", 1, "a/b");
});

df.app.orchestration("unknown-child", function* (context) {
  yield context.df.callSubOrchestrator("chidl", 1);
});

df.app.orchestration("bad-date", function* (context) {
  yield context.df.createTimer(new Date("next tuesday"));
});

function circle() {
  const it = {};
  it.self = it;
  return it;
}

df.app.orchestration("return-circle", function* () {
  return circle();
});

df.app.orchestration("return-bigint", function* () {
  return 1n;
});

df.app.orchestration("status-circle", function* (context) {
  context.df.setCustomStatus(circle());
  yield context.df.callActivity("double", 1);
});

df.app.orchestration("activity-input-circle", function* (context) {
  yield context.df.callActivity("echo", circle());
});

df.app.orchestration("continue-with-circle", function* (context) {
  context.df.continueAsNew(circle());
});
