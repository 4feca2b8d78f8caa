// The official clients of Azure Backup, unmodified, through the whole life of a protected machine: over real HTTP, with
// pages of one entry.

import type {
  AzureIaaSVMProtectionPolicy,
  LongTermRetentionPolicy,
  ProtectedItemResource,
  WeeklyRetentionSchedule,
} from "@azure/arm-recoveryservicesbackup";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import type { JobRef } from "../../../orchestrations/contracts.ts";
import { changeJob, moveSubTask } from "../../../src/control/job-changes.ts";
import { type ApiUnderTest, apiUnderTest, OWNER } from "../../support/api-under-test.ts";
import { type Clients, clientsFor, type ServedApi, serveApi } from "../../support/served-api.ts";
import {
  ACCOUNT_ID,
  finishBackup,
  GROUP_ID,
  machineNamed,
  REGION,
  SUBSCRIPTION,
} from "../../support/service-in-memory.ts";

const GROUP = "Backups";
const VAULT = "Vault-1";
const FABRIC = "Azure";
const CONTAINER = "IaasVMContainer;iaasvmcontainerv2;Shop;web-1";
const ITEM = "VM;iaasvmcontainerv2;Shop;web-1";
const IN_VAULT = [VAULT, GROUP, FABRIC, CONTAINER, ITEM] as const;
const MACHINE = machineNamed("web-1");
const VAULT_ID = `/subscriptions/${SUBSCRIPTION}/resourceGroups/${GROUP}/providers/Microsoft.RecoveryServices/vaults/${VAULT}`;

let test: ApiUnderTest;
let served: ServedApi;
let clients: Clients;

beforeEach(async () => {
  served = await serveApi(() => test.api);
  test = await apiUnderTest({ settings: { publicUrl: served.url, pageSize: 1 } });
  test.service.machines.push(MACHINE, machineNamed("web-2"), machineNamed("far", { location: "northeurope" }));
  clients = clientsFor(served.url, SUBSCRIPTION, () => test.issuer.token(OWNER));
});
afterEach(() => served.close());

const createVault = () =>
  clients.vaults.vaults.createOrUpdate(GROUP, VAULT, {
    location: REGION,
    sku: { name: "RS0", tier: "Standard" },
    properties: {},
    tags: { team: "ops" },
  });

const itemBody = (properties: object): ProtectedItemResource =>
  ({
    properties: { protectedItemType: "Microsoft.Compute/virtualMachines", sourceResourceId: MACHINE.id, ...properties },
  }) as ProtectedItemResource;

/** What the clients answer is typed for what they send; the operation's address is in the raw answer alone. */
async function operationOf(
  call: (options: object) => Promise<unknown>,
): Promise<{ status: number; operation: string }> {
  let seen: { status: number; headers: { get(name: string): string | undefined } } | undefined;
  await call({ onResponse: (response: typeof seen) => (seen = response) });
  const address = seen?.headers.get("azure-asyncoperation") ?? "";
  return { status: seen?.status ?? 0, operation: new URL(address).pathname.split("/").at(-1) ?? "" };
}

const putItem = (properties: object) =>
  operationOf((options) => clients.backup.protectedItems.createOrUpdate(...IN_VAULT, itemBody(properties), options));
const protect = () => putItem({ policyId: `${VAULT_ID}/backupPolicies/DefaultPolicy` });
const backUp = () =>
  operationOf((options) =>
    clients.backup.backups.trigger(...IN_VAULT, { properties: { objectType: "IaasVMBackupRequest" } }, options),
  );

async function all<Entry>(pages: AsyncIterable<Entry>): Promise<Entry[]> {
  const entries: Entry[] = [];
  for await (const entry of pages) entries.push(entry);
  return entries;
}

/** The four places at which clients ask for one operation. */
async function statusesOf(operation: string): Promise<string[]> {
  const atItem = await clients.backup.protectedItemOperationStatuses.get(...IN_VAULT, operation);
  const atVault = await clients.backup.backupOperationStatuses.get(VAULT, GROUP, operation);
  await clients.backup.protectedItemOperationResults.get(...IN_VAULT, operation);
  await clients.backup.backupOperationResults.get(VAULT, GROUP, operation);
  return [atItem.status ?? "", atVault.status ?? ""];
}

