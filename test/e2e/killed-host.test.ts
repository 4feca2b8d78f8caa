// The host is killed again and again, at moments nobody chose, while backups and restores run. In the end every job has come to
// its end, every byte is right, and nothing is left: no claim, place, pin, SAS, disk, or snapshot that is of no point.
//
// HOLDFAST_KILLS sets how often (default 50), HOLDFAST_SEED the moments and what is asked.

import { readdirSync, readFileSync, statSync } from "node:fs";
import { join } from "node:path";
import { afterAll, beforeAll, expect, it, vi } from "vitest";
import { ArmClient } from "../../localhost/arm-client.ts";
import { storageKeyOf } from "../../localhost/azure/storage/storage-accounts.ts";
import { type DiskDigest, digestByAccess } from "../../localhost/sas-disk.ts";
import { openTableStore } from "../../src/azure/table-store.ts";
import { openContainers } from "../../src/azure/vault-containers.ts";
import { ITEM_ROWS } from "../../src/control/rows/item-row.ts";
import { JOB_ROWS, type JobBody } from "../../src/control/rows/job-row.ts";
import { POINT_ROWS, type PointBody, pointsPartition } from "../../src/control/rows/point-row.ts";
import { listRows, type RowKind } from "../../src/control/rows/row-kind.ts";
import { VAULT_ROWS, vaultKeyOf } from "../../src/control/rows/vault-row.ts";
import { PHASE_ROWS, SLOT_ROWS } from "../../src/control/rows/work-rows.ts";
import { statusOfJob } from "../../src/domain/job.ts";
import { PINS_PREFIX } from "../../src/vault/format/names.ts";
import { KilledHost, SUBSCRIPTION } from "../support/killed-host.ts";

const KILLS = Number(process.env.HOLDFAST_KILLS ?? 50);
const SEED = Number(process.env.HOLDFAST_SEED ?? Date.now() % 1_000_000);
const LONGEST_LIFE_MS = 700;
const ASKING_SHARE = 0.7;
const PATIENCE_MS = 300_000;
const LOOK_MS = 250;
vi.setConfig({ testTimeout: PATIENCE_MS + KILLS * 6_000, hookTimeout: PATIENCE_MS });

const MACHINES = ["one-disk", "two-disks"] as const;
type MachineName = (typeof MACHINES)[number];
const GROUP = `/subscriptions/${SUBSCRIPTION}/resourceGroups/demo`;
const TARGET = `/subscriptions/${SUBSCRIPTION}/resourceGroups/target`;
const VAULT = `${GROUP}/providers/Microsoft.RecoveryServices/vaults/killed`;
const VAULT_KEY = vaultKeyOf(SUBSCRIPTION, "killed");
const COMPUTE_API = "2024-07-01";
const DISKS_API = "2024-03-02";

/** A point, with the bytes that its snapshot had. */
interface KnownPoint {
  readonly machine: MachineName;
  readonly path: string;
  readonly disks: ReadonlyMap<string, DiskDigest>;
}

let world: KilledHost;
let owner: ArmClient;
beforeAll(async () => {
  world = await KilledHost.open(MACHINES);
  owner = new ArmClient(world.azure, "owner");
});
afterAll(() => world?.close());

const itemOf = (machine: MachineName) =>
  `${VAULT}/backupFabrics/Azure/protectionContainers/IaasVMContainer;iaasvmcontainerv2;demo;${machine}` +
  `/protectedItems/VM;iaasvmcontainerv2;demo;${machine}`;
const machineId = (machine: MachineName) => `${GROUP}/providers/Microsoft.Compute/virtualMachines/${machine}`;

const backUp = (machine: MachineName) =>
  world.ask("POST", `${itemOf(machine)}/backup`, { properties: { objectType: "IaasVMBackupRequest" } });

const restore = ({ machine, path }: KnownPoint) =>
  world.ask("POST", `${path}/restore`, {
    properties: {
      objectType: "IaasVMRestoreRequest",
      recoveryPointId: path.split("/").at(-1),
      recoveryType: "RestoreDisks",
      sourceResourceId: machineId(machine),
      storageAccountId: `${GROUP}/providers/Microsoft.Storage/storageAccounts/demostaging`,
      targetResourceGroupId: TARGET,
      region: "westeurope",
    },
  });

async function until(what: string, isSo: () => Promise<boolean>): Promise<void> {
  const deadline = performance.now() + PATIENCE_MS;
  while (!(await isSo())) {
    if (performance.now() > deadline) throw new Error(`not in time: ${what} (seed ${SEED})`);
    await new Promise((resolve) => setTimeout(resolve, LOOK_MS));
  }
}

const jobs = (): Promise<JobBody[]> => rowsOf(JOB_ROWS, VAULT_KEY);

