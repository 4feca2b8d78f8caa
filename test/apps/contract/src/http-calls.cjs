// Durable HTTP calls, and the functions they call.

const { app } = require("@azure/functions");
const df = require("durable-functions");

df.app.orchestration("call-http", function* (context) {
  const response = yield context.df.callHttp(context.df.getInput());
  const { statusCode, content, headers } = response;
  return { statusCode, content, contentType: headers["content-type"] };
});

df.app.orchestration("call-http-and-catch", function* (context) {
  try {
    yield context.df.callHttp(context.df.getInput());
  } catch (error) {
    return error.message;
  }
});

df.app.orchestration("call-http-with-token", function* (context) {
  const tokenSource = new df.ManagedIdentityTokenSource("https://management.core.windows.net");
  yield context.df.callHttp({ method: "GET", url: context.df.getInput(), tokenSource });
});

// Polls while another call is made, so that ids must be counted rightly.
df.app.orchestration("call-http-beside", function* (context) {
  const polled = context.df.callHttp({ method: "POST", url: context.df.getInput() });
  const doubled = context.df.callActivity("double", 21);
  const [response, number] = yield context.df.Task.all([polled, doubled]);
  const last = yield context.df.callActivity("double", 4);
  return { content: response.content, number, last };
});

app.http("mirror", {
  methods: ["GET", "POST", "PUT"],
  handler: async (request) => ({
    status: 201,
    jsonBody: {
      method: request.method,
      header: request.headers.get("x-test"),
      body: await request.text(),
    },
  }),
});

const polls = new Map();
app.http("long-job", {
  route: "long-job/{key}",
  methods: ["GET", "POST"],
  handler: (request) => {
    const { key } = request.params;
    const count = (polls.get(key) ?? 0) + 1;
    polls.set(key, count);
    if (count === 4) return { status: 200, jsonBody: { polls: count, lastMethod: request.method } };
    // One relative and one absolute place to look: both are allowed.
    const location = count % 2 === 1 ? `/api/long-job/${key}` : request.url;
    return { status: 202, headers: { Location: location, "Retry-After": "0.02" } };
  },
});
