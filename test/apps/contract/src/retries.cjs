// Retries of activities and children.

const df = require("durable-functions");

function everyMs(ms, attempts) {
  return new df.RetryOptions(ms, attempts);
}

df.app.orchestration("retry", function* (context) {
  const { failures, attempts } = context.df.getInput();
  const input = { key: context.df.instanceId, failures };
  return yield context.df.callActivityWithRetry("flaky", everyMs(10, attempts), input);
});

df.app.orchestration("retry-and-catch", function* (context) {
  const input = { key: context.df.instanceId, failures: 9 };
  try {
    yield context.df.callActivityWithRetry("flaky", everyMs(5, 3), input);
    return "unreachable";
  } catch (error) {
    // The next call shows that ids are counted on rightly.
    return { error: error.message, next: yield context.df.callActivity("double", 4) };
  }
});

df.app.orchestration("retry-fan-out", function* (context) {
  const calls = Array.from({ length: 8 }, (_, n) => ({ key: `${context.df.instanceId}/${n}`, failures: n % 4 }));
  return yield context.df.Task.all(
    calls.map((input) => context.df.callActivityWithRetry("flaky", everyMs(5, 5), input)),
  );
});

// Retries run on while user code makes other calls.
df.app.orchestration("retry-interleaved", function* (context) {
  const flaky = context.df.callActivityWithRetry("flaky", everyMs(15, 6), { key: context.df.instanceId, failures: 4 });
  const quick = context.df.callActivity("double", 1);
  const first = yield context.df.Task.any([flaky, quick]);
  const doubled = [];
  for (let n = 0; n < 5; n++) doubled.push(yield context.df.callActivity("double", n));
  return { quickFirst: first === quick, doubled, attempts: yield flaky };
});

df.app.orchestration("retry-backoff", function* (context) {
  const startedAt = context.df.currentUtcDateTime.getTime();
  const options = everyMs(20, 4);
  options.backoffCoefficient = 3;
  options.maxRetryIntervalInMilliseconds = 100;
  const attempts = yield context.df.callActivityWithRetry("flaky", options, {
    key: context.df.instanceId,
    failures: 3,
  });
  return { attempts, ms: context.df.currentUtcDateTime.getTime() - startedAt };
});

df.app.orchestration("retry-until-timeout", function* (context) {
  const options = everyMs(40, 100);
  options.retryTimeoutInMilliseconds = 100;
  try {
    yield context.df.callActivityWithRetry("flaky", options, { key: context.df.instanceId, failures: 1000 });
  } catch (error) {
    return error.message;
  }
});

df.app.orchestration("flaky-child", function* (context) {
  return yield context.df.callActivity("flaky", context.df.getInput());
});

df.app.orchestration("retry-child", function* (context) {
  const { failures, attempts, childId } = context.df.getInput();
  const input = { key: context.df.instanceId, failures };
  return yield context.df.callSubOrchestratorWithRetry("flaky-child", everyMs(10, attempts), input, childId);
});

const registered = df.app.activity("registered-flaky", {
  handler: ({ attempt }) => `attempt ${attempt}`,
});
df.app.orchestration("retry-registered", function* () {
  return yield registered({ attempt: 1 }).withRetry(everyMs(5, 2));
});
