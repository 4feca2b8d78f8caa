// What stands around the service on a laptop: Azurite, and the simulated Azure. Both are processes in sessions of their own,
// so that a Ctrl-C in the terminal reaches the host first, and both end in order when the host is gone, killed or not.

import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { mkdir } from "node:fs/promises";
import { join } from "node:path";
import { HoldfastFailure } from "../src/base/failure.ts";
import { storageKeyOf } from "./azure/storage/storage-accounts.ts";

export interface LocalAzureOptions {
  readonly dataFolder: string;
  readonly ports: LocalPorts;
  /** `default`, `big`, or a file. */
  readonly estate: string;
  /** Where the vaults' provider answers. */
  readonly serviceUrl: string;
  /** Secret of the managed-identity endpoint. */
  readonly identityHeader: string;
  readonly onNotice: (text: string) => void;
}

export interface LocalPorts {
  readonly azure: number;
  readonly blob: number;
  readonly queue: number;
  readonly table: number;
}

export interface LocalAzure {
  readonly azureUrl: string;
  readonly tenantId: string;
  connectionString(account: string): string;
  stop(): Promise<void>;
}

const REDUNDANCIES = ["LocallyRedundant", "ZoneRedundant", "GeoRedundant"] as const;
const REGIONS = ["westeurope", "northeurope"];
const STATE_ACCOUNT = "holdfaststate";
/** Accounts of the built-in estates. */
const ESTATE_ACCOUNTS = ["demostaging", "democlassic", "bigstaging"];
const START_MS = 60_000;

/** A region and redundancy has an account of its own, as in Azure. */
const vaultAccount = (region: string, redundancy: string): string =>
  `hf${region}${redundancy.slice(0, 1)}rs`.toLowerCase();

export async function startLocalAzure(options: LocalAzureOptions): Promise<LocalAzure> {
  const azurite = await startAzurite(options);
  try {
    const { child, url, tenantId } = await startSimulation(options);
    const connectionString = (account: string) => connectionStringOf(account, options.ports);
    return {
      ...{ azureUrl: url, tenantId, connectionString },
      async stop() {
        await end(child);
        await end(azurite);
      },
    };
  } catch (cause) {
    await end(azurite);
    throw cause;
  }
}

/** The settings of the service for what runs here (docs/operations.md). */
export function serviceSettings(
  { azureUrl, tenantId, connectionString }: LocalAzure,
  options: { readonly identityHeader: string; readonly keyFile: string; readonly subscriptionIds: readonly string[] },
): Record<string, string> {
  const accounts = REGIONS.map((region) => [
    region,
    Object.fromEntries(
      REDUNDANCIES.map((redundancy) => [redundancy, connectionString(vaultAccount(region, redundancy))]),
    ),
  ]);
  const issuer = {
    issuer: `${azureUrl}/${tenantId}/v2.0`,
    keysUrl: `${azureUrl}/${tenantId}/discovery/v2.0/keys`,
    audiences: ["https://management.azure.com", "https://management.core.windows.net"],
  };
  return {
    HOLDFAST_TENANT_ID: tenantId,
    HOLDFAST_SUBSCRIPTIONS: options.subscriptionIds.join(","),
    HOLDFAST_ARM_URL: azureUrl,
    HOLDFAST_STATE_ACCOUNT: connectionString(STATE_ACCOUNT),
    HOLDFAST_VAULT_ACCOUNTS: JSON.stringify(Object.fromEntries(accounts)),
    HOLDFAST_KEY: options.keyFile,
    HOLDFAST_ISSUERS: JSON.stringify([issuer]),
    HOLDFAST_AUTHORITY_URL: `${azureUrl}/${tenantId}`,
    HOLDFAST_ASSUMED_PEER: "127.0.0.1",
    // One machine with few cores: more slices at once would only take more memory.
    HOLDFAST_SLICE_SLOTS: "2",
    IDENTITY_ENDPOINT: `${azureUrl}/msi/token`,
    IDENTITY_HEADER: options.identityHeader,
  };
}

