// What stands around the service on a laptop: Azurite, and the simulated Azure. Both are processes of their own
// (supervised-child.ts), and both end in order when the host is gone, killed or not.

import { mkdir } from "node:fs/promises";
import { join } from "node:path";
import { storageKeyOf } from "./azure/storage/storage-accounts.ts";
import type { LocalPorts } from "./local-ports.ts";
import { type ChildHooks, type ChildProgram, SupervisedChild } from "./supervised-child.ts";

export interface LocalAzureOptions {
  readonly dataFolder: string;
  readonly ports: LocalPorts;
  /** `default`, `big`, or a file. */
  readonly estate: string;
  /** Where the vaults' provider answers. */
  readonly serviceUrl: string;
  /** Secret of the managed-identity endpoint. */
  readonly identityHeader: string;
}

export interface RunningLocalAzure {
  readonly azureUrl: string;
  readonly tenantId: string;
  connectionString(account: string): string;
}

const REDUNDANCIES = ["LocallyRedundant", "ZoneRedundant", "GeoRedundant"] as const;
const REGIONS = ["westeurope", "northeurope"];
const STATE_ACCOUNT = "holdfaststate";
/** Accounts of the built-in estates. */
const ESTATE_ACCOUNTS = ["demostaging", "democlassic", "bigstaging"];

/** A region and redundancy has an account of its own, as in Azure. */
const vaultAccount = (region: string, redundancy: string): string =>
  `hf${region}${redundancy.slice(0, 1)}rs`.toLowerCase();

export const azuriteFolder = (dataFolder: string): string => join(dataFolder, "azurite");
export const azureFolder = (dataFolder: string): string => join(dataFolder, "azure");

/** Made before it is started, so that it can be stopped at any moment of its start. */
export class LocalAzure {
  private readonly options: LocalAzureOptions;
  private readonly azurite: SupervisedChild;
  private readonly simulation: SupervisedChild;

  constructor(options: LocalAzureOptions, hooks: ChildHooks) {
    this.options = options;
    this.azurite = new SupervisedChild(azuriteProgram(options), hooks);
    this.simulation = new SupervisedChild(simulationProgram(options), hooks);
  }

  async start(): Promise<RunningLocalAzure> {
    const { dataFolder, ports } = this.options;
    await mkdir(azuriteFolder(dataFolder), { recursive: true });
    const [said] = await Promise.all([this.simulation.start(), this.azurite.start()]);
    const [, azureUrl = "", tenantId = ""] = SIMULATION_READY.exec(said) ?? [];
    return { azureUrl, tenantId, connectionString: (account) => connectionStringOf(account, ports) };
  }

  /** Azurite last: what the others still write has to arrive. */
  async stop(): Promise<void> {
    await this.simulation.stop();
    await this.azurite.stop();
  }
}

/** The settings of the service for what runs here (docs/operations.md). */
export function serviceSettings(
  { azureUrl, tenantId, connectionString }: RunningLocalAzure,
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

function azuriteProgram({ dataFolder, ports }: LocalAzureOptions): ChildProgram {
  const listen = (["blob", "queue", "table"] as const).flatMap((service) => [
    ...[`--${service}Host`, "127.0.0.1"],
    ...[`--${service}Port`, String(ports[service])],
  ]);
  const flags = ["--silent", "--skipApiVersionCheck", "--disableTelemetry", "--location", azuriteFolder(dataFolder)];
  return {
    name: "Azurite",
    program: "azurite.ts",
    args: [...listen, ...flags],
    environment: { AZURITE_ACCOUNTS: azuriteAccounts() },
    isReady: (text) => (text.match(/successfully listening/gi)?.length ?? 0) >= 3,
    loss: "What it had acknowledged in the last seconds may be lost: docs/operations.md, “When Azurite was killed”.",
  };
}

function azuriteAccounts(): string {
  const vaults = REGIONS.flatMap((region) => REDUNDANCIES.map((redundancy) => vaultAccount(region, redundancy)));
  return [STATE_ACCOUNT, ...vaults, ...ESTATE_ACCOUNTS].map((name) => `${name}:${storageKeyOf(name)}`).join(";");
}

function connectionStringOf(account: string, ports: LocalPorts): string {
  const endpoints = [
    `BlobEndpoint=http://127.0.0.1:${ports.blob}/${account};`,
    `TableEndpoint=http://127.0.0.1:${ports.table}/${account};`,
  ];
  return `AccountName=${account};AccountKey=${storageKeyOf(account)};${endpoints.join("")}`;
}

const SIMULATION_READY = /Simulated Azure: (\S+) {2}tenant (\S+)/;

function simulationProgram(options: LocalAzureOptions): ChildProgram {
  const { dataFolder, ports, estate, serviceUrl, identityHeader } = options;
  return {
    name: "The simulated Azure",
    program: "azure.ts",
    args: [
      ...["--port", String(ports.azure), "--data", azureFolder(dataFolder), "--estate", estate],
      ...["--upstream", serviceUrl, "--blob-origin", `http://127.0.0.1:${ports.blob}`],
      ...["--identity-header", identityHeader, "--with-parent"],
    ],
    isReady: (text) => SIMULATION_READY.test(text),
    loss: "Nothing is lost by that.",
  };
}
