// Durable HTTP calls: made by the host, polled while they are answered with 202.

import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { type ContractApp, startContractApp } from "../../support/contract-app.ts";

let app: ContractApp;
beforeAll(async () => {
  app = await startContractApp();
});
afterAll(() => app.host.stop());

interface Answer {
  readonly statusCode: number;
  readonly content: string;
  readonly contentType: string;
}

describe("callHttp", () => {
  it("sends method, headers and body, and hands the answer to the orchestrator", async () => {
    const { statusCode, content, contentType } = (await app.outputOf("call-http", {
      method: "PUT",
      url: `${app.host.url}/api/mirror`,
      headers: { "x-test": "yes" },
      body: { some: ["json"] },
    })) as Answer;
    expect(statusCode).toBe(201);
    expect(contentType).toContain("application/json");
    expect(JSON.parse(content)).toEqual({ method: "PUT", header: "yes", body: '{"some":["json"]}' });
  });

  it("follows 202 and Location until there is another answer, with GET", async () => {
    const url = `${app.host.url}/api/long-job/one`;
    const { statusCode, content } = (await app.outputOf("call-http", { method: "POST", url, body: "x" })) as Answer;
    expect([statusCode, JSON.parse(content)]).toEqual([200, { polls: 4, lastMethod: "GET" }]);
  });

  it("takes 202 for the answer when it is told not to poll", async () => {
    const url = `${app.host.url}/api/long-job/two`;
    const { statusCode } = (await app.outputOf("call-http", { method: "POST", url, enablePolling: false })) as Answer;
    expect(statusCode).toBe(202);
  });

  it("polls beside other calls without mixing up the answers", async () => {
    const output = (await app.outputOf("call-http-beside", `${app.host.url}/api/long-job/three`)) as {
      content: string;
    };
    expect(output).toMatchObject({ number: 42, last: 8 });
    expect(JSON.parse(output.content)).toMatchObject({ polls: 4 });
  });

  it("hands on an answer of 404 as an answer", async () => {
    const url = `${app.host.url}/api/nowhere`;
    expect(await app.outputOf("call-http", { method: "GET", url })).toMatchObject({ statusCode: 404, content: "" });
  });

  it("does not follow a redirect by itself", async () => {
    const server = createServer((_request, response) => response.writeHead(302, { location: "/elsewhere" }).end());
    await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
    const url = `http://127.0.0.1:${(server.address() as AddressInfo).port}/`;
    expect(await app.outputOf("call-http", { method: "GET", url })).toMatchObject({ statusCode: 302 });
    server.close();
  });

  it("fails, with the address and the reason, when nobody answers", async () => {
    const message = await app.outputOf("call-http-and-catch", { method: "GET", url: "http://127.0.0.1:1/" });
    expect(message).toMatch(/The HTTP call to http:\/\/127\.0\.0\.1:1\/ failed: .*(ECONNREFUSED|bad port)/);
  });

  it.each([
    ["an address that is none", { method: "GET", url: "not a url" }],
    ["a header that cannot be sent", { method: "GET", url: "http://127.0.0.1:1/", headers: { "bad name": "x" } }],
    ["a method that is none", { method: "NO SUCH METHOD", url: "http://127.0.0.1:1/" }],
  ])("fails with a reason for %s", async (_, request) => {
    expect(await app.outputOf("call-http-and-catch", request)).toContain("The HTTP call to ");
  });

  it("says that a local host has no managed identity", async () => {
    expect(await app.failureOf("call-http-with-token", `${app.host.url}/api/mirror`)).toContain(
      "a local host has no managed identity",
    );
  });
});
