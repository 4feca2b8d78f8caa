// The service's orchestrations and activities in one process: the real engine on a virtual clock, real adapters to a simulated
// Azure, rows and archives in memory. Time passes only when a test says so, or while it waits for an orchestration to end.

import { isTerminal } from "../../localhost/task-hub/engine/instance.ts";
import { ORCHESTRATIONS } from "../../orchestrations/catalog.ts";
import { ACTIVITIES } from "../../src/activities/catalog.ts";
import { type ActivityDeps, TransferSessions } from "../../src/activities/transfer-session.ts";
import { azureMachines } from "../../src/azure/azure-machines.ts";
import { azureSnapshots } from "../../src/azure/azure-snapshots.ts";
import { AzureTargetDisks } from "../../src/azure/azure-target-disks.ts";
import { DiskAccess } from "../../src/azure/disk-access.ts";
import type { Archives } from "../../src/control/control-deps.ts";
import { ITEM_ROWS, type ItemBody, itemPlace } from "../../src/control/rows/item-row.ts";
import { JOB_ROWS, type JobBody, jobPlace } from "../../src/control/rows/job-row.ts";
import { POINT_ROWS, type PointBody, pointsPartition } from "../../src/control/rows/point-row.ts";
import { POLICY_ROWS, policyPlace } from "../../src/control/rows/policy-row.ts";
import { insertRow, listRows, readRow } from "../../src/control/rows/row-kind.ts";
import { VAULT_ROWS, type VaultBody, vaultKeyOf, vaultPlace } from "../../src/control/rows/vault-row.ts";
import { itemIdOf } from "../../src/domain/item-id.ts";
import type { Policy } from "../../src/domain/policy.ts";
import type { StagedFile, Staging } from "../../src/ports/staging.ts";
import type { Workflow } from "../../src/ports/workflow.ts";
import { createVault, openVault, type Vault } from "../../src/vault/open-vault.ts";
import { GROUP, SUBSCRIPTION } from "../localhost/azure/support/azure.ts";
import type { ServiceAzure } from "./azure-service.ts";
import { MemoryStore } from "./memory-store.ts";
import { MemoryTableStore } from "./memory-table-store.ts";
import { CountingRandom, TestWrapper } from "./vault-fixture.ts";
import { openVirtualHub, type VirtualHub } from "./virtual-hub.ts";

export const VAULT = vaultKeyOf(SUBSCRIPTION, "vault1");

export const DAILY: Policy = {
  type: "V1",
  timeZone: "UTC",
  schedule: { frequency: "Daily", time: { hour: 2, minute: 0 } },
  retention: { daily: { keepDays: 30 } },
  instantRestoreDays: 2,
  snapshotGroup: { prefix: "", suffix: "" },
};

export interface TestService {
  readonly deps: ActivityDeps;
  readonly hub: VirtualHub;
  readonly archive: TestArchives;
  readonly staged: Map<string, readonly StagedFile[]>;
  protect(machine: string, more?: Partial<ItemBody>): Promise<ItemBody>;
  job(id: string): Promise<JobBody>;
  points(item: ItemBody): Promise<PointBody[]>;
  item(item: ItemBody): Promise<ItemBody>;
  /** Waits, in virtual time, until the job's orchestration has ended. */
  end(jobId: string): Promise<JobBody>;
  close(): Promise<void>;
}

