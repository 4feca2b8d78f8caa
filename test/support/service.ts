// The service's orchestrations and activities in one process: the real engine on a virtual clock, real adapters to a simulated
// Azure or a cloud in memory, rows and archives in memory. Time passes only when a test says so, or while it waits for an
// orchestration to end. The process may be killed at any call of a port, and another one goes on from what is durable.

import { isTerminal } from "../../localhost/task-hub/engine/instance.ts";
import { ORCHESTRATIONS } from "../../orchestrations/catalog.ts";
import { ACTIVITIES } from "../../src/activities/catalog.ts";
import { type ActivityDeps, TransferSessions } from "../../src/activities/transfer-session.ts";
import { azureMachines } from "../../src/azure/azure-machines.ts";
import { azureSnapshots } from "../../src/azure/azure-snapshots.ts";
import { azureTargetDisks } from "../../src/azure/azure-target-disks.ts";
import { DiskAccess } from "../../src/azure/disk-access.ts";
import type { ServiceSettings } from "../../src/control/control-deps.ts";
import { reconcileVaults } from "../../src/control/reconcile.ts";
import { ITEM_ROWS, type ItemBody, itemPlace } from "../../src/control/rows/item-row.ts";
import { JOB_ROWS, type JobBody, jobPlace } from "../../src/control/rows/job-row.ts";
import { POINT_ROWS, type PointBody, pointsPartition } from "../../src/control/rows/point-row.ts";
import { newPolicy, POLICY_ROWS, policyPlace } from "../../src/control/rows/policy-row.ts";
import { rememberRows } from "../../src/control/rows/remembered-rows.ts";
import { changeRow, insertRow, listRows, readRow } from "../../src/control/rows/row-kind.ts";
import { VAULT_ROWS, vaultPlace } from "../../src/control/rows/vault-row.ts";
import type { Policy } from "../../src/domain/policy.ts";
import type { StagedFile, Staging } from "../../src/ports/staging.ts";
import type { Workflow } from "../../src/ports/workflow.ts";
import type { ServiceAzure } from "./azure-service.ts";
import { behind, type Gate } from "./gate.ts";
import { type CloudPorts, MemoryCloud } from "./memory-cloud.ts";
import { MemoryTableStore } from "./memory-table-store.ts";
import { DAILY, itemBody, SETTINGS, VAULT, vaultBody } from "./service-rows.ts";
import { TestArchives } from "./test-archives.ts";
import { CountingRandom } from "./vault-fixture.ts";
import { openVirtualHub, type VirtualHub } from "./virtual-hub.ts";

export { DAILY, VAULT } from "./service-rows.ts";

const RECONCILE_MS = 2 * 60_000;
/** Of the real clock: a busy machine is no failure. */
const PATIENCE_MS = 40_000;
/** An activity that makes no call for so long is held up by the test. */
const HELD_UP_MS = 250;

let services = 0;

export interface ServiceOptions {
  readonly policy?: Policy;
  readonly chunkBytes?: number;
  readonly settings?: Partial<ServiceSettings>;
}

interface Process {
  readonly deps: ActivityDeps;
  isDead: boolean;
  died: () => void;
  readonly bury: () => void;
}

export class TestService {
  readonly tables = new MemoryTableStore();
  readonly staged = new Map<string, readonly StagedFile[]>();
  readonly archive: TestArchives;
  /** What every call of a port goes through. */
  onCall: Gate = (_call, perform) => perform();
  crashes = 0;
  private atWork = 0;
  private answered = 0;
  private readonly settings: Partial<ServiceSettings>;
  private readonly connectCloud: () => CloudPorts;
  private readonly activities: Record<string, (input: never) => unknown> = {};
  /** Services that share an Azure must not name their jobs alike. */
  private readonly random = new CountingRandom(`service ${services++}`);
  private current: VirtualHub | undefined;
  private process: Process | undefined;
  private death: Promise<void> = Promise.resolve();

  private constructor(connectCloud: () => CloudPorts, { chunkBytes, settings = {} }: ServiceOptions) {
    this.connectCloud = connectCloud;
    this.settings = settings;
    this.archive = new TestArchives(() => this.now(), chunkBytes);
  }

