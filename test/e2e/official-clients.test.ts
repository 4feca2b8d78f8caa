// The official SDKs of Azure Backup, unmodified, through a machine's whole life on the running stack: with pages of one entry,
// once at the service's own address and once through the simulated Azure, which forwards like Resource Manager does. Every
// address that the service hands out has to be the one its caller used.

import type { ProtectedItemResource, RecoveryPointResource } from "@azure/arm-recoveryservicesbackup";
import { afterAll, beforeAll, describe, expect, it, vi } from "vitest";
import { ArmClient, requestToken } from "../../localhost/arm-client.ts";
import { digestByAccess } from "../../localhost/sas-disk.ts";
import { type Clients, clientsFor } from "../support/served-api.ts";
import {
  newFolder,
  removeFolder,
  type StackFacts,
  type StackProcess,
  startStack,
  stopStack,
  tinyEstate,
  writeEstate,
} from "../support/stack-process.ts";

const PATIENCE_MS = 180_000;
const LOOK_MS = 250;
vi.setConfig({ testTimeout: PATIENCE_MS, hookTimeout: PATIENCE_MS });

const REGION = "westeurope";
const GROUP = "demo";
const SUBSCRIPTION = "11111111-1111-1111-1111-111111111111";
const IN_GROUP = `/subscriptions/${SUBSCRIPTION}/resourceGroups/${GROUP}`;
const TARGET = `/subscriptions/${SUBSCRIPTION}/resourceGroups/target`;
const COMPUTE_API = "2024-07-01";

const folder = newFolder();
let stack: StackProcess;
let facts: StackFacts;
let owner: ArmClient;
beforeAll(async () => {
  const estate = writeEstate(folder, tinyEstate(["web-01", "db-01"]));
  stack = startStack(["--data", folder, "--estate", estate, "--port", "0", "--no-demo", "--json"], {
    HOLDFAST_PAGE_SIZE: "1",
  });
  facts = await stack.ready;
  owner = new ArmClient(facts, "owner");
});
afterAll(async () => {
  await stopStack(stack);
  await removeFolder(folder);
});

async function all<Entry>(pages: AsyncIterable<Entry>): Promise<Entry[]> {
  const entries: Entry[] = [];
  for await (const entry of pages) entries.push(entry);
  return entries;
}

/** One machine in a vault of its own, seen through clients of one address. */
class Journey {
  readonly clients: Clients;
  /** Where the clients have sent requests to, and what links they were given. */
  readonly origins = new Set<string>();
  private readonly vault: string;
  private readonly machine: string;

  constructor(url: string, vault: string, machine: string) {
    this.vault = vault;
    this.machine = machine;
    let token: Promise<string> | undefined;
    this.clients = clientsFor(url, SUBSCRIPTION, () => {
      token ??= requestToken(facts, "contributor").then(({ text }) => text);
      return token;
    });
    for (const { pipeline } of [this.clients.vaults, this.clients.backup]) {
      pipeline.addPolicy({
        name: "addresses",
        sendRequest: async (request, next) => {
          const response = await next(request);
          const links = ["azure-asyncoperation", "location"].map((header) => response.headers.get(header));
          for (const address of [request.url, ...links]) if (address) this.origins.add(new URL(address).origin);
          return response;
        },
      });
    }
  }

  get inVault() {
    return [
      ...([this.vault, GROUP, "Azure"] as const),
      `IaasVMContainer;iaasvmcontainerv2;${GROUP};${this.machine}`,
      `VM;iaasvmcontainerv2;${GROUP};${this.machine}`,
    ] as const;
  }

  get vaultId(): string {
    return `${IN_GROUP}/providers/Microsoft.RecoveryServices/vaults/${this.vault}`;
  }

  get machineId(): string {
    return `${IN_GROUP}/providers/Microsoft.Compute/virtualMachines/${this.machine}`;
  }

