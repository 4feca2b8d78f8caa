// How fast the simulated Azure moves bytes, against a bare server over the same bytes in the same run: it must never be
// the bottleneck of a backup. And how fast it answers as Resource Manager for a thousand machines.

import { mkdtemp, open, rm, writeFile } from "node:fs/promises";
import { createServer } from "node:http";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { AccessGrants } from "../localhost/azure/blobs/access-grants.ts";
import { blobSurface } from "../localhost/azure/blobs/blob-surface.ts";
import { DiskStore } from "../localhost/azure/disks/disk-store.ts";
import { bigEstate } from "../localhost/azure/estate/built-in-estates.ts";
import { checkedEstate } from "../localhost/azure/estate/read-estate.ts";
import { listen } from "../localhost/azure/http/listener.ts";
import { requestListener } from "../localhost/azure/http/pipeline.ts";
import { startAzure } from "../localhost/azure/start.ts";
import { AzureState } from "../localhost/azure/state/azure-state.ts";
import type { Bench, BenchRow } from "./bench.ts";

const MIB = 1024 * 1024;
const PIECE = 4 * MIB;
const SIZE = 256 * MIB;
const PARALLEL = 8;
const ROUNDS = 5;

export const azureData: Bench = {
  about: "the simulated Azure's SAS reads and Put Page, 8 requests of 4 MiB at once, against a bare range server",
  run: () => withDataPlane(readsAndWrites),
};

export const azureDiff: Bench = {
  about: "the page-list difference of a 1 TiB disk with 100,000 scattered changed pages",
  run: () => withDataPlane(diffOfManyPages),
};

export const azureArm: Bench = {
  about: "the simulated Azure as Resource Manager: a thousand machines, a restore point of sixteen disks",
  run: resourceManager,
};

interface DataPlane {
  readonly folder: string;
  readonly state: AzureState;
  readonly disks: DiskStore;
  readonly grants: AccessGrants;
  readonly origin: string;
}

async function withDataPlane(measure: (plane: DataPlane) => Promise<BenchRow[]>): Promise<BenchRow[]> {
  const folder = await mkdtemp(join(tmpdir(), "holdfast-bench-"));
  const state = await AzureState.open(folder);
  const disks = await DiskStore.open(state);
  const grants = new AccessGrants(state);
  await grants.prepare();
  const surface = blobSurface({ disks, grants, now: Date.now });
  const noFaults = { faultsFor: () => [], strike: async () => {} };
  const server = await listen(
    0,
    requestListener([surface], { faults: noFaults, log: { defect: console.error }, settled: () => state.settled() }),
  );
  try {
    return await measure({ folder, state, disks, grants, origin: server.origin });
  } finally {
    await server.close();
    await disks.close();
    await state.close();
    await rm(folder, { recursive: true });
  }
}

async function readsAndWrites(plane: DataPlane): Promise<BenchRow[]> {
  const { disks, folder, state } = plane;
  const body = Buffer.from(Array.from({ length: PIECE }, (_, index) => (index * 31) & 255));
  const bare = await startBare(join(folder, "bare.bin"));
  await writeFile(join(folder, "bare.bin"), Buffer.concat(Array.from({ length: SIZE / PIECE }, () => body)));
  const disk = disks.newId();
  await state.commit([{ kind: "volume-created", id: disk, sizeBytes: SIZE }]);
  const write = await sas(plane, disk, "Write");
  const put = await ratio(
    () => transfer((at) => send(`${write}&comp=page`, at, body, { "x-ms-page-write": "update" })),
    () => transfer((at) => send(bare.url, at, body, {})),
  );
  const frozen = disks.newId();
  await disks.atRest(
    () => [disk],
    () => state.commit([{ kind: "volume-frozen", id: frozen, of: disk }]),
  );
  const url = await sas(plane, frozen, "Read");
  const read = await ratio(
    () => transfer((at) => receive(url, at)),
    () => transfer((at) => receive(bare.url, at)),
  );
  await bare.close();
  return [row("SAS read of a snapshot", read, 0.8), row("Put Page", put, 0.6)];
}

function row(name: string, { ours, peer }: { ours: number; peer: number }, atLeast: number): BenchRow {
  const note = `${Math.round(ours)} MiB/s, bare ${Math.round(peer)} MiB/s, best of ${ROUNDS} each`;
  return { name, figure: ours / peer, unit: "of the bare server", bar: { atLeast }, note };
}