async function jobOf(operation: string) {
  const { properties } = await clients.backup.backupOperationStatuses.get(VAULT, GROUP, operation);
  const { jobId = "" } = properties as { jobId?: string };
  return (await clients.backup.jobDetails.get(VAULT, GROUP, jobId)).properties as unknown as Record<string, unknown>;
}

describe("a vault", () => {
  it("is created, found, listed, changed and deleted", async () => {
    const created = await createVault();
    expect(created).toMatchObject({ id: VAULT_ID, name: VAULT, location: REGION, tags: { team: "ops" } });
    expect(created.properties?.provisioningState).toBe("Succeeded");
    expect((await clients.vaults.vaults.get(GROUP.toUpperCase(), VAULT.toLowerCase())).id).toBe(VAULT_ID);
    await clients.vaults.vaults.createOrUpdate("Others", "Vault-2", { location: REGION, properties: {} });
    expect((await all(clients.vaults.vaults.listBySubscriptionId())).map(({ name }) => name)).toEqual([
      VAULT,
      "Vault-2",
    ]);
    expect((await all(clients.vaults.vaults.listByResourceGroup(GROUP))).map(({ name }) => name)).toEqual([VAULT]);
    const changed = await clients.vaults.vaults.update(GROUP, VAULT, { tags: { team: "dev" } });
    expect(changed.tags).toEqual({ team: "dev" });
    await clients.vaults.vaults.delete(GROUP, VAULT);
    await expect(clients.vaults.vaults.get(GROUP, VAULT)).rejects.toMatchObject({
      statusCode: 404,
      code: "ResourceNotFound",
    });
  });

  it("shows and takes its configuration at three places", async () => {
    await createVault();
    const config = await clients.backup.backupResourceVaultConfigs.update(VAULT, GROUP, {
      properties: { softDeleteFeatureState: "Disabled", enhancedSecurityState: "Disabled" },
    });
    expect(config.properties?.softDeleteFeatureState).toBe("Disabled");
    const storage = await clients.backup.backupResourceStorageConfigsNonCRR.update(VAULT, GROUP, {
      properties: { storageModelType: "LocallyRedundant" },
    });
    expect(storage.properties).toMatchObject({ storageType: "LocallyRedundant", storageTypeState: "Unlocked" });
    await clients.backup.backupResourceStorageConfigsNonCRR.patch(VAULT, GROUP, {
      properties: { storageModelType: "ZoneRedundant" },
    });
    const vault = await clients.vaults.vaults.get(GROUP, VAULT);
    expect(vault.properties?.redundancySettings?.standardTierStorageRedundancy).toBe("ZoneRedundant");
    expect(vault.properties?.securitySettings?.softDeleteSettings?.softDeleteState).toBe("Disabled");
    expect(
      (await clients.backup.backupResourceEncryptionConfigs.get(VAULT, GROUP)).properties?.encryptionAtRestType,
    ).toBe("MicrosoftManaged");
    expect(await all(clients.backup.resourceGuardProxies.list(VAULT, GROUP))).toEqual([]);
  });
});

