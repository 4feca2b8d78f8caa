import { once } from "node:events";
import { createServer, type IncomingMessage } from "node:http";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { readBody } from "../../../../localhost/functions-host/http/request-body.ts";
import { openRaw, type RawConnection } from "../../../support/raw-http.ts";

const server = createServer();
let client: RawConnection;
let request: IncomingMessage;

beforeEach(async () => {
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  client = await openRaw((server.address() as { port: number }).port);
  client.socket.write("POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 6\r\n\r\nab");
  [request] = await once(server, "request");
});

afterEach(async () => {
  client.socket.destroy();
  await new Promise((resolve) => server.close(resolve));
});

const limits = { maxBodyBytes: 10, bodyIdleTimeoutMs: 60_000 };

describe("reading a body", () => {
  it("waits for all of it", async () => {
    const reading = readBody(request, limits);
    client.socket.write("cdef");
    expect(await reading).toEqual({ kind: "read", body: Buffer.from("abcdef") });
  });

  it("ends at once when the client goes away, or sends too much, and stops listening", async () => {
    const tooMuch = readBody(request, { ...limits, maxBodyBytes: 3 });
    client.socket.write("cd");
    expect(await tooMuch).toEqual({ kind: "too-large" });
    expect(request.listenerCount("data")).toBe(0);
    const aborted = readBody(request, limits);
    client.socket.resetAndDestroy();
    expect(await aborted).toEqual({ kind: "aborted" });
  });

  it("has patience as long as something comes", async () => {
    const reading = readBody(request, { ...limits, bodyIdleTimeoutMs: 600 });
    for (const letter of "cdef") {
      await new Promise((resolve) => setTimeout(resolve, 200));
      client.socket.write(letter);
    }
    expect(await reading).toMatchObject({ kind: "read" });
  });
});
