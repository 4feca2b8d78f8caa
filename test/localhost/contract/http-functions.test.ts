// HTTP functions through the whole host: routes, constraints, cookies, bytes, empty answers, errors.

import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { type ContractApp, startContractApp } from "../../support/contract-app.ts";

let app: ContractApp;
beforeAll(async () => {
  app = await startContractApp();
});
afterAll(() => app.host.stop());

async function told(path: string): Promise<unknown> {
  const response = await app.get(path);
  return response.status === 200 ? await response.json() : response.status;
}

describe("a route", () => {
  it("is taken by the function whose constraints its parts satisfy, and by none otherwise", async () => {
    expect(await told("/api/things/42")).toEqual({ text: "number", params: { id: "42" } });
    expect(await told("/api/things/short")).toEqual({ text: "word", params: { word: "short" } });
    expect(await told("/api/things/longer")).toBe(404);
    expect(await told("/api/things/4x2")).toBe(404);
  });

  it("may leave out optional parts, which are then absent", async () => {
    expect(await told("/api/optional/one/two")).toEqual({ text: "optional", params: { a: "one", b: "two" } });
    expect(await told("/api/optional/one")).toEqual({ text: "optional", params: { a: "one" } });
    expect(await told("/api/optional")).toBe(404);
  });

  it("fills in a default, and takes all the rest", async () => {
    expect(await told("/api/defaults")).toEqual({ text: "default", params: { page: "first" } });
    expect(await told("/api/rest/a/b%20c/d")).toEqual({ text: "rest", params: { path: "a/b c/d" } });
  });

  it("goes to the first function by name, not to the one that fits best", async () => {
    expect(await told("/api/order/exact")).toEqual({ text: "catch-all", params: { path: "exact" } });
  });

  it("disregards case, and does not exist for another method", async () => {
    expect(await told("/API/Things/42")).toEqual({ text: "number", params: { id: "42" } });
    expect((await app.get("/api/things/42", { method: "POST" })).status).toBe(404);
    expect((await app.get("/things/42")).status).toBe(404);
  });
});

describe("a request", () => {
  it("with a query of the same name twice has both, joined by a comma", async () => {
    expect(await told("/api/query?a=1&b=%C3%BC%20x&a=2")).toEqual({ a: "1,2", b: "ü x" });
  });

  it("may carry any bytes, and get any bytes back", async () => {
    const body = new Uint8Array(256).map((_, n) => n);
    const response = await app.get("/api/bytes", { method: "POST", body });
    expect(new Uint8Array(await response.arrayBuffer())).toEqual(body.toReversed());
    expect(response.headers.get("content-type")).toBe("application/octet-stream");
  });
});

describe("an answer", () => {
  it("sets cookies with their attributes", async () => {
    const response = await app.get("/api/cookies");
    const [plain, full] = response.headers.getSetCookie();
    expect(plain).toMatch(/^plain=1(;|$)/);
    expect(full).toMatch(/^full=two%20words;/);
    const attributes = full
      ?.split(/;\s*/)
      .slice(1)
      .map((attribute) => attribute.toLowerCase());
    expect(attributes?.toSorted()).toEqual(
      [
        "path=/api",
        "domain=localhost",
        "max-age=60",
        "expires=wed, 02 jan 2030 03:04:05 gmt",
        "httponly",
        "secure",
        "samesite=strict",
      ].toSorted(),
    );
  });

  it("is 204 and empty when the function returns nothing, or says so", async () => {
    for (const path of ["/api/nothing-to-say", "/api/no-content"]) {
      const response = await app.get(path);
      expect([response.status, await response.text()]).toEqual([204, ""]);
      expect(response.headers.get("content-length")).toBeNull();
    }
  });

  it("is 500 and empty when the function throws: what it threw is for the log", async () => {
    const response = await app.get("/api/broken");
    expect([response.status, await response.text()]).toEqual([500, ""]);
    const line = await app.host.waitForLog(({ function: name, outcome }) => name === "broken" && outcome === "failed");
    expect(line.message).toContain("a secret of the server");
  });

  it("is 404 and empty where there is no function, and a page at the root", async () => {
    const nowhere = await app.get("/api/nowhere");
    expect([nowhere.status, await nowhere.text()]).toEqual([404, ""]);
    expect((await app.get("/")).status).toBe(200);
  });
});