describe("policies", () => {
  it("are there from the start, in pages of one", async () => {
    await createVault();
    const policies = await all(clients.backup.backupPolicies.list(VAULT, GROUP));
    expect(policies.map(({ name }) => name)).toEqual(["DefaultPolicy", "EnhancedPolicy"]);
    expect(policies[0]?.properties).toMatchObject({ policyType: "V1", protectedItemsCount: 0 });
    const filter = "backupManagementType eq 'AzureWorkload'";
    expect(await all(clients.backup.backupPolicies.list(VAULT, GROUP, { filter }))).toEqual([]);
  });

  it("are saved with a warning when they are legal and probably not meant", async () => {
    await createVault();
    const { properties } = await clients.backup.protectionPolicies.get(VAULT, GROUP, "DefaultPolicy");
    const policy = properties as AzureIaaSVMProtectionPolicy;
    const retention = policy.retentionPolicy as LongTermRetentionPolicy;
    const save = async (weeks: number) => {
      const weeklySchedule: WeeklyRetentionSchedule = {
        ...{ ...retention.dailySchedule, daysOfTheWeek: ["Sunday"] },
        retentionDuration: { count: weeks, durationType: "Weeks" },
      };
      const body = { properties: { ...policy, retentionPolicy: { ...retention, weeklySchedule } } };
      let warning: string | undefined;
      const { name } = await clients.backup.protectionPolicies.createOrUpdate(VAULT, GROUP, "Weekly", body, {
        onResponse: ({ headers }) => {
          warning = headers.get("warning");
        },
      });
      return [name, warning];
    };
    expect(await save(8)).toEqual(["Weekly", undefined]);
    const text = /^299 - "The weekly rule keeps points shorter than the daily one[^"]*"$/;
    expect(await save(2)).toEqual(["Weekly", expect.stringMatching(text)]);
  });

  it("go back as they came, are refused when wrong, and go only when nobody uses them", async () => {
    await createVault();
    const policy = await clients.backup.protectionPolicies.get(VAULT, GROUP, "DefaultPolicy");
    const properties = policy.properties as NonNullable<typeof policy.properties>;
    const copy = await clients.backup.protectionPolicies.createOrUpdate(VAULT, GROUP, "Copy", { properties });
    expect(copy.properties).toEqual(properties);
    const wrong = { ...properties, instantRpRetentionRangeInDays: 99 } as typeof properties;
    await expect(
      clients.backup.protectionPolicies.createOrUpdate(VAULT, GROUP, "Wrong", { properties: wrong }),
    ).rejects.toMatchObject({ statusCode: 400, code: "BMSUserErrorInvalidPolicyInput" });
    await clients.backup.protectionPolicies.beginDeleteAndWait(VAULT, GROUP, "Copy");
    await clients.backup.protectionPolicies.beginDeleteAndWait(VAULT, GROUP, "Copy");
    await protect();
    await expect(
      clients.backup.protectionPolicies.beginDeleteAndWait(VAULT, GROUP, "DefaultPolicy"),
    ).rejects.toMatchObject({ statusCode: 400, code: "BMSUserErrorPolicyInUse" });
  });
});