  /** The clients do not poll these operations: their users do. Answers the job's id. */
  async done(call: (options: object) => Promise<unknown>): Promise<string> {
    let address = "";
    await call({
      onResponse: ({ headers }: { headers: { get(name: string): string | undefined } }) => {
        address = headers.get("azure-asyncoperation") ?? "";
      },
    });
    const operation = new URL(address).pathname.split("/").at(-1) ?? "";
    for (;;) {
      const { status, properties } = await this.clients.backup.backupOperationStatuses.get(
        this.vault,
        GROUP,
        operation,
      );
      if (status === "Succeeded") return (properties as { jobId?: string } | undefined)?.jobId ?? "";
      if (status !== "InProgress") throw new Error(`the operation ended as ${status}`);
      await new Promise((resolve) => setTimeout(resolve, LOOK_MS));
    }
  }

  async ended(job: string) {
    for (;;) {
      const { properties } = await this.clients.backup.jobDetails.get(this.vault, GROUP, job);
      if (properties?.status !== "InProgress") return properties;
      await new Promise((resolve) => setTimeout(resolve, LOOK_MS));
    }
  }

  putItem(properties: object): Promise<string> {
    const body = {
      properties: {
        protectedItemType: "Microsoft.Compute/virtualMachines",
        sourceResourceId: this.machineId,
        ...properties,
      },
    } as ProtectedItemResource;
    return this.done((options) => this.clients.backup.protectedItems.createOrUpdate(...this.inVault, body, options));
  }

  async backUp(): Promise<unknown> {
    const request = { properties: { objectType: "IaasVMBackupRequest" } } as const;
    return this.ended(
      await this.done((options) => this.clients.backup.backups.trigger(...this.inVault, request, options)),
    );
  }

  item = async () => (await this.clients.backup.protectedItems.get(...this.inVault)).properties;
}

async function walk(journey: Journey): Promise<void> {
  const { vaults, backup } = journey.clients;
  const [vault] = journey.inVault;
  await vaults.vaults.createOrUpdate(GROUP, vault, { location: REGION, sku: { name: "RS0" }, properties: {} });
  expect((await vaults.vaults.get(GROUP, vault)).properties?.provisioningState).toBe("Succeeded");
  const policies = await all(backup.backupPolicies.list(vault, GROUP));
  expect(policies.map(({ name }) => name)).toEqual(["DefaultPolicy", "EnhancedPolicy"]);
  const { properties: policy } = await backup.protectionPolicies.get(vault, GROUP, "DefaultPolicy");
  await backup.protectionPolicies.createOrUpdate(vault, GROUP, "Mine", { properties: policy as never });

  await journey.putItem({ policyId: `${journey.vaultId}/backupPolicies/Mine` });
  expect(await journey.item()).toMatchObject({ protectionState: "IRPending", policyName: "Mine" });
  expect(await journey.backUp()).toMatchObject({ status: "Completed" });
  expect(await journey.backUp()).toMatchObject({ status: "Completed" });
  expect(await journey.item()).toMatchObject({ protectionState: "Protected", lastBackupStatus: "Completed" });
  const points = await all(backup.recoveryPoints.list(...journey.inVault));
  expect(points).toHaveLength(2);
  const jobs = await all(backup.backupJobs.list(vault, GROUP, { filter: "operation eq 'Backup'" }));
  expect(jobs.map(({ properties }) => properties?.status)).toEqual(["Completed", "Completed"]);
  await restoreAndCompare(journey, points[0] as RecoveryPointResource);
  await stopDeleteUndelete(journey);
  await tearDown(journey);
}

/** The client's own poller waits until the restore is accepted; its job says when it is done. */
async function restoreAndCompare(journey: Journey, point: RecoveryPointResource): Promise<void> {
  const { backup } = journey.clients;
  const [vault] = journey.inVault;
  const properties = {
    objectType: "IaasVMRestoreRequest",
    recoveryPointId: point.name ?? "",
    recoveryType: "RestoreDisks",
    sourceResourceId: journey.machineId,
    storageAccountId: `${IN_GROUP}/providers/Microsoft.Storage/storageAccounts/demostaging`,
    targetResourceGroupId: TARGET,
    region: REGION,
    createNewCloudService: false,
    originalStorageAccountOption: false,
  } as const;
  const poll = { updateIntervalInMs: LOOK_MS };
  await backup.restores.beginTriggerAndWait(...journey.inVault, point.name ?? "", { properties }, poll);
  const [job] = await all(backup.backupJobs.list(vault, GROUP, { filter: "operation eq 'Restore'" }));
  expect(await journey.ended(job?.name ?? "")).toMatchObject({
    status: "Completed",
    extendedInfo: { propertyBag: { "Config Blob Name": "config.json" } },
  });
  const pointTime = (point.properties as { recoveryPointTime?: Date }).recoveryPointTime;
  await expectSame(pointTime as Date, (job?.name ?? "").slice(-12));
}

