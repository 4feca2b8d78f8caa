import { createHash, randomBytes } from "node:crypto";
import { Agent, request as httpRequest } from "node:http";
import type { HttpRequest } from "@azure/functions";
import { afterEach, describe, expect, it } from "vitest";
import { startHttpServer } from "../../../../localhost/functions-host/http/http-server.ts";
import {
  libraryInvoker,
  registerFunctions,
  serveFunctions,
  type TestServer,
  type TestServerOptions,
} from "../../../support/http-functions.ts";
import { exchangeRaw, openRaw } from "../../../support/raw-http.ts";

type Register = Parameters<typeof serveFunctions>[0];
const open: TestServer[] = [];

async function serve(register: Register, options?: TestServerOptions): Promise<TestServer> {
  const server = await serveFunctions(register, options);
  open.push(server);
  return server;
}

afterEach(async () => {
  await Promise.all(open.splice(0).map((server) => server.close(0)));
});

const okApp: Register = (app) => app.http("ok", { handler: () => ({ body: "ok" }) });
const METHODS = ["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"] as const;

/** Answers with all that the function was given. */
const mirrorApp: Register = (app) =>
  app.http("mirror", {
    route: "mirror/{id?}",
    methods: [...METHODS],
    handler: async (request: HttpRequest) => ({
      jsonBody: {
        method: request.method,
        url: request.url,
        headers: Object.fromEntries(request.headers),
        query: [...request.query],
        params: request.params,
        hasBody: request.body !== null,
        body: await request.text(),
      },
    }),
  });

describe("an HTTP function receives", () => {
  it("the absolute address as the client wrote it, the query, and the route's parameters", async () => {
    const { url, port } = await serve(mirrorApp);
    const answer = await (await fetch(`${url}/api/mirror/a%20b%2Fc?x=1&y=%C3%A4&X=2&flag`)).json();
    expect(answer).toMatchObject({
      method: "GET",
      url: `http://127.0.0.1:${port}/api/mirror/a%20b%2Fc?x=1&y=%C3%A4&X=2&flag`,
      query: [
        ["x", "1,2"],
        ["y", "ä"],
        ["flag", ""],
      ],
      params: { id: "a b%2Fc" },
      hasBody: false,
    });
    expect(await (await fetch(`${url}/api/mirror`)).json()).toMatchObject({ params: {} });
  });

  it("the name under which the client reached it", async () => {
    const { port } = await serve(mirrorApp);
    const text = await exchangeRaw(
      port,
      "GET /api/mirror HTTP/1.1\r\nHost: Demo.local:99\r\nConnection: close\r\n\r\n",
    );
    expect(text).toContain('"url":"http://demo.local:99/api/mirror"');
    const old = await exchangeRaw(port, "GET /api/mirror HTTP/1.0\r\n\r\n");
    expect(old).toContain(`"url":"http://localhost:${port}/api/mirror"`);
  });

  it("headers under lower-case names, repeated ones joined", async () => {
    const { port } = await serve(mirrorApp);
    const text = await exchangeRaw(
      port,
      "GET /api/mirror HTTP/1.1\r\nHost: x\r\nX-One: a\r\nx-one: b\r\nCookie: c=1\r\nConnection: close\r\n\r\n",
    );
    expect(JSON.parse(text.split("\r\n\r\n")[1] ?? "")).toMatchObject({
      headers: { "x-one": "a, b", cookie: "c=1", host: "x" },
    });
  });

  it.each(["POST", "PUT", "PATCH", "DELETE", "OPTIONS"])("the body of a %s", async (method) => {
    const { url } = await serve(mirrorApp);
    const answer = await fetch(`${url}/api/mirror`, { method, body: "häy", headers: { "content-type": "text/plain" } });
    expect(await answer.json()).toMatchObject({ method, body: "häy", hasBody: true });
  });

  it("a body that comes in chunks without a length", async () => {
    const { port } = await serve(mirrorApp);
    const head = "POST /api/mirror HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\nConnection: close\r\n\r\n";
    const text = await exchangeRaw(port, head, "3\r\nabc\r\n", "2\r\nde\r\n0\r\n\r\n");
    expect(text).toContain('"body":"abcde"');
  });

  it("no body when the length is zero", async () => {
    const { url } = await serve(mirrorApp);
    const answer = await fetch(`${url}/api/mirror`, { method: "POST", headers: { "content-length": "0" } });
    expect(await answer.json()).toMatchObject({ hasBody: false });
  });

  it("bytes as they were sent", async () => {
    const { url } = await serve((app) =>
      app.post("hash", async (request) => ({
        body: createHash("sha256")
          .update(Buffer.from(await request.arrayBuffer()))
          .digest("hex"),
      })),
    );
    const bytes = randomBytes(3_000_000);
    const answer = await fetch(`${url}/api/hash`, { method: "POST", body: bytes });
    expect(await answer.text()).toBe(createHash("sha256").update(bytes).digest("hex"));
  });
});

