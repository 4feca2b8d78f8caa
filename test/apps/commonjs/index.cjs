// A CommonJS app: one function of each kind, one with a name Azure refuses, one with a trigger that is not hosted here.

const { app } = require("@azure/functions");
const df = require("durable-functions");

app.http("hello", { methods: ["GET"], handler: async (request) => ({ body: `hello ${request.query.get("name")}` }) });
app.http("Throws", {
  handler: () => {
    throw new Error("broken on purpose");
  },
});
app.timer("nightly", { schedule: "0 0 3 * * *", handler: () => {} });
app.storageQueue("from-queue", { queueName: "work", connection: "Storage", handler: () => {} });
app.http("1-begins-with-digit", { handler: () => ({ body: "" }) });
df.app.activity("double", { handler: async (input) => input * 2 });
df.app.orchestration("twice", function* (context) {
  return yield context.df.callActivity("double", context.df.getInput());
});
