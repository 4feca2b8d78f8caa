import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import {
  ARM_AUDIENCE,
  computeClient,
  GROUP,
  POLL,
  SUBSCRIPTION,
  startTestAzure,
  type TestAzure,
  testEstate,
} from "../support/azure.ts";

const LOCATION = "westeurope";
const DISKS = `${GROUP}/providers/Microsoft.Compute/disks`;
let azure: TestAzure;

beforeAll(async () => {
  azure = await startTestAzure(testEstate({ pageSize: 2 }));
});

afterAll(async () => {
  expect(azure.defects).toEqual([]);
  await azure.stop();
});

const disk = { location: LOCATION, properties: { diskSizeGB: 1, creationData: { createOption: "Empty" } } };

describe("Resource Manager", () => {
  it("answers 401 with a challenge to who has no valid token", async () => {
    const ask = async (authorization: string | undefined) => {
      const response = await fetch(
        `${azure.origin}/subscriptions?api-version=2020-01-01`,
        authorization === undefined ? {} : { headers: { authorization } },
      );
      const { error } = (await response.json()) as { error: { code: string } };
      expect(response.headers.get("www-authenticate")).toContain(`authorization_uri="${azure.origin}/`);
      return [response.status, error.code];
    };
    expect(await ask(undefined)).toEqual([401, "AuthenticationFailed"]);
    expect(await ask("Basic eA==")).toEqual([401, "AuthenticationFailedInvalidHeader"]);
    expect(await ask("Bearer a.b.c")).toEqual([401, "InvalidAuthenticationToken"]);
    expect(await ask(`Bearer ${await azure.token("owner", "https://vault.azure.net")}`)).toEqual([
      401,
      "InvalidAuthenticationTokenAudience",
    ]);
    const token = await azure.token("owner");
    expect(await ask(`Bearer ${token.slice(0, -8)}AAAAAAAA`)).toEqual([401, "InvalidAuthenticationToken"]);
    for (const audience of [ARM_AUDIENCE, "https://management.core.windows.net/", azure.origin]) {
      const good = await fetch(`${azure.origin}/subscriptions?api-version=2020-01-01`, {
        headers: { authorization: `Bearer ${await azure.token("owner", audience)}` },
      });
      expect(good.status).toBe(200);
    }
  });

  it("lets the backup roles read machines and change nothing of them", async () => {
    for (const role of ["contributor", "operator", "reader"]) {
      expect((await azure.compute(role).virtualMachines.get("demo", "web-01")).name).toBe("web-01");
      await expect(azure.compute(role).virtualMachines.deallocate("demo", "web-01", POLL)).rejects.toMatchObject({
        statusCode: 403,
        code: "AuthorizationFailed",
      });
    }
  });

  it("finds resources whatever the case of the path, and keeps its own spelling", async () => {
    const path = `/SUBSCRIPTIONS/${SUBSCRIPTION}/resourcegroups/DEMO/providers/microsoft.compute/VIRTUALMACHINES//WEB-01`;
    expect((await azure.arm("GET", path)).body).toMatchObject({
      id: `${GROUP}/providers/Microsoft.Compute/virtualMachines/web-01`,
      type: "Microsoft.Compute/virtualMachines",
    });
    await azure.arm(
      "PUT",
      `/subscriptions/${SUBSCRIPTION}/resourcegroups/demo/PROVIDERS/microsoft.COMPUTE/Disks/Spelled`,
      disk,
    );
    expect((await azure.arm("GET", `${DISKS}/spelled`)).body).toMatchObject({
      id: `${DISKS}/Spelled`,
      type: "Microsoft.Compute/disks",
    });
  });

  it("pages its lists, and the client walks them", async () => {
    const first = await azure.arm(
      "GET",
      `/subscriptions/${SUBSCRIPTION}/providers/Microsoft.Compute/disks?api-version=2024-03-02&%24filter=x+y`,
    );
    expect(first.body.value).toHaveLength(2);
    expect(String(first.body.nextLink)).toMatch(new RegExp(`^${azure.origin}/.*api-version=2024-03-02`));
    const names = new Set<string>();
    for await (const { id } of azure.compute().disks.list()) names.add(id ?? "");
    expect(names.size).toBe(7);
  });

  it("says which part does not exist", async () => {
    const code = async (method: string, path: string) => [
      (await azure.arm(method, path)).status,
      (await azure.arm(method, path)).code,
    ];
    expect(await code("GET", `/subscriptions/33333333-3333-3333-3333-333333333333/resourceGroups`)).toEqual([
      404,
      "SubscriptionNotFound",
    ]);
    expect(
      await code("GET", `/subscriptions/${SUBSCRIPTION}/resourceGroups/none/providers/Microsoft.Compute/disks/d`),
    ).toEqual([404, "ResourceGroupNotFound"]);
    expect(await code("GET", `${DISKS}/none`)).toEqual([404, "ResourceNotFound"]);
    expect(await code("GET", `${GROUP}/providers/Microsoft.Compute/toasters/t`)).toEqual([404, "InvalidResourceType"]);
    expect(await code("GET", `${GROUP}/providers/Contoso.Compute/toasters/t`)).toEqual([
      404,
      "InvalidResourceNamespace",
    ]);
    expect(await code("PATCH", `/subscriptions/${SUBSCRIPTION}`)).toEqual([405, "MethodNotAllowed"]);
  });

  it("compares ETags when asked to", async () => {
    const created = await azure.arm("PUT", `${DISKS}/tagged`, disk, { "If-None-Match": "*" });
    expect(created.status).toBe(202);
    expect(await azure.arm("PUT", `${DISKS}/tagged`, disk, { "If-None-Match": "*" })).toMatchObject({
      status: 412,
      code: "PreconditionFailed",
    });
    const etag = String((await azure.arm("GET", `${DISKS}/tagged`)).body.etag);
    expect(
      (await azure.arm("PUT", `${DISKS}/tagged`, { ...disk, tags: { a: "b" } }, { "If-Match": etag })).status,
    ).toBe(202);
    expect(await azure.arm("PUT", `${DISKS}/tagged`, disk, { "If-Match": etag })).toMatchObject({ status: 412 });
    expect((await azure.arm("GET", `${DISKS}/tagged`)).body.tags).toEqual({ a: "b" });
  });

  it("repeats the client's request id and gives its own", async () => {
    const answer = await azure.arm("GET", `${DISKS}/none`, undefined, { "x-ms-client-request-id": "abc" });
    expect(answer.headers.get("x-ms-client-request-id")).toBe("abc");
    expect(answer.headers.get("x-ms-request-id")).toMatch(/^[0-9a-f-]{36}$/);
  });

  it("keeps groups, deletes them with all they hold, and not while a disk in them is read", async () => {
    const group = `/subscriptions/${SUBSCRIPTION}/resourceGroups/AzureBackupRG_westeurope_1`;
    expect((await azure.arm("HEAD", group)).status).toBe(404);
    expect((await azure.arm("PUT", group, { location: LOCATION, tags: { owner: "backup" } })).status).toBe(201);
    expect((await azure.arm("PUT", group, { location: "northeurope" })).code).toBe("InvalidResourceGroupLocation");
    const compute = azure.compute();
    const source = { id: `${GROUP}/providers/Microsoft.Compute/virtualMachines/db-01` };
    await compute.restorePointCollections.createOrUpdate("AzureBackupRG_westeurope_1", "points", {
      location: LOCATION,
      source,
    });
    await compute.restorePoints.create("AzureBackupRG_westeurope_1", "points", "p", {}, POLL);
    await compute.disks.createOrUpdate(
      "AzureBackupRG_westeurope_1",
      "d",
      { location: LOCATION, diskSizeGB: 1, creationData: { createOption: "Empty" } },
      POLL,
    );
    await compute.disks.grantAccess(
      "AzureBackupRG_westeurope_1",
      "d",
      { access: "Read", durationInSeconds: 600 },
      POLL,
    );
    expect((await azure.arm("DELETE", group)).code).toBe("OperationNotAllowed");
    await compute.disks.revokeAccess("AzureBackupRG_westeurope_1", "d", POLL);
    expect((await azure.arm("GET", `${group}/resources`)).body.value).toHaveLength(2);
    expect((await azure.arm("DELETE", group)).status).toBe(202);
    expect((await azure.arm("GET", group)).code).toBe("ResourceGroupNotFound");
    expect(
      (
        await azure.arm(
          "GET",
          `/subscriptions/${SUBSCRIPTION}/resources?$filter=resourceType eq 'Microsoft.Compute/restorePointCollections'`,
        )
      ).body.value,
    ).toEqual([]);
  });

  it("keeps locks: what is locked is not deleted, or not changed either", async () => {
    await azure.arm("PUT", `${DISKS}/locked`, disk);
    const lock = `${DISKS}/locked/providers/Microsoft.Authorization/locks/keep`;
    expect((await azure.arm("PUT", lock, { properties: { level: "CanNotDelete" } })).status).toBe(201);
    expect(await azure.arm("DELETE", `${DISKS}/locked`)).toMatchObject({ status: 409, code: "ScopeLocked" });
    expect(await azure.arm("DELETE", GROUP)).toMatchObject({ status: 409, code: "ScopeLocked" });
    expect((await azure.arm("PATCH", `${DISKS}/locked`, { tags: { a: "1" } })).status).toBe(202);
    await azure.arm("PUT", lock, { properties: { level: "ReadOnly" } });
    expect((await azure.arm("PATCH", `${DISKS}/locked`, { tags: { a: "2" } })).code).toBe("ScopeLocked");
    expect((await azure.arm("DELETE", lock)).status).toBe(200);
    expect((await azure.arm("DELETE", `${DISKS}/locked`)).status).toBe(202);
  });

  it("tells who holds which role at, above and below a scope, and keeps callers to their scopes", async () => {
    const north = `/subscriptions/${SUBSCRIPTION}/resourceGroups/north`;
    const objectId = "99999999-9999-4999-8999-999999999999";
    const scoped = await startTestAzure(
      testEstate({
        principals: [{ clientId: "northerner", objectId, roles: [{ role: "Contributor", scope: north }] }],
      }),
    );
    const at = async (scope: string, filter: string) =>
      (
        (
          await scoped.arm(
            "GET",
            `${scope}/providers/Microsoft.Authorization/roleAssignments?$filter=${encodeURIComponent(filter)}`,
          )
        ).body.value as { properties: { roleDefinitionId: string } }[]
      ).map(({ properties }) => properties.roleDefinitionId.split("/").at(-1));
    const contributor = "b24988ac-6180-42a0-ab88-20f7382dd24c";
    expect(await at(`/subscriptions/${SUBSCRIPTION}`, `principalId eq '${objectId}'`)).toEqual([contributor]);
    expect(await at(`/subscriptions/${SUBSCRIPTION}`, `atScope() and assignedTo('${objectId}')`)).toEqual([]);
    expect(
      await at(
        `${north}/providers/Microsoft.Compute/virtualMachines/web-north-01`,
        `atScope() and assignedTo('${objectId}')`,
      ),
    ).toEqual([contributor]);
    expect(await at(GROUP, `assignedTo('${objectId}')`)).toEqual([]);
    const definition = await scoped.arm(
      "GET",
      `/subscriptions/${SUBSCRIPTION}/providers/Microsoft.Authorization/roleDefinitions/${contributor}`,
    );
    expect(definition.body).toMatchObject({ properties: { roleName: "Contributor" } });
    await scoped.compute("northerner").virtualMachines.deallocate("north", "web-north-01", POLL);
    await expect(scoped.compute("northerner").virtualMachines.get("demo", "web-01")).rejects.toMatchObject({
      code: "AuthorizationFailed",
    });
    await scoped.stop();
  });
});

