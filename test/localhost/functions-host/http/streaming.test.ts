// A file of its own: once the library streams, it streams for the whole process.

import { createHash, randomBytes } from "node:crypto";
import { once } from "node:events";
import { createServer, request as httpRequest, type RequestListener } from "node:http";
import { Readable } from "node:stream";
import { app as libraryApp } from "@azure/functions";
import { afterAll, afterEach, beforeAll, describe, expect, it } from "vitest";
import type { InvocationOutcome } from "../../../../localhost/functions-host/function-entry.ts";
import { serveFunctions, startedCapabilities, type TestServer } from "../../../support/http-functions.ts";
import { exchangeRaw, openRaw } from "../../../support/raw-http.ts";

let server: TestServer;
const told: Record<string, PromiseWithResolvers<string>> = {};
const tell = (what: string): PromiseWithResolvers<string> => {
  told[what] ??= Promise.withResolvers<string>();
  return told[what];
};

/** Longer than any buffer on the way. The library goes on writing when nobody reads any more, so it has an end. */
async function* long(): AsyncGenerator<Uint8Array> {
  for (let count = 0; count < 2_000; count += 1) {
    yield new Uint8Array(10_000);
    await new Promise((resolve) => setImmediate(resolve));
  }
}

async function* step(pieces: readonly string[], between: () => Promise<unknown>): AsyncGenerator<Uint8Array> {
  for (const piece of pieces) {
    yield Buffer.from(piece);
    await between();
  }
}

beforeAll(async () => {
  libraryApp.setup({ enableHttpStream: true });
  const { HttpUri: httpUri } = await startedCapabilities();
  if (httpUri === undefined) throw new Error("the library does not stream");
  const register: Parameters<typeof serveFunctions>[0] = (app) => {
    app.http("mirror", {
      route: "mirror/{id?}",
      methods: ["GET", "POST", "DELETE"],
      handler: async (request) => ({
        status: 201,
        headers: { "x-mine": "1" },
        cookies: [
          { name: "a", value: "1", path: "/" },
          { name: "b", value: "2" },
        ],
        jsonBody: {
          method: request.method,
          url: request.url,
          params: request.params,
          query: [...request.query],
          headers: Object.fromEntries(request.headers),
          body: await request.text(),
        },
      }),
    });
    app.post("hash", async (request) => {
      const hash = createHash("sha256");
      for await (const chunk of request.body ?? []) hash.update(chunk);
      return { body: hash.digest("hex") };
    });
    app.http("bytes", { handler: () => ({ body: Readable.from([big.subarray(0, 7), big.subarray(7)]) }) });
    app.http("steps", { handler: () => ({ body: step(["one ", "two "], () => tell("step").promise) }) });
    app.post("echo", async (request) => ({ body: request.body }));
    app.http("throws", {
      methods: ["GET", "POST"],
      handler: () => {
        throw new Error("secret");
      },
    });
    app.http("nothing", { handler: () => undefined as never });
    app.http("breaks", {
      handler: () => ({
        body: step(["part"], () => tell("break").promise),
      }),
    });
    app.http("long", { handler: () => ({ body: long() }) });
    app.post("drops", async (request) => {
      tell("reading").resolve("");
      await request.text().catch((error: unknown) => tell("dropped").resolve(String(error)));
      return {};
    });
  };
  server = await serveFunctions(register, { streaming: { httpUri }, limits: { maxBodyBytes: 40_000_000 } });
});

afterAll(() => server.close(0));

const big = randomBytes(3_000_000);
const sha256 = (bytes: Uint8Array): string => createHash("sha256").update(bytes).digest("hex");

