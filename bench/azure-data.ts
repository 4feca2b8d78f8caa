// How fast the simulated Azure moves bytes, against a bare server over the same bytes in the same run. It must never be the
// bottleneck of a backup. Prints one line a bar; exits 1 if one is missed.
import { mkdtemp, open, rm, writeFile } from "node:fs/promises";
import { createServer } from "node:http";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { AccessGrants } from "../localhost/azure/blobs/access-grants.ts";
import { blobSurface } from "../localhost/azure/blobs/blob-surface.ts";
import { DiskStore } from "../localhost/azure/disks/disk-store.ts";
import { listen } from "../localhost/azure/http/listener.ts";
import { requestListener } from "../localhost/azure/http/pipeline.ts";
import { AzureState } from "../localhost/azure/state/azure-state.ts";

const MIB = 1024 * 1024;
const PIECE = 4 * MIB;
const SIZE = 256 * MIB;
const PARALLEL = 8;
const ROUNDS = 5;

const folder = await mkdtemp(join(tmpdir(), "azure-bench-"));
const state = await AzureState.open(folder);
const disks = await DiskStore.open(state);
const grants = new AccessGrants(state);
await grants.prepare();
const server = await listen(
  0,
  requestListener(
    [blobSurface({ disks, grants, now: Date.now })],
    { faultsFor: () => [], strike: async () => {} },
    { defect: console.error },
  ),
);
const bare = await startBare(join(folder, "bare.bin"));
let missed = 0;

const disk = disks.newId();
await state.commit([{ kind: "volume-created", id: disk, sizeBytes: SIZE }]);
const body = Buffer.from(Array.from({ length: PIECE }, (_, index) => (index * 31) & 255));
await writeFile(join(folder, "bare.bin"), Buffer.concat(Array.from({ length: SIZE / PIECE }, () => body)));
const write = await sas(disk, "Write");

const put = await ratio(
  () => transfer((at) => send(`${write}&comp=page`, at, { "x-ms-page-write": "update" })),
  () => transfer((at) => send(bare.url, at, {})),
);
report("Put Page, 8 x 4 MiB", put, 0.6);

const frozen = disks.newId();
await disks.atRest([disk], () => state.commit([{ kind: "volume-frozen", id: frozen, of: disk }]));
const read = await sas(frozen, "Read");
report(
  "Snapshot read, 8 x 4 MiB",
  await ratio(
    () => transfer((at) => receive(read, at)),
    () => transfer((at) => receive(bare.url, at)),
  ),
  0.8,
);
await diffOfManyPages();

await server.close();
await bare.close();
await disks.close();
await state.close();
await rm(folder, { recursive: true });
process.exitCode = missed;

/** A diff of a 1 TiB disk with 100,000 scattered changed pages. */
async function diffOfManyPages(): Promise<void> {
  const TIB = 1024 ** 4;
  const big = disks.newId();
  const before = disks.newId();
  await state.commit([{ kind: "volume-created", id: big, sizeBytes: TIB }]);
  await disks.atRest([big], () => state.commit([{ kind: "volume-frozen", id: before, of: big }]));
  const layer = disks.newId();
  const stride = Math.floor(TIB / 512 / 100_000);
  for (let index = 0; index < 100_000; index += 1) {
    const start = index * stride;
    state.volumes.apply({ kind: "pages-written", volume: big, layer, start, end: start + 1, at: index });
  }
  const after = disks.newId();
  await state.commit([{ kind: "volume-frozen", id: after, of: big }]);
  const [older, newer] = [await sas(before, "Read"), await sas(after, "Read")];
  globalThis.gc?.();
  const memory = process.memoryUsage().rss;
  const startedAt = performance.now();
  const response = await fetch(`${newer}&comp=pagelist`, {
    headers: { "x-ms-version": "2024-11-04", "x-ms-previous-snapshot-url": older },
  });
  const ranges = (await response.text()).split("<PageRange>").length - 1;
  const ms = performance.now() - startedAt;
  const grown = Math.max(0, process.memoryUsage().rss - memory) / MIB;
  const whole = process.memoryUsage().rss / MIB;
  console.log(
    `Diff of 1 TiB, ${ranges} changed ranges: ${ms.toFixed(0)} ms (bar 1000), +${grown.toFixed(0)} MiB (bar 200), process ${whole.toFixed(0)} MiB`,
  );
  if (ms > 1000 || grown > 200 || ranges !== 100_000) missed = 1;
}

async function sas(volume: number, access: "Read" | "Write"): Promise<string> {
  const { grant, entry } = grants.plan(`volume/${volume}`, volume, access, Date.now(), 3600);
  await state.commit([entry]);
  return grants.url(server.origin, grant);
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

async function send(url: string, at: number, headers: Record<string, string>): Promise<void> {
  const response = await fetch(url, {
    method: "PUT",
    body,
    headers: { "x-ms-range": `bytes=${at}-${at + PIECE - 1}`, ...headers },
  });
  await response.arrayBuffer();
  if (response.status !== 201) throw new Error(`Status ${response.status}`);
}

function report(what: string, { ours, peer }: { ours: number; peer: number }, bar: number): void {
  console.log(
    `${what}: ${ours.toFixed(0)} MiB/s, bare ${peer.toFixed(0)} MiB/s, ratio ${(ours / peer).toFixed(2)} (bar ${bar})`,
  );
  if (ours / peer < bar) missed = 1;
}

/** The peer: a range server in as few lines as it takes. */
async function startBare(path: string) {
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
