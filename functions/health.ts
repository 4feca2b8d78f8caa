// GET /healthz: is the service up? Anonymous, and cheap enough for any probe.

import { app } from "@azure/functions";

app.http("health", {
  route: "healthz",
  methods: ["GET"],
  authLevel: "anonymous",
  handler: async () => ({ jsonBody: { status: "ok" } }),
});