describe("the answer of an HTTP function", () => {
  it("carries its status, headers and body", async () => {
    const { url } = await serve((app) =>
      app.http("teapot", {
        handler: () => ({ status: 418, headers: { "X-Tea": "Earl Grey" }, body: "short and stout" }),
      }),
    );
    const answer = await fetch(`${url}/api/teapot`);
    expect(answer.status).toBe(418);
    expect(answer.headers.get("x-tea")).toBe("Earl Grey");
    expect(await answer.text()).toBe("short and stout");
  });

  it("may be JSON, bytes, a stream or a Response-like object", async () => {
    const bytes = randomBytes(70_000);
    const { url } = await serve((app) => {
      app.http("json", { handler: () => ({ jsonBody: { a: [1, null] } }) });
      app.http("bytes", { handler: () => ({ body: bytes }) });
      app.http("stream", { handler: () => ({ body: new Blob([bytes]).stream() as never }) });
    });
    const json = await fetch(`${url}/api/json`);
    expect(json.headers.get("content-type")).toBe("application/json");
    expect(await json.json()).toEqual({ a: [1, null] });
    for (const name of ["bytes", "stream"]) {
      expect(Buffer.from(await (await fetch(`${url}/api/${name}`)).arrayBuffer()).equals(bytes)).toBe(true);
    }
  });

  it("sets cookies with all their attributes", async () => {
    const { url } = await serve((app) =>
      app.http("cookies", {
        handler: () => ({
          headers: { "set-cookie": "plain=1" },
          cookies: [
            {
              name: "a",
              value: "x y;é",
              path: "/api",
              domain: "example.org",
              secure: true,
              httpOnly: true,
              sameSite: "Strict",
            },
            { name: "b", value: "", expires: new Date(0), maxAge: 60, sameSite: "None" },
            { name: "c", value: "1", expires: new Date("2030-01-02T03:04:05Z"), sameSite: "Lax" },
          ],
        }),
      }),
    );
    expect((await fetch(`${url}/api/cookies`)).headers.getSetCookie()).toEqual([
      "plain=1",
      "a=x%20y%3B%C3%A9; domain=example.org; path=/api; secure; samesite=strict; httponly",
      "b=; max-age=60; path=/; samesite=none",
      "c=1; expires=Wed, 02 Jan 2030 03:04:05 GMT; path=/; samesite=lax",
    ]);
  });

  it("is a 500 without a body, and an error in the log, when a cookie would break the header", async () => {
    const { url, log } = await serve((app) => {
      app.http("name", { handler: () => ({ cookies: [{ name: "a b", value: "1" }] }) });
      app.http("path", { handler: () => ({ cookies: [{ name: "a", value: "1", path: "/; domain=evil" }] }) });
    });
    for (const name of ["name", "path"]) {
      const answer = await fetch(`${url}/api/${name}`);
      expect([answer.status, await answer.text()]).toEqual([500, ""]);
    }
    expect(log).toHaveLength(2);
    expect(log[0]).toContain('error Function.name: The answer of "name" cannot be sent: The cookie "a b"');
  });

  it("is an empty 204 when the function returns nothing", async () => {
    const { url } = await serve((app) => app.http("nothing", { handler: () => undefined as never }));
    const answer = await fetch(`${url}/api/nothing`);
    expect([answer.status, await answer.text(), answer.headers.get("content-length")]).toEqual([204, "", null]);
  });

  it("is an empty 500 when the function throws, rejects, answers with no response, or takes too long", async () => {
    const register: Register = (app) => {
      app.http("throws", {
        handler: () => {
          throw new Error("secret");
        },
      });
      app.http("rejects", { handler: () => Promise.reject(new Error("secret")) });
      app.http("text", { handler: () => "secret" as never });
      app.http("status", { handler: () => ({ status: 99, body: "secret" }) });
      app.http("hangs", { handler: () => new Promise<never>(() => {}) });
    };
    const { url } = await serve(register, { invoker: libraryInvoker(50) });
    for (const name of ["throws", "rejects", "text", "status", "hangs"]) {
      const answer = await fetch(`${url}/api/${name}`);
      expect([name, answer.status, await answer.text()]).toEqual([name, 500, ""]);
    }
  });

  it("may come from an extra output instead of the return value", async () => {
    const { url } = await serve((app) => {
      const http = { type: "http", name: "answer" };
      app.generic("extra", {
        trigger: { type: "httpTrigger", name: "request", authLevel: "anonymous", methods: ["GET"] },
        extraOutputs: [http],
        handler: (_request, context) => context.extraOutputs.set(http, { status: 202, body: "later" }),
      });
    });
    const answer = await fetch(`${url}/api/extra`);
    expect([answer.status, await answer.text()]).toEqual([202, "later"]);
  });

  it("has its connection headers made by the server alone", async () => {
    const { port } = await serve((app) =>
      app.http("odd", {
        handler: () => ({
          headers: { connection: "upgrade", "transfer-encoding": "chunked", "content-length": "99", "keep-alive": "x" },
          body: "four",
        }),
      }),
    );
    const text = await exchangeRaw(port, "GET /api/odd HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n");
    expect(text.toLowerCase()).toContain("\r\ncontent-length: 4\r\n");
    expect(text.toLowerCase()).not.toMatch(/upgrade|chunked|99|keep-alive/);
    expect(text.endsWith("\r\n\r\nfour")).toBe(true);
  });

  it("to HEAD has no body but may tell the length", async () => {
    const { port } = await serve((app) => {
      app.http("page", { methods: ["HEAD"], handler: () => ({ body: "12345" }) });
      app.http("length", { methods: ["HEAD"], handler: () => ({ headers: { "content-length": "77" } }) });
    });
    for (const [name, length] of Object.entries({ page: 5, length: 77 })) {
      const text = await exchangeRaw(port, `HEAD /api/${name} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n`);
      expect(text).toMatch(new RegExp(`content-length: ${length}\r\n`));
      expect(text.endsWith("\r\n\r\n")).toBe(true);
    }
  });

  it("keeps statuses without a body empty", async () => {
    const { port } = await serve((app) =>
      app.http("status", {
        route: "status/{code}",
        handler: (request) => ({ status: Number(request.params.code), body: "gone" }),
      }),
    );
    const requests = [204, 205, 304].map((code) => `GET /api/status/${code} HTTP/1.1\r\nHost: x\r\n\r\n`).join("");
    const text = await exchangeRaw(port, requests, "GET / HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n");
    expect(text.match(/HTTP\/1\.1 \d+/g)).toEqual(["HTTP/1.1 204", "HTTP/1.1 205", "HTTP/1.1 304", "HTTP/1.1 200"]);
    expect(text).not.toContain("gone");
  });
});

