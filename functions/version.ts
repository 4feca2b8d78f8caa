// GET /version: what runs here, and since when.

import { app } from "@azure/functions";
import packageJson from "../package.json" with { type: "json" };
import { startedAt } from "../src/wiring.ts";

app.http("version", {
  route: "version",
  methods: ["GET"],
  authLevel: "anonymous",
  handler: async () => ({
    jsonBody: {
      name: packageJson.name,
      version: packageJson.version,
      node: process.version,
      startedAt: startedAt.toISOString(),
    },
  }),
});
