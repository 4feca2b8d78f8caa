import { once } from "node:events";
import { createServer, type IncomingMessage, type Server, type ServerResponse } from "node:http";
import type { AddressInfo } from "node:net";
import { createDefaultHttpClient, createPipelineRequest, type HttpMethods } from "@azure/core-rest-pipeline";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { GROUP, POLL, SUBSCRIPTION, startTestAzure, type TestAzure, testEstate } from "../support/azure.ts";

// What a provider of Microsoft.RecoveryServices relies on: requests handed to it as the client sent them, its answers handed
// back untouched, and the reads and writes of its own identity. Requests go through an official client's pipeline.
const VAULTS = `${GROUP}/providers/Microsoft.RecoveryServices/vaults`;
const MIB = 1024 * 1024;
let azure: TestAzure;
let upstream: Server;
let answer: (request: IncomingMessage, response: ServerResponse) => void | Promise<void>;

beforeAll(async () => {
  upstream = createServer((request, response) => void answer(request, response));
  upstream.listen(0, "127.0.0.1");
  await once(upstream, "listening");
  azure = await startTestAzure(
    testEstate({
      upstream: `http://127.0.0.1:${(upstream.address() as AddressInfo).port}/base`,
      principals: [
        {
          clientId: "northerner",
          roles: [{ role: "Contributor", scope: `/subscriptions/${SUBSCRIPTION}/resourceGroups/north` }],
        },
      ],
    }),
  );
});

afterAll(async () => {
  expect(azure.defects).toEqual([]);
  upstream.close();
  upstream.closeAllConnections();
  await azure.stop();
});

/** One request through the official client's own pipeline: its retries, its token, its headers. */
async function ask(
  method: HttpMethods,
  path: string,
  more: { body?: string; clientId?: string; version?: string } = {},
) {
  const client = azure.compute(more.clientId);
  const url = `${azure.origin}${path}${path.includes("?") ? "&" : "?"}api-version=${more.version ?? "2023-06-01"}`;
  const request = createPipelineRequest({
    url,
    method,
    allowInsecureConnection: true,
    streamResponseStatusCodes: new Set([203]),
    ...(more.body === undefined ? {} : { body: more.body }),
  });
  return client.pipeline.sendRequest(createDefaultHttpClient(), request);
}

async function bodyOf(request: IncomingMessage): Promise<Buffer> {
  const chunks: Buffer[] = [];
  for await (const chunk of request) chunks.push(chunk as Buffer);
  return Buffer.concat(chunks);
}

