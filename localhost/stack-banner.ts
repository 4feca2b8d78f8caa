// What `npm start` says when everything is up: where things are, a token to begin with, and what to try first. For machines
// the same facts are part of the host's ready line.

import { type Token, tokenForm, tokenUrl } from "./arm-client.ts";
import { BACKUP_API, DEMO_GROUP, DEMO_VAULT, itemPath, SUBSCRIPTION } from "./demo-vault.ts";
import { type ReadyHost, readyFacts } from "./functions-host/banner.ts";
import type { StackPorts } from "./local-ports.ts";

export interface StackFacts {
  readonly ports: StackPorts;
  readonly azureUrl: string;
  readonly tenantId: string;
  readonly token: Token;
  readonly dataFolder: string;
  readonly hasDemo: boolean;
}

interface Try {
  readonly what: string;
  readonly command: string;
}

const COMPUTE_API = "2024-07-01";
const VAULTS_API = "2024-04-01";
const CALLER = "contributor";

export function stackLine(host: ReadyHost, facts: StackFacts): string {
  const { azureUrl, tenantId, token, dataFolder } = facts;
  return JSON.stringify({
    ...readyFacts(host, { dataFolder }),
    ...{ azureUrl, tenantId, subscriptionId: SUBSCRIPTION, ...azuriteUrls(facts) },
    token: token.text,
    tokenExpiresAt: token.expiresAt.toISOString(),
    tokenCommand: tokenCommand(facts),
    commands: commandsFor(host.url, facts).map(({ command }) => command),
  });
}

export function stackText(host: ReadyHost, facts: StackFacts, hasColors: boolean): string {
  const bold = (text: string): string => (hasColors ? `\x1b[1m${text}\x1b[0m` : text);
  const { azureUrl, tenantId, token, dataFolder } = facts;
  const { blobUrl, queueUrl, tableUrl } = azuriteUrls(facts);
  const refused = host.refused.map(({ name, reason }) => `  Not served: ${name}: ${reason}`);
  const tries = commandsFor(host.url, facts).flatMap(({ what, command }) => [`  # ${what}`, `  ${command}`]);
  return [
    "",
    bold("Holdfast is up (Ctrl-C stops)"),
    `  API              ${host.url}`,
    `  Simulated Azure  ${azureUrl}   the ARM endpoint for SDKs; forwards vault requests to the API`,
    `  Azurite          blob ${blobUrl}  queue ${queueUrl}  table ${tableUrl}`,
    `  Tenant           ${tenantId}   subscription ${SUBSCRIPTION}`,
    `  Data             ${dataFolder}`,
    ...refused,
    "",
    bold(`A token of "${CALLER}" (Backup Contributor), good until ${token.expiresAt.toTimeString().slice(0, 5)}`),
    `  export TOKEN=${token.text}`,
    "  # another one; also as owner, operator or reader:",
    `  export TOKEN=$(${tokenCommand(facts)} | sed 's/.*"access_token":"\\([^"]*\\)".*/\\1/')`,
    "",
    bold("Try"),
    ...tries,
    "",
  ].join("\n");
}

function azuriteUrls({ ports }: StackFacts): Readonly<Record<"blobUrl" | "queueUrl" | "tableUrl", string>> {
  const url = (port: number) => `http://127.0.0.1:${port}`;
  return { blobUrl: url(ports.blob), queueUrl: url(ports.queue), tableUrl: url(ports.table) };
}

function tokenCommand(facts: StackFacts): string {
  const form = Object.entries(tokenForm(CALLER)).map(([key, value]) => `-d ${key}=${value}`);
  return `curl -s ${form.join(" ")} ${tokenUrl(facts)}`;
}

function commandsFor(url: string, { azureUrl, hasDemo }: StackFacts): readonly Try[] {
  const call = (path: string, api: string, more = "") =>
    `curl -s -H "Authorization: Bearer $TOKEN"${more} "${path}?api-version=${api}"`;
  if (hasDemo) {
    return [
      {
        what: "what is protected (vault demo, a run every few minutes), and how it is",
        command: call(`${url}${DEMO_VAULT}/backupProtectedItems`, BACKUP_API),
      },
      {
        what: "back up web-01 now",
        command: call(
          `${url}${itemPath("web-01")}/backup`,
          BACKUP_API,
          ` -i -H "Content-Type: application/json" -d '{"properties":{"objectType":"IaasVMBackupRequest"}}'`,
        ),
      },
      { what: "the jobs, newest first", command: call(`${url}${DEMO_VAULT}/backupJobs`, BACKUP_API) },
    ];
  }
  const machines = `${azureUrl}${DEMO_GROUP}/providers/Microsoft.Compute/virtualMachines`;
  const vaults = `${DEMO_GROUP}/providers/Microsoft.RecoveryServices/vaults`;
  const vault = ` -X PUT -H "Content-Type: application/json" -d '{"location":"westeurope","properties":{}}'`;
  return [
    { what: "the machines that can be protected", command: call(machines, COMPUTE_API) },
    { what: "make a vault", command: call(`${url}${vaults}/mine`, VAULTS_API, vault) },
    { what: "the vaults", command: call(`${url}${vaults}`, VAULTS_API) },
  ];
}
