// How fast the simulated Azure answers as Resource Manager: a thousand machines listed, a restore point of sixteen disks.
// Prints one line a bar; exits 1 if one is missed.
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { bigEstate } from "../localhost/azure/estate/built-in-estates.ts";
import { checkedEstate } from "../localhost/azure/estate/read-estate.ts";
import { startAzure } from "../localhost/azure/start.ts";

const SUBSCRIPTION = "11111111-1111-1111-1111-111111111111";
const COMPUTE = `/subscriptions/${SUBSCRIPTION}/resourceGroups/big/providers/Microsoft.Compute`;
const folder = await mkdtemp(join(tmpdir(), "azure-bench-"));
let missed = 0;

const estate = bigEstate();
const [subscription] = estate.subscriptions;
const [group] = subscription?.groups ?? [];
group?.virtualMachines?.push({
  name: "wide",
  image: "ubuntu-24.04",
  dataDisks: Array.from({ length: 15 }, () => ({ sizeGiB: 32 })),
});
const startedAt = performance.now();
const azure = await startAzure({
  port: 0,
  dataFolder: folder,
  estate: checkedEstate({ ...estate, operationMs: 0, life: { enabled: false } }),
});
report("Start of 1,001 machines", performance.now() - startedAt, 10_000);

const token = await tokenOf("owner");
await arm("GET", "/subscriptions");
report("List of 1,001 machines, all pages", await best(listMachines), 300);

const source = { id: `${COMPUTE}/virtualMachines/wide` };
await arm("PUT", `${COMPUTE}/restorePointCollections/wide`, { location: "westeurope", properties: { source } });
let made = 0;
report(
  "Restore point of 16 disks",
  await best(() => arm("PUT", `${COMPUTE}/restorePointCollections/wide/restorePoints/p${made++}`, {})),
  50,
);

await azure.close();
await rm(folder, { recursive: true });
process.exitCode = missed;

async function listMachines(): Promise<void> {
  let count = 0;
  for (
    let path: string | undefined = `/subscriptions/${SUBSCRIPTION}/providers/Microsoft.Compute/virtualMachines`;
    path !== undefined;
  ) {
    const page: { value: unknown[]; nextLink?: string } = await arm("GET", path);
    count += page.value.length;
    path = page.nextLink?.slice(azure.origin.length);
  }
  if (count !== 1001) throw new Error(`Listed ${count} machines`);
}

async function arm<Body>(method: string, path: string, body?: unknown): Promise<Body> {
  const response = await fetch(
    `${azure.origin}${path}${path.includes("api-version") ? "" : "?api-version=2024-07-01"}`,
    {
      method,
      headers: { Authorization: `Bearer ${token}` },
      ...(body === undefined ? {} : { body: JSON.stringify(body) }),
    },
  );
  if (!response.ok) throw new Error(`${method} ${path}: ${response.status} ${await response.text()}`);
  return (await response.json()) as Body;
}

async function tokenOf(clientId: string): Promise<string> {
  const form = {
    grant_type: "client_credentials",
    client_id: clientId,
    client_secret: "x",
    resource: "https://management.azure.com/",
  };
  const response = await fetch(`${azure.origin}/common/oauth2/token`, {
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

function report(what: string, ms: number, bar: number): void {
  console.log(`${what}: ${ms.toFixed(1)} ms (bar ${bar})`);
  if (ms > bar) missed = 1;
}