async function expectSame(pointTime: Date, mark: string): Promise<void> {
  const collections = `/subscriptions/${SUBSCRIPTION}/providers/Microsoft.Compute/restorePointCollections`;
  let comparedCount = 0;
  for await (const { id } of owner.list(collections, COMPUTE_API)) {
    const { properties } = await owner.find(`${id}?$expand=restorePoints`, COMPUTE_API);
    for (const { id: restorePoint } of properties.restorePoints ?? []) {
      const snapshot = (await owner.find(restorePoint, COMPUTE_API)).properties;
      if (new Date(snapshot.timeCreated).getTime() !== pointTime.getTime()) continue;
      const { osDisk, dataDisks = [] } = snapshot.sourceMetadata.storageProfile;
      for (const { name, diskRestorePoint } of [osDisk, ...dataDisks]) {
        const restored = `${TARGET}/providers/Microsoft.Compute/disks/${name}-${mark}`;
        expect(await digestByAccess(owner, restored)).toEqual(await digestByAccess(owner, diskRestorePoint.id));
        comparedCount++;
      }
    }
  }
  expect(comparedCount).toBeGreaterThan(0);
}

async function stopDeleteUndelete(journey: Journey): Promise<void> {
  const { backup } = journey.clients;
  const deleteItem = () => journey.done((options) => backup.protectedItems.delete(...journey.inVault, options));
  await journey.putItem({ policyId: "", protectionState: "ProtectionStopped" });
  expect(await journey.item()).toMatchObject({ protectionState: "ProtectionStopped" });
  await deleteItem();
  expect(await journey.item()).toMatchObject({ isScheduledForDeferredDelete: true });
  await journey.putItem({ policyId: "", protectionState: "ProtectionStopped", isRehydrate: true });
  expect((await journey.item())?.isScheduledForDeferredDelete ?? false).toBe(false);
  expect(await all(backup.recoveryPoints.list(...journey.inVault))).toHaveLength(2);
  const [vault] = journey.inVault;
  await backup.backupResourceVaultConfigs.update(vault, GROUP, {
    properties: { softDeleteFeatureState: "Disabled", enhancedSecurityState: "Disabled" },
  });
  await deleteItem();
}

async function tearDown(journey: Journey): Promise<void> {
  const { vaults, backup } = journey.clients;
  const [vault] = journey.inVault;
  const deadline = performance.now() + PATIENCE_MS;
  while ((await all(backup.backupProtectedItems.list(vault, GROUP))).length > 0) {
    if (performance.now() > deadline) throw new Error("the item does not go");
    await new Promise((resolve) => setTimeout(resolve, LOOK_MS));
  }
  await backup.protectionPolicies.beginDeleteAndWait(vault, GROUP, "Mine");
  await vaults.vaults.delete(GROUP, vault);
  await expect(vaults.vaults.get(GROUP, vault)).rejects.toMatchObject({ statusCode: 404 });
}

describe("the official clients walk a machine's whole life", () => {
  it("at the service's own address", async () => {
    const journey = new Journey(facts.url, "direct", "web-01");
    await walk(journey);
    expect([...journey.origins]).toEqual([facts.url]);
  });

  it("through Resource Manager's address", async () => {
    const journey = new Journey(facts.azureUrl, "forwarded", "db-01");
    await walk(journey);
    expect([...journey.origins]).toEqual([facts.azureUrl]);
  });
});