describe("the server", () => {
  it("answers 404 without a body when no route fits, or only with another method", async () => {
    const { url } = await serve((app) => app.get("ok", () => ({ body: "ok" })));
    for (const [path, method] of [
      ["/api/none", "GET"],
      ["/ok", "GET"],
      ["/api/ok", "POST"],
      ["/api/ok", "HEAD"],
    ]) {
      const answer = await fetch(url + path, { method: method ?? "" });
      expect([path, method, answer.status, await answer.text()]).toEqual([path, method, 404, ""]);
    }
  });

  it("shows a page at the root, unless a function serves it", async () => {
    const plain = await serve(okApp);
    expect(await (await fetch(plain.url)).text()).toContain("up and running");
    expect((await fetch(`${plain.url}/?x=1`, { method: "HEAD" })).status).toBe(200);
    const own = await serve((app) => app.http("home", { route: "{*path}", handler: () => ({ body: "mine" }) }), {
      routePrefix: "",
    });
    expect(await (await fetch(own.url)).text()).toBe("mine");
  });

  it("tells the routes it serves, and logs those it refused", async () => {
    const server = await serve((app) => {
      app.http("good", { route: "items/{id:int?}", methods: ["GET", "PUT"], handler: () => ({}) });
      app.http("bad", { route: "items/{id", handler: () => ({}) });
    });
    expect(server.routes).toEqual(["GET,PUT /api/items/{id:int?}"]);
    expect(server.refused).toHaveLength(1);
    expect(server.log).toEqual([expect.stringContaining('error Function.bad: Not served: The route "api/items/{id"')]);
  });

  it("lets requests wait until the app is loaded", async () => {
    const server = await startHttpServer({ port: 0, log: { write: () => {} } });
    const early = fetch(`${server.url}/api/ok`);
    const loaded = await serve(okApp);
    await expect(Promise.race([early, fetch(`${loaded.url}/api/ok`).then(() => "not yet")])).resolves.toBe("not yet");
    server.serve({ entries: registerFunctions(okApp), invoker: libraryInvoker(), routePrefix: "api" });
    expect(await (await early).text()).toBe("ok");
    await server.close(0);
  });

  it("does not call functions for clients that did not wait so long", async () => {
    let calls = 0;
    const server = await startHttpServer({ port: 0, log: { write: () => {} } });
    const early = await openRaw(server.port);
    early.socket.write("GET /api/count HTTP/1.1\r\nHost: x\r\n\r\n");
    await fetch(`${server.url}/%00`);
    early.socket.resetAndDestroy();
    await fetch(`${server.url}/%00`);
    const register: Register = (app) =>
      app.http("count", {
        handler: () => {
          calls += 1;
          return { body: String(calls) };
        },
      });
    server.serve({ entries: registerFunctions(register), invoker: libraryInvoker(), routePrefix: "api" });
    expect(await (await fetch(`${server.url}/api/count`)).text()).toBe("1");
    await server.close(0);
  });

  it("answers 503 to requests that still wait when it closes", async () => {
    const server = await startHttpServer({ port: 0, log: { write: () => {} } });
    const connection = await openRaw(server.port);
    connection.socket.write("GET / HTTP/1.1\r\nHost: x\r\n\r\nGET / HTTP/1.1\r\n");
    await fetch(`${server.url}/%00`);
    await server.close();
    expect(await connection.ended()).toMatch(/^HTTP\/1\.1 503 [\s\S]*connection: close/i);
  });

  it("says what to do when the port is taken", async () => {
    const { port } = await serve(okApp);
    await expect(startHttpServer({ port, log: { write: () => {} } })).rejects.toMatchObject({
      code: "PortInUse",
      kind: "conflict",
      message: `Something else listens on 127.0.0.1:${port} already`,
      hint: expect.stringContaining("--port"),
    });
    await expect(startHttpServer({ host: "192.0.2.1", port: 0, log: { write: () => {} } })).rejects.toMatchObject({
      code: "CannotListen",
    });
  });

  it("keeps connections open for the next request, also when a body was not read", async () => {
    const { url } = await serve(okApp);
    const agent = new Agent({ keepAlive: true, maxSockets: 1 });
    const sockets = new Set<unknown>();
    const post = (path: string, body: string): Promise<number | undefined> =>
      new Promise((resolve, reject) => {
        const request = httpRequest(url + path, { agent, method: "POST" }, (response) => {
          response.resume().on("end", () => resolve(response.statusCode));
        });
        request
          .on("socket", (socket) => sockets.add(socket))
          .on("error", reject)
          .end(body);
      });
    expect(await post("/api/ok", "x")).toBe(200);
    expect(await post("/api/none", "x".repeat(500_000))).toBe(404);
    expect(await post("/api/ok", "x")).toBe(200);
    expect(sockets.size).toBe(1);
    agent.destroy();
  });

  it("answers pipelined requests in order", async () => {
    const { port } = await serve((app) =>
      app.http("wait", {
        route: "wait/{ms}",
        handler: async (request) => {
          await new Promise((resolve) => setTimeout(resolve, Number(request.params.ms)));
          return { body: `after ${request.params.ms}\n` };
        },
      }),
    );
    const requests = [30, 1, 10].map((ms) => `GET /api/wait/${ms} HTTP/1.1\r\nHost: x\r\n\r\n`).join("");
    const text = await exchangeRaw(port, requests, "GET /none HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n");
    expect(text.match(/after \d+/g)).toEqual(["after 30", "after 1", "after 10"]);
  });

  it("serves 200 connections at once without an error", async () => {
    const { url } = await serve(okApp);
    const agent = new Agent({ keepAlive: true, maxSockets: 200 });
    const get = (): Promise<string> =>
      new Promise((resolve, reject) => {
        httpRequest(`${url}/api/ok`, { agent }, (response) => {
          let text = String(response.statusCode);
          response.on("data", (chunk) => {
            text += chunk;
          });
          response.on("end", () => resolve(text));
        })
          .on("error", reject)
          .end();
      });
    const answers = await Promise.all(Array.from({ length: 200 }, async () => [await get(), await get(), await get()]));
    expect(new Set(answers.flat())).toEqual(new Set(["200ok"]));
    agent.destroy();
  });

  it("asks for a body with 100 Continue only when it will be read", async () => {
    const { port } = await serve(mirrorApp, { limits: { maxBodyBytes: 10 } });
    const head = (path: string, length: number): string =>
      `POST ${path} HTTP/1.1\r\nHost: x\r\nExpect: 100-continue\r\nContent-Length: ${length}\r\n\r\n`;
    const connection = await openRaw(port);
    connection.socket.write(head("/api/mirror", 3));
    await connection.until(/^HTTP\/1\.1 100 Continue\r\n\r\n$/);
    connection.socket.write("abc");
    await connection.until(/"body":"abc"/);
    connection.socket.destroy();
    expect(await exchangeRaw(port, head("/none", 3))).toMatch(/^HTTP\/1\.1 404 /);
    expect(await exchangeRaw(port, head("/api/mirror", 11))).toMatch(/^HTTP\/1\.1 413 /);
  });

  it("refuses a body beyond the limit with 413 that the client gets to read, however it is sent", async () => {
    const { url, port } = await serve(mirrorApp, { limits: { maxBodyBytes: 1_000_000 } });
    expect((await fetch(`${url}/api/mirror`, { method: "POST", body: "x".repeat(1_000_000) })).status).toBe(200);
    for (let round = 0; round < 5; round += 1) {
      expect((await fetch(`${url}/api/mirror`, { method: "POST", body: "x".repeat(5_000_000) })).status).toBe(413);
    }
    const head = "POST /api/mirror HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n";
    const chunk = `100000\r\n${"x".repeat(0x100000)}\r\n`;
    expect(await exchangeRaw(port, head, chunk, chunk, "0\r\n\r\n")).toMatch(/^HTTP\/1\.1 413 /);
  });

  it("refuses a body while it is still being sent, and lets a client that reads late finish sending", async () => {
    const { port } = await serve(mirrorApp, { limits: { maxBodyBytes: 1_000 } });
    const head = "POST /api/mirror HTTP/1.1\r\nHost: x\r\nContent-Length: 30000000\r\n\r\n";
    const early = await openRaw(port);
    early.socket.write(head);
    const sending = setInterval(() => early.socket.write("x".repeat(1_000)), 10);
    const started = performance.now();
    await early.until(/^HTTP\/1\.1 413 /);
    expect(performance.now() - started).toBeLessThan(3_000);
    clearInterval(sending);
    early.socket.destroy();

    const late = await openRaw(port);
    late.socket.pause();
    late.socket.write(head);
    for (let sent = 0; sent < 30; sent += 1) {
      await new Promise<void>((resolve, reject) => {
        late.socket.write("x".repeat(1_000_000), (error) => (error ? reject(error) : resolve()));
      });
    }
    late.socket.resume();
    expect(await late.ended()).toMatch(/^HTTP\/1\.1 413 /);
  });

  it("gives up on clients that are silent in the middle of their headers or body", async () => {
    const { port } = await serve(mirrorApp, { limits: { headersTimeoutMs: 100, bodyIdleTimeoutMs: 100 } });
    const slow = ["GET /api/mirror HT", "POST /api/mirror HTTP/1.1\r\nHost: x\r\nContent-Length: 5\r\n\r\nab"];
    const answers = await Promise.all(slow.map((text) => exchangeRaw(port, text)));
    for (const answer of answers) expect(answer).toMatch(/^HTTP\/1\.1 408 /);
  });

  it("does not call a function for a client that went away in the middle of its body", async () => {
    let calls = 0;
    const { port, url } = await serve((app) =>
      app.post("count", () => {
        calls += 1;
        return { body: String(calls) };
      }),
    );
    const connection = await openRaw(port);
    connection.socket.write("POST /api/count HTTP/1.1\r\nHost: x\r\nContent-Length: 5\r\n\r\nab");
    await fetch(url);
    connection.socket.resetAndDestroy();
    await fetch(url);
    expect(await (await fetch(`${url}/api/count`, { method: "POST" })).text()).toBe("1");
  });

  it("survives clients that go away while a function works, and answers the next", async () => {
    const started = Promise.withResolvers<void>();
    const release = Promise.withResolvers<void>();
    const { port, url, log } = await serve((app) => {
      app.http("slow", {
        handler: async () => {
          started.resolve();
          await release.promise;
          return { body: "x".repeat(100_000) };
        },
      });
    });
    const connection = await openRaw(port);
    connection.socket.write("GET /api/slow HTTP/1.1\r\nHost: x\r\n\r\n");
    await started.promise;
    connection.socket.resetAndDestroy();
    await fetch(url);
    release.resolve();
    expect((await fetch(url)).status).toBe(200);
    expect(log).toEqual([]);
  });
});

