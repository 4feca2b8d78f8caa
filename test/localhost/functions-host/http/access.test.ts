// Who may call what: CORS, keys, and web pages that should not reach the host at all. With the host's own addresses.

import { mkdtempSync, readFileSync, rmSync, statSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, describe, expect, it } from "vitest";
import type { FunctionEntry } from "../../../../localhost/functions-host/function-entry.ts";
import { type HostKeys, openHostKeys } from "../../../../localhost/functions-host/http/host-keys.ts";
import type { ApiRequest, DurableApi } from "../../../../localhost/task-hub/hub-api.ts";
import { serveFunctions, type TestServer, type TestServerOptions } from "../../../support/http-functions.ts";
import { exchangeRaw } from "../../../support/raw-http.ts";

const open: TestServer[] = [];
const runs: { name: string; input: unknown }[] = [];
const durableRequests: ApiRequest[] = [];

const admin = {
  hostVersion: "4.9.9",
  run(entry: FunctionEntry, input: unknown): boolean {
    if (entry.kind !== "timer") return false;
    runs.push({ name: entry.name, input });
    return true;
  },
};
const durableApi: DurableApi = {
  handle: async (request) => {
    durableRequests.push(request);
    return { status: 202, headers: { location: "/x", "retry-after": "5" }, body: '{"id":"ü"}' };
  },
  clientBindingData: () => "{}",
};

async function serve(options: TestServerOptions = {}): Promise<TestServer> {
  const server = await serveFunctions(
    (app) => {
      app.http("open", { methods: ["GET", "PUT"], handler: () => ({ body: "open" }) });
      app.http("guarded", { authLevel: "function", handler: () => ({ body: "guarded" }) });
      app.http("other", { authLevel: "function", handler: () => ({ body: "other" }) });
      app.http("masters", { authLevel: "admin", handler: () => ({ body: "masters" }) });
      app.http("zAll", { route: "{*path}", methods: ["GET", "POST", "DELETE"], handler: () => ({ body: "app" }) });
      app.timer("tick", { schedule: "0 0 0 * * *", handler: () => {} });
    },
    { routePrefix: "", admin, durableApi, ...options },
  );
  open.push(server);
  return server;
}

afterEach(async () => {
  runs.length = 0;
  durableRequests.length = 0;
  await Promise.all(open.splice(0).map((server) => server.close(0)));
});

const json = { "content-type": "application/json" };
const runTick = { method: "POST", headers: json, body: '{"input":"x"}' };
const durable = "/runtime/webhooks/durabletask";

describe("the admin addresses", () => {
  it("tell that the host runs, and which functions it has", async () => {
    const { url } = await serve();
    expect(await (await fetch(`${url}/admin/host/status`)).json()).toMatchObject({
      state: "Running",
      version: "4.9.9",
    });
    expect((await fetch(`${url}/admin/host/ping`, { method: "POST" })).status).toBe(200);
    const list = (await (await fetch(`${url}/Admin/Functions`)).json()) as { name: string; config: { bindings: [] } }[];
    expect(list.map(({ name }) => name).sort()).toEqual(["guarded", "masters", "open", "other", "tick", "zAll"]);
    const tick = await (await fetch(`${url}/admin/functions/TICK`)).json();
    expect(tick).toMatchObject({
      name: "tick",
      config: { bindings: [{ type: "timerTrigger", schedule: "0 0 0 * * *" }] },
    });
    expect(await (await fetch(`${url}/admin/functions/tick/status`)).json()).toEqual({});
  });

  it("run a function by hand, with 202, whatever the case of its name", async () => {
    const { url } = await serve();
    const answer = await fetch(`${url}/admin/functions/Tick`, { ...runTick, body: '{"input":{"a":1}}' });
    expect([answer.status, await answer.text()]).toEqual([202, ""]);
    expect((await fetch(`${url}/admin/functions/tick`, { ...runTick, body: "{}" })).status).toBe(202);
    expect(runs).toEqual([
      { name: "tick", input: { a: 1 } },
      { name: "tick", input: undefined },
    ]);
  });

  it("say what is wrong with a request to run", async () => {
    const { url } = await serve();
    const ask = async (name: string, init: RequestInit): Promise<[number, string]> => {
      const answer = await fetch(`${url}/admin/functions/${name}`, { ...runTick, ...init });
      return [answer.status, ((await answer.json()) as { message: string }).message];
    };
    expect(await ask("nope", {})).toEqual([404, 'There is no function "nope"']);
    expect(await ask("open", {})).toEqual([400, expect.stringContaining("call its own address")]);
    expect(await ask("tick", { headers: { "content-type": "text/plain" } })).toEqual([
      415,
      expect.stringContaining("application/json"),
    ]);
    for (const body of ["", "{", "[]", "null", '"x"']) expect((await ask("tick", { body }))[0]).toBe(400);
    expect(runs).toEqual([]);
  });

  it("leave all other paths to the app", async () => {
    const { url } = await serve();
    for (const path of ["/admin", "/admin/users", "/admin/host/unknown", "/admin/functions/a/b/c"]) {
      expect(await (await fetch(url + path)).text()).toBe("app");
    }
  });
});