describe("Resource Manager, with a throttle and slow operations", () => {
  it("answers 429 with Retry-After, and the client waits and goes on", async () => {
    const throttled = await startTestAzure(testEstate({ throttle: { requestsPerSecond: 1, burst: 1 } }));
    const statuses: number[] = [];
    for (let index = 0; index < 4; index += 1) statuses.push((await throttled.arm("GET", `${DISKS}/none`)).status);
    expect(statuses.filter((status) => status === 429).length).toBeGreaterThan(0);
    const refused = await throttled.arm("GET", `${DISKS}/none`);
    if (refused.status === 429) expect(refused).toMatchObject({ code: "SubscriptionRequestsThrottled" });
    const patient = computeClient(throttled.origin, "owner", 5);
    expect((await patient.virtualMachines.get("demo", "web-01")).name).toBe("web-01");
    await throttled.stop();
  });

  it("lets operations take their time, and finishes them across a restart", async () => {
    const slow = await startTestAzure(testEstate({ operationMs: 3000 }));
    const started = await slow.arm("PUT", `${DISKS}/slow`, disk);
    expect(started.status).toBe(202);
    expect(started.body).toMatchObject({ properties: { provisioningState: "Creating" } });
    const status = new URL(String(started.headers.get("azure-asyncoperation")));
    expect((await slow.arm("GET", status.pathname + status.search)).body.status).toBe("InProgress");
    expect((await slow.arm("GET", `${status.pathname}${status.search}&monitor=true`)).status).toBe(202);
    expect(started.headers.get("retry-after")).toBe("3");
    await slow.close();
    const again = await startTestAzure(testEstate({ operationMs: 3000 }), slow.dataFolder);
    await expect
      .poll(async () => (await again.arm("GET", status.pathname + status.search)).body.status, { timeout: 8000 })
      .toBe("Succeeded");
    expect((await again.arm("GET", `${DISKS}/slow`)).body).toMatchObject({
      properties: { provisioningState: "Succeeded" },
    });
    await again.stop();
  });
});

