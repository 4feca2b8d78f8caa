// Orchestrations of an ECMAScript module app, with a provider of exception properties.

import { app } from "@azure/functions";
import * as df from "durable-functions";

class StockError extends Error {
  constructor(message, sku) {
    super(message);
    this.name = "StockError";
    this.sku = sku;
  }
}

df.app.setExceptionPropertiesProvider({
  getExceptionProperties: (error) => (error instanceof StockError ? { sku: error.sku, tags: ["a", 1] } : undefined),
});

df.app.activity("times-ten", { handler: (n) => n });
df.app.activity("cured-activity", {
  handler: () => {
    throw new Error("curable");
  },
});
df.app.activity("reserve", {
  handler: (sku) => {
    throw new StockError(`${sku} is out of stock`, sku);
  },
});

df.app.orchestration("hooked", function* (context) {
  const tens = yield context.df.Task.all([1, 2, 3].map((n) => context.df.callActivity("times-ten", n)));
  return { tens, cured: yield context.df.callActivity("cured-activity") };
});

df.app.orchestration("catch-details", function* (context) {
  try {
    yield context.df.callActivity("reserve", "sku-1");
  } catch (error) {
    const { message, taskName, taskId, failureDetails } = error;
    const { errorType, errorMessage, properties, isNonRetriable, stackTrace } = failureDetails;
    return {
      isTaskFailedError: error instanceof df.TaskFailedError,
      message,
      taskName,
      taskId,
      details: { errorType, errorMessage, properties, isNonRetriable },
      isCausedByStock: failureDetails.isCausedBy("StockError"),
      hasStack: /durable\.js/.test(stackTrace),
    };
  }
});

df.app.orchestration("do-not-catch-details", function* (context) {
  yield context.df.callActivity("reserve", "sku-2");
});

df.app.orchestration("retry-details", function* (context) {
  try {
    yield context.df.callActivityWithRetry("reserve", new df.RetryOptions(5, 3), "sku-3");
  } catch (error) {
    return error.failureDetails.errorMessage;
  }
});

const clientInput = df.input.durableClient();
app.http("start", {
  route: "start/{name}",
  methods: ["POST"],
  extraInputs: [clientInput],
  handler: async (request, context) => {
    const client = df.getClient(context);
    return client.createCheckStatusResponse(request, await client.startNew(request.params.name));
  },
});
app.http("binding", {
  extraInputs: [clientInput],
  handler: (_request, context) => ({ jsonBody: context.extraInputs.get(clientInput) }),
});
