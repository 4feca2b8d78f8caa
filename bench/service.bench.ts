// The service as a whole: what its orchestrations cost over the vault's engine alone, and how soon it gets to a thousand
// machines that are due at once while it transfers others. All of it runs as `npm start` runs it.

import { writeFile } from "node:fs/promises";
import { join } from "node:path";
import { setTimeout as delay } from "node:timers/promises";
import { AnonymousCredential, PageBlobClient } from "@azure/storage-blob";
import pMap from "p-map";
import { createBlobStore } from "../src/azure/blob-object-store.ts";
import { openPageBlobSource } from "../src/azure/blob-page-source.ts";
import { parseItemId } from "../src/vault/format/names.ts";
import { createVault } from "../src/vault/open-vault.ts";
import { backUp } from "../src/vault/transfer.ts";
import { startAzurite } from "../test/support/azurite.ts";
import { CountingRandom, TestWrapper } from "../test/support/vault-fixture.ts";
import type { Bench, BenchRow } from "./bench.ts";
import { temporaryFolder } from "./host-under-test.ts";
import { BenchVault, oneMachineEstate, type Stack, startStack } from "./support/stack.ts";

const SUBSCRIPTION = "11111111-1111-1111-1111-111111111111";
const COMPUTE = "api-version=2026-04-01";
const DISKS = "api-version=2026-03-02";

/** Of the big estate, all; fewer to try the bench itself. */
const MACHINES = Number(process.env.HOLDFAST_BENCH_MACHINES ?? 1_000);
/** They are due as well: their snapshots are taken while their earlier ones are transferred. */
const BUSY_MACHINES = 24;
/** When the others come due; the first ones may have ended by then. */
const MIN_TRANSFERS = 20;
const FEW_MACHINES = 10;
/** The dispatcher looks at policies once a minute. */
const DUE_AHEAD_MS = 65_000;
/** Until all of their transfers are under way. */
const BUSY_AHEAD_MS = 10_000;

const ONE_MACHINE = oneMachineEstate({ sizeGiB: 4, allocatedMiB: 2048 });

export const serviceOverhead: Bench = {
  about: "a backup through the whole service against the vault's engine alone; an incremental without a change",
  timeoutMs: 900_000,
  async run() {
    const folder = temporaryFolder();
    const estate = join(folder.path, "estate.json");
    await writeFile(estate, JSON.stringify(ONE_MACHINE));
    const stack = await startStack(join(folder.path, "data"), ["--estate", estate]);
    try {
      const vault = new BenchVault(stack, "bench", "bench");
      await vault.create();
      await vault.protect("vm-1", "DefaultPolicy");
      const wholeSeconds = await vault.backUp("vm-1");
      const engineSeconds = await backUpByEngine(stack, folder.path);
      const incrementals = [];
      for (let round = 0; round < 5; round++) incrementals.push(await vault.backUp("vm-1"));
      return rowsOf(wholeSeconds, engineSeconds, incrementals.toSorted(), stack);
    } finally {
      await stack.stop();
      folder.remove();
    }
  },
};

function rowsOf(whole: number, engine: number, incrementals: readonly number[], stack: Stack): BenchRow[] {
  const note = `${whole.toFixed(1)} s against ${engine.toFixed(1)} s for 2 GiB of content`;
  return [
    {
      name: "first backup of a 4 GiB disk, times the engine",
      figure: whole / engine,
      unit: "x",
      bar: { atMost: 1.25 },
      note,
    },
    {
      name: "incremental without a change, request to Completed",
      figure: incrementals[2] ?? Number.NaN,
      unit: "s",
      bar: { atMost: 3 },
      note: `median of ${incrementals.map((seconds) => seconds.toFixed(2)).join(" ")}`,
    },
    memoryRow(stack),
  ];
}

/** The same snapshot by the same SAS protocol into another Azurite: nothing but the engine. */
async function backUpByEngine(stack: Stack, folder: string): Promise<number> {
  const disks = await restorePointDisks(stack);
  const access = await grant(stack, disks[0] as string);
  const azurite = await startAzurite({ folder: join(folder, "engine") });
  try {
    const open = (name: string) => createBlobStore(`${azurite.blobEndpoint}/${name}`, azurite.credential);
    const [archive, state] = [await open("v-engine"), await open("w-engine")];
    const clock = { now: () => new Date() };
    const deps = { archive, state, clock, random: new CountingRandom("bench"), wrappers: [new TestWrapper()] };
    const vault = await createVault(deps, { name: "engine", suite: "aes-256-gcm" });
    const identity = { diskUniqueId: "disk", snapshotId: "snapshot", snapshotTime: "2026-01-01T00:00:00Z" };
    const startMs = performance.now();
    const client = async () => new PageBlobClient(access, new AnonymousCredential());
    const source = await openPageBlobSource(client, { identity, hasFooter: true });
    await backUp(vault, { item: parseItemId("vm-1"), disks: [{ source, name: "os", lun: -1 }] });
    return (performance.now() - startMs) / 1000;
  } finally {
    await azurite.stop();
  }
}

async function restorePointDisks(stack: Stack): Promise<string[]> {
  const points = await restorePoints(stack);
  const point = points.at(-1)?.id as string;
  const { body } = await stack.call("GET", `${point}/diskRestorePoints?${DISKS}`);
  return body.value.map(({ id }: { id: string }) => id);
}