describe("Microsoft.RecoveryServices", () => {
  it("is not registered without an upstream", async () => {
    expect(await azure.arm("GET", `${GROUP}/providers/Microsoft.RecoveryServices/vaults`)).toMatchObject({
      status: 409,
      code: "MissingSubscriptionRegistration",
    });
  });

  it("is handed on to the upstream with body, query and what the client saw", async () => {
    const seen: unknown[] = [];
    const upstream = createServer(async (request, response) => {
      const chunks: Buffer[] = [];
      for await (const chunk of request) chunks.push(chunk as Buffer);
      const { "x-forwarded-host": host, "x-forwarded-proto": proto, authorization } = request.headers;
      seen.push([
        request.method,
        request.url,
        host,
        proto,
        authorization?.slice(0, 7),
        Buffer.concat(chunks).toString(),
      ]);
      response
        .writeHead(202, { "Azure-AsyncOperation": "http://x/op", "Content-Type": "application/json" })
        .end('{"ok":true}');
    });
    await new Promise<void>((resolve) => upstream.listen(0, "127.0.0.1", resolve));
    const fronted = await startTestAzure(
      testEstate({ upstream: `http://127.0.0.1:${(upstream.address() as AddressInfo).port}` }),
    );
    const path = `${GROUP}/providers/Microsoft.RecoveryServices/vaults/v/backupFabrics/Azure/protectionContainers/c%3Bd?api-version=2023-06-01`;
    const answer = await fronted.arm("PUT", path, { a: 1 });
    expect(answer).toMatchObject({ status: 202, body: { ok: true } });
    expect(answer.headers.get("azure-asyncoperation")).toBe("http://x/op");
    expect(seen).toEqual([["PUT", path, new URL(fronted.origin).host, "http", "Bearer ", '{"a":1}']]);
    upstream.close();
    upstream.closeAllConnections();
    expect(await fronted.arm("GET", path)).toMatchObject({ status: 502, code: "BadGateway" });
    await fronted.stop();
  });
});
