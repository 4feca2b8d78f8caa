// Whatever bytes come, the answer is a 4xx or a closed connection, and the next good request is served.

import fc from "fast-check";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { serveFunctions, type TestServer } from "../../../support/http-functions.ts";
import { exchangeRaw, openRaw } from "../../../support/raw-http.ts";

let server: TestServer;

beforeAll(async () => {
  server = await serveFunctions(
    (app) => {
      app.http("echo", {
        route: "{*path}",
        methods: ["GET", "POST", "PUT"],
        handler: async (request) => ({ body: `${request.url} ${await request.text()}` }),
      });
    },
    { limits: { headersTimeoutMs: 1_000, bodyIdleTimeoutMs: 200, maxBodyBytes: 100_000 } },
  );
});

afterAll(() => server.close(0));

async function expectAlive(): Promise<void> {
  const answer = await fetch(`${server.url}/api/alive`);
  expect(await answer.text()).toBe(`${server.url}/api/alive `);
}

const statusOf = (text: string): number => Number(/^HTTP\/1\.1 (\d{3}) /.exec(text)?.[1] ?? "0");
const HEAD = "Host: x\r\nConnection: close\r\n";

describe("a malformed request", () => {
  const cases: [string, string, number[]][] = [
    ["no HTTP at all", "hello\r\n\r\n", [400]],
    ["TLS on a plain port", "\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03", [400]],
    ["HTTP/2 from the start", "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", [400]],
    ["an unknown version", `GET / HTTP/9.9\r\n${HEAD}\r\n`, [400]],
    ["an unknown method", `FROB / HTTP/1.1\r\n${HEAD}\r\n`, [400]],
    ["no host", "GET / HTTP/1.1\r\nConnection: close\r\n\r\n", [400]],
    ["two hosts", `GET /api/x HTTP/1.1\r\nHost: a\r\nHost: b\r\nConnection: close\r\n\r\n`, [200, 400]],
    ["a host that is none", "GET / HTTP/1.1\r\nHost: a b/c\r\nConnection: close\r\n\r\n", [400]],
    ["credentials in the host", "GET /api/x HTTP/1.1\r\nHost: u:p@h\r\nConnection: close\r\n\r\n", [400]],
    ["a header without a colon", `GET / HTTP/1.1\r\n${HEAD}broken\r\n\r\n`, [400]],
    ["a blank in a header name", `GET / HTTP/1.1\r\n${HEAD}a b: c\r\n\r\n`, [400]],
    ["a folded header", `GET / HTTP/1.1\r\n${HEAD}a: b\r\n c\r\n\r\n`, [400]],
    ["a null byte in a header", `GET / HTTP/1.1\r\n${HEAD}a: \0\r\n\r\n`, [400]],
    ["a negative length", `POST /api/x HTTP/1.1\r\n${HEAD}Content-Length: -1\r\n\r\n`, [400]],
    ["two lengths", `POST /api/x HTTP/1.1\r\n${HEAD}Content-Length: 1\r\nContent-Length: 2\r\n\r\nab`, [400]],
    ["a length beyond numbers", `POST /api/x HTTP/1.1\r\n${HEAD}Content-Length: ${"9".repeat(30)}\r\n\r\n`, [400]],
    ["a length beyond the limit", `POST /api/x HTTP/1.1\r\n${HEAD}Content-Length: 999999999999\r\n\r\n`, [413]],
    [
      "a length and chunks",
      `POST /api/x HTTP/1.1\r\n${HEAD}Content-Length: 3\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n`,
      [400],
    ],
    ["an unknown transfer coding", `POST /api/x HTTP/1.1\r\n${HEAD}Transfer-Encoding: rot13\r\n\r\n`, [400]],
    ["a chunk size that is none", `POST /api/x HTTP/1.1\r\n${HEAD}Transfer-Encoding: chunked\r\n\r\nzz\r\n`, [400]],
    ["a body shorter than told", `POST /api/x HTTP/1.1\r\n${HEAD}Content-Length: 9\r\n\r\nab`, [408]],
    ["a null byte in the path", `GET /api/%00 HTTP/1.1\r\n${HEAD}\r\n`, [400]],
    ["a path that is not ASCII", `GET /api/\xe4 HTTP/1.1\r\n${HEAD}\r\n`, [400]],
    ["a path without a slash", `GET api/x HTTP/1.1\r\n${HEAD}\r\n`, [400]],
    ["an asterisk", `OPTIONS * HTTP/1.1\r\n${HEAD}\r\n`, [400]],
    ["a tunnel", `CONNECT example.org:443 HTTP/1.1\r\n${HEAD}\r\n`, [405]],
    [
      "an expectation nobody knows",
      `POST /api/x HTTP/1.1\r\n${HEAD}Expect: magic\r\nContent-Length: 1\r\n\r\na`,
      [417],
    ],
    ["an address longer than all headers may be", `GET /${"a".repeat(40_000)} HTTP/1.1\r\n${HEAD}\r\n`, [431]],
    ["headers that are too large", `GET / HTTP/1.1\r\n${HEAD}${"a: bcdefgh\r\n".repeat(10_000)}\r\n`, [431]],
    ["broken percent signs", `GET /api/%%%zz%f HTTP/1.1\r\n${HEAD}\r\n`, [200]],
    ["an upgrade", `GET /api/x HTTP/1.1\r\nHost: x\r\nConnection: close, Upgrade\r\nUpgrade: websocket\r\n\r\n`, [200]],
    ["a whole address", `GET http://elsewhere/api/x HTTP/1.1\r\n${HEAD}\r\n`, [200]],
  ];
  it.each(cases)("with %s ends well", async (_, text, statuses) => {
    expect(statuses).toContain(statusOf(await exchangeRaw(server.port, Buffer.from(text, "latin1"))));
    await expectAlive();
  });

  it("gets its 4xx to read even when more garbage follows", async () => {
    for (let round = 0; round < 20; round += 1) {
      const text = await exchangeRaw(server.port, "garbage\r\n", Buffer.alloc(100_000, 0x07));
      expect([0, 400]).toContain(statusOf(text));
    }
    await expectAlive();
  });

  it("does not disturb others that come in a hundred halves at once", async () => {
    const halves = await Promise.all(Array.from({ length: 100 }, () => openRaw(server.port)));
    for (const { socket } of halves) socket.write("GET /api/x HTTP/1.1\r\nHost: x\r\nX-A: ");
    await expectAlive();
    const endings = await Promise.all(halves.map(({ ended }) => ended()));
    for (const text of endings) expect(statusOf(text)).toBe(408);
  });
});

