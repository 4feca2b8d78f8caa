// The whole service as `npm start` runs it, for benches: its process, its API as a client sees it, and the memory of its host.

import { type ChildProcess, spawn } from "node:child_process";
import { readFileSync } from "node:fs";
import { createInterface } from "node:readline";
import { setTimeout as delay } from "node:timers/promises";
import { fileURLToPath } from "node:url";

const MAIN = fileURLToPath(new URL("../../localhost/main.ts", import.meta.url));
const SUBSCRIPTION = "11111111-1111-1111-1111-111111111111";
/** Six ports in a row, of a range that nobody gives out by itself. */
const FIRST_PORT = 21_000;
const API_VERSION = "2023-06-01";

/** One machine that does not change, of an image that is made up; `more`: what else it has. */
export function oneMachineEstate(generated: { sizeGiB: number; allocatedMiB: number }, more: object = {}): object {
  const machine = { name: "vm-1", image: "system", workload: { kind: "idle" }, ...more };
  const group = { name: "bench", location: "westeurope", storageAccounts: [{ name: "demostaging" }] };
  const groups = [{ ...group, virtualMachines: [machine] }];
  return { subscriptions: [{ id: SUBSCRIPTION, name: "Bench", groups }], images: { system: { generated } } };
}

export interface Stack {
  readonly url: string;
  readonly azureUrl: string;
  /** The largest resident set of the host that was seen so far. */
  peakBytes(): number;
  /** An ARM request, answered with its body; fails when the status is 400 or more. */
  call(method: string, path: string, body?: unknown): Promise<Answer>;
  stop(): Promise<void>;
}

export interface Answer {
  readonly status: number;
  /** What tells of the operation that was begun. */
  readonly operation: string | null;
  // biome-ignore lint/suspicious/noExplicitAny: a bench reads what it knows is there
  readonly body: any;
}

export async function startStack(dataFolder: string, args: readonly string[]): Promise<Stack> {
  const port = FIRST_PORT + (process.pid % 1_000) * 10;
  const flags = ["--port", String(port), "--data", dataFolder, "--json", "--no-demo", ...args];
  // As `npm start` starts it (localhost/bootstrap.mjs).
  const env = { ...process.env, MALLOC_ARENA_MAX: "1", MALLOC_MMAP_THRESHOLD_: "262144" };
  const child = spawn(process.execPath, [MAIN, ...flags], { stdio: ["ignore", "pipe", "inherit"], env });
  const { url, azureUrl } = await readyFacts(child);
  let peak = 0;
  const watch = setInterval(() => {
    peak = Math.max(peak, residentBytes(child.pid as number));
  }, 200);
  const call = caller(url, azureUrl);
  return {
    ...{ url, azureUrl, call },
    peakBytes: () => peak,
    async stop() {
      clearInterval(watch);
      child.kill("SIGTERM");
      if (child.exitCode === null) await new Promise((resolve) => child.once("exit", resolve));
    },
  };
}

function caller(url: string, azureUrl: string): Stack["call"] {
  let token = { text: "", untilMs: 0 };
  return async (method, path, body) => {
    if (token.untilMs < Date.now()) token = { text: await tokenFrom(azureUrl), untilMs: Date.now() + 20 * 60_000 };
    const origin = path.includes("Microsoft.RecoveryServices") ? url : azureUrl;
    const separator = path.includes("?") ? "&" : "?";
    const version = path.includes("api-version") ? "" : `${separator}api-version=${API_VERSION}`;
    const response = await fetch(`${origin}${path}${version}`, {
      method,
      headers: { authorization: `Bearer ${token.text}`, "content-type": "application/json" },
      ...(body === undefined ? {} : { body: JSON.stringify(body) }),
    });
    const text = await response.text();
    if (response.status >= 400) throw new Error(`${method} ${path} answered ${response.status}: ${text}`);
    const operation = response.headers.get("azure-asyncoperation");
    return { status: response.status, operation, body: text === "" ? undefined : JSON.parse(text) };
  };
}

async function tokenFrom(azureUrl: string): Promise<string> {
  const form = { grant_type: "client_credentials", client_id: "contributor", client_secret: "any" };
  const body = new URLSearchParams({ ...form, scope: "https://management.azure.com/.default" });
  const response = await fetch(`${azureUrl}/common/oauth2/v2.0/token`, { method: "POST", body });
  return ((await response.json()) as { access_token: string }).access_token;
}

async function readyFacts(child: ChildProcess): Promise<{ url: string; azureUrl: string }> {
  const lines = createInterface({ input: child.stdout as NonNullable<typeof child.stdout> });
  for await (const line of lines) {
    const { event, url } = JSON.parse(line) as { event?: string; url?: string };
    if (event !== "ready" || url === undefined) continue;
    child.stdout?.resume();
    return { url, azureUrl: `http://127.0.0.1:${Number(new URL(url).port) + 1}` };
  }
  throw new Error(`the stack ended with code ${child.exitCode} before it was ready`);
}

