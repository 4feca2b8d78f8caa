// The trigger of the API: which paths it gets, and how requests and answers pass through the host.

import { afterEach, describe, expect, it } from "vitest";
import { registerApi } from "../../functions/api.ts";
import { splitPath } from "../../localhost/functions-host/http/route-match.ts";
import { findRoute, planRoutes } from "../../localhost/functions-host/http/router.ts";
import type { Api } from "../../src/api/app.ts";
import { libraryInvoker, registerFunctions, serveFunctions, type TestServer } from "../support/http-functions.ts";

/** Answers what it was asked, so that a test sees what came through. */
const mirror: Api = {
  async fetch(request) {
    const { pathname, search } = new URL(request.url);
    const asked = { method: request.method, target: pathname + search, header: request.headers.get("x-test") };
    if (pathname.endsWith("/none")) return new Response(null, { status: 202, headers: { Location: "https://l" } });
    return Response.json({ ...asked, body: await request.text() }, { status: 201, headers: { "x-answer": "a" } });
  },
};

const routes = () =>
  planRoutes(
    registerFunctions((app) => {
      registerApi(() => mirror);
      for (const route of ["healthz", "version"]) app.http(route, { route, handler: () => ({}) });
      // As the portal will be: it takes whatever is left, so it must come last.
      app.http("web", { route: "{*path}", methods: ["GET"], handler: () => ({}) });
    }),
    "",
  ).routes;

describe("the path", () => {
  it.each([
    ["/subscriptions", "api-subscriptions"],
    ["/Subscriptions/s/resourceGroups/g/providers/Microsoft.RecoveryServices/vaults/v", "api-subscriptions"],
    ["/subscriptions/s//resourceGroups/g", "api-subscriptions"],
    ["/providers/Microsoft.RecoveryServices/operations", "api-providers"],
    ["/healthz", "healthz"],
    ["/", "web"],
    ["/subscriptionsx", "web"],
  ])("%s is answered by %s", (path, name) => {
    expect(findRoute(routes(), "GET", splitPath(path))?.route.entry.name).toBe(name);
  });

  it("of the API is the API's with every method", () => {
    for (const method of ["GET", "HEAD", "PUT", "PATCH", "POST", "DELETE", "OPTIONS"]) {
      expect(findRoute(routes(), method, splitPath("/subscriptions/s"))?.route.entry.name).toBe("api-subscriptions");
    }
  });
});

/** As much of a client's binding as the library insists on; nothing here starts an orchestration. */
const links = { id: "INSTANCEID", statusQueryGetUri: "http://h/INSTANCEID" };
const binding = { taskHubName: "h", creationUrls: {}, managementUrls: links, rpcBaseUrl: "http://h/" };
const serve = (): Promise<TestServer> =>
  serveFunctions(() => registerApi(() => mirror), {
    routePrefix: "",
    invoker: libraryInvoker(undefined, JSON.stringify(binding)),
  });

describe("a request through the host", () => {
  let server: TestServer;
  afterEach(() => server.close());

  it("arrives whole, and so does its answer", async () => {
    server = await serve();
    const path = "/subscriptions/s/a;b/c%3Bd?api-version=1&%24filter=a+eq+%27b%27";
    const body = JSON.stringify({ text: "ü" });
    const response = await fetch(server.url + path, { method: "PUT", body, headers: { "x-test": "t" } });
    expect([response.status, response.headers.get("x-answer")]).toEqual([201, "a"]);
    expect(await response.json()).toEqual({ method: "PUT", target: path, header: "t", body });
  });

  it("may be answered without a body", async () => {
    server = await serve();
    const response = await fetch(`${server.url}/subscriptions/none`, { method: "POST" });
    expect([response.status, response.headers.get("location"), await response.text()]).toEqual([202, "https://l", ""]);
  });
});