describe("a streaming app", () => {
  it("receives the request as the client sent it, and answers with status, headers and cookies", async () => {
    const answer = await fetch(`${server.url}/api/mirror/a%20b?x=1&y=2&x=3`, {
      method: "POST",
      body: "hello",
      headers: { "x-forwarded-host": "evil", "x-ms-invocation-id": "forged", "x-own": "1" },
    });
    expect(answer.status).toBe(201);
    expect(answer.headers.get("x-mine")).toBe("1");
    expect(answer.headers.get("x-ms-invocation-id")).toBeNull();
    expect(answer.headers.getSetCookie()).toEqual(["a=1; Path=/", "b=2"]);
    expect(await answer.json()).toMatchObject({
      method: "POST",
      url: `${server.url}/api/mirror/a%20b?x=1&y=2&x=3`,
      params: { id: "a b" },
      headers: { "x-own": "1", host: `127.0.0.1:${server.port}` },
      body: "hello",
    });
  });

  it("takes 3 MB up with a length, in chunks, and with DELETE", async () => {
    const sized = await fetch(`${server.url}/api/hash`, { method: "POST", body: big });
    expect(await sized.text()).toBe(sha256(big));
    const chunks = Readable.toWeb(Readable.from([big.subarray(0, 5), big.subarray(5)])) as ReadableStream;
    const chunked = await fetch(`${server.url}/api/hash`, {
      method: "POST",
      body: chunks,
      duplex: "half",
    } as RequestInit);
    expect(await chunked.text()).toBe(sha256(big));
    const head = "DELETE /api/mirror HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\nConnection: close\r\n\r\n";
    expect(await exchangeRaw(server.port, head, "3\r\nabc\r\n0\r\n\r\n")).toContain('"body":"abc"');
  });

  it("sends bytes down as they are", async () => {
    const bytes = await (await fetch(`${server.url}/api/bytes`)).arrayBuffer();
    expect(sha256(Buffer.from(bytes))).toBe(sha256(big));
  });

  it("sends the beginning while the function still makes the rest", async () => {
    const connection = await openRaw(server.port);
    connection.socket.write("GET /api/steps HTTP/1.1\r\nHost: x\r\n\r\n");
    expect(await connection.until(/one /)).not.toContain("two");
    tell("step").resolve("");
    await connection.until(/two \r\n0\r\n\r\n$/);
    connection.socket.destroy();
  });

  it("streams both ways at once", async () => {
    const { promise: echoed, resolve } = Promise.withResolvers<string>();
    let received = "";
    const request = httpRequest(`${server.url}/api/echo`, { method: "POST" }, (response) => {
      response.on("data", (chunk) => {
        received += chunk;
        if (received === "first") request.end(" second");
      });
      response.on("end", () => resolve(received));
    });
    request.write("first");
    expect(await echoed).toBe("first second");
  });

  it("answers 500 or 204 itself when the function throws or returns nothing", async () => {
    for (const [name, status] of Object.entries({ throws: 500, nothing: 204 })) {
      const answer = await fetch(`${server.url}/api/${name}`);
      expect([name, answer.status, await answer.text()]).toEqual([name, status, ""]);
    }
  });

  it("keeps the connection usable when a function throws without reading its body", async () => {
    const connection = await openRaw(server.port);
    connection.socket.write(`POST /api/throws HTTP/1.1\r\nHost: x\r\nContent-Length: 30000000\r\n\r\n`);
    connection.socket.write(Buffer.alloc(30_000_000));
    await connection.until(/^HTTP\/1\.1 500 /);
    connection.socket.write("GET / HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n");
    expect(await connection.ended()).toMatch(/HTTP\/1\.1 200 [\s\S]*<\/html>/);
  });

  it("cuts the connection when the body breaks off, so that nobody takes the part for the whole", async () => {
    const answer = await fetch(`${server.url}/api/breaks`);
    expect(answer.status).toBe(200);
    tell("break").reject(new Error("secret"));
    await expect(answer.text()).rejects.toThrow();
  });

  it("survives clients that go away in the middle of the answer", async () => {
    const connection = await openRaw(server.port);
    connection.socket.write("GET /api/long HTTP/1.1\r\nHost: x\r\n\r\n");
    await connection.until(/\r\n\r\n/);
    connection.socket.resetAndDestroy();
    expect((await fetch(`${server.url}/api/mirror`)).status).toBe(201);
  });

  it("tells the function that its client went away in the middle of the body", async () => {
    const connection = await openRaw(server.port);
    connection.socket.write("POST /api/drops HTTP/1.1\r\nHost: x\r\nContent-Length: 10\r\n\r\nabc");
    await tell("reading").promise;
    connection.socket.resetAndDestroy();
    expect(await tell("dropped").promise).toMatch(/terminated|aborted/);
  });

  it("refuses a body beyond the limit, however it is sent, and lets the client finish sending", async () => {
    expect((await fetch(`${server.url}/api/hash`, { method: "POST", body: Buffer.alloc(50_000_000) })).status).toBe(
      413,
    );
    const late = await openRaw(server.port);
    late.socket.pause();
    late.socket.write("POST /api/hash HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n");
    for (let sent = 0; sent < 70; sent += 1) {
      const chunk = `100000\r\n${"x".repeat(0x100000)}\r\n`;
      await new Promise<void>((resolve, reject) => {
        late.socket.write(chunk, (error) => (error ? reject(error) : resolve()));
      });
    }
    late.socket.resume();
    expect(await late.ended()).toMatch(/^HTTP\/1\.1 413 /);
  });

  it("continues an expectant client only when its body is wanted", async () => {
    const head =
      "POST /api/mirror HTTP/1.1\r\nHost: x\r\nExpect: 100-continue\r\nConnection: close\r\nContent-Length: 3\r\n\r\n";
    const connection = await openRaw(server.port);
    connection.socket.write(head);
    await connection.until(/^HTTP\/1\.1 100 Continue\r\n\r\n$/);
    connection.socket.write("abc");
    expect(await connection.ended()).toContain('"body":"abc"');
  });

  it("answers many at once", async () => {
    const answers = await Promise.all(
      Array.from({ length: 100 }, async (_, index) => {
        const answer = await fetch(`${server.url}/api/mirror/${index}`, { method: "POST", body: `b${index}` });
        return (await answer.json()) as { params: { id: string }; body: string };
      }),
    );
    expect(answers.map(({ params, body }) => params.id + body)).toEqual(answers.map((_, index) => `${index}b${index}`));
  });
});

