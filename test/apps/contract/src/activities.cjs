// Activities. Some remember in this process how often they ran: a new process knows nothing of it.

const df = require("durable-functions");

const attempts = new Map();

function nextAttempt(key) {
  const attempt = (attempts.get(key) ?? 0) + 1;
  attempts.set(key, attempt);
  return attempt;
}

df.app.activity("echo", { handler: (input) => input });
df.app.activity("double", { handler: (input) => input * 2 });
df.app.activity("say", { handler: (name) => `Hello ${name}!` });
df.app.activity("describe", { handler: (input) => ({ type: typeof input, isNull: input === null }) });
df.app.activity("nothing", { handler: () => {} });
df.app.activity("count-runs", { handler: (key) => nextAttempt(key) });

df.app.activity("fail", {
  handler: (message) => {
    throw new Error(message);
  },
});
df.app.activity("throw-text", {
  handler: () => {
    throw "only a text";
  },
});
// Fails as often as it is told for one key, then answers with the number of its attempts.
df.app.activity("flaky", {
  handler: ({ key, failures }) => {
    const attempt = nextAttempt(key);
    if (attempt <= failures) throw new Error(`attempt ${attempt} of ${key}`);
    return attempt;
  },
});
df.app.activity("slow", {
  handler: async ({ ms, answer }) => {
    await new Promise((resolve) => setTimeout(resolve, ms));
    return answer;
  },
});
df.app.activity("answer-circle", {
  handler: () => {
    const circle = {};
    circle.self = circle;
    return circle;
  },
});
