// Sub-orchestrations.

const df = require("durable-functions");

df.app.orchestration("child", function* (context) {
  const doubled = yield context.df.callActivity("double", context.df.getInput());
  return { doubled, id: context.df.instanceId, parent: context.df.parentInstanceId };
});

df.app.orchestration("failing-child", function* (context) {
  yield context.df.callActivity("fail", context.df.getInput() ?? "child trouble");
});

df.app.orchestration("parent-of-generated", function* (context) {
  return yield context.df.callSubOrchestrator("child", 21);
});

df.app.orchestration("parent-of-named", function* (context) {
  return yield context.df.callSubOrchestrator("child", 21, context.df.getInput());
});

df.app.orchestration("parent-of-failing", function* (context) {
  try {
    yield context.df.callSubOrchestrator("failing-child");
    return "unreachable";
  } catch (error) {
    return error.message;
  }
});

df.app.orchestration("parent-that-fails-with-child", function* (context) {
  yield context.df.callSubOrchestrator("failing-child");
});

df.app.orchestration("parent-of-three", function* (context) {
  const children = yield context.df.Task.all([1, 2, 3].map((n) => context.df.callSubOrchestrator("child", n)));
  return children.map(({ doubled }) => doubled);
});

// Says what became of a child that others can reach by its id.
df.app.orchestration("parent-of-waiting", function* (context) {
  try {
    return { answer: yield context.df.callSubOrchestrator("listen", 1, context.df.getInput()) };
  } catch (error) {
    return { error: error.message };
  }
});

df.app.orchestration("grandparent", function* (context) {
  const child = yield context.df.callSubOrchestrator("parent-of-generated");
  return child.doubled;
});