describe("a machine", () => {
  beforeEach(createVault);

  it("is discovered in the vault's region, until it is protected", async () => {
    const names = async () =>
      (await all(clients.backup.backupProtectableItems.list(VAULT, GROUP))).map(
        ({ properties }) => (properties as { friendlyName?: string }).friendlyName,
      );
    expect(await names()).toEqual(["web-1", "web-2"]);
    await protect();
    expect(await names()).toEqual(["web-2"]);
    const asked = { resourceType: "VM", resourceId: MACHINE.id } as const;
    const status = await clients.backup.backupStatus.get(REGION, asked);
    expect(status).toMatchObject({ protectionStatus: "Protected", vaultId: VAULT_ID, policyName: "DefaultPolicy" });
    const again = await clients.backup.protectionIntentOperations.validate(REGION, { ...asked, vaultId: VAULT_ID });
    expect(again).toMatchObject({ status: "Failed", errorCode: "HoldfastAlreadyProtected" });
  });

  it("is protected by an operation that ends with its job, and resolves at every place", async () => {
    const { status, operation } = await protect();
    expect(status).toBe(202);
    expect(await statusesOf(operation)).toEqual(["Succeeded", "Succeeded"]);
    expect(await jobOf(operation)).toMatchObject({
      jobType: "AzureIaaSVMJob",
      operation: "ConfigureBackup",
      status: "Completed",
      extendedInfo: { tasksList: [], propertyBag: { "VM Name": "web-1", "Policy Name": "DefaultPolicy" } },
    });
    const item = await clients.backup.protectedItems.get(...IN_VAULT);
    expect(item.id).toBe(`${VAULT_ID}/backupFabrics/Azure/protectionContainers/${CONTAINER}/protectedItems/${ITEM}`);
    expect(item.properties).toMatchObject({
      protectionState: "IRPending",
      lastBackupStatus: "",
      workloadType: "VM",
      containerName: "iaasvmcontainerv2;Shop;web-1",
      policyName: "DefaultPolicy",
    });
    const [container] = await all(
      clients.backup.backupProtectionContainers.list(VAULT, GROUP, {
        filter: "backupManagementType eq 'AzureIaasVM' and friendlyName eq 'web-1'",
      }),
    );
    expect(container?.name).toBe(CONTAINER);
    const storage = await clients.backup.backupResourceStorageConfigsNonCRR.get(VAULT, GROUP);
    expect(storage.properties?.storageTypeState).toBe("Locked");
  });

  it("is backed up by an operation that has succeeded at once, while its job goes on", async () => {
    await protect();
    const { status, operation } = await backUp();
    expect(status).toBe(202);
    expect(await statusesOf(operation)).toEqual(["Succeeded", "Succeeded"]);
    expect(await jobOf(operation)).toMatchObject({ status: "InProgress", actionsInfo: ["Cancellable"] });
    const { ref } = test.service.started.at(-1) as { ref: JobRef };
    await moveSubTask(test.service.deps, ref, "Take Snapshot", "start");
    await moveSubTask(test.service.deps, ref, "Take Snapshot", "complete");
    await moveSubTask(test.service.deps, ref, "Transfer data to vault", "start");
    const moving = { since: "2026-03-01T12:05:00.000Z", fromBytes: 0 };
    const progress = { "0": { doneBytes: 2 ** 28, totalBytes: 2 ** 30, moving } };
    await changeJob(test.service.deps, ref, () => ({ progress }));
    test.service.now = new Date("2026-03-01T12:05:16Z");
    expect(await jobOf(operation)).toMatchObject({
      extendedInfo: {
        ...{ progressPercentage: 25, estimatedRemainingDuration: "PT48S" },
        propertyBag: { "Data Transferred": "256.0 MB of 1024.0 MB", "Transfer Rate": "16.0 MB/s" },
      },
    });
    test.service.now = new Date("2026-03-01T12:09:44.017Z");
    const point = await finishBackup(test.service);
    expect(await jobOf(operation)).toMatchObject({
      ...{ operation: "Backup", status: "Completed", duration: "PT9M44.017S", entityFriendlyName: "web-1" },
      extendedInfo: {
        tasksList: [{ taskId: "Take Snapshot", status: "Completed" }, { taskId: "Transfer data to vault" }],
        propertyBag: { "Recovery Point Expiry Time in UTC": "3/31/2026 12:00:00 PM", "Backup Size": "12 MB" },
      },
    });
    const points = await all(clients.backup.recoveryPoints.list(...IN_VAULT));
    expect(points.map(({ name }) => name)).toEqual([point]);
    expect((await clients.backup.recoveryPoints.get(...IN_VAULT, point)).properties).toMatchObject({
      objectType: "IaasVMRecoveryPoint",
      recoveryPointType: "AppConsistent",
      recoveryPointTierDetails: [
        { type: "InstantRP", status: "Valid" },
        { type: "HardenedRP", status: "Valid" },
      ],
      recoveryPointProperties: { expiryTime: "2026-03-31T12:00:00.000Z" },
      recoveryPointDiskConfiguration: { numberOfDisksIncludedInBackup: 2, includedDiskList: [{ lun: -1 }, { lun: 0 }] },
    });
    const item = await clients.backup.protectedItems.get(...IN_VAULT, { filter: "expand eq 'extendedinfo'" });
    expect(item.properties).toMatchObject({
      ...{ protectionState: "Protected", lastBackupStatus: "Completed" },
      extendedInfo: { recoveryPointCount: 1 },
    });
  });

  it("has points and jobs that filters really choose among", async () => {
    await protect();
    const pointIds: string[] = [];
    for (const day of ["02", "03", "04"]) {
      test.service.now = new Date(`2026-03-${day}T08:00:00Z`);
      await backUp();
      pointIds.unshift(await finishBackup(test.service));
    }
    const points = (filter?: string) =>
      all(clients.backup.recoveryPoints.list(...IN_VAULT, filter === undefined ? {} : { filter }));
    expect((await points()).map(({ name }) => name)).toEqual(pointIds);
    const window = "startDate eq '2026-03-02 09:00:00 AM' and endDate eq '2026-03-03 08:00:00 AM'";
    expect((await points(window)).map(({ name }) => name)).toEqual([pointIds[1]]);
    const jobs = async (filter: string) =>
      (await all(clients.backup.backupJobs.list(VAULT, GROUP, { filter }))).map(({ properties }) => properties);
    expect(await jobs("operation eq 'Backup' and status eq 'Completed'")).toHaveLength(3);
    expect(await jobs("operation eq 'ConfigureBackup'")).toHaveLength(1);
    expect(await jobs("status eq 'Failed'")).toEqual([]);
    expect(await jobs("startTime eq '2026-03-03 12:00:00 AM' and endTime eq '2026-03-03 11:59:59 PM'")).toHaveLength(1);
    const [newest] = await jobs("backupManagementType eq 'AzureIaasVM'");
    expect(newest).toMatchObject({ operation: "Backup", startTime: new Date("2026-03-04T08:00:00Z") });
    expect(newest).not.toHaveProperty("extendedInfo.tasksList");
  });

  it("is restored by the client's own poller", async () => {
    await protect();
    await backUp();
    const point = await finishBackup(test.service);
    const properties = {
      objectType: "IaasVMRestoreRequest",
      recoveryPointId: point,
      recoveryType: "RestoreDisks",
      sourceResourceId: MACHINE.id,
      storageAccountId: ACCOUNT_ID,
      targetResourceGroupId: GROUP_ID,
      region: REGION,
      createNewCloudService: false,
      originalStorageAccountOption: false,
    } as const;
    await clients.backup.restores.beginTriggerAndWait(...IN_VAULT, point, { properties }, { updateIntervalInMs: 1 });
    const [job] = await all(clients.backup.backupJobs.list(VAULT, GROUP, { filter: "operation eq 'Restore'" }));
    expect(job?.properties).toMatchObject({ status: "InProgress", entityFriendlyName: "web-1" });
    const full = await clients.backup.jobDetails.get(VAULT, GROUP, job?.name ?? "");
    expect(full.properties).toMatchObject({
      extendedInfo: { propertyBag: { "Job Type": "Recover disks", "Target resource group": "restored" } },
    });
    const elsewhere = { ...properties, targetResourceGroupId: `${GROUP_ID}-not-there` };
    await expect(
      clients.backup.restores.beginTriggerAndWait(...IN_VAULT, point, { properties: elsewhere }),
    ).rejects.toMatchObject({ statusCode: 400, code: "ResourceGroupNotFound" });
  });

  it("has a restore validated beforehand", async () => {
    await protect();
    await backUp();
    const point = await finishBackup(test.service);
    const restoreRequest = {
      objectType: "IaasVMRestoreRequest",
      recoveryPointId: point,
      recoveryType: "RestoreDisks",
      sourceResourceId: MACHINE.id,
      storageAccountId: `${ACCOUNT_ID}-not-there`,
      targetResourceGroupId: GROUP_ID,
    } as const;
    const properties = { objectType: "ValidateIaasVMRestoreOperationRequest", restoreRequest } as const;
    const request = { id: "/any", properties };
    const validateOperationResponse = { validationResults: [{ code: "ResourceNotFound" }] };
    const polled = await clients.backup.validateOperation.beginTriggerAndWait(VAULT, GROUP, request);
    expect(polled).toMatchObject({ body: { validateOperationResponse } });
    expect(await clients.backup.operation.validate(VAULT, GROUP, request)).toMatchObject({ validateOperationResponse });
  });

  it("has its backup cancelled", async () => {
    await protect();
    const { operation } = await backUp();
    const { properties } = await clients.backup.backupOperationStatuses.get(VAULT, GROUP, operation);
    const { jobId = "" } = properties as { jobId?: string };
    await clients.backup.jobCancellations.trigger(VAULT, GROUP, jobId);
    expect(await jobOf(operation)).toMatchObject({ status: "Cancelling" });
    await expect(clients.backup.jobCancellations.trigger(VAULT, GROUP, jobId)).rejects.toMatchObject({
      statusCode: 409,
    });
  });

  it("is stopped, resumed, deleted, undeleted, and lets its vault go only when it is gone", async () => {
    await protect();
    await backUp();
    await finishBackup(test.service);
    const state = async () =>
      (await clients.backup.protectedItems.get(...IN_VAULT)).properties as unknown as Record<string, unknown>;

    await putItem({ policyId: "", protectionState: "ProtectionStopped" });
    expect(await state()).toMatchObject({ protectionState: "ProtectionStopped", policyId: "", policyName: "" });
    await protect();
    expect(await state()).toMatchObject({ protectionState: "Protected", policyName: "DefaultPolicy" });

    const deleted = await operationOf((options) => clients.backup.protectedItems.delete(...IN_VAULT, options));
    expect(deleted.status).toBe(202);
    expect(await jobOf(deleted.operation)).toMatchObject({ operation: "DeleteBackupData", status: "Completed" });
    test.service.now = new Date("2026-03-01T12:00:16.2Z");
    expect(await state()).toMatchObject({
      ...{ protectionState: "ProtectionStopped", isScheduledForDeferredDelete: true },
      deferredDeleteTimeRemaining: "13.23:59:43.8000000",
    });
    await expect(clients.vaults.vaults.delete(GROUP, VAULT)).rejects.toMatchObject({
      statusCode: 409,
      message: expect.stringContaining("existing resources within the vault"),
    });
    await expect(backUp()).rejects.toMatchObject({ statusCode: 409 });

    await putItem({ policyId: "", protectionState: "ProtectionStopped", isRehydrate: true });
    const undeleted = await state();
    expect(undeleted).toMatchObject({ protectionState: "ProtectionStopped" });
    expect(undeleted).not.toHaveProperty("isScheduledForDeferredDelete", true);
  });

  it("is registered and let go by itself", async () => {
    const properties = { containerType: "Microsoft.Compute/virtualMachines", virtualMachineId: MACHINE.id } as const;
    const container = [VAULT, GROUP, FABRIC, CONTAINER] as const;
    await clients.backup.protectionContainers.beginRegisterAndWait(...container, { properties } as never, {
      updateIntervalInMs: 1,
    });
    expect((await clients.backup.protectionContainers.get(...container)).properties?.registrationStatus).toBe(
      "Registered",
    );
    await clients.backup.protectionContainers.unregister(...container);
    await expect(clients.backup.protectionContainers.get(...container)).rejects.toMatchObject({ statusCode: 404 });
  });

  it("that is not where the vault is cannot be protected, nor one that is not there", async () => {
    const far = machineNamed("far");
    const names = [VAULT, GROUP, FABRIC, CONTAINER.replace("web-1", "far"), ITEM.replace("web-1", "far")] as const;
    const policyId = `${VAULT_ID}/backupPolicies/DefaultPolicy`;
    const put = (sourceResourceId: string) =>
      clients.backup.protectedItems.createOrUpdate(...names, itemBody({ policyId, sourceResourceId }));
    await expect(put(far.id)).rejects.toMatchObject({ code: "BMSUserErrorInvalidConfigureProtectionRequest" });
    await expect(put(MACHINE.id)).rejects.toMatchObject({ code: "BMSUserErrorInvalidConfigureProtectionRequest" });
    await expect(clients.backup.protectedItems.get(...names)).rejects.toMatchObject({
      statusCode: 404,
      code: "BMSUserErrorDataSourceObjectNotFound",
    });
  });
});

describe("discovery", () => {
  it("is refreshed by an operation that ends with 204", async () => {
    await createVault();
    let location = "";
    await clients.backup.protectionContainers.refresh(VAULT, GROUP, FABRIC, {
      onResponse: ({ headers }) => {
        location = headers.get("location") ?? "";
      },
    });
    const id = new URL(location).pathname.split("/").at(-1) ?? "";
    let status = 0;
    await clients.backup.protectionContainerRefreshOperationResults.get(VAULT, GROUP, FABRIC, id, {
      onResponse: (response) => {
        status = response.status;
      },
    });
    expect(status).toBe(204);
  });
});