  static async start(cloud: ServiceAzure | MemoryCloud, options: ServiceOptions = {}): Promise<TestService> {
    const service = new TestService(portsOf(cloud), options);
    if (cloud instanceof MemoryCloud) cloud.nowMs = () => service.now().getTime();
    service.begin();
    service.current = await openVirtualHub({ orchestrations: ORCHESTRATIONS, activities: service.activities });
    const vault = vaultBody("v-vault1");
    await service.archive.prepare(vault, "v-vault1");
    await insertRow(service.tables, VAULT_ROWS, vaultPlace(VAULT), vault);
    await service.writePolicy("Daily", options.policy ?? DAILY);
    return service;
  }

  get hub(): VirtualHub {
    return this.current as VirtualHub;
  }

  get deps(): ActivityDeps {
    return (this.process as Process).deps;
  }

  now(): Date {
    return new Date(this.hub.clock.nowMs());
  }

  /** From now on those calls wait until the answer is called. */
  holdUp(isHeld: (call: string) => boolean): () => void {
    const { promise: isLetGo, resolve: letGo } = Promise.withResolvers<void>();
    this.onCall = async (call, perform) => {
      if (isHeld(call)) await isLetGo;
      return perform();
    };
    return letGo;
  }

  /** Nothing that this process does takes effect any more. */
  kill(): void {
    const process = this.process as Process;
    process.isDead = true;
    process.died();
  }

  /** Undefined when the process died meanwhile: then nobody is told what became of it. */
  whileAlive<Answer>(work: () => Promise<Answer>): Promise<Answer | undefined> {
    return Promise.race([work(), this.death.then(() => undefined)]);
  }

  /** Another process, over what the journal, the rows and the archives hold. */
  async restart(): Promise<void> {
    this.kill();
    const [old, { bury }] = [this.hub, this.process as Process];
    this.current = await this.succeeded(old);
    this.crashes++;
    bury();
    await old.close();
  }

  async writePolicy(name: string, policy: Policy): Promise<void> {
    const now = this.now().toISOString();
    const row = newPolicy(name, policy, { vaultIncarnation: "first", now });
    if (await insertRow(this.tables, POLICY_ROWS, policyPlace(VAULT, name), row)) return;
    await changeRow(this.tables, POLICY_ROWS, policyPlace(VAULT, name), (body) => ({
      ...body,
      policy,
      version: body.version + 1,
      changedAt: now,
    }));
  }

  async protect(machine: string, more: Partial<ItemBody> = {}): Promise<ItemBody> {
    const body = { ...itemBody(machine, this.now().toISOString()), ...more };
    await insertRow(this.tables, ITEM_ROWS, itemPlace(VAULT, body.name), body);
    return body;
  }

  changeItem({ name }: ItemBody, change: Partial<ItemBody>): Promise<ItemBody> {
    return changeRow(this.tables, ITEM_ROWS, itemPlace(VAULT, name), (item) => ({ ...item, ...change }));
  }

  async item({ name }: ItemBody): Promise<ItemBody> {
    return (await readRow(this.tables, ITEM_ROWS, itemPlace(VAULT, name)))?.body as ItemBody;
  }

  async job(id: string): Promise<JobBody> {
    const held = await readRow(this.tables, JOB_ROWS, jobPlace(VAULT, id));
    if (!held) throw new Error(`there is no job ${id}`);
    return held.body;
  }

  changeJobRow(id: string, change: Partial<JobBody>): Promise<JobBody> {
    return changeRow(this.tables, JOB_ROWS, jobPlace(VAULT, id), (job) => ({ ...job, ...change }));
  }

  /** Newest first. */
  async jobs(): Promise<JobBody[]> {
    const jobs: JobBody[] = [];
    for await (const { body } of listRows(this.tables, JOB_ROWS, VAULT)) jobs.push(body);
    return jobs;
  }

  /** Newest first. */
  async points({ name }: ItemBody): Promise<PointBody[]> {
    const points: PointBody[] = [];
    for await (const { body } of listRows(this.tables, POINT_ROWS, pointsPartition(VAULT, name))) points.push(body);
    return points;
  }

  /** Lets everything that is possible at this moment happen; what a test holds up is not waited for. */
  async settle(): Promise<void> {
    for (;;) {
      await this.hub.settle();
      if (this.atWork === 0 || this.process?.isDead) return;
      const before = this.answered;
      const untilMs = performance.now() + HELD_UP_MS;
      while (this.atWork > 0 && this.answered === before && performance.now() < untilMs) {
        await new Promise((resolve) => setTimeout(resolve, 1));
      }
      if (this.atWork > 0 && this.answered === before) return;
    }
  }

  /** Waits, in virtual time, until the orchestration of that name has ended. A process that died meanwhile has a successor. */
  async end(id: string): Promise<JobBody> {
    await this.until(async () => {
      const found = await this.hub.hub.client.find(id);
      return found !== undefined && isTerminal(found.status);
    });
    return this.job(id);
  }

