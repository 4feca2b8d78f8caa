// What use cases need, in memory: rows, machines, groups and accounts, and a workflow that carries out short jobs at once.
// Backups and restores stay where they are until a test ends them, as their orchestrations would.

import { BACKUP, ITEM_JOB, type JobRef } from "../../orchestrations/contracts.ts";
import type { ControlDeps } from "../../src/control/control-deps.ts";
import { runItemJob } from "../../src/control/item-jobs.ts";
import { changeJob, endJob, moveSubTask, readJob } from "../../src/control/job-changes.ts";
import { ITEM_ROWS, itemPlace } from "../../src/control/rows/item-row.ts";
import { POINT_ROWS, type PointBody, pointPlace } from "../../src/control/rows/point-row.ts";
import { changeRow, insertRow } from "../../src/control/rows/row-kind.ts";
import type { Machine } from "../../src/ports/machines.ts";
import type { Vault } from "../../src/vault/open-vault.ts";
import { MemoryTableStore } from "./memory-table-store.ts";
import { TENANT } from "./token-issuer.ts";

export const SUBSCRIPTION = "33333333-4444-4555-8666-777777777777";
export const REGION = "westeurope";
export const GROUP_ID = `/subscriptions/${SUBSCRIPTION}/resourceGroups/restored`;
export const ACCOUNT_ID = `/subscriptions/${SUBSCRIPTION}/resourceGroups/g/providers/Microsoft.Storage/storageAccounts/staging`;

export interface ServiceInMemory {
  readonly deps: ControlDeps;
  readonly tables: MemoryTableStore;
  readonly machines: Machine[];
  /** What was started: names of orchestrations with the job of each. */
  readonly started: { readonly orchestrator: string; readonly ref: JobRef }[];
  now: Date;
}

export function machineNamed(name: string, more: Partial<Machine> = {}): Machine {
  const id = `/subscriptions/${SUBSCRIPTION}/resourceGroups/Shop/providers/Microsoft.Compute/virtualMachines/${name}`;
  const disk = (lun: number) => ({
    ...{ lun, name: `${name}-${lun}`, diskId: `${id}/${lun}`, sizeBytes: 2 ** 30, skuName: "Premium_LRS" },
    ...{ imageReference: undefined, isReadable: true },
  });
  return {
    ...{ id, kind: "resource-manager", name, resourceGroup: "Shop", location: REGION, vmId: `vm-${name}` },
    ...{ sizeName: "Standard_D2s_v5", osType: "Linux", power: "running", provisioning: "succeeded" },
    ...{ agent: { state: "ready", version: "2.9" }, securityType: "Standard", zones: [], configuration: "{}" },
    disks: [disk(-1), disk(0)],
    ...more,
  };
}

export function serviceInMemory(): ServiceInMemory {
  const state = { now: new Date("2026-03-01T12:00:00.000Z") };
  const tables = new MemoryTableStore();
  const machines: Machine[] = [];
  const started: ServiceInMemory["started"] = [];
  const sameId = (one: string) => (other: { readonly id: string }) => other.id.toLowerCase() === one.toLowerCase();
  const deps = {
    tables,
    clock: { now: () => state.now },
    random: countingRandom(),
    settings: { tenantId: TENANT, subscriptionIds: [SUBSCRIPTION], regions: [REGION], sliceSlots: 2 },
    machines: {
      read: async (id: string) => machines.find(sameId(id)),
      async *list() {
        yield machines;
      },
    },
    targets: {
      readGroup: async (_subscription: string, group: string) =>
        group.toLowerCase() === "restored" ? { location: REGION } : undefined,
    },
    staging: { readAccount: async (id: string) => (id === ACCOUNT_ID ? { location: REGION } : undefined) },
    archives: { prepare: async () => ({ vaultId: "archive" }) as Vault },
    workflow: {
      async start(orchestrator: string, _id: string, input: unknown) {
        const ref = input as JobRef;
        started.push({ orchestrator, ref });
        if (orchestrator !== ITEM_JOB.name) return;
        while ((await runItemJob(deps, ref).then(stateOf)) === "pending");
        await endJob(deps, ref);
      },
      stateOf: async (id: string) => ((await isRunning(id)) ? "running" : "over"),
    },
  } as unknown as ControlDeps;
  const isRunning = async (id: string) => {
    const found = started.find(({ ref }) => ref.job === id);
    return found !== undefined && (await readJob(deps, found.ref)).endedAt === null;
  };
  return {
    ...{ deps, tables, machines, started },
    get now() {
      return state.now;
    },
    set now(time: Date) {
      state.now = time;
    },
  };
}

const stateOf = (outcome: Awaited<ReturnType<typeof runItemJob>>): string =>
  outcome.failure === undefined ? outcome.state : "failed";

/** What the backup's orchestration leaves when all goes well: a point in both tiers, and the item's word of it. */
export async function finishBackup({ deps, started }: ServiceInMemory): Promise<string> {
  const { ref } = started.findLast(({ orchestrator }) => orchestrator === BACKUP.name) as { ref: JobRef };
  await moveSubTask(deps, ref, "Take Snapshot", "start");
  await moveSubTask(deps, ref, "Take Snapshot", "complete");
  await moveSubTask(deps, ref, "Transfer data to vault", "start");
  await changeJob(deps, ref, (job) => ({
    backup: job.backup && { ...job.backup, transferredBytes: 12_345_678 },
    progress: { "0": { doneBytes: 2 ** 30, totalBytes: 2 ** 30, moving: null } },
  }));
  await moveSubTask(deps, ref, "Transfer data to vault", "complete");
  const { item, backup } = await endJob(deps, ref);
  const pointId = backup?.pointId ?? "";
  const at = deps.clock.now().toISOString();
  await insertRow(
    deps.tables,
    POINT_ROWS,
    pointPlace(ref.vault, item, pointId),
    pointOf(ref, pointId, at, backup?.retainUntil ?? null),
  );
  await changeRow(deps.tables, ITEM_ROWS, itemPlace(ref.vault, item), (body) => {
    const lastBackup = { status: "Completed", at, startedAt: at, errorCode: null, jobId: ref.job };
    return { ...body, state: "Protected" as const, lastPointAt: at, lastBackup };
  });
  return pointId;
}

function pointOf({ job }: JobRef, pointId: string, time: string, retainUntil: string | null): PointBody {
  const disk = (lun: number) => ({
    ...{ lun, name: `disk-${lun}`, sizeBytes: 2 ** 30, skuName: "Premium_LRS" },
    ...{ snapshotDiskId: `/snapshots/${lun}`, diskUniqueId: `unique-${lun}` },
  });
  return {
    ...{ pointId, jobId: job, time, scheduledAt: null, consistency: "application", consistencyReason: "" },
    ...{
      tags: [],
      isPromoted: false,
      isCatchUp: false,
      policy: null,
      retainUntil,
      keepUntil: null,
      isHeld: false,
    },
    snapshot: { state: "valid", ref: null, disks: [disk(-1), disk(0)] },
    archive: { transfer: "t", storedBytes: 1000 },
    machine: {
      ...{ kind: "resource-manager", vmId: "vm", sizeName: "Standard_D2s_v5", osType: "Linux", location: REGION },
      ...{ zones: [], securityType: "Standard", attachedDiskCount: 2, excludedDisks: [] },
    },
  } as PointBody;
}

/** Different bytes each time, and the same in each run. */
function countingRandom(): ControlDeps["random"] {
  let count = 0;
  return {
    bytes(length) {
      const bytes = Buffer.alloc(length);
      bytes.writeUInt32BE(++count, Math.max(0, length - 4));
      return bytes;
    },
  };
}
