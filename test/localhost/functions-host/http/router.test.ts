import { describe, expect, it } from "vitest";
import { splitPath } from "../../../../localhost/functions-host/http/route-match.ts";
import { findRoute, planRoutes } from "../../../../localhost/functions-host/http/router.ts";
import { registerFunctions } from "../../../support/http-functions.ts";

type Spec = Readonly<Record<string, { route?: string; methods?: string[] }>>;

function plan(functions: Spec, prefix = "api"): ReturnType<typeof planRoutes> {
  const entries = registerFunctions((app) => {
    for (const [name, options] of Object.entries(functions)) {
      app.http(name, { ...options, handler: () => ({}) } as Parameters<typeof app.http>[1]);
    }
    app.timer("aTimer", { schedule: "0 0 * * * *", handler: () => {} });
  });
  return planRoutes(entries, prefix);
}

function answering(functions: Spec, method: string, path: string, prefix?: string): string | undefined {
  return findRoute(plan(functions, prefix).routes, method, splitPath(path))?.route.entry.name;
}

function refusals(functions: Spec): string[] {
  return plan(functions).refused.map(({ entry, failure }) => `${entry.name}: ${failure.code}: ${failure.message}`);
}

describe("the router", () => {
  it("gives a function without a route its name, for GET and POST, under the prefix", () => {
    expect(answering({ hello: {} }, "GET", "/api/hello")).toBe("hello");
    expect(answering({ hello: {} }, "POST", "/API/Hello")).toBe("hello");
    expect(answering({ hello: {} }, "PUT", "/api/hello")).toBeUndefined();
    expect(answering({ hello: {} }, "GET", "/hello")).toBeUndefined();
    expect(answering({ hello: {} }, "GET", "/hello", "")).toBe("hello");
    expect(answering({ hello: {} }, "GET", "/my/api/hello", "my/api")).toBe("hello");
    expect(answering({ hello: { route: "  " } }, "GET", "/api/hello")).toBe("hello");
  });

  it("asks functions in the order of their names, not of how specific their routes are", () => {
    const functions = { b: { route: "items/special" }, A: { route: "items/{id}" } };
    expect(answering(functions, "GET", "/api/items/special")).toBe("A");
  });

  it("orders names as .NET does: an underscore after the letters", () => {
    expect(answering({ a_x: { route: "{p}" }, aZx: { route: "{*p}" } }, "GET", "/api/1")).toBe("aZx");
  });

  it("goes on to the next function when only the method does not fit", () => {
    const functions = {
      a: { route: "items/{id}", methods: ["GET"] },
      b: { route: "items/{key}", methods: ["delete"] },
    };
    expect(answering(functions, "DELETE", "/api/items/1")).toBe("b");
    expect(answering(functions, "PATCH", "/api/items/1")).toBeUndefined();
  });

  it("serves the root when a route says so", () => {
    expect(answering({ home: { route: "/" } }, "GET", "/", "")).toBe("home");
    expect(answering({ all: { route: "{*path}" } }, "GET", "/", "")).toBe("all");
  });

  it("refuses a malformed route, names the function, and serves the others", () => {
    expect(refusals({ good: {}, bad: { route: "a/{b" } })).toEqual([
      'bad: RouteTemplateInvalid: The route "api/a/{b" of function "bad" is malformed: The parameter "{b" is not closed by a "}"',
    ]);
    expect(answering({ good: {}, bad: { route: "a/{b" } }, "GET", "/api/good")).toBe("good");
    expect(refusals({ bad: { route: "/slash" } })[0]).toContain("the route itself begins with one");
  });

  it("refuses what the real host keeps for itself, whatever the prefix", () => {
    for (const route of ["admin", "/Administrators", "runtime/x"]) {
      expect(refusals({ taken: { route } })[0]).toContain("RouteReserved");
    }
  });

  it("refuses the second of two functions with one route and a common method", () => {
    const [refusal] = refusals({ b: { route: "X/{y}/" }, a: { route: "x/{Y}", methods: ["POST", "PUT"] } });
    expect(refusal).toBe('b: RouteConflict: The route "api/X/{y}/" of function "b" is already that of "a"');
    expect(refusals({ a: { route: "x", methods: ["PUT"] }, b: { route: "x" } })).toEqual([]);
  });

  it("refuses a function without any method", () => {
    expect(refusals({ a: { methods: [] } })[0]).toContain("RouteMethodsInvalid");
  });
});