  /** Waits until every job has ended, while the reconciler comes by as its timer says. */
  async untilAllEnded(): Promise<JobBody[]> {
    let reconcileAtMs = this.now().getTime() + RECONCILE_MS;
    await this.until(
      async () => (await this.jobs()).every(({ endedAt }) => endedAt !== null),
      async () => {
        if (this.now().getTime() < reconcileAtMs) return reconcileAtMs;
        reconcileAtMs = this.now().getTime() + RECONCILE_MS;
        // A tick that fails is followed by the next.
        await this.whileAlive(() => reconcileVaults(this.deps)).catch(() => 0);
        return this.now().getTime();
      },
    );
    return this.jobs();
  }

  /** Lets time pass, and all that happens in it. */
  async pass(ms: number): Promise<void> {
    const untilMs = this.now().getTime() + ms;
    await this.until(
      async () => this.now().getTime() >= untilMs,
      async () => untilMs,
    );
    await this.settle();
  }

  async close(): Promise<void> {
    await this.hub.close();
  }

  /** `nextMs` answers when at the latest to look again. */
  async until(isOver: () => Promise<boolean>, nextMs?: () => Promise<number>): Promise<void> {
    const deadlineMs = performance.now() + PATIENCE_MS;
    for (;;) {
      await this.settle();
      if (this.process?.isDead) {
        await this.restart();
        continue;
      }
      if (await isOver()) return;
      if (performance.now() > deadlineMs) throw new Error(`does not end: ${JSON.stringify(await this.jobs())}`);
      const { clock } = this.hub;
      const times = [clock.nextMs(), await nextMs?.()].filter((ms) => ms !== undefined);
      if (times.length > 0) clock.advance(Math.max(0, Math.min(...times) - clock.nowMs()));
    }
  }

  private async succeeded(old: VirtualHub): Promise<VirtualHub> {
    this.begin();
    return old.crash();
  }

  private begin(): void {
    // A dead process gets no answers, and has no way to write down that it did not, until it is buried.
    let bury = (): void => {};
    const silence = new Promise<never>((_resolve, reject) => {
      bury = () => reject(new Error("the process is gone"));
    });
    silence.catch(() => {});
    const gate: Gate = async (call, perform) => {
      if (process.isDead) return silence;
      try {
        const answer = await this.onCall(call, perform);
        this.answered++;
        return process.isDead ? silence : answer;
      } catch (cause) {
        if (process.isDead) return silence;
        throw cause;
      }
    };
    const { machines, snapshots, targets } = this.connectCloud();
    const deps: ActivityDeps = {
      tables: rememberRows(behind(gate, "tables", this.tables)),
      machines: behind(gate, "machines", machines),
      snapshots: behind(gate, "snapshots", snapshots),
      targets: behind(gate, "targets", targets),
      staging: behind(gate, "staging", memoryStaging(this.staged)),
      archives: this.archive.behind(gate),
      workflow: behind(gate, "workflow", this.workflow()),
      clock: { now: () => this.now() },
      random: this.random,
      settings: { ...SETTINGS, ...this.settings },
      sessions: new TransferSessions(),
    };
    const process: Process = { deps, isDead: false, died: () => {}, bury };
    this.death = new Promise((resolve) => {
      process.died = resolve;
    });
    this.process = process;
    for (const [name, run] of Object.entries(ACTIVITIES)) {
      this.activities[name] = async (input) => {
        this.atWork++;
        try {
          return await run(deps, input);
        } finally {
          this.atWork--;
        }
      };
    }
  }

  private workflow(): Workflow {
    return {
      start: async (name, id, input) => {
        const found = await this.hub.hub.client.find(id);
        if (found && !isTerminal(found.status)) return;
        await this.hub.start(name, input, id);
      },
      stateOf: async (id) => {
        const found = await this.hub.hub.client.find(id);
        if (!found) return "absent";
        return isTerminal(found.status) ? "over" : "running";
      },
    };
  }
}

function portsOf(cloud: ServiceAzure | MemoryCloud): () => CloudPorts {
  if (cloud instanceof MemoryCloud) return () => cloud.connect();
  return () => {
    const arm = cloud.connect();
    const access = new DiskAccess(arm);
    const targets = azureTargetDisks(arm, access);
    return { machines: azureMachines(arm), snapshots: azureSnapshots(arm, access), targets };
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