/** In the place of the library's streaming server and of the invocation: what an app in trouble may do. */
async function serveTroubled(onRequest: RequestListener, outcome: Promise<InvocationOutcome>): Promise<TestServer> {
  const app = createServer(onRequest);
  app.listen(0, "127.0.0.1");
  await once(app, "listening");
  const { port } = app.address() as { port: number };
  const troubled = await serveFunctions((library) => library.post("troubled", () => ({})), {
    streaming: { httpUri: `http://127.0.0.1:${port}/` },
    invoker: { invoke: () => outcome },
  });
  closing.push(async () => {
    await troubled.close(0);
    app.close();
    app.closeAllConnections();
  });
  return troubled;
}

const closing: (() => Promise<void>)[] = [];
const never = new Promise<never>(() => {});

describe("a streaming app in trouble", () => {
  afterEach(async () => {
    for (const close of closing.splice(0)) await close();
  });

  it("that is gone is answered for with 502, and a word in the log", async () => {
    const gone = await serveFunctions((app) => app.http("a", { handler: () => ({}) }), {
      streaming: { httpUri: "http://127.0.0.1:9/" },
      invoker: { invoke: () => never },
    });
    expect((await fetch(`${gone.url}/api/a`)).status).toBe(502);
    expect(gone.log).toEqual([
      expect.stringContaining("The app's streaming server did not answer: connect ECONNREFUSED"),
    ]);
    await gone.close(0);
  });

  it("that takes too long is answered for with 500", async () => {
    const failed = { ok: false, invocationId: "1", error: new Error("timed out"), timedOut: true } as const;
    const { url } = await serveTroubled(() => {}, Promise.resolve(failed));
    expect((await fetch(`${url}/api/troubled`, { method: "POST" })).status).toBe(500);
  });

  it("that breaks off its answer leaves the client with a broken answer, not a short one", async () => {
    const { url } = await serveTroubled((_request, response) => {
      response.write("part", () => response.destroy());
    }, never);
    const answer = await fetch(`${url}/api/troubled`, { method: "POST" });
    await expect(answer.text()).rejects.toThrow();
  });

  it("hears at once that its client went away", async () => {
    const heard = Promise.withResolvers<void>();
    const arrived = Promise.withResolvers<void>();
    const { port } = await serveTroubled((_request, response) => {
      response.on("close", heard.resolve);
      arrived.resolve();
    }, never);
    const connection = await openRaw(port);
    connection.socket.write("POST /api/troubled HTTP/1.1\r\nHost: x\r\nContent-Length: 9\r\n\r\nabc");
    await arrived.promise;
    connection.socket.resetAndDestroy();
    await heard.promise;
  });
});