/** A diff of a 1 TiB disk with 100,000 scattered changed pages. */
async function diffOfManyPages(plane: DataPlane): Promise<BenchRow[]> {
  const { disks, state } = plane;
  const TIB = 1024 ** 4;
  const big = disks.newId();
  const before = disks.newId();
  await state.commit([{ kind: "volume-created", id: big, sizeBytes: TIB }]);
  await disks.atRest(
    () => [big],
    () => state.commit([{ kind: "volume-frozen", id: before, of: big }]),
  );
  const layer = disks.newId();
  const stride = Math.floor(TIB / 512 / 100_000);
  for (let index = 0; index < 100_000; index += 1) {
    const start = index * stride;
    state.volumes.apply({ kind: "pages-written", volume: big, layer, start, end: start + 1, at: index });
  }
  const after = disks.newId();
  await state.commit([{ kind: "volume-frozen", id: after, of: big }]);
  const [older, newer] = [await sas(plane, before, "Read"), await sas(plane, after, "Read")];
  globalThis.gc?.();
  const memory = process.memoryUsage().rss;
  const startedAt = performance.now();
  const response = await fetch(`${newer}&comp=pagelist`, {
    headers: { "x-ms-version": "2024-11-04", "x-ms-previous-snapshot-url": older },
  });
  const ranges = (await response.text()).split("<PageRange>").length - 1;
  const ms = performance.now() - startedAt;
  const grown = Math.max(0, process.memoryUsage().rss - memory) / MIB;
  if (ranges !== 100_000) throw new Error(`the difference has ${ranges} ranges`);
  const note = `process ${Math.round(process.memoryUsage().rss / MIB)} MiB, client included`;
  return [
    { name: "diff of 1 TiB, 100,000 scattered pages", figure: ms, unit: "ms", bar: { atMost: 1000 } },
    { name: "memory that the diff takes", figure: grown, unit: "MiB", bar: { atMost: 200 }, note },
  ];
}

async function sas({ grants, state, origin }: DataPlane, volume: number, access: "Read" | "Write"): Promise<string> {
  const { grant, entry } = grants.plan(`volume/${volume}`, volume, access, Date.now(), 3600);
  await state.commit([entry]);
  return grants.url(origin, grant);
}

/** The better of several rounds of each, taken in turn, as one ratio of speeds. */
async function ratio(
  ours: () => Promise<number>,
  peer: () => Promise<number>,
): Promise<{ ours: number; peer: number }> {
  const best = { ours: 0, peer: 0 };
  await ours();
  await peer();
  for (let round = 0; round < ROUNDS; round += 1) {
    best.ours = Math.max(best.ours, await ours());
    best.peer = Math.max(best.peer, await peer());
  }
  return best;
}

async function transfer(one: (at: number) => Promise<void>): Promise<number> {
  const startedAt = performance.now();
  let next = 0;
  await Promise.all(
    Array.from({ length: PARALLEL }, async () => {
      while (next < SIZE) {
        const at = next;
        next += PIECE;
        await one(at);
      }
    }),
  );
  return SIZE / MIB / ((performance.now() - startedAt) / 1000);
}

async function receive(url: string, at: number): Promise<void> {
  const response = await fetch(url, { headers: { "x-ms-range": `bytes=${at}-${at + PIECE - 1}` } });
  const { byteLength } = await response.arrayBuffer();
  if (byteLength !== PIECE) throw new Error(`Got ${byteLength} bytes, status ${response.status}`);
}

async function send(url: string, at: number, body: Buffer, headers: Record<string, string>): Promise<void> {
  const response = await fetch(url, {
    method: "PUT",
    body,
    headers: { "x-ms-range": `bytes=${at}-${at + PIECE - 1}`, ...headers },
  });
  await response.arrayBuffer();
  if (response.status !== 201) throw new Error(`Status ${response.status}`);
}