describe("requests for Microsoft.RecoveryServices", () => {
  it("reach the provider with how the client sees ARM; its links and headers come back untouched", async () => {
    const seen: unknown[] = [];
    const links = {
      "Azure-AsyncOperation": "https://elsewhere.example/subscriptions/S/operationsStatus/1%3B2?api-version=2023-06-01",
      Location: "/relative/operationResults/x;y?a=b%20c",
      "Retry-After": "17",
      "x-of-their-own": "yes",
    };
    answer = async (request, response) => {
      const { "x-forwarded-host": host, "x-forwarded-proto": proto, "x-forwarded-for": from } = request.headers;
      seen.push([request.method, request.url, host, proto, from, (await bodyOf(request)).toString()]);
      response.writeHead(202, links).end();
    };
    const path = `${VAULTS}/v/backupFabrics/Azure/protectionContainers/c%3Bd?$filter=a%20eq%20%27b%27`;
    const answered = await ask("PUT", path, { body: '{"a":"ü"}' });
    expect(answered.status).toBe(202);
    for (const [name, value] of Object.entries(links)) expect(answered.headers.get(name), name).toBe(value);
    const { host } = new URL(azure.origin);
    expect(seen).toEqual([["PUT", `/base${path}&api-version=2023-06-01`, host, "http", "127.0.0.1", '{"a":"ü"}']]);
    seen.length = 0;
    await azure.arm("GET", `${VAULTS}/v`, undefined, {
      "x-forwarded-host": "arm.example",
      "x-forwarded-proto": "https",
      "x-forwarded-for": "10.0.0.1",
    });
    expect(seen).toMatchObject([["GET", expect.anything(), "arm.example", "https", "10.0.0.1, 127.0.0.1", ""]]);
  });

  it("are streamed: the first bytes of an answer arrive before the provider has the last", async () => {
    let goOn = () => {};
    const heard = new Promise<void>((resolve) => {
      goOn = resolve;
    });
    answer = async (_request, response) => {
      response.writeHead(203, { "Content-Type": "text/event-stream" }).write("first");
      await heard;
      response.end(Buffer.alloc(20 * MIB, 1));
    };
    const { readableStreamBody } = await ask("GET", `${VAULTS}/v/events`);
    let arrived = 0;
    for await (const chunk of readableStreamBody ?? []) {
      if (arrived === 0) expect(chunk.toString()).toBe("first");
      goOn();
      arrived += chunk.length;
    }
    expect(arrived).toBe(20 * MIB + 5);
  });

  it("carry large bodies and errors of the provider, and end when either side hangs up", async () => {
    answer = async (request, response) => {
      const { length } = await bodyOf(request);
      response
        .writeHead(409, { "Content-Type": "application/json" })
        .end(JSON.stringify({ error: { code: "Theirs", length } }));
    };
    const refused = await ask("POST", `${VAULTS}/v/backup`, { body: "x".repeat(9 * MIB) });
    expect([refused.status, JSON.parse(refused.bodyAsText ?? "")]).toEqual([
      409,
      { error: { code: "Theirs", length: 9 * MIB } },
    ]);
    answer = (_request, response) => {
      response.writeHead(200, { "Content-Length": 1000 }).write("half", () => response.destroy());
    };
    await expect(ask("GET", `${VAULTS}/v`)).rejects.toThrow();
    let closed = () => {};
    const gone = new Promise<void>((resolve) => {
      closed = resolve;
    });
    answer = (_request, response) => {
      response
        .once("close", () => closed())
        .writeHead(200)
        .write("for ever");
    };
    const leaving = new AbortController();
    const url = `${azure.origin}${VAULTS}/v?api-version=2023-06-01`;
    const headers = { authorization: `Bearer ${await azure.token("owner")}` };
    await fetch(url, { headers, signal: leaving.signal });
    leaving.abort();
    await gone;
  });

  it("are refused by ARM itself without a token, a group or a version, and where a lock forbids them", async () => {
    let reached = 0;
    answer = (_request, response) => {
      reached += 1;
      response.writeHead(204).end();
    };
    expect((await fetch(`${azure.origin}${VAULTS}/v?api-version=2023-06-01`)).status).toBe(401);
    const nowhere = VAULTS.replace("/demo/", "/nowhere/");
    expect((await azure.arm("PUT", `${nowhere}/v`, {})).code).toBe("ResourceGroupNotFound");
    expect((await azure.arm("PUT", `${VAULTS}/v?api-version=1.0`, {})).code).toBe("InvalidApiVersionParameter");
    const lock = `${GROUP}/providers/Microsoft.Authorization/locks/keep`;
    await azure.arm("PUT", lock, { properties: { level: "CanNotDelete" } });
    expect((await azure.arm("DELETE", `${VAULTS}/v`)).code).toBe("ScopeLocked");
    expect(reached).toBe(0);
    await azure.arm("DELETE", lock);
    expect((await azure.arm("DELETE", `${VAULTS}/v`)).status).toBe(204);
    expect(reached).toBe(1);
  });
});