async function rowsOf<Body>(kind: RowKind<Body>, partition: string): Promise<Body[]> {
  const tables = openTableStore({ connectionString: world.settings.HOLDFAST_STATE_ACCOUNT ?? "" });
  const found: Body[] = [];
  for await (const { body } of listRows(tables, kind, partition)) found.push(body);
  return found;
}

/** All jobs have ended; those that have nobody are found by the reconciler, which the test wakes more often than its timer. */
const allEnded = () =>
  until("all jobs end", async () => {
    await world.tick("reconcile");
    return (await jobs()).every(({ endedAt }) => endedAt !== null);
  });

async function protectAll(): Promise<void> {
  await world.ask("PUT", VAULT, { location: "westeurope", properties: {} });
  for (const machine of MACHINES) {
    await world.ask("PUT", itemOf(machine), {
      properties: {
        protectedItemType: "Microsoft.Compute/virtualMachines",
        sourceResourceId: machineId(machine),
        policyId: `${VAULT}/backupPolicies/DefaultPolicy`,
      },
    });
  }
  await allEnded();
}

async function pointsOf(machine: MachineName): Promise<PointBody[]> {
  return rowsOf(POINT_ROWS, pointsPartition(VAULT_KEY, `VM;iaasvmcontainerv2;demo;${machine}`));
}

/** Reads the snapshot of a machine's newest point that the vault has; `isLost` deletes it, so that only the vault is left. */
async function knowPoint(machine: MachineName, isLost: boolean): Promise<KnownPoint> {
  const point = (await pointsOf(machine)).find(({ archive }) => archive !== null) as PointBody;
  const disks = new Map<string, DiskDigest>();
  for (const { name, snapshotDiskId } of point.snapshot.disks) {
    disks.set(name, await digestByAccess(owner, snapshotDiskId));
  }
  const path = `${itemOf(machine)}/recoveryPoints/${point.pointId}`;
  const snapshotPath = point.snapshot.disks[0]?.snapshotDiskId.replace(/\/diskRestorePoints\/.*$/i, "") ?? "";
  if (isLost) await owner.complete("DELETE", snapshotPath, COMPUTE_API);
  return { machine, path, disks };
}

/** mulberry32 */
function randomOf(seed: number): () => number {
  let state = seed;
  return () => {
    state = (state + 0x6d2b79f5) | 0;
    let mixed = Math.imul(state ^ (state >>> 15), 1 | state);
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed;
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 4_294_967_296;
  };
}

async function killAgainAndAgain(known: readonly KnownPoint[]): Promise<void> {
  const random = randomOf(SEED);
  for (let kill = 0; kill < KILLS; kill++) {
    await world.start();
    // The last hosts have nothing new to do: what is under way is killed to its end, and lost starts grow old enough.
    const isAsking = kill < KILLS * ASKING_SHARE;
    const asked = [
      ...MACHINES.filter(() => isAsking && random() < 0.5).map(backUp),
      ...known.filter(() => isAsking && random() < 0.25).map(restore),
    ];
    await new Promise((resolve) => setTimeout(resolve, random() * LONGEST_LIFE_MS));
    await world.kill();
    await Promise.all(asked);
  }
}

/** Each disk that a restore has made equals the disk of the snapshot that its point is of. */
async function expectRestored(known: readonly KnownPoint[]): Promise<number> {
  let comparedCount = 0;
  for (const { id, restore: work, status } of await jobs()) {
    const point = known.find(({ path }) => path.endsWith(`/${work?.pointId}`));
    if (work === null || status !== "Completed" || point === undefined) continue;
    expect(work.disks.map(({ name }) => name).toSorted(), `disks of ${id}`).toEqual([...point.disks.keys()].toSorted());
    for (const { name, targetDiskId } of work.disks) {
      expect(await digestByAccess(owner, targetDiskId), `disk ${name} of ${id}`).toEqual(point.disks.get(name));
      comparedCount++;
    }
  }
  return comparedCount;
}

