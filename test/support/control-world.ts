// The control plane over rows in memory, real vaults in memory, and machines that a test makes. Orchestrations are noted when
// they are started; `runShortJobs` carries out those of short jobs as orchestrations/item-job.ts does.

import type { ControlDeps } from "../../src/control/control-deps.ts";
import { runItemJob } from "../../src/control/item-jobs.ts";
import { endJob } from "../../src/control/job-changes.ts";
import type { JobBody } from "../../src/control/rows/job-row.ts";
import type { VaultBody } from "../../src/control/rows/vault-row.ts";
import { createOrUpdateVault } from "../../src/control/vaults.ts";
import type { Staging } from "../../src/ports/staging.ts";
import type { TableStore } from "../../src/ports/table-store.ts";
import type { TargetDisks } from "../../src/ports/target-disks.ts";
import type { Workflow } from "../../src/ports/workflow.ts";
import type { Vault } from "../../src/vault/open-vault.ts";
import { itemNameOf, MemoryMachines, MemorySnapshots, machineOf, SUBSCRIPTION } from "./memory-machines.ts";
import { MemoryTableStore } from "./memory-table-store.ts";
import { CountingRandom, TestVault } from "./vault-fixture.ts";

export const REGION = "westeurope";
export const GROUP = "backups";
export const STAGING_ID = `/subscriptions/${SUBSCRIPTION}/resourceGroups/apps/providers/Microsoft.Storage/storageAccounts/staging`;

export class ControlWorld {
  readonly tables: MemoryTableStore;
  readonly machines = new MemoryMachines();
  readonly snapshots = new MemorySnapshots();
  readonly workflow = new NotedWorkflow();
  readonly archives = new MemoryArchives();
  readonly groups = new Map([["restored", REGION]]);
  readonly accounts = new Map([[STAGING_ID.toLowerCase(), REGION]]);
  readonly deps: ControlDeps;
  now = new Date("2026-03-01T12:00:00.000Z");

  constructor(tables = new MemoryTableStore({ pageSize: 3 }), through: TableStore = tables, seed = "world") {
    this.tables = tables;
    this.deps = {
      tables: through,
      ...{ machines: this.machines, snapshots: this.snapshots, archives: this.archives, workflow: this.workflow },
      targets: this.targets(),
      staging: this.staging(),
      clock: { now: () => this.now },
      random: new CountingRandom(seed),
      settings: {
        tenantId: "tenant",
        subscriptionIds: [SUBSCRIPTION],
        regions: [REGION, "northeurope"],
        sliceSlots: 2,
      },
    };
  }

  /** With a vault and some machines. */
  static async open(...machineNames: readonly string[]): Promise<ControlWorld> {
    const world = new ControlWorld();
    await world.addVault("vault-1");
    world.machines.add(...machineNames.map((name) => machineOf(name)));
    return world;
  }

  addVault(name: string, resourceGroup = GROUP, location = REGION) {
    return createOrUpdateVault(this.deps, { subscriptionId: SUBSCRIPTION, resourceGroup, name }, { location });
  }

  advance(ms: number): void {
    this.now = new Date(this.now.getTime() + ms);
  }

  /** Until each is over; answers them, in the order in which they were started. */
  async runShortJobs(): Promise<JobBody[]> {
    const jobs: JobBody[] = [];
    for (const { name, input } of this.workflow.takeAll("item-job-v1")) {
      const ref = input as { vault: string; job: string };
      for (let call = 0; call < 20; call++) {
        const { failure, ...answer } = (await runItemJob(this.deps, ref)) as { failure?: unknown; state?: string };
        if (failure !== undefined || answer.state === "done") break;
      }
      this.workflow.end(name, ref.job);
      jobs.push(await endJob(this.deps, ref));
    }
    return jobs;
  }

  private targets(): TargetDisks {
    const notAsked = (): never => {
      throw new Error("use cases make no disks");
    };
    return {
      readGroup: async (_, group) => {
        const location = this.groups.get(group.toLowerCase());
        return location === undefined ? undefined : { location };
      },
      read: async () => undefined,
      ...{ beginUpload: notAsked, beginFromSnapshot: notAsked, openForWriting: notAsked },
      ...{ finishUpload: notAsked, remove: notAsked },
    };
  }

  private staging(): Staging {
    return {
      readAccount: async (id) => {
        const location = this.accounts.get(id.toLowerCase());
        return location === undefined ? undefined : { location };
      },
      write: async () => [],
    };
  }
}

export const VAULT = `${SUBSCRIPTION}/vault-1`;
export const ITEM = itemNameOf("web-1");

interface Started {
  readonly name: string;
  readonly instanceId: string;
  readonly input: unknown;
}

class NotedWorkflow implements Workflow {
  readonly started: Started[] = [];
  private readonly over = new Set<string>();

  async start(name: string, instanceId: string, input: unknown): Promise<void> {
    if ((await this.stateOf(instanceId)) === "running") return;
    this.over.delete(instanceId);
    this.started.push({ name, instanceId, input });
  }

  async stateOf(instanceId: string): Promise<"running" | "over" | "absent"> {
    if (this.over.has(instanceId)) return "over";
    return this.started.some((one) => one.instanceId === instanceId) ? "running" : "absent";
  }

  takeAll(name: string): Started[] {
    return this.started.filter((one) => one.name === name && !this.over.has(one.instanceId));
  }

  end(_name: string, instanceId: string): void {
    this.over.add(instanceId);
  }
}

/** Real vaults, in memory: one for each container. */
class MemoryArchives {
  readonly prepared = new Map<string, { readonly redundancy: string; readonly vault: TestVault }>();

  async prepare({ redundancy }: VaultBody, containerName: string): Promise<Vault> {
    const key = `${redundancy}/${containerName}`;
    const known = this.prepared.get(key) ?? { redundancy, vault: await TestVault.create({ name: containerName }) };
    this.prepared.set(key, known);
    return known.vault.vault;
  }

  async open({ redundancy, archive }: VaultBody): Promise<Vault> {
    const known = archive && this.prepared.get(`${redundancy}/${archive.containerName}`);
    if (known) return known.vault.vault;
    throw new Error("no archive was prepared for this vault");
  }
}