describe("the durable management addresses", () => {
  it("hand the request over as it came, and the answer back", async () => {
    const { url } = await serve();
    const answer = await fetch(
      `${url}/Runtime/webhooks/durabletask/instances/a%2Fb%20c/raiseEvent/x?taskHub=h&code=1`,
      {
        method: "POST",
        headers: { ...json, "x-own": "1" },
        body: "[1]",
      },
    );
    expect([answer.status, await answer.text(), answer.headers.get("retry-after")]).toEqual([202, '{"id":"ü"}', "5"]);
    expect(durableRequests).toHaveLength(1);
    const [{ body, query, ...request }] = durableRequests as [ApiRequest];
    expect(request).toMatchObject({
      method: "POST",
      path: "instances/a%2Fb%20c/raiseEvent/x",
      origin: url,
      headers: { "x-own": "1", "content-type": "application/json" },
    });
    expect([Buffer.from(body).toString(), query.get("taskHub")]).toEqual(["[1]", "h"]);
  });

  it("cannot be reached by a detour that the guard would not see", async () => {
    const { port } = await serve();
    const detours = ["/x/..", "/runtime/%77ebhooks/../webhooks"].map((detour) => `${detour}${durable}/instances/1`);
    for (const path of [...detours, "//runtime/webhooks/durabletask/instances/1"]) {
      const text = await exchangeRaw(port, `DELETE ${path} HTTP/1.1\r\nHost: evil.com\r\nConnection: close\r\n\r\n`);
      expect(text).toMatch(/^HTTP\/1\.1 (404|403|200) /);
    }
    expect(durableRequests).toEqual([]);
  });
});