/** The peer: a range server in as few lines as it takes. */
async function startBare(path: string): Promise<{ url: string; close(): Promise<void> }> {
  const file = await open(path, "w+");
  const bareServer = createServer(async (request, response) => {
    const [, start, end] = /bytes=(\d+)-(\d+)/.exec(String(request.headers["x-ms-range"])) ?? [];
    if (request.method === "PUT") {
      const chunks: Buffer[] = [];
      for await (const chunk of request) chunks.push(chunk as Buffer);
      await file.write(Buffer.concat(chunks), 0, undefined, Number(start));
      response.writeHead(201).end();
      return;
    }
    const bytes = Buffer.allocUnsafe(Number(end) + 1 - Number(start));
    await file.read(bytes, 0, bytes.length, Number(start));
    response.writeHead(206, { "Content-Length": bytes.length }).end(bytes);
  });
  await new Promise<void>((resolve) => bareServer.listen(0, "127.0.0.1", resolve));
  const { port } = bareServer.address() as { port: number };
  return {
    url: `http://127.0.0.1:${port}/`,
    close: async () => {
      bareServer.closeAllConnections();
      bareServer.close();
      await file.close();
    },
  };
}

const SUBSCRIPTION = "11111111-1111-1111-1111-111111111111";
const COMPUTE = `/subscriptions/${SUBSCRIPTION}/resourceGroups/big/providers/Microsoft.Compute`;

async function resourceManager(): Promise<BenchRow[]> {
  const folder = await mkdtemp(join(tmpdir(), "holdfast-bench-"));
  const estate = bigEstate();
  estate.subscriptions[0]?.groups?.[0]?.virtualMachines?.push({
    name: "wide",
    image: "ubuntu-24.04",
    dataDisks: Array.from({ length: 15 }, () => ({ sizeGiB: 32 })),
  });
  const startedMs = performance.now();
  const azure = await startAzure({
    port: 0,
    dataFolder: folder,
    estate: checkedEstate({ ...estate, operationMs: 0, life: { enabled: false } }),
  });
  const startMs = performance.now() - startedMs;
  const arm = armCaller(azure.origin, await tokenOf(azure.origin, "owner"));
  await arm("GET", "/subscriptions");
  const listMs = await best(() => listMachines(arm, azure.origin));
  const source = { id: `${COMPUTE}/virtualMachines/wide` };
  const collection = `${COMPUTE}/restorePointCollections/wide`;
  await arm("PUT", collection, { location: "westeurope", properties: { source } });
  let made = 0;
  const pointMs = await best(() => arm("PUT", `${collection}/restorePoints/p${made++}`, {}));
  await azure.close();
  await rm(folder, { recursive: true });
  return [
    { name: "start with 1,001 machines", figure: startMs, unit: "ms", bar: { atMost: 10_000 } },
    { name: "list 1,001 machines, all pages", figure: listMs, unit: "ms", bar: { atMost: 300 }, note: "best of 5" },
    { name: "restore point of 16 disks", figure: pointMs, unit: "ms", bar: { atMost: 50 }, note: "best of 5" },
  ];
}

async function listMachines(arm: Arm, origin: string): Promise<void> {
  let count = 0;
  for (
    let path: string | undefined = `/subscriptions/${SUBSCRIPTION}/providers/Microsoft.Compute/virtualMachines`;
    path !== undefined;
  ) {
    const page: { value: unknown[]; nextLink?: string } = await arm("GET", path);
    count += page.value.length;
    path = page.nextLink?.slice(origin.length);
  }
  if (count !== 1001) throw new Error(`Listed ${count} machines`);
}

type Arm = <Body>(method: string, path: string, body?: unknown) => Promise<Body>;

function armCaller(origin: string, token: string): Arm {
  return async <Body>(method: string, path: string, body?: unknown): Promise<Body> => {
    const query = path.includes("api-version") ? "" : "?api-version=2024-07-01";
    const response = await fetch(`${origin}${path}${query}`, {
      method,
      headers: { Authorization: `Bearer ${token}` },
      ...(body === undefined ? {} : { body: JSON.stringify(body) }),
    });
    if (!response.ok) throw new Error(`${method} ${path}: ${response.status} ${await response.text()}`);
    return (await response.json()) as Body;
  };
}

async function tokenOf(origin: string, clientId: string): Promise<string> {
  const form = {
    grant_type: "client_credentials",
    client_id: clientId,
    client_secret: "x",
    resource: "https://management.azure.com/",
  };
  const response = await fetch(`${origin}/common/oauth2/token`, {
    method: "POST",
    body: new URLSearchParams(form),
  });
  return ((await response.json()) as { access_token: string }).access_token;
}

async function best(work: () => Promise<unknown>): Promise<number> {
  let ms = Number.POSITIVE_INFINITY;
  for (let round = 0; round < 5; round += 1) {
    const at = performance.now();
    await work();
    ms = Math.min(ms, performance.now() - at);
  }
  return ms;
}
