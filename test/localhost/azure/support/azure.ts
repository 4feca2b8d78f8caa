// A simulated Azure in this process on a free port, and the official clients for it. The clients are as they come, but for
// the one policy that would refuse to send a token over plain http.
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { ComputeManagementClient } from "@azure/arm-compute";
import { StorageManagementClient } from "@azure/arm-storage";
import type { Pipeline } from "@azure/core-rest-pipeline";
import { AnonymousCredential, PageBlobClient } from "@azure/storage-blob";
import { vi } from "vitest";
import type { EstateInput } from "../../../../localhost/azure/estate/estate-schema.ts";
import { checkedEstate } from "../../../../localhost/azure/estate/read-estate.ts";
import { MANAGED_IDENTITY } from "../../../../localhost/azure/identity/principals.ts";
import { type RunningAzure, startAzure } from "../../../../localhost/azure/start.ts";

// Other work may share the machine: slow is not wrong here.
vi.setConfig({ testTimeout: 120_000, hookTimeout: 120_000 });

export const SUBSCRIPTION = "11111111-1111-1111-1111-111111111111";
export const ARM_AUDIENCE = "https://management.azure.com/";
export const GROUP = `/subscriptions/${SUBSCRIPTION}/resourceGroups/demo`;

/** Versions that real clients send, by the last provider and type in a path; the others are Resource Manager's own. */
const API_VERSIONS: readonly (readonly [RegExp, string])[] = [
  [/\/microsoft\.authorization\/locks/i, "2020-05-01"],
  [/\/microsoft\.authorization\//i, "2022-04-01"],
  [/\/microsoft\.compute\/(disks|snapshots)/i, "2024-03-02"],
  [/\/microsoft\.compute\//i, "2024-07-01"],
  [/\/microsoft\.storage\//i, "2023-05-01"],
  [/\/microsoft\.network\//i, "2024-05-01"],
  [/\/microsoft\.classic\w+\//i, "2015-12-01"],
  [/\/microsoft\.recoveryservices\//i, "2023-06-01"],
];

function apiVersionOf(path: string): string {
  return API_VERSIONS.find(([pattern]) => pattern.test(path.split("?")[0] ?? ""))?.[1] ?? "2021-04-01";
}

/** Small machines, no life of their own, operations that finish at once. */
export function testEstate(more: Partial<EstateInput> = {}): EstateInput {
  return {
    subscriptions: [
      {
        id: SUBSCRIPTION,
        name: "Test",
        groups: [
          {
            name: "demo",
            location: "westeurope",
            virtualMachines: [
              { name: "web-01", image: "linux", workload: { kind: "web", bytesPerSecond: 65_536, seed: 1 } },
              {
                name: "db-01",
                os: "Windows",
                image: "windows",
                dataDisks: [{ sizeGiB: 1, allocatedMiB: 4 }, { sizeGiB: 1 }, { sizeGiB: 2 }],
                workload: { kind: "database", bytesPerSecond: 65_536, seed: 2 },
              },
            ],
            classicMachines: [
              { name: "classic-01", cloudService: "demo-classic", storageAccount: "democlassic", image: "windows" },
            ],
            storageAccounts: [{ name: "demostaging" }],
          },
          { name: "north", location: "northeurope", virtualMachines: [{ name: "web-north-01", image: "linux" }] },
        ],
      },
    ],
    images: {
      linux: { generated: { sizeGiB: 1, allocatedMiB: 8 } },
      windows: { generated: { sizeGiB: 2, allocatedMiB: 8 } },
    },
    operationMs: 0,
    life: { enabled: false, tickMs: 1000 },
    ...more,
  };
}

export async function startTestAzure(estate: EstateInput = testEstate(), folder?: string) {
  const dataFolder = folder ?? (await mkdtemp(join(tmpdir(), "azure-test-")));
  const defects: string[] = [];
  const azure = await startAzure({
    port: 0,
    dataFolder,
    estate: checkedEstate(estate),
    onDefect: (message) => defects.push(message),
  });
  const control = async (method: string, path: string, body?: unknown) => {
    const response = await fetch(`${azure.origin}/control/${path}`, {
      method,
      ...(body === undefined ? {} : { body: JSON.stringify(body) }),
    });
    const answer = (await response.json()) as Record<string, unknown>;
    if (!response.ok) throw new Error(JSON.stringify(answer));
    return answer;
  };
  const token = (clientId: string, audience = ARM_AUDIENCE) =>
    clientId === MANAGED_IDENTITY ? ownToken(azure, audience) : tokenFor(azure.origin, clientId, audience);
  return {
    ...azure,
    dataFolder,
    defects,
    control,
    token,
    compute: (clientId = "owner") => computeClient(azure.origin, clientId, 0, () => token(clientId)),
    storage: (clientId = "owner") => storageClient(azure.origin, clientId),
    /** A plain ARM request; the path begins after the origin. */
    arm: async (method: string, path: string, body?: unknown, headers: Record<string, string> = {}) => {
      const url = `${azure.origin}${path}${path.includes("api-version") ? "" : `${path.includes("?") ? "&" : "?"}api-version=${apiVersionOf(path)}`}`;
      const response = await fetch(url, {
        method,
        headers: {
          Authorization: `Bearer ${await tokenFor(azure.origin, "owner", ARM_AUDIENCE)}`,
          "Content-Type": "application/json",
          ...headers,
        },
        ...(body === undefined ? {} : { body: typeof body === "string" ? body : JSON.stringify(body) }),
      });
      const text = await response.text();
      const parsed = (text === "" ? {} : JSON.parse(text)) as {
        error?: { code: string; message: string };
        [property: string]: unknown;
      };
      return { status: response.status, headers: response.headers, body: parsed, code: parsed.error?.code };
    },
    async stop(): Promise<void> {
      await azure.close();
      if (folder === undefined) await rm(dataFolder, { recursive: true, force: true });
    },
  };
}

export type TestAzure = Awaited<ReturnType<typeof startTestAzure>>;

export async function tokenFor(origin: string, clientId: string, audience: string): Promise<string> {
  const response = await fetch(`${origin}/common/oauth2/v2.0/token`, {
    method: "POST",
    body: new URLSearchParams({
      grant_type: "client_credentials",
      client_id: clientId,
      client_secret: "any",
      scope: `${audience}/.default`,
    }),
  });
  return ((await response.json()) as { access_token: string }).access_token;
}

/** The machine's managed identity has no secret: it is asked for as in App Service. */
async function ownToken({ identityEndpoint, identityHeader }: RunningAzure, audience: string): Promise<string> {
  const url = `${identityEndpoint}?api-version=2019-08-01&resource=${encodeURIComponent(audience)}`;
  const response = await fetch(url, { headers: { "X-IDENTITY-HEADER": identityHeader } });
  return ((await response.json()) as { access_token: string }).access_token;
}

const NEVER_ASKED = { getToken: async () => null };

/** Puts a policy in the place of the one that insists on https. */
export function overPlainHttp<Client extends { pipeline: Pipeline }>(
  client: Client,
  token: () => Promise<string>,
): Client {
  for (const { name } of client.pipeline.getOrderedPolicies())
    if (/bearerToken|challenge|keyVaultAuth/i.test(name)) client.pipeline.removePolicy({ name });
  client.pipeline.addPolicy({
    name: "plainHttpBearer",
    sendRequest: async (request, next) => {
      request.headers.set("Authorization", `Bearer ${await token()}`);
      return next(request);
    },
  });
  return client;
}

const CLIENT_OPTIONS = { allowInsecureConnection: true, retryOptions: { maxRetries: 0 } };

export function computeClient(
  origin: string,
  clientId: string,
  maxRetries = 0,
  getToken = () => tokenFor(origin, clientId, ARM_AUDIENCE),
): ComputeManagementClient {
  const options = { ...CLIENT_OPTIONS, endpoint: origin, retryOptions: { maxRetries, retryDelayInMs: 1 } };
  let token: Promise<string> | undefined;
  return overPlainHttp(new ComputeManagementClient(NEVER_ASKED, SUBSCRIPTION, options), () => {
    token ??= getToken().catch((cause) => {
      token = undefined;
      throw cause;
    });
    return token;
  });
}

function storageClient(origin: string, clientId: string): StorageManagementClient {
  return overPlainHttp(
    new StorageManagementClient(NEVER_ASKED, SUBSCRIPTION, { ...CLIENT_OPTIONS, endpoint: origin }),
    () => tokenFor(origin, clientId, ARM_AUDIENCE),
  );
}

export function pageBlob(sas: string | undefined): PageBlobClient {
  return new PageBlobClient(sas ?? "", new AnonymousCredential(), { retryOptions: { maxTries: 1 } });
}

export const POLL = { updateIntervalInMs: 5 };
