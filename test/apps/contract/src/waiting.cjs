// Timers and external events.

const df = require("durable-functions");

function after(context, ms) {
  return context.df.createTimer(new Date(context.df.currentUtcDateTime.getTime() + ms));
}

df.app.orchestration("sleep", function* (context) {
  const startedAt = context.df.currentUtcDateTime.getTime();
  yield after(context, context.df.getInput());
  return context.df.currentUtcDateTime.getTime() - startedAt;
});

df.app.orchestration("race", function* (context) {
  const { ms, cancels } = context.df.getInput();
  const timer = after(context, ms);
  const event = context.df.waitForExternalEvent("go");
  const winner = yield context.df.Task.any([event, timer]);
  if (winner === timer) return "timed out";
  if (cancels) timer.cancel();
  return `event ${event.result}`;
});

// Events that come while it sleeps are kept for it.
df.app.orchestration("listen-later", function* (context) {
  const { ms, words } = context.df.getInput();
  yield after(context, ms);
  const heard = [];
  for (let n = 0; n < words; n++) heard.push(yield context.df.waitForExternalEvent("word"));
  return heard;
});

df.app.orchestration("listen", function* (context) {
  const heard = [];
  for (let n = 0; n < context.df.getInput(); n++) heard.push(yield context.df.waitForExternalEvent("word"));
  return heard;
});

df.app.orchestration("two-waiters", function* (context) {
  const first = context.df.waitForExternalEvent("word");
  const second = context.df.waitForExternalEvent("word");
  const [toFirst, toSecond] = yield context.df.Task.all([first, second]);
  return { toFirst, toSecond };
});

df.app.orchestration("wait-for-ever", function* (context) {
  yield context.df.waitForExternalEvent("never");
});

df.app.orchestration("tell-progress", function* (context) {
  context.df.setCustomStatus({ step: "started" });
  const word = yield context.df.waitForExternalEvent("word");
  context.df.setCustomStatus(`heard ${word}`);
  yield context.df.waitForExternalEvent("word");
  return "done";
});