describe("the provider's own identity", () => {
  it("makes its resource groups, keeps restore points of a machine in them, and takes them away", async () => {
    const name = "AzureBackupRG_westeurope_1";
    const group = `/subscriptions/${SUBSCRIPTION}/resourceGroups/${name}`;
    const mine = { clientId: "managed-identity", version: "2021-04-01" };
    const made = await ask("PUT", group, { ...mine, body: '{"location":"West Europe","managedBy":"holdfast"}' });
    expect([made.status, JSON.parse(made.bodyAsText ?? "")]).toMatchObject([
      201,
      { id: group, name, type: "Microsoft.Resources/resourceGroups", location: "westeurope", managedBy: "holdfast" },
    ]);
    expect((await ask("PUT", group, { ...mine, body: '{"location":"westeurope"}' })).status).toBe(200);
    const compute = azure.compute("managed-identity");
    const source = { id: `${GROUP}/providers/Microsoft.Compute/virtualMachines/web-01` };
    await compute.restorePointCollections.createOrUpdate(name, "points", { location: "westeurope", source });
    expect((await compute.restorePoints.create(name, "points", "p", {}, POLL)).provisioningState).toBe("Succeeded");
    const refused = await ask("PUT", group, { ...mine, clientId: "contributor", body: '{"location":"westeurope"}' });
    expect(refused.status).toBe(403);
    expect((await ask("DELETE", group, mine)).status).toBe(202);
    expect((await ask("GET", group, mine)).status).toBe(404);
  });

  it("reads who holds which role at a scope, one caller or all", async () => {
    const read = async (scope: string, filter = "") => {
      const query = filter === "" ? "" : `?$filter=${encodeURIComponent(filter)}`;
      const path = `${scope}/providers/Microsoft.Authorization/roleAssignments${query}`;
      const { bodyAsText } = await ask("GET", path, { clientId: "managed-identity", version: "2022-04-01" });
      return (JSON.parse(bodyAsText ?? "") as { value: { properties: { principalId: string; scope: string } }[] })
        .value;
    };
    const machine = `/subscriptions/${SUBSCRIPTION}/resourceGroups/north/providers/Microsoft.Compute/virtualMachines/web-north-01`;
    const own = (await read(machine, "atScope()")).filter(({ properties }) => properties.scope.endsWith("/north"));
    expect(own).toHaveLength(1);
    const { principalId } = own[0]?.properties ?? { principalId: "" };
    expect(await read(machine, `assignedTo('${principalId}')`)).toEqual(own);
    expect(await read(GROUP, `assignedTo('${principalId}')`)).toEqual([]);
    const everybody = await read(`/subscriptions/${SUBSCRIPTION}`);
    expect(everybody.length).toBeGreaterThan(own.length);
    expect(everybody.map(({ properties }) => properties.scope)).toContain("/");
  });

  it("lists the subscriptions it has any role in, and nobody sees others", async () => {
    const subscriptionsOf = async (clientId: string) => {
      const { bodyAsText } = await ask("GET", "/subscriptions", { clientId, version: "2019-11-01" });
      return (JSON.parse(bodyAsText ?? "") as { value: { subscriptionId: string; state: string }[] }).value;
    };
    for (const clientId of ["managed-identity", "reader", "northerner"])
      expect(await subscriptionsOf(clientId)).toMatchObject([
        {
          id: `/subscriptions/${SUBSCRIPTION}`,
          subscriptionId: SUBSCRIPTION,
          tenantId: azure.tenant,
          displayName: "Test",
          state: "Enabled",
          authorizationSource: "RoleBased",
        },
      ]);
    const other = await startTestAzure(
      testEstate({
        principals: [
          {
            clientId: "stranger",
            roles: [{ role: "Reader", scope: "/subscriptions/33333333-3333-3333-3333-333333333333" }],
          },
        ],
      }),
    );
    const listed = await fetch(`${other.origin}/subscriptions?api-version=2019-11-01`, {
      headers: { authorization: `Bearer ${await other.token("stranger")}` },
    });
    expect(await listed.json()).toEqual({ value: [] });
    await other.stop();
  });
});