export async function startService(azure: ServiceAzure, policy: Policy = DAILY): Promise<TestService> {
  const arm = azure.connect();
  const access = new DiskAccess(arm);
  const archive = new TestArchives();
  const tables = new MemoryTableStore();
  const staged = new Map<string, readonly StagedFile[]>();
  const activities: Record<string, (input: never) => unknown> = {};
  const hub = await openVirtualHub({ orchestrations: ORCHESTRATIONS, activities });
  const deps: ActivityDeps = {
    tables,
    machines: azureMachines(arm),
    snapshots: azureSnapshots(arm, access),
    targets: new AzureTargetDisks(arm, access),
    staging: memoryStaging(staged),
    archives: archive,
    workflow: hubWorkflow(hub),
    clock: { now: () => new Date(hub.clock.nowMs()) },
    random: new CountingRandom("service"),
    settings: { tenantId: "tenant", subscriptionIds: [SUBSCRIPTION], regions: ["westeurope"], sliceSlots: 4 },
    sessions: new TransferSessions(),
  };
  for (const [name, run] of Object.entries(ACTIVITIES)) activities[name] = (input) => run(deps, input);
  await hub.reopen({ orchestrations: ORCHESTRATIONS, activities });
  const containerName = "v-vault1";
  const vault = vaultBody(containerName);
  await archive.prepare(vault, containerName);
  await insertRow(tables, VAULT_ROWS, vaultPlace(VAULT), vault);
  const changedAt = deps.clock.now().toISOString();
  await insertRow(tables, POLICY_ROWS, policyPlace(VAULT, "Daily"), { name: "Daily", version: 1, changedAt, policy });
  const job = async (id: string): Promise<JobBody> => {
    const held = await readRow(tables, JOB_ROWS, jobPlace(VAULT, id));
    if (!held) throw new Error(`there is no job ${id}`);
    return held.body;
  };
  return {
    ...{ deps, hub, archive, staged, job },
    async protect(machine, more = {}) {
      const body = { ...itemBody(machine, changedAt), ...more };
      await insertRow(tables, ITEM_ROWS, itemPlace(VAULT, body.name), body);
      return body;
    },
    async points(item) {
      const points: PointBody[] = [];
      for await (const { body } of listRows(tables, POINT_ROWS, pointsPartition(VAULT, item.name))) points.push(body);
      return points;
    },
    async item({ name }) {
      return (await readRow(tables, ITEM_ROWS, itemPlace(VAULT, name)))?.body as ItemBody;
    },
    async end(jobId) {
      await hub.end(jobId);
      return job(jobId);
    },
    close: () => hub.close(),
  };
}

/** Each container pair in memory. */
export class TestArchives implements Archives {
  readonly stores = new Map<string, { readonly archive: MemoryStore; readonly state: MemoryStore }>();

  async prepare(vault: VaultBody, containerName: string): Promise<Vault> {
    if (this.stores.has(containerName)) return this.open(vault);
    const archive = new MemoryStore(`memory:${containerName}`);
    const state = new MemoryStore(`memory:w-${containerName}`);
    this.stores.set(containerName, { archive, state });
    return createVault(this.depsOf(containerName), { name: vault.name, suite: "aes-256-gcm" });
  }

  async open(vault: VaultBody): Promise<Vault> {
    return openVault(this.depsOf(vault.archive?.containerName ?? ""));
  }

  private depsOf(containerName: string) {
    const stores = this.stores.get(containerName);
    if (!stores) throw new Error(`there is no container ${containerName}`);
    const clock = { now: () => stores.state.now() };
    return { ...stores, clock, random: this.random, wrappers: [new TestWrapper()] };
  }

  private readonly random = new CountingRandom("archives");
}

function hubWorkflow(hub: VirtualHub): Workflow {
  return {
    async start(name, id, input) {
      const found = await hub.hub.client.find(id);
      if (found && !isTerminal(found.status)) return;
      await hub.start(name, input, id);
    },
    async stateOf(id) {
      const found = await hub.hub.client.find(id);
      if (!found) return "absent";
      return isTerminal(found.status) ? "over" : "running";
    },
  };
}

function memoryStaging(staged: Map<string, readonly StagedFile[]>): Staging {
  return {
    readAccount: async () => ({ location: "westeurope" }),
    async write(_account, containerName, files) {
      staged.set(containerName, files);
      return files.map(({ name }) => ({ name, url: `https://staging.example/${containerName}/${name}` }));
    },
  };
}

function vaultBody(containerName: string): VaultBody {
  return {
    subscriptionId: SUBSCRIPTION,
    resourceGroup: "demo",
    name: "vault1",
    location: "westeurope",
    tags: {},
    identity: null,
    createdAt: "2026-03-01T00:00:00.000Z",
    redundancy: "LocallyRedundant",
    archive: { containerName, vaultId: "vault" },
    softDelete: { state: "Enabled", days: 14, enhancedState: "Enabled" },
    crossRegionRestore: false,
    immutability: "Disabled",
    settings: {},
  };
}

function itemBody(machine: string, protectedAt: string): ItemBody {
  const machineId = `${GROUP}/providers/Microsoft.Compute/virtualMachines/${machine}`;
  return {
    name: `VM;iaasvmcontainerv2;demo;${machine}`,
    containerName: `IaasVMContainer;iaasvmcontainerv2;demo;${machine}`,
    machineKind: "resource-manager",
    machineId,
    machineName: machine,
    archiveItem: itemIdOf(machineId),
    policy: "Daily",
    state: "IRPending",
    protectedAt,
    disks: { kind: "all", luns: [] },
    lastBackup: null,
    lastPointAt: null,
    deletedAt: null,
    extensionNote: null,
    changingJob: null,
    collectionNumber: 1,
  };
}
