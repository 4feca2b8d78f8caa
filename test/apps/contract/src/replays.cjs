// What must be the same at every replay, and compound tasks.

const df = require("durable-functions");

df.app.orchestration("nested", function* (context) {
  const call = (n) => context.df.callActivity("double", n);
  const never = () => context.df.waitForExternalEvent("never");
  const { all, any } = context.df.Task;
  const inner = all([call(1), call(2)]);
  const both = yield all([any([all([call(3), call(4)]), never()]), inner, call(5)]);
  return { first: both[0].result, second: both[1], third: both[2] };
});

df.app.orchestration("any-of-alls", function* (context) {
  const call = (n) => context.df.callActivity("double", n);
  const wanted = context.df.Task.all([call(1), call(2)]);
  const winner = yield context.df.Task.any([
    context.df.Task.all([call(3), context.df.waitForExternalEvent("never")]),
    wanted,
  ]);
  return { isWanted: winner === wanted, result: winner.result };
});

// A task that is yielded again by itself gives its result again.
df.app.orchestration("yield-again", function* (context) {
  const task = context.df.callActivity("double", 21);
  const slow = context.df.callActivity("slow", { ms: 60, answer: "slow" });
  yield context.df.Task.any([task, slow]);
  const first = yield task;
  const again = yield task;
  return { first, again, slow: yield slow };
});

// Created but never yielded: it never runs.
df.app.orchestration("never-yields", function* (context) {
  const key = `never-yields/${context.df.instanceId}`;
  context.df.callActivity("count-runs", key);
  yield context.df.callActivity("double", 1);
  return yield context.df.callActivity("count-runs", key);
});

df.app.orchestration("same-guids", function* (context) {
  const seen = [context.df.newGuid(context.df.instanceId)];
  const times = [context.df.currentUtcDateTime.getTime()];
  for (let n = 0; n < 3; n++) {
    yield context.df.callActivity("slow", { ms: 5, answer: seen });
    seen.push(context.df.newGuid(context.df.instanceId));
    times.push(context.df.currentUtcDateTime.getTime());
  }
  const confirmed = yield context.df.callActivity("echo", { seen, times });
  return { seen, times, confirmed };
});

// The traces of one process: what it saw at each run, in order.
const traces = new Map();
df.app.orchestration("trace", function* (context) {
  const trace = traces.get(context.df.instanceId) ?? [];
  traces.set(context.df.instanceId, trace);
  trace.push(`start ${context.df.isReplaying}`);
  yield context.df.callActivity("double", 1);
  trace.push(`one ${context.df.isReplaying}`);
  yield context.df.callActivity("double", 2);
  trace.push(`two ${context.df.isReplaying}`);
  return [...trace];
});
