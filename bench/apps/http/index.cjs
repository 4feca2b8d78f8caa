// The smallest HTTP functions that mean something: what the host costs, not what they do.

const { app } = require("@azure/functions");

app.http("ok", { methods: ["GET"], handler: () => ({ body: "ok" }) });
app.http("echo", {
  methods: ["POST"],
  route: "items/{category}/{id:int}",
  handler: async (request) => ({ jsonBody: { id: request.params.id, item: await request.json() } }),
});