describe("any bytes", () => {
  const line = fc.constantFrom(
    "GET /api/a HTTP/1.1",
    "POST /api/a HTTP/1.1",
    "PUT http://h:1/api/%zz?%u=1&& HTTP/1.1",
    "HEAD / HTTP/1.0",
    "Host: x",
    "Host: ",
    "Connection: keep-alive",
    "Content-Length: 5",
    "Content-Length: 5000000",
    "Transfer-Encoding: chunked",
    "Transfer-Encoding: chunked, chunked",
    "Expect: 100-continue",
    "Upgrade: h2c",
    "Origin: null",
    "5",
    "0",
    "hello",
    "",
    "",
  );
  const noise = fc.uint8Array({ maxLength: 20 }).map((bytes) => Buffer.from(bytes).toString("latin1"));
  const request = fc
    .array(fc.oneof({ weight: 6, arbitrary: line }, { weight: 1, arbitrary: noise }), { minLength: 1, maxLength: 12 })
    .map((lines) => `${lines.join("\r\n")}\r\n\r\n`);

  it("never bring the server down, nor get an answer that is the server's fault", async () => {
    await fc.assert(
      fc.asyncProperty(request, async (text) => {
        const connection = await openRaw(server.port);
        connection.socket.end(Buffer.from(text, "latin1"));
        const answers = (await connection.ended()).match(/^HTTP\/1\.1 \d{3}/gm) ?? [];
        connection.socket.destroy();
        expect(answers.filter((answer) => answer >= "HTTP/1.1 500")).toEqual([]);
      }),
      { numRuns: 300 },
    );
    await expectAlive();
    expect(server.log).toEqual([]);
  });
});
