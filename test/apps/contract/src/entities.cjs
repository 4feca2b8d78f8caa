// Entities, and orchestrations that talk to them.

const df = require("durable-functions");

const counter = (key) => new df.EntityId("counter", key);

df.app.entity("counter", (context) => {
  const state = context.df.getState(() => 0);
  switch (context.df.operationName) {
    case "add":
      context.df.setState(state + context.df.getInput());
      context.df.return(state + context.df.getInput());
      break;
    case "get":
      context.df.return(state);
      break;
    case "fail":
      throw new Error("the counter is stuck");
    case "forward":
      context.df.signalEntity(counter(context.df.getInput()), "add", state);
      break;
    case "delete":
      context.df.destructOnExit();
      break;
  }
});

df.app.orchestration("count", function* (context) {
  const entity = counter(context.df.getInput());
  context.df.signalEntity(entity, "add", 5);
  const afterCall = yield context.df.callEntity(entity, "add", 7);
  return { afterCall, read: yield context.df.callEntity(entity, "get") };
});

df.app.orchestration("catch-entity-failure", function* (context) {
  const entity = counter(context.df.getInput());
  yield context.df.callEntity(entity, "add", 1);
  try {
    yield context.df.callEntity(entity, "fail");
  } catch (error) {
    return { caught: error instanceof Error, still: yield context.df.callEntity(entity, "get") };
  }
});

// Takes one from one counter and gives it to another, which only works when nobody comes between.
df.app.orchestration("transfer", function* (context) {
  const { from, to } = context.df.getInput();
  const lock = yield context.df.lock(counter(from), counter(to));
  const before = yield context.df.callEntity(counter(from), "get");
  yield context.df.callActivity("slow", { ms: 2, answer: null });
  yield context.df.callEntity(counter(from), "add", -1);
  yield context.df.callEntity(counter(to), "add", 1);
  const { isLocked } = context.df.isLocked();
  lock.release();
  return { before, isLocked };
});

df.app.orchestration("die-with-lock", function* (context) {
  yield context.df.lock(counter(context.df.getInput()));
  throw new Error("inside the critical section");
});

df.app.orchestration("call-unknown-entity", function* (context) {
  try {
    return yield context.df.callEntity(new df.EntityId("nobody", "x"), "get");
  } catch (error) {
    return error.message;
  }
});

df.app.orchestration("signal-unknown-entity", function* (context) {
  context.df.signalEntity(new df.EntityId("ghost", "x"), "add", 1);
  yield context.df.callActivity("double", 1);
});

df.app.orchestration("hold-lock", function* (context) {
  const lock = yield context.df.lock(counter(context.df.getInput()));
  context.df.setCustomStatus("locked");
  yield context.df.waitForExternalEvent("release");
  lock.release();
});
