// One orchestration of each pattern, made for being killed at any moment: each says at its end what must be exact.

const df = require("durable-functions");

const attempts = new Map();

// Fails every second time, whichever process asks: activities may run more than once.
df.app.activity("flaky-echo", {
  handler: (key) => {
    const attempt = (attempts.get(key) ?? 0) + 1;
    attempts.set(key, attempt);
    if (attempt % 2 === 1) throw new Error("not yet");
    return key;
  },
});

// The pauses let a kill fall between any two steps.
df.app.activity("slow-double", {
  handler: async (n) => {
    await new Promise((resolve) => setTimeout(resolve, n % 7));
    return n * 2;
  },
});

df.app.orchestration("mix-chain", function* (context) {
  let n = 1;
  for (let step = 0; step < 12; step++) n = yield context.df.callActivity("slow-double", n);
  return n;
});

df.app.orchestration("mix-fan", function* (context) {
  return yield context.df.Task.all(Array.from({ length: 40 }, (_, n) => context.df.callActivity("slow-double", n)));
});

df.app.orchestration("mix-timers", function* (context) {
  for (let step = 0; step < 4; step++) {
    yield context.df.createTimer(new Date(context.df.currentUtcDateTime.getTime() + 40));
  }
  return "on time";
});

df.app.orchestration("mix-retries", function* (context) {
  const options = new df.RetryOptions(10, 100);
  const keys = [0, 1, 2].map((n) => `${context.df.instanceId}/${n}`);
  return yield context.df.Task.all(keys.map((key) => context.df.callActivityWithRetry("flaky-echo", options, key)));
});

df.app.orchestration("mix-family", function* (context) {
  return yield context.df.Task.all([0, 1, 2].map(() => context.df.callSubOrchestrator("mix-chain")));
});

df.app.orchestration("mix-generations", function* (context) {
  const { left, total } = context.df.getInput() || { left: 8, total: 0 };
  if (left === 0) return total;
  const doubled = yield context.df.callActivity("slow-double", left);
  context.df.continueAsNew({ left: left - 1, total: total + doubled });
});

df.app.orchestration("mix-events", function* (context) {
  const heard = [];
  for (let n = 0; n < 6; n++) heard.push(yield context.df.waitForExternalEvent("word"));
  return heard;
});

df.app.orchestration("mix-race", function* (context) {
  const timer = context.df.createTimer(new Date(context.df.currentUtcDateTime.getTime() + 3_600_000));
  const work = context.df.callActivity("slow-double", 21);
  const winner = yield context.df.Task.any([work, timer]);
  timer.cancel();
  return winner === work ? work.result : "timer";
});

df.app.orchestration("mix-entity", function* (context) {
  const sum = new df.EntityId("counter", context.df.instanceId);
  for (let n = 1; n <= 5; n++) yield context.df.callEntity(sum, "add", n);
  context.df.signalEntity(sum, "add", 100);
  return yield context.df.callEntity(sum, "get");
});

df.app.orchestration("mix-lock", function* (context) {
  const [left, right] = ["left", "right"].map((side) => new df.EntityId("counter", side));
  const lock = yield context.df.lock(left, right);
  const before = yield context.df.callEntity(left, "get");
  yield context.df.callActivity("slow-double", 1);
  yield context.df.callEntity(left, "add", 1);
  yield context.df.callEntity(right, "add", -1);
  const after = yield context.df.callEntity(left, "get");
  lock.release();
  return after - before;
});

df.app.orchestration("mix-http", function* (context) {
  const response = yield context.df.callHttp({ method: "POST", url: context.df.getInput() });
  return response.content;
});
