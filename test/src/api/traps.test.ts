// What the command line of Azure stumbles over, request by request as it was seen to send them. Where an answer is a little
// different it ends in a stack trace there, so each of these is a promise.

import { beforeEach, describe, expect, it } from "vitest";
import { type Answered, type ApiUnderTest, apiUnderTest } from "../../support/api-under-test.ts";
import { finishBackup, machineNamed, REGION, SUBSCRIPTION } from "../../support/service-in-memory.ts";

const VAULT = `/subscriptions/${SUBSCRIPTION}/resourceGroups/g/providers/Microsoft.RecoveryServices/vaults/v1`;
const AZ_VAULT = `/Subscriptions/${SUBSCRIPTION}/resourceGroups/g/providers/Microsoft.RecoveryServices/vaults/v1`;
const ITEM = `${VAULT}/backupFabrics/Azure/protectionContainers/iaasvmcontainer%3Biaasvmcontainerv2%3BShop%3Bweb-1/protectedItems/vm%3Biaasvmcontainerv2%3BShop%3Bweb-1`;
const MACHINE = machineNamed("web-1");
const AZ = { apiVersion: "2022-09-01-preview" };

let test: ApiUnderTest;
const get = async (path: string): Promise<Answered["body"]> => {
  const { status, body } = await test.send("GET", path, undefined, AZ);
  expect(status, JSON.stringify(body)).toBe(200);
  return body;
};
const put = (properties: object) =>
  test.send("PUT", ITEM, { properties: { ...typed, sourceResourceId: MACHINE.id, ...properties } }, AZ);
const typed = { protectedItemType: "Microsoft.Compute/virtualMachines" };
const protect = () => put({ policyId: `${VAULT}/backupPolicies/DefaultPolicy` });
const backUp = () => test.send("POST", `${ITEM}/backup`, { properties: { objectType: "IaasVMBackupRequest" } }, AZ);

beforeEach(async () => {
  test = await apiUnderTest({ settings: { pageSize: 1 } });
  test.service.machines.push(MACHINE, machineNamed("web-2"));
  await test.send("PUT", VAULT, { location: REGION, sku: { name: "Standard" }, properties: {} });
});

