// biome-ignore-all lint/correctness/useYield: it is about orchestrators that throw before anything else

// Failures of activities and orchestrators.

const df = require("durable-functions");

df.app.orchestration("catch-failure", function* (context) {
  try {
    yield context.df.callActivity("fail", "no luck");
  } catch (error) {
    return { message: error.message, next: yield context.df.callActivity("double", 4) };
  }
});

df.app.orchestration("do-not-catch", function* (context) {
  yield context.df.callActivity("fail", context.df.getInput() ?? "no luck");
});

df.app.orchestration("catch-text", function* (context) {
  try {
    yield context.df.callActivity("throw-text");
  } catch (error) {
    return error.message;
  }
});

df.app.orchestration("catch-in-fan-out", function* (context) {
  try {
    yield context.df.Task.all([
      context.df.callActivity("slow", { ms: 50, answer: 1 }),
      context.df.callActivity("fail", "one of two"),
    ]);
  } catch (error) {
    return { message: error.message, next: yield context.df.callActivity("double", 4) };
  }
});

df.app.orchestration("throw-at-once", function* () {
  throw new Error("before anything");
});

df.app.orchestration("throw-later", function* (context) {
  yield context.df.callActivity("double", 1);
  throw new TypeError("after an activity");
});

df.app.orchestration("throw-without-message", function* () {
  throw new Error("");
});

df.app.orchestration("throw-no-error", function* (context) {
  yield context.df.callActivity("double", 1);
  throw { not: "an error" };
});

// What was asked for before the throw is done all the same.
df.app.orchestration("signal-and-throw", function* (context) {
  context.df.signalEntity(new df.EntityId("counter", context.df.getInput()), "add", 1);
  throw new Error("after a signal");
});

df.app.orchestration("catch-unknown-activity", function* (context) {
  try {
    yield context.df.callActivity("duoble", 1);
  } catch (error) {
    return error.message;
  }
});

df.app.orchestration("catch-circle", function* (context) {
  try {
    yield context.df.callActivity("answer-circle");
  } catch (error) {
    return error.message;
  }
});

// Fails twice, each time at another step, when nobody rewinds it more often.
df.app.orchestration("fails-on-the-way", function* (context) {
  const id = context.df.instanceId;
  const once = yield context.df.callActivity("count-runs", `once/${id}`);
  const child = yield context.df.callSubOrchestrator("flaky-child", { key: `child/${id}`, failures: 1 });
  const own = yield context.df.callActivity("flaky", { key: `own/${id}`, failures: 1 });
  return { once, child, own };
});
