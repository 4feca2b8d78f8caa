// The vault's API: every path below /subscriptions and /providers. The host lets everybody through, because tokens are the
// API's own business. Routes are anchored, for functions are asked in the order of their names.

import { app, type HttpRequest, type HttpResponseInit } from "@azure/functions";
import * as df from "durable-functions";
import type { Api } from "../src/api/app.ts";
import type { Workflow } from "../src/ports/workflow.ts";
import { durableWorkflow } from "./durable-workflow.ts";

export const API_ROUTES: Readonly<Record<string, string>> = {
  "api-providers": "providers/{*rest}",
  "api-subscriptions": "subscriptions/{*rest}",
};

/** `open` is called once, by the first request: only an invocation has the client that the API starts its work with. */
export function registerApi(open: (workflow: Workflow) => Api): void {
  const client = df.input.durableClient();
  let api: Api | undefined;
  for (const [name, route] of Object.entries(API_ROUTES)) {
    app.http(name, {
      route,
      methods: ["GET", "HEAD", "PUT", "PATCH", "POST", "DELETE", "OPTIONS"],
      authLevel: "anonymous",
      extraInputs: [client],
      handler: async (request, context) => {
        api ??= open(durableWorkflow(df.getClient(context)));
        return initOf(await api.fetch(requestOf(request)));
      },
    });
  }
}

function requestOf({ method, url, headers, body }: HttpRequest): Request {
  const init = { method, headers: [...headers] as [string, string][] };
  if (body === null || method === "GET" || method === "HEAD") return new Request(url, init);
  // Undici insists on being told that the answer may come before the body is over.
  return new Request(url, { ...init, body, duplex: "half" } as unknown as RequestInit);
}

async function initOf(response: Response): Promise<HttpResponseInit> {
  const init = { status: response.status, headers: Object.fromEntries(response.headers) };
  const body = await response.text();
  return body === "" ? init : { ...init, body };
}