async function expectNothingLeft(lost: readonly KnownPoint[]): Promise<void> {
  const all = await jobs();
  for (const job of all) {
    expect(job.status, job.id).toBe(statusOfJob(job.tasks, job.cancelRequestedAt !== null));
    // One whose start was lost is started again later, and may meet another's snapshot then.
    const isLate = job.operation === "Backup" && job.failure?.code === "UserErrorBackupOperationInProgress";
    if (!isLate) expect(job, "killing the host fails no job").toMatchObject({ status: "Completed", failure: null });
  }
  for (const { name } of await rowsOf(ITEM_ROWS, VAULT_KEY)) {
    const phases = await rowsOf(PHASE_ROWS, `${VAULT_KEY}/${name.toLowerCase()}`);
    expect(phases.map(({ holder }) => holder)).toEqual(phases.map(() => null));
  }
  for (const kind of ["slices", "transfers"])
    expect((await rowsOf(SLOT_ROWS, kind)).filter(({ holder }) => holder !== null)).toEqual([]);
  await expectNothingInAzure(all, lost);
  const [vault] = await rowsOf(VAULT_ROWS, SUBSCRIPTION);
  const accounts = JSON.parse(world.settings.HOLDFAST_VAULT_ACCOUNTS ?? "");
  const pair = await openContainers(accounts, undefined as never, vault as never, vault?.archive?.containerName ?? "");
  for (const store of [pair.archive, pair.state]) {
    for await (const { objects } of store.list(PINS_PREFIX)) expect(objects).toEqual([]);
  }
}

async function expectNothingInAzure(all: readonly JobBody[], lost: readonly KnownPoint[]): Promise<void> {
  const { documents } = (await (await fetch(`${world.azure.azureUrl}/control/state`)).json()) as {
    documents: Record<string, unknown>;
  };
  expect(Object.keys(documents).filter((key) => key.startsWith("grant/"))).toEqual([]);
  const snapshots: string[] = [];
  const collections = owner.list(
    `/subscriptions/${SUBSCRIPTION}/providers/Microsoft.Compute/restorePointCollections`,
    COMPUTE_API,
  );
  for await (const { id } of collections) {
    const { properties } = await owner.find(`${id}?$expand=restorePoints`, COMPUTE_API);
    snapshots.push(...(properties.restorePoints ?? []).map(({ name }: { name: string }) => name));
  }
  const points = (await Promise.all(MACHINES.map(pointsOf))).flat();
  const isLost = ({ pointId }: PointBody) => lost.some(({ path }) => path.endsWith(`/${pointId}`));
  const expected = points.filter((point) => point.snapshot.state === "valid" && !isLost(point));
  expect(snapshots.toSorted()).toEqual(expected.map(({ snapshot }) => snapshot.ref?.name).toSorted());
  const disks: string[] = [];
  for await (const { id } of owner.list(`${TARGET}/providers/Microsoft.Compute/disks`, DISKS_API)) disks.push(id);
  const restored = all.flatMap(({ restore: work }) => work?.disks.map(({ targetDiskId }) => targetDiskId) ?? []);
  const lower = (ids: readonly string[]) => ids.map((id) => id.toLowerCase()).toSorted();
  expect(lower(disks)).toEqual(lower(restored));
}

function textOf(folder: string, wanted: RegExp): string {
  return readdirSync(folder, { recursive: true, encoding: "utf8" })
    .filter((name) => wanted.test(name) && statSync(join(folder, name)).isFile())
    .map((name) => readFileSync(join(folder, name), "latin1"))
    .join("\n");
}

/** Journal and archive of the hub, the tables, and every line that a host has said. */
function expectNoSecrets(job: string): void {
  const accounts = ["holdfaststate", "hfwesteuropelrs", "hfwesteuropezrs", "hfwesteuropegrs", "demostaging"];
  const places = {
    hub: textOf(join(world.folder, "host"), /./),
    tables: textOf(join(world.folder, "azurite"), /azurite_db_table/),
    logs: world.log,
  };
  for (const [place, text] of Object.entries(places)) {
    // What is searched is what was meant: the job stands in it.
    expect(text.includes(job), `${place} tell of a job`).toBe(true);
    expect(text.search(/[?&]sig=/), `a SAS in ${place}`).toBe(-1);
    for (const account of accounts)
      expect(text.includes(storageKeyOf(account)), `${account}'s key in ${place}`).toBe(false);
  }
}

it(`brings every job to its right end through ${KILLS} kills (seed ${SEED})`, async () => {
  await world.start();
  await protectAll();
  await Promise.all(MACHINES.map(backUp));
  await allEnded();
  // One point that only the vault has, and one that is restored from its snapshot.
  const fromVault = await knowPoint("two-disks", true);
  const known = [fromVault, await knowPoint("one-disk", false)];
  await world.stop();
  await killAgainAndAgain(known);
  await world.start();
  await allEnded();
  const fresh = [await knowPoint("one-disk", true), await knowPoint("two-disks", true)];
  for (const point of fresh) expect(await restore(point)).toMatchObject({ status: 202 });
  await allEnded();
  await world.stop();
  await expectNothingLeft([fromVault, ...fresh]);
  expect(await expectRestored([...known, ...fresh])).toBeGreaterThanOrEqual(3);
  expectNoSecrets((await jobs())[0]?.id ?? "");
  expect(world.notices).toEqual([]);
});