function residentBytes(pid: number): number {
  try {
    return Number(/VmRSS:\s+(\d+) kB/.exec(readFileSync(`/proc/${pid}/status`, "utf8"))?.[1] ?? 0) * 1024;
  } catch {
    return 0;
  }
}

/** A vault with what benches do to it. */
export class BenchVault {
  readonly id: string;
  private readonly stack: Stack;
  private readonly group: string;

  constructor(stack: Stack, group: string, name: string) {
    this.stack = stack;
    this.group = `/subscriptions/${SUBSCRIPTION}/resourceGroups/${group}`;
    this.id = `${this.group}/providers/Microsoft.RecoveryServices/vaults/${name}`;
  }

  async create(location = "westeurope"): Promise<void> {
    await this.stack.call("PUT", this.id, { location, sku: { name: "RS0", tier: "Standard" }, properties: {} });
  }

  async putDailyPolicy(name: string, at: Date): Promise<void> {
    const times = [`${at.toISOString().slice(0, 16)}:00Z`];
    const kept = { retentionTimes: times, retentionDuration: { count: 30, durationType: "Days" } };
    const schedulePolicy = { schedulePolicyType: "SimpleSchedulePolicy", scheduleRunFrequency: "Daily" };
    await this.stack.call("PUT", `${this.id}/backupPolicies/${name}`, {
      properties: {
        ...{ backupManagementType: "AzureIaasVM", policyType: "V1", timeZone: "UTC", instantRpRetentionRangeInDays: 2 },
        schedulePolicy: { ...schedulePolicy, scheduleRunTimes: times },
        retentionPolicy: { retentionPolicyType: "LongTermRetentionPolicy", dailySchedule: kept },
      },
    });
  }

  /** Returns when the machine is protected. */
  async protect(machine: string, policy: string): Promise<void> {
    const sourceResourceId = `${this.group}/providers/Microsoft.Compute/virtualMachines/${machine}`;
    const properties = { protectedItemType: "Microsoft.Compute/virtualMachines", sourceResourceId };
    const { operation } = await this.stack.call("PUT", this.itemId(machine), {
      properties: { ...properties, policyId: `${this.id}/backupPolicies/${policy}` },
    });
    const path = operation?.replace(/^https?:\/\/[^/]+/, "") ?? "";
    for (;;) {
      const { status } = (await this.stack.call("GET", path)).body;
      if (status === "Succeeded") return;
      if (status !== "InProgress") throw new Error(`protecting ${machine} ended as ${status}`);
      await delay(200);
    }
  }

  /** Starts a backup; the answer is when it was asked for. */
  async beginBackup(machine: string): Promise<number> {
    const askedMs = Date.now();
    await this.stack.call("POST", `${this.itemId(machine)}/backup`, {
      properties: { objectType: "IaasVMBackupRequest" },
    });
    return askedMs;
  }

  /** Seconds from the request until a client sees the job Completed. */
  async backUp(machine: string): Promise<number> {
    const known = (await this.jobs()).length;
    const askedMs = await this.beginBackup(machine);
    while ((await this.jobs()).length === known) await delay(20);
    await this.jobEnds("Backup", machine);
    return (Date.now() - askedMs) / 1000;
  }

  /** The job's own words when it has ended. */
  async jobEnds(operation: string, machine: string): Promise<BenchJob> {
    for (;;) {
      const job = (await this.jobs()).find(
        (each) => each.operation === operation && each.entityFriendlyName === machine,
      );
      if (job && job.status !== "InProgress") {
        if (job.status !== "Completed") throw new Error(`${operation} of ${machine} ended as ${job.status}`);
        return job;
      }
      await delay(50);
    }
  }

  async jobs(): Promise<BenchJob[]> {
    const { body } = await this.stack.call("GET", `${this.id}/backupJobs`);
    return body.value.map(({ properties }: { properties: BenchJob }) => properties);
  }

  /** Backups that know what they have to transfer, and have not ended. */
  async transfersUnderWay(): Promise<number> {
    const { body } = await this.stack.call("GET", `${this.id}/backupJobs?$filter=status eq 'InProgress'`);
    const details = await Promise.all(body.value.map(({ name }: { name: string }) => this.jobDetails(name)));
    return details.filter(({ properties }) => properties.extendedInfo?.progressPercentage !== undefined).length;
  }

  // biome-ignore lint/suspicious/noExplicitAny: a bench reads what it knows is there
  private async jobDetails(name: string): Promise<any> {
    return (await this.stack.call("GET", `${this.id}/backupJobs/${name}`)).body;
  }

  itemId(machine: string): string {
    const name = `iaasvmcontainerv2;${this.group.split("/").at(-1)};${machine}`;
    return `${this.id}/backupFabrics/Azure/protectionContainers/IaasVMContainer;${name}/protectedItems/VM;${name}`;
  }
}

export interface BenchJob {
  readonly operation: string;
  readonly entityFriendlyName: string;
  readonly status: string;
  readonly startTime: string;
  readonly endTime: string;
}