describe("a web page of somewhere else", () => {
  const page = { origin: "https://evil.example" };

  it.each(["https://evil.example", "http://localhost:9", "null", "http://127.0.0.1"])(
    "with the origin %s reaches neither admin nor durable addresses",
    async (origin) => {
      const { url } = await serve({ cors: { origins: ["*"], credentials: false } });
      const run = await fetch(`${url}/admin/functions/tick`, { ...runTick, headers: { ...json, origin } });
      const purge = await fetch(`${url}${durable}/instances/1`, { method: "DELETE", headers: { origin } });
      expect([run.status, purge.status]).toEqual([403, 403]);
      expect(((await run.json()) as { message: string }).message).toContain(origin);
      expect([runs, durableRequests]).toEqual([[], []]);
    },
  );

  it.each(["evil.example", "evil.example:80", "localhost.evil.example", "127.0.0.1.evil.example"])(
    "that bound its name %s to this machine reaches neither",
    async (host) => {
      const { port } = await serve();
      for (const path of ["/admin/host/status", `${durable}/instances/`]) {
        const text = await exchangeRaw(port, `GET ${path} HTTP/1.1\r\nHost: ${host}\r\nConnection: close\r\n\r\n`);
        expect(text).toMatch(/^HTTP\/1\.1 403 /);
      }
      expect(durableRequests).toEqual([]);
    },
  );

  it("reaches them when it is listed by name, as does a page of this server and any program", async () => {
    const { url, port } = await serve({ cors: { origins: ["https://portal.example/"], credentials: false } });
    for (const origin of ["https://portal.example", url]) {
      expect((await fetch(`${url}${durable}/instances/1`, { method: "DELETE", headers: { origin } })).status).toBe(202);
    }
    for (const host of ["localhost:1", "[::1]:1", "app.localhost", "10.0.0.7"]) {
      const request = `GET ${durable}/instances/1 HTTP/1.1\r\nHost: ${host}\r\nConnection: close\r\n\r\n`;
      expect(await exchangeRaw(port, request)).toMatch(/^HTTP\/1\.1 202 /);
    }
  });

  it("may call functions, which decide for themselves, but cannot read the answer without CORS", async () => {
    const { url } = await serve();
    const answer = await fetch(`${url}/open`, { headers: page });
    expect([answer.status, answer.headers.get("access-control-allow-origin")]).toEqual([200, null]);
    const preflight = { method: "OPTIONS", headers: { ...page, "access-control-request-method": "PUT" } };
    expect((await fetch(`${url}/open`, preflight)).status).toBe(404);
  });
});

describe("CORS", () => {
  const origin = "http://localhost:3000";

  it("lets listed origins read answers, errors included, and tells caches", async () => {
    const { url } = await serve({
      cors: { origins: [" HTTP://localhost:3000/ ", "https://b.example"], credentials: true },
    });
    for (const path of ["/open", "/admin/functions/none"]) {
      const { headers } = await fetch(url + path, { headers: { origin } });
      expect(headers.get("access-control-allow-origin")).toBe(origin);
      expect(headers.get("access-control-allow-credentials")).toBe("true");
      expect(headers.get("vary")).toBe("Origin");
    }
    const other = await fetch(`${url}/open`, { headers: { origin: "http://localhost:3001" } });
    expect([other.headers.get("access-control-allow-origin"), other.headers.get("vary")]).toEqual([null, "Origin"]);
  });

  it("answers preflights for any method and header, without calling a function", async () => {
    const { url } = await serve({ cors: { origins: [origin], credentials: false } });
    const ask = { "access-control-request-method": "PUT", "access-control-request-headers": "x-a,content-type" };
    const answer = await fetch(`${url}/open`, { method: "OPTIONS", headers: { origin, ...ask } });
    expect(answer.status).toBe(204);
    expect(Object.fromEntries(answer.headers)).toMatchObject({
      "access-control-allow-origin": origin,
      "access-control-allow-methods": "PUT",
      "access-control-allow-headers": "x-a,content-type",
    });
    const foreign = await fetch(`${url}/open`, { method: "OPTIONS", headers: { origin: "https://x.example", ...ask } });
    expect([foreign.status, foreign.headers.get("access-control-allow-methods")]).toEqual([204, null]);
  });

  it("lets every origin read with a star, and replaces what a function says itself", async () => {
    const server = await serveFunctions(
      (app) =>
        app.http("own", { handler: () => ({ headers: { "Access-Control-Allow-Origin": "https://own.example" } }) }),
      { cors: { origins: ["*"], credentials: false } },
    );
    open.push(server);
    const answer = await fetch(`${server.url}/api/own`, { headers: { origin } });
    expect(answer.headers.get("access-control-allow-origin")).toBe("*");
    expect((await fetch(`${server.url}/api/own`)).headers.get("access-control-allow-origin")).toBe(
      "https://own.example",
    );
  });

  it("refuses to start with credentials for every origin", async () => {
    await expect(serve({ cors: { origins: ["*"], credentials: true } })).rejects.toMatchObject({
      code: "CorsCredentialsForAll",
    });
  });
});