async function startAzurite({ dataFolder, ports, onNotice }: LocalAzureOptions): Promise<ChildProcess> {
  const folder = join(dataFolder, "azurite");
  await mkdir(folder, { recursive: true });
  const listen = (["blob", "queue", "table"] as const).flatMap((service) => [
    `--${service}Host`,
    "127.0.0.1",
    `--${service}Port`,
    String(ports[service]),
  ]);
  const flags = ["--silent", "--skipApiVersionCheck", "--disableTelemetry", "--location", folder];
  const child = start("azurite.ts", [...listen, ...flags], { AZURITE_ACCOUNTS: azuriteAccounts() });
  await said(child, "Azurite", (text) => (text.match(/successfully listening/gi)?.length ?? 0) >= 3, onNotice);
  return child;
}

function azuriteAccounts(): string {
  const vaults = REGIONS.flatMap((region) => REDUNDANCIES.map((redundancy) => vaultAccount(region, redundancy)));
  return [STATE_ACCOUNT, ...vaults, ...ESTATE_ACCOUNTS].map((name) => `${name}:${storageKeyOf(name)}`).join(";");
}

function connectionStringOf(account: string, ports: LocalPorts): string {
  const endpoints = (["blob", "table"] as const).map(
    (service) =>
      `${service[0]?.toUpperCase()}${service.slice(1)}Endpoint=http://127.0.0.1:${ports[service]}/${account};`,
  );
  return `AccountName=${account};AccountKey=${storageKeyOf(account)};${endpoints.join("")}`;
}

async function startSimulation(options: LocalAzureOptions) {
  const { dataFolder, ports, estate, serviceUrl, identityHeader, onNotice } = options;
  const child = start("azure.ts", [
    ...["--port", String(ports.azure), "--data", join(dataFolder, "azure"), "--estate", estate],
    ...["--upstream", serviceUrl, "--blob-origin", `http://127.0.0.1:${ports.blob}`],
    ...["--identity-header", identityHeader, "--with-parent"],
  ]);
  const ready = /Simulated Azure: (\S+) {2}tenant (\S+)/;
  const text = await said(child, "The simulated Azure", (all) => ready.test(all), onNotice);
  const [, url = "", tenantId = ""] = ready.exec(text) ?? [];
  return { child, url, tenantId };
}

function start(program: string, args: readonly string[], environment: Record<string, string> = {}): ChildProcess {
  return spawn(process.execPath, [join(import.meta.dirname, program), ...args], {
    stdio: ["pipe", "pipe", "pipe"],
    detached: true,
    env: { ...process.env, ...environment },
  });
}

/** What the child has said by the time it is ready; afterwards its complaints are passed on. */
function said(
  child: ChildProcess,
  name: string,
  isReady: (text: string) => boolean,
  onNotice: (text: string) => void,
): Promise<string> {
  return new Promise((resolve, reject) => {
    let text = "";
    const fail = (why: string) =>
      reject(
        new HoldfastFailure("unavailable", "LocalAzureFailed", `${name} ${why}:\n${text.trim()}`, {
          hint: "Is another one running with the same ports or data folder? See --port and --data.",
        }),
      );
    const timeout = setTimeout(() => fail(`was not ready after ${START_MS / 1000} s`), START_MS);
    const listen = (chunk: Buffer) => {
      text += chunk.toString();
      if (!isReady(text)) return;
      clearTimeout(timeout);
      child.stdout?.off("data", listen).resume();
      resolve(text);
    };
    child.stdout?.on("data", listen);
    child.stderr?.on("data", (chunk: Buffer) => {
      text += chunk.toString();
      if (isReady(text)) onNotice(`${name}: ${chunk.toString().trim()}`);
    });
    child.once("exit", (code) => {
      clearTimeout(timeout);
      fail(`ended with ${code}`);
    });
  });
}

async function end(child: ChildProcess): Promise<void> {
  if (child.exitCode !== null || child.signalCode !== null) return;
  child.kill("SIGTERM");
  await once(child, "exit");
}
