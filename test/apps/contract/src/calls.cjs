// biome-ignore-all lint/correctness/useYield: the smallest orchestrators need no step

// Calling activities, and what happens to values on the way.

const df = require("durable-functions");

df.app.orchestration("chain", function* (context) {
  const greetings = [];
  for (const name of ["Tokyo", "Seattle", "London"]) greetings.push(yield context.df.callActivity("say", name));
  return greetings;
});

df.app.orchestration("double-again", function* (context) {
  const { start, times } = context.df.getInput();
  let n = start;
  for (let step = 0; step < times; step++) n = yield context.df.callActivity("double", n);
  return n;
});

df.app.orchestration("fan-out", function* (context) {
  const width = context.df.getInput();
  return yield context.df.Task.all(Array.from({ length: width }, (_, n) => context.df.callActivity("double", n)));
});

// Through an input, an activity and back, a child and back: as they come out.
df.app.orchestration("echo-all", function* (context) {
  const values = context.df.getInput();
  const activities = yield context.df.Task.all(values.map((value) => context.df.callActivity("echo", value)));
  const children = yield context.df.Task.all(values.map((value) => context.df.callSubOrchestrator("own-input", value)));
  return { input: values, activities, children };
});

df.app.orchestration("describe-all", function* (context) {
  const values = context.df.getInput();
  return yield context.df.Task.all(values.map((value) => context.df.callActivity("describe", value)));
});

df.app.orchestration("describe-nothing", function* (context) {
  const given = [undefined, null].map((value) => context.df.callActivity("describe", value));
  return yield context.df.Task.all([...given, context.df.callActivity("describe")]);
});

df.app.orchestration("own-input", function* (context) {
  return context.df.getInput();
});

df.app.orchestration("describe-input", function* (context) {
  const input = context.df.getInput();
  return { type: typeof input, input };
});

df.app.orchestration("answer-nothing", function* (context) {
  const answer = yield context.df.callActivity("nothing");
  return { isNull: answer === null };
});

df.app.orchestration("return-nothing", function* () {});

df.app.orchestration("own-version", function* (context) {
  return context.df.version;
});

// Registered functions can be called by their registration.
const registered = df.app.activity("registered", { handler: (input) => `registered ${input}` });
df.app.orchestration("call-registered", function* () {
  return yield registered("works");
});
