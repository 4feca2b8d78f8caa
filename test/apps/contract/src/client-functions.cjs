// HTTP functions around the real durable client.

const { app } = require("@azure/functions");
const df = require("durable-functions");

const clientInput = df.input.durableClient();

async function inputOf(request) {
  const text = await request.text();
  return text === "" ? undefined : JSON.parse(text);
}

app.http("start", {
  route: "start/{name}/{id?}",
  methods: ["POST"],
  extraInputs: [clientInput],
  handler: async (request, context) => {
    const client = df.getClient(context);
    const { name, id } = request.params;
    const version = request.query.get("version") ?? undefined;
    try {
      const options = { instanceId: id, input: await inputOf(request), version };
      const instanceId = await client.startNew(name, options);
      return client.createCheckStatusResponse(request, instanceId);
    } catch (error) {
      return { status: 400, body: error.message };
    }
  },
});

// The same through the shorthand, which hands over the client.
df.app.client.http("start-short", {
  route: "start-short/{name}",
  methods: ["POST"],
  handler: async (request, client) => {
    const instanceId = await client.startNew(request.params.name, { input: await inputOf(request) });
    return client.createCheckStatusResponse(request, instanceId);
  },
});

app.http("start-and-wait", {
  route: "start-and-wait/{name}",
  methods: ["POST"],
  extraInputs: [clientInput],
  handler: async (request, context) => {
    const client = df.getClient(context);
    const instanceId = await client.startNew(request.params.name, { input: await inputOf(request) });
    return client.waitForCompletionOrCreateCheckStatusResponse(request, instanceId, {
      timeoutInMilliseconds: Number(request.query.get("timeout") ?? 5000),
      retryIntervalInMilliseconds: 20,
    });
  },
});

// What the host gave to the client binding, for tests that build a client of their own from it.
app.http("binding", {
  methods: ["GET"],
  extraInputs: [clientInput],
  handler: (_request, context) => ({ jsonBody: context.extraInputs.get(clientInput) }),
});

app.http("links", {
  route: "links/{id}",
  methods: ["GET"],
  extraInputs: [clientInput],
  handler: (request, context) => ({
    jsonBody: df.getClient(context).createHttpManagementPayload(request.params.id),
  }),
});
