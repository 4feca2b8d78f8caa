// Configuration and the process's own facts become dependencies here, once. This is the only file between the triggers
// and the real world that may read the clock, randomness and the environment.

import { randomBytes } from "node:crypto";
import { resolve } from "node:path";
import { type ActivityDeps, TransferSessions } from "./activities/transfer-session.ts";
import type { ApiPorts, ApiSettings } from "./api/api-settings.ts";
import { type Api, createApi } from "./api/app.ts";
import { connectArm } from "./azure/arm.ts";
import { armRoleAssignments } from "./azure/arm-role-assignments.ts";
import { azureMachines } from "./azure/azure-machines.ts";
import { azureSnapshots } from "./azure/azure-snapshots.ts";
import { azureStaging } from "./azure/azure-staging.ts";
import { azureTargetDisks } from "./azure/azure-target-disks.ts";
import { managedIdentity, type TokenCredential } from "./azure/credentials.ts";
import { type Deployment, isBehindProxy, readDeployment } from "./azure/deployment.ts";
import { DiskAccess } from "./azure/disk-access.ts";
import { openKeyVaultKey } from "./azure/key-vault-key.ts";
import { openTableStore } from "./azure/table-store.ts";
import { openContainers } from "./azure/vault-containers.ts";
import { webKeySets } from "./azure/web-key-sets.ts";
import type { Archives } from "./control/control-deps.ts";
import { rememberRows } from "./control/rows/remembered-rows.ts";
import type { VaultBody } from "./control/rows/vault-row.ts";
import { openKeyFile } from "./files/key-file.ts";
import type { Clock, Random } from "./ports/clock.ts";
import type { KeyWrapper } from "./ports/key-wrapper.ts";
import type { Workflow } from "./ports/workflow.ts";
import { openOrCreateVault, openVault, type Vault, type VaultDeps } from "./vault/open-vault.ts";

/** When this process began to serve. */
export const startedAt: Date = new Date();

const clock: Clock = { now: () => new Date() };
const random: Random = { bytes: (count) => randomBytes(count) };

export interface Service {
  readonly clock: Clock;
  readonly deployment: Deployment;
  /** All that use cases and activities need; the workflow is that of the invocation. */
  activityDeps(workflow: Workflow): ActivityDeps;
  api(workflow: Workflow): Api;
}

/** The largest request of an official client is some tens of KiB. */
const MAX_BODY_BYTES = 1024 * 1024;

let service: Service | undefined;

/** Made by the first who needs it, so that a deployment whose settings are wrong still tells its health. */
export function openService(): Service {
  service ??= createService(readDeployment(process.env));
  return service;
}

function createService(deployment: Deployment): Service {
  const credential = managedIdentity(deployment.HOLDFAST_IDENTITY_CLIENT_ID);
  const arm = connectArm({ armUrl: deployment.HOLDFAST_ARM_URL, credential });
  const access = new DiskAccess(arm);
  const state = deployment.HOLDFAST_STATE_ACCOUNT;
  const common = {
    tables: rememberRows(
      openTableStore(/^https?:/.test(state) ? { tableEndpoint: state, credential } : { connectionString: state }),
    ),
    machines: azureMachines(arm),
    snapshots: azureSnapshots(arm, access),
    targets: azureTargetDisks(arm, access),
    staging: azureStaging(arm),
    archives: new ContainerArchives(deployment, credential),
    clock,
    random,
    settings: {
      tenantId: deployment.HOLDFAST_TENANT_ID,
      subscriptionIds: deployment.HOLDFAST_SUBSCRIPTIONS,
      regions: Object.keys(deployment.HOLDFAST_VAULT_ACCOUNTS),
      sliceSlots: deployment.HOLDFAST_SLICE_SLOTS,
    },
    sessions: new TransferSessions(),
  };
  const ports: ApiPorts = {
    keySets: webKeySets,
    roleAssignments: armRoleAssignments({
      read: (pathOrLink, apiVersion) => arm.request("GET", pathOrLink, apiVersion),
      subscriptionIds: deployment.HOLDFAST_SUBSCRIPTIONS,
      clock,
    }),
    onInternalError: (cause, requestId) => console.error(`Request ${requestId} failed:`, cause),
  };
  const activityDeps = (workflow: Workflow): ActivityDeps => ({ ...common, workflow });
  const api = (workflow: Workflow): Api => createApi(activityDeps(workflow), ports, apiSettings(deployment));
  return { clock, deployment, activityDeps, api };
}

function apiSettings(deployment: Deployment): ApiSettings {
  return {
    publicUrl: deployment.HOLDFAST_PUBLIC_URL,
    isBehindProxy: isBehindProxy(deployment),
    issuers: deployment.HOLDFAST_ISSUERS,
    authorityUrl:
      deployment.HOLDFAST_AUTHORITY_URL ?? `https://login.microsoftonline.com/${deployment.HOLDFAST_TENANT_ID}`,
    pageSize: deployment.HOLDFAST_PAGE_SIZE,
    maxBodyBytes: MAX_BODY_BYTES,
  };
}

/** Each vault's archive, opened once and kept while this process lives. */
class ContainerArchives implements Archives {
  private readonly deployment: Deployment;
  private readonly credential: TokenCredential;
  private readonly opened = new Map<string, Promise<Vault>>();

  constructor(deployment: Deployment, credential: TokenCredential) {
    this.deployment = deployment;
    this.credential = credential;
  }

  prepare(vault: VaultBody, containerName: string): Promise<Vault> {
    return this.keep(containerName, async () => {
      const deps = await this.depsOf(vault, containerName);
      return openOrCreateVault(deps, { name: vault.name, suite: this.suite() });
    });
  }

  async open(vault: VaultBody): Promise<Vault> {
    const containerName = vault.archive?.containerName ?? "";
    return this.keep(containerName, async () => openVault(await this.depsOf(vault, containerName)));
  }

  private keep(name: string, open: () => Promise<Vault>): Promise<Vault> {
    let vault = this.opened.get(name);
    if (vault === undefined) {
      vault = open();
      vault.catch(() => this.opened.delete(name));
      this.opened.set(name, vault);
    }
    return vault;
  }

  private async depsOf(vault: VaultBody, containerName: string): Promise<VaultDeps> {
    const { HOLDFAST_VAULT_ACCOUNTS, HOLDFAST_KEY } = this.deployment;
    const containers = await openContainers(HOLDFAST_VAULT_ACCOUNTS, this.credential, vault, containerName);
    return { ...containers, clock, random, wrappers: await wrappersFor(HOLDFAST_KEY, this.credential) };
  }

  private suite(): "aes-256-gcm" | "none" {
    return this.deployment.HOLDFAST_KEY === "none" ? "none" : "aes-256-gcm";
  }
}

/** A key in Key Vault, a key file, or none. */
async function wrappersFor(key: string, credential: TokenCredential): Promise<readonly KeyWrapper[]> {
  if (key === "none") return [];
  if (/^https?:/i.test(key)) return [openKeyVaultKey(key, { credential })];
  return [await openKeyFile(resolve(key))];
}
