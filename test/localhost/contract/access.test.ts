// Who may call what: keys (--enable-auth), web pages of other origins, and a machine behind a proxy. The durable client
// of the app must work in all of it.

import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { EntityId } from "durable-functions";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { type ContractApp, startContractApp } from "../../support/contract-app.ts";

interface Keys {
  readonly masterKey: string;
  readonly hostKeys: { readonly default: string };
  readonly systemKeys: { readonly durabletask_extension: string };
}

describe("with --enable-auth", () => {
  const dataFolder = mkdtempSync(join(tmpdir(), "holdfast-keys-"));
  let app: ContractApp;
  let keys: Keys;
  beforeAll(async () => {
    app = await startContractApp({ dataFolder, args: ["--enable-auth"] });
    keys = JSON.parse(readFileSync(join(dataFolder, "keys.json"), "utf8")) as Keys;
  });
  afterAll(async () => {
    await app.host.stop();
    rmSync(dataFolder, { recursive: true });
  });

  it("a guarded function opens with a key, in the header or in the query, and not without", async () => {
    const statusOf = async (path: string, headers: Record<string, string> = {}): Promise<number> =>
      (await app.get(path, { headers })).status;
    expect(await statusOf("/api/guarded")).toBe(401);
    expect(await statusOf("/api/guarded?code=wrong")).toBe(401);
    expect(await statusOf(`/api/guarded?code=${encodeURIComponent(keys.hostKeys.default)}`)).toBe(200);
    expect(await statusOf("/api/guarded", { "x-functions-key": keys.hostKeys.default })).toBe(200);
    expect(await statusOf("/api/for-admins", { "x-functions-key": keys.hostKeys.default })).toBe(401);
    expect(await statusOf("/api/for-admins", { "x-functions-key": keys.masterKey })).toBe(200);
    expect(await statusOf("/api/query")).toBe(200);
  });

  it("management is closed to those without the system key", async () => {
    const id = await startThroughApp(app);
    expect((await app.api(`instances/${id}`)).status).toBe(401);
    expect((await app.api(`instances/${id}?code=wrong`)).status).toBe(401);
    const code = encodeURIComponent(keys.systemKeys.durabletask_extension);
    expect((await app.api(`instances/${id}?code=${code}`)).status).toBe(202);
  });

  it("the app's own client has its key: it starts, and its links and calls work", async () => {
    const response = await app.post("/api/start-and-wait/double-again", { start: 1, times: 3 });
    expect([response.status, await response.json()]).toEqual([200, 8]);
    const started = await app.post("/api/start/listen", 1);
    const { id, statusQueryGetUri, sendEventPostUri } = (await started.json()) as Record<string, string>;
    const running = await fetch(statusQueryGetUri ?? "");
    expect(running.status).toBe(202);
    expect((await fetch(running.headers.get("location") ?? "")).status).toBe(202);
    const headers = { "content-type": "application/json" };
    const event = await fetch((sendEventPostUri ?? "").replace("{eventName}", "word"), {
      method: "POST",
      headers,
      body: "1",
    });
    expect(event.status).toBe(202);
    expect((await app.client.getStatus(id ?? "")).instanceId).toBe(id);
    expect((await app.clientWithoutRpc().getStatus(id ?? "")).instanceId).toBe(id);
    expect((await app.clientWithoutRpc().readEntityState(new EntityId("counter", "none"))).entityExists).toBe(false);
    expect((await app.client.readEntityState(new EntityId("counter", "none"))).entityExists).toBe(false);
  });

  it("links of an instance that was started over the API carry the key, too", async () => {
    const code = encodeURIComponent(keys.systemKeys.durabletask_extension);
    const response = await app.api(`orchestrators/own-input?code=${code}`, { method: "POST", body: "1" });
    expect(response.status).toBe(202);
    const { statusQueryGetUri } = (await response.json()) as Record<string, string>;
    expect((await fetch(statusQueryGetUri ?? "")).ok).toBe(true);
  });
});

async function startThroughApp(app: ContractApp): Promise<string> {
  const response = await app.post("/api/start/wait-for-ever");
  return ((await response.json()) as { id: string }).id;
}

describe("web pages", () => {
  let app: ContractApp;
  beforeAll(async () => {
    app = await startContractApp({ args: ["--cors", "https://portal.example,http://localhost:3000"] });
  });
  afterAll(() => app.host.stop());

  it("of a listed origin may call functions and manage instances, with any header and method", async () => {
    const origin = "https://portal.example";
    const preflight = await app.get("/api/bytes", {
      method: "OPTIONS",
      headers: { origin, "access-control-request-method": "POST", "access-control-request-headers": "x-odd" },
    });
    expect(preflight.status).toBe(204);
    expect(preflight.headers.get("access-control-allow-origin")).toBe(origin);
    expect(preflight.headers.get("access-control-allow-methods")).toContain("POST");
    expect(preflight.headers.get("access-control-allow-headers")).toContain("x-odd");
    const id = await startThroughApp(app);
    const status = await app.api(`instances/${id}`, { headers: { origin } });
    expect([status.status, status.headers.get("access-control-allow-origin")]).toEqual([202, origin]);
  });

  it("of any other origin can neither read nor manage", async () => {
    const origin = "https://elsewhere.example";
    const answer = await app.get("/api/query", { headers: { origin } });
    expect(answer.headers.get("access-control-allow-origin")).toBeNull();
    const id = await startThroughApp(app);
    const refused = await app.api(`instances/${id}/terminate?reason=evil`, { method: "POST", headers: { origin } });
    expect([refused.status, await refused.text()]).toEqual([403, expect.stringContaining("Host.CORS")]);
    expect((await app.status(id)).runtimeStatus).not.toBe("Terminated");
  });
});

describe("behind a proxy", () => {
  it("the app's client still talks to its own host directly", async () => {
    let proxied = 0;
    const proxy = createServer((_request, response) => {
      proxied += 1;
      response.writeHead(502).end();
    });
    await new Promise<void>((resolve) => proxy.listen(0, "127.0.0.1", resolve));
    const address = `http://127.0.0.1:${(proxy.address() as AddressInfo).port}`;
    const env = {
      HTTP_PROXY: address,
      http_proxy: address,
      NO_PROXY: "elsewhere.example",
      no_proxy: "elsewhere.example",
    };
    const app = await startContractApp({ env });
    const response = await app.post("/api/start-and-wait/double-again", { start: 1, times: 1 });
    expect([response.status, await response.json()]).toEqual([200, 2]);
    expect(proxied).toBe(0);
    await app.host.stop();
    proxy.close();
  });
});