/** As any client of Azure does it: begin, then follow the operation to its result. */
async function grant(stack: Stack, diskRestorePoint: string): Promise<string> {
  const token = await fetch(`${stack.azureUrl}/common/oauth2/v2.0/token`, {
    method: "POST",
    body: new URLSearchParams({
      ...{ grant_type: "client_credentials", client_id: "owner", client_secret: "any" },
      scope: "https://management.azure.com/.default",
    }),
  });
  const { access_token: text } = (await token.json()) as { access_token: string };
  const headers = { authorization: `Bearer ${text}`, "content-type": "application/json" };
  const begun = await fetch(`${stack.azureUrl}${diskRestorePoint}/beginGetAccess?${DISKS}`, {
    method: "POST",
    headers,
    body: JSON.stringify({ access: "Read", durationInSeconds: 3600 }),
  });
  const location = begun.headers.get("location") ?? "";
  for (;;) {
    const answer = await fetch(location, { headers });
    if (answer.status === 200) return ((await answer.json()) as { accessSAS: string }).accessSAS;
    await delay(50);
  }
}

interface RestorePoint {
  readonly id: string;
  readonly createdMs: number;
}

async function restorePoints(stack: Stack): Promise<RestorePoint[]> {
  const collections: string[] = [];
  let path: string | undefined =
    `/subscriptions/${SUBSCRIPTION}/providers/Microsoft.Compute/restorePointCollections?${COMPUTE}`;
  while (path !== undefined) {
    const { body } = await stack.call("GET", path);
    collections.push(...body.value.map(({ id }: { id: string }) => id));
    path = body.nextLink?.replace(/^https?:\/\/[^/]+/, "");
  }
  const points = await pMap(
    collections,
    async (id) => {
      const { body } = await stack.call("GET", `${id}?$expand=restorePoints&${COMPUTE}`);
      return (body.properties.restorePoints ?? []).map(
        (point: { id: string; properties: { timeCreated: string } }) => ({
          id: point.id,
          createdMs: Date.parse(point.properties.timeCreated),
        }),
      );
    },
    { concurrency: 8 },
  );
  return points.flat();
}

export const dueAtOnce: Bench = {
  about: "a thousand machines due in one minute while 20 transfers run; ten machines alone",
  timeoutMs: 1_800_000,
  async run() {
    const folder = temporaryFolder();
    const stack = await startStack(join(folder.path, "data"), ["--estate", "big"]);
    try {
      const vault = new BenchVault(stack, "big", "big");
      await vault.create();
      const names = Array.from({ length: MACHINES }, (_, index) => `vm-${String(index + 1).padStart(4, "0")}`);
      const few = await measureRun(stack, vault, "Few", names.slice(0, FEW_MACHINES), []);
      const busy = names.slice(-BUSY_MACHINES);
      const many = await measureRun(stack, vault, "Many", names, busy);
      return [
        {
          name: `${FEW_MACHINES} machines due: slowest restore point`,
          figure: few.max,
          unit: "s",
          bar: { atMost: 2 },
          note: few.note,
        },
        {
          name: `${names.length} machines due, at least ${MIN_TRANSFERS} transfers under way: p99`,
          figure: many.p99,
          unit: "s",
          bar: { atMost: 60 },
          note: many.note,
        },
        memoryRow(stack),
      ];
    } finally {
      await stack.stop();
      folder.remove();
    }
  },
};

interface Delays {
  readonly max: number;
  readonly p99: number;
  readonly note: string;
}

/** Protects machines by a policy, makes it due soon and others busy, and says when the platform had the restore points. */
async function measureRun(
  stack: Stack,
  vault: BenchVault,
  policy: string,
  due: readonly string[],
  busy: readonly string[],
): Promise<Delays> {
  await vault.putDailyPolicy(policy, new Date(Date.now() - 3_600_000));
  await pMap(due, (machine) => vault.protect(machine, policy), { concurrency: 8 });
  const dueAt = nextMinuteAfter(Date.now() + DUE_AHEAD_MS);
  await vault.putDailyPolicy(policy, dueAt);
  await delay(dueAt.getTime() - Date.now() - BUSY_AHEAD_MS);
  await pMap(busy, (machine) => vault.beginBackup(machine), { concurrency: 8 });
  await delay(dueAt.getTime() - Date.now());
  const underWay = await vault.transfersUnderWay();
  if (busy.length > 0 && underWay < MIN_TRANSFERS)
    throw new Error(`${underWay} transfers were under way, and ${MIN_TRANSFERS} should be`);
  return delaysOf(await pointsOfRun(stack, dueAt, due.length), dueAt);
}

/** Until all are there: those that the platform made since the run was due. */
async function pointsOfRun(stack: Stack, dueAt: Date, count: number): Promise<number[]> {
  for (;;) {
    const created = (await restorePoints(stack)).map(({ createdMs }) => createdMs);
    const since = created.filter((createdMs) => createdMs >= dueAt.getTime());
    if (since.length >= count) return since.toSorted((one, other) => one - other);
    await delay(2_000);
  }
}

function delaysOf(created: readonly number[], dueAt: Date): Delays {
  const seconds = created.map((createdMs) => (createdMs - dueAt.getTime()) / 1000);
  const at = (share: number) => seconds[Math.ceil(share * seconds.length) - 1] ?? Number.NaN;
  const note = `${seconds.length} points: median ${at(0.5).toFixed(1)} s, last ${at(1).toFixed(1)} s`;
  return { max: at(1), p99: at(0.99), note };
}

function nextMinuteAfter(ms: number): Date {
  return new Date(Math.ceil(ms / 60_000) * 60_000);
}

function memoryRow(stack: Stack): BenchRow {
  const figure = Math.round(stack.peakBytes() / 1e6);
  return { name: "peak memory of the host", figure, unit: "MB", bar: { atMost: 400 } };
}