describe("az", () => {
  it("takes the last part of the async address, and asks one place for all operations", async () => {
    for (const answered of [await protect(), await backUp(), await test.send("DELETE", ITEM, undefined, AZ)]) {
      expect(answered.status).toBe(202);
      expect(answered.body).toBeUndefined();
      const address = answered.headers.get("azure-asyncoperation") ?? "";
      const id = new URL(address).pathname.split("/").at(-1);
      expect(new URL(address).searchParams.get("api-version")).toBe(AZ.apiVersion);
      const { status, properties } = await get(`${VAULT}/backupOperations/${id}`);
      expect(status).toBe("Succeeded");
      const job = await get(`${AZ_VAULT}/backupJobs/${properties.jobId}`);
      expect(job.properties.extendedInfo.tasksList).toBeInstanceOf(Array);
      expect(job.properties.duration).toMatch(/^PT[\d.HMS]+$/);
    }
  });

  it("needs the place of a refresh, and takes only 202 and 204 from it", async () => {
    const filter = "%24filter=backupManagementType+eq+%27AzureIaasVM%27";
    const refresh = await test.send("POST", `${VAULT}/backupFabrics/Azure/refreshContainers?${filter}`, undefined, AZ);
    expect(refresh.status).toBe(202);
    const { pathname } = new URL(refresh.headers.get("location") ?? "");
    expect((await test.send("GET", pathname, undefined, AZ)).status).toBe(204);
  });

  it("needs numbers, lists and words where others could do without", async () => {
    const policy = await get(`${VAULT}/backupPolicies/DefaultPolicy`);
    expect(policy.properties.protectedItemsCount).toBe(0);
    expect(policy.properties.tieringPolicy.ArchivedRP.tieringMode).toBe("DoNotTier");
    expect((await get(VAULT)).properties.publicNetworkAccess).toBe("Enabled");
    await protect();
    const { properties } = await get(ITEM);
    for (const { recommendations } of properties.healthDetails) expect(recommendations).toEqual([]);
    expect(properties.workloadType).toBe("VM");
    expect(properties.nextRunTime).toBe(policy.properties.nextRunTime);
    await get(`${VAULT}/backupEncryptionConfigs/backupResourceEncryptionConfig`);
    expect(await get(`${VAULT}/backupResourceGuardProxies`)).toEqual({ value: [] });
  });

  it("picks ids apart by their exact spelling", async () => {
    await protect();
    const { id, properties } = await get(ITEM.replace("Shop", "SHOP"));
    for (const part of ["/resourceGroups/", "/vaults/", "/protectionContainers/", "/protectedItems/"]) {
      expect(id).toContain(part);
    }
    expect(properties.virtualMachineId).toContain("Microsoft.Compute/virtualMachines/");
    expect(properties.containerName).toBe("iaasvmcontainerv2;Shop;web-1");
  });

  it("counts on filters in its own way of writing", async () => {
    await protect();
    const of = async (collection: string, filter: string) => {
      const { value } = await get(`${VAULT}/${collection}?%24filter=${filter}`);
      return value.length;
    };
    const machines = "backupManagementType+eq+%27AzureIaasVM%27";
    expect(await of("backupProtectionContainers", `${machines}+and+friendlyName+eq+%27web-1%27`)).toBe(1);
    expect(await of("backupProtectionContainers", `${machines}+and+friendlyName+eq+%27web-2%27`)).toBe(0);
    expect(await of("backupProtectionContainers", "backupManagementType+eq+%27AzureWorkload%27")).toBe(0);
    expect(await of("backupProtectedItems", `${machines}+and+itemType+eq+%27VM%27`)).toBe(1);
    expect(await of("backupProtectedItems", "backupManagementType+eq+%27AzureStorage%27")).toBe(0);
    expect(await of("backupProtectableItems", machines)).toBe(1);
    expect(await of("backupPolicies", `${machines}+and+workloadType+eq+%27VM%27`)).toBe(1);
    expect(await of("backupPolicies", `${machines}+and+workloadType+eq+%27SQLDataBase%27`)).toBe(0);
  });

  it("walks all pages, each with the filter of the first", async () => {
    const jobs: string[] = [];
    await protect();
    for (let count = 0; count < 3; count++) {
      test.service.now = new Date(Date.UTC(2026, 3, 3 + count));
      await backUp();
      await finishBackup(test.service);
    }
    let next = `${AZ_VAULT}/backupJobs?%24filter=operation+eq+%27Backup%27`;
    while (next !== "") {
      const { value, nextLink = "" } = await get(next);
      expect(value).toHaveLength(1);
      jobs.push(value[0].properties.operation);
      next = nextLink.replace("https://holdfast.test", "");
    }
    expect(jobs).toEqual(["Backup", "Backup", "Backup"]);
  });

  it("lowers the group's keyword, and deletes with 200 or 204 alone", async () => {
    await get(VAULT.replace("resourceGroups", "resourcegroups"));
    const policy = `${VAULT}/backupPolicies/EnhancedPolicy`;
    expect((await test.send("DELETE", policy, undefined, AZ)).status).toBe(200);
    expect((await test.send("DELETE", policy, undefined, AZ)).status).toBe(204);
    expect((await test.send("DELETE", VAULT, undefined, AZ)).status).toBe(200);
    expect((await test.send("DELETE", VAULT, undefined, AZ)).status).toBe(204);
  });

  it("leaves alone what it does not know: the interval of a policy that it writes back", async () => {
    const path = `${VAULT}/backupPolicies/DefaultPolicy`;
    const interval = { properties: { everyMinutes: 5 } };
    expect((await test.send("PUT", `${path}/everyMinutes`, interval, AZ)).status).toBe(200);
    const policy = await get(path);
    expect((await test.send("PUT", path, policy, AZ)).status).toBe(200);
    expect((await get(`${path}/everyMinutes`)).properties.everyMinutes).toBe(5);
    expect((await get(path)).properties.nextRunTime).toBe("2026-03-01T12:05:00.000Z");
    expect((await test.send("DELETE", `${path}/everyMinutes`, undefined, AZ)).status).toBe(200);
    expect((await get(`${path}/everyMinutes`)).properties.everyMinutes).toBeNull();
    const never = await test.send("PUT", `${path}/everyMinutes`, { properties: { everyMinutes: 0 } }, AZ);
    expect([never.status, never.body.error.code]).toEqual([400, "BMSUserErrorInvalidPolicyInput"]);
  });

  it("creates a vault that is there, and asks whether a machine is protected", async () => {
    const again = await test.send("PUT", VAULT, { location: "West Europe", properties: {} }, AZ);
    expect(again.status).toBe(200);
    const asked = { resourceType: "VM", resourceId: MACHINE.id };
    const path = `/Subscriptions/${SUBSCRIPTION}/providers/Microsoft.RecoveryServices/locations/westeurope/backupStatus`;
    const before = await test.send("POST", path, asked, AZ);
    expect(before.body).toMatchObject({ protectionStatus: "NotProtected", vaultId: "" });
    await protect();
    const after = await test.send("POST", path, asked, AZ);
    expect(after.body).toMatchObject({ protectionStatus: "Protected", vaultId: VAULT });
    const elsewhere = { ...asked, resourceId: MACHINE.id.replace(SUBSCRIPTION, "another") };
    expect((await test.send("POST", path, elsewhere, AZ)).status).toBe(400);
  });
});