describe("keys", () => {
  const keys: HostKeys = {
    masterKey: "master",
    hostKeys: { default: "host" },
    functionKeys: { GUARDED: { default: "own" } },
    systemKeys: { durabletask_extension: "system" },
  };
  const all = ["", "master", "host", "own", "system", "wrong", "MASTER"];

  /** Which keys open an address, by header. */
  async function opening(url: string, init: RequestInit = {}): Promise<string[]> {
    const opened: string[] = [];
    for (const key of all) {
      const headers = { ...init.headers, ...(key === "" ? {} : { "x-functions-key": key }) };
      const { status } = await fetch(url, { ...init, headers });
      expect([200, 202, 401]).toContain(status);
      if (status !== 401) opened.push(key);
    }
    return opened;
  }

  it("open functions by their level, and the host's own addresses", async () => {
    const { url } = await serve({ keys });
    expect(await opening(`${url}/open`)).toEqual(all);
    expect(await opening(`${url}/guarded`)).toEqual(["master", "host", "own"]);
    expect(await opening(`${url}/other`)).toEqual(["master", "host"]);
    expect(await opening(`${url}/masters`)).toEqual(["master"]);
    expect(await opening(`${url}/admin/functions`)).toEqual(["master"]);
    expect(await opening(`${url}/admin/host/ping`)).toEqual(all);
    expect(await opening(`${url}${durable}/instances/`)).toEqual(["master", "system"]);
  });

  it("may come in the query, but a header wins", async () => {
    const { url } = await serve({ keys });
    expect((await fetch(`${url}/guarded?x=1&Code=own`)).status).toBe(200);
    expect((await fetch(`${url}/guarded?code=own`, { headers: { "x-functions-key": "wrong" } })).status).toBe(401);
    const refused = await fetch(`${url}/guarded?code=`);
    expect([refused.status, await refused.text()]).toEqual([401, ""]);
  });

  it("may be part of the base address that the durable library is given, since it adds none itself", async () => {
    const { url } = await serve({ keys });
    expect((await fetch(`${url}${durable}/code/wrong/instances/1`)).status).toBe(401);
    expect((await fetch(`${url}${durable}/code/system/instances/1?x=1`)).status).toBe(202);
    expect(durableRequests.map(({ path }) => path)).toEqual(["instances/1"]);
  });

  it("are not asked for without --enable-auth", async () => {
    const { url } = await serve();
    expect((await fetch(`${url}/masters?code=wrong`)).status).toBe(200);
  });
});

describe("the key file", () => {
  const folder = mkdtempSync(join(tmpdir(), "host-keys-"));
  afterEach(() => rmSync(folder, { recursive: true, force: true }));

  it("is made with fresh keys for its owner alone, and read again", () => {
    const file = join(folder, "secrets", "host.json");
    const keys = openHostKeys(file);
    expect(openHostKeys(file)).toEqual(keys);
    expect(statSync(file).mode & 0o777).toBe(0o600);
    const made = [keys.masterKey, keys.hostKeys.default ?? "", keys.systemKeys.durabletask_extension ?? ""];
    expect(new Set(made).size).toBe(3);
    expect(Math.min(...made.map((key) => key.length))).toBeGreaterThan(40);
    expect(openHostKeys(join(folder, "other.json")).masterKey).not.toBe(keys.masterKey);
    expect(readFileSync(file, "utf8")).toContain(keys.masterKey);
  });

  it.each([
    "{",
    "[]",
    "{}",
    '{"masterKey":""}',
    '{"masterKey":"a","hostKeys":[]}',
    '{"masterKey":"a","functionKeys":{"f":{"k":1}}}',
  ])("is refused when it holds %s", (text) => {
    const file = join(mkdtempSync(join(tmpdir(), "host-keys-")), "keys.json");
    writeFileSync(file, text);
    expect(() => openHostKeys(file)).toThrow(expect.objectContaining({ code: "HostKeysUnusable" }));
    expect(() => openHostKeys(file)).toThrow(file);
  });
});