describe("closing the server", () => {
  it("does not wait for clients that went away in any state", async () => {
    const release = Promise.withResolvers<void>();
    const server = await serve((app) => {
      app.http("slow", { handler: () => release.promise.then(() => ({ body: "late" })) });
    });
    const beginnings = [
      "GET /api/slow HTTP/1.1\r\nHost: x\r\n\r\n",
      "POST /api/slow HTTP/1.1\r\nHost: x\r\nContent-Length: 5\r\n\r\nab",
      "POST /api/slow HTTP/1.1\r\nHost: x\r\nExpect: 100-continue\r\nContent-Length: 5\r\n\r\n",
      "GET /api/slow HTTP/1.1\r\nHost: x\r\n\r\nGET /api/slow HTTP/1.1\r\nHost: x\r\n\r\n",
      "GET /api/sl",
    ];
    for (let round = 0; round < 20; round += 1) {
      const connections = await Promise.all(beginnings.map(() => openRaw(server.port)));
      for (const [index, { socket }] of connections.entries()) socket.write(beginnings[index] ?? "");
      await fetch(server.url);
      for (const { socket } of connections) socket.resetAndDestroy();
    }
    await fetch(server.url);
    release.resolve();
    const started = performance.now();
    await server.close(10_000);
    expect(performance.now() - started).toBeLessThan(5_000);
    expect(server.log).toEqual([]);
  });

  const slowApp =
    (started: () => void, release: Promise<void>): Register =>
    (app) =>
      app.http("slow", {
        handler: async () => {
          started();
          await release;
          return { body: "done" };
        },
      });

  it("lets running requests finish, takes no more, and closes idle connections", async () => {
    const started = Promise.withResolvers<void>();
    const release = Promise.withResolvers<void>();
    const server = await serve(slowApp(started.resolve, release.promise));
    const idle = await openRaw(server.port);
    idle.socket.write("GET / HTTP/1.1\r\nHost: x\r\n\r\n");
    await idle.until(/<\/html>/);
    const busy = await openRaw(server.port);
    busy.socket.write("GET /api/slow HTTP/1.1\r\nHost: x\r\n\r\n");
    await started.promise;
    const closed = server.close();
    await idle.ended();
    await expect(fetch(server.url)).rejects.toThrow();
    release.resolve();
    const released = performance.now();
    expect(await busy.ended()).toMatch(/^HTTP\/1\.1 200 [\s\S]*connection: close[\s\S]*done$/i);
    await closed;
    expect(performance.now() - released).toBeLessThan(5_000);
  });

  it("does not wait longer than it was told", async () => {
    const started = Promise.withResolvers<void>();
    const server = await serve(slowApp(started.resolve, new Promise(() => {})));
    const busy = await openRaw(server.port);
    busy.socket.write("GET /api/slow HTTP/1.1\r\nHost: x\r\n\r\n");
    await started.promise;
    await Promise.all([server.close(20), busy.ended()]);
    expect(busy.received()).toBe("");
  });
});
