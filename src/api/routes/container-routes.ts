// Containers and discovery: which machines are registered, which could be protected, and what stands against one.

import { HoldfastFailure } from "../../base/failure.ts";
import {
  type Container,
  getContainer,
  listContainers,
  registerContainer,
  unregisterContainer,
} from "../../control/containers.ts";
import {
  backupStatusOf,
  listProtectableMachines,
  machineNamesOf,
  preValidate,
  refreshMachines,
} from "../../control/discovery.ts";
import { vaultKeyOf } from "../../control/rows/vault-row.ts";
import { getVault } from "../../control/vaults.ts";
import { parseContainerName, parseVaultId, renderContainerName } from "../../domain/arm-ids.ts";
import type { MachineSummary } from "../../ports/machines.ts";
import { type Answer, type ApiCall, ok, PATHS, type Route } from "../api-call.ts";
import { isWithin } from "../authorize.ts";
import type { Filter } from "../filter.ts";
import { accepted, acceptedAt, resourcePlaces, vaultPlaces } from "../long-running.ts";
import { pageOf } from "../paging.ts";
import { parseBody } from "../request-body.ts";
import { backupStatusBody, preValidateBody, renderBackupStatus, renderPreValidation } from "../wire/backup-status.ts";
import { containerBody, renderContainer, renderProtectable } from "../wire/container.ts";
import { machineTypeOf } from "../wire/protected-item.ts";
import { admitsContainer, requireFabric, vaultOf } from "./in-vault.ts";

export const CONTAINER_ROUTES: readonly Route[] = [
  {
    method: "GET",
    path: `${PATHS.vault}/backupProtectionContainers`,
    operation: "containers/read",
    isChange: false,
    handle: list,
  },
  { method: "GET", path: PATHS.container, operation: "containers/read", isChange: false, handle: show },
  { method: "PUT", path: PATHS.container, operation: "containers/write", isChange: true, handle: register },
  { method: "DELETE", path: PATHS.container, operation: "containers/delete", isChange: true, handle: unregister },
  {
    method: "GET",
    path: `${PATHS.vault}/backupProtectableItems`,
    operation: "containers/read",
    isChange: false,
    handle: listProtectable,
  },
  {
    method: "POST",
    path: `${PATHS.fabric}/refreshContainers`,
    operation: "containers/refresh",
    isChange: true,
    handle: refresh,
  },
  {
    method: "POST",
    path: `${PATHS.location}/backupStatus`,
    operation: "items/read",
    isChange: false,
    handle: showStatus,
  },
  {
    method: "POST",
    path: `${PATHS.location}/backupPreValidateProtection`,
    operation: "items/read",
    isChange: false,
    handle: validate,
  },
];

const ofMachines = (filter: Filter): boolean =>
  filter.admits("backupManagementType", "AzureIaasVM") &&
  filter.admits("workloadType", "VM") &&
  filter.admits("fabricName", "Azure");

async function list(call: ApiCall): Promise<Answer> {
  const { key, path } = await vaultOf(call);
  const { filter } = call;
  const isAsked = ofMachines(filter) && filter.admits("status", "Registered");
  return ok(
    await pageOf<Container>(
      call.page,
      (page) => listContainers(call.deps, { vault: key, ...page }),
      (container) => isAsked && admits(filter, container),
      (container) => renderContainer(path, container),
    ),
  );
}

/** Azure has a word for each kind of machine, and one for both. No backup engine stands between a machine and its vault. */
function admits(filter: Filter, container: Container): boolean {
  return (
    filter.admits("friendlyName", container.machineName) &&
    filter.admits("backupEngineName", undefined) &&
    (filter.admits("containerType", "IaasVMContainer") || filter.admits("containerType", machineTypeOf(container)))
  );
}

async function show(call: ApiCall): Promise<Answer> {
  const { key, path } = await vaultOf(call);
  return ok(renderContainer(path, await getContainer(call.deps, { vault: key, container: containerNameOf(call) })));
}

/** Containers are registered by a job; the item's own places tell how it goes. */
async function register(call: ApiCall): Promise<Answer> {
  const { machineId } = parseBody(containerBody, call.body, "BMSUserErrorInvalidConfigureProtectionRequest");
  const { key, path } = await vaultOf(call);
  await call.requireReach("machine", machineId);
  const container = containerNameOf(call);
  const { operationId } = await registerContainer(call.deps, { vault: key, container, machineId });
  return accepted(call, resourcePlaces(`${path}/backupFabrics/Azure/protectionContainers/${container}`), operationId);
}

async function unregister(call: ApiCall): Promise<Answer> {
  const { key, path } = await vaultOf(call);
  const { operationId } = await unregisterContainer(call.deps, { vault: key, container: containerNameOf(call) });
  return accepted(call, vaultPlaces(path), operationId);
}

function containerNameOf(call: ApiCall): string {
  requireFabric(call);
  return renderContainerName(parseContainerName(call.name("container")));
}

async function listProtectable(call: ApiCall): Promise<Answer> {
  const { key, path } = await vaultOf(call);
  const { filter } = call;
  const isAsked = ofMachines(filter) && filter.admits("status", "NotProtected");
  return ok(
    await pageOf<MachineSummary>(
      call.page,
      (page) => listProtectableMachines(call.deps, { vault: key, ...page }),
      ({ id, name }) =>
        isAsked &&
        filter.admits("friendlyName", name) &&
        admitsContainer(filter, renderContainerName(machineNamesOf(id))),
      (machine) => renderProtectable(path, machine),
    ),
  );
}

async function refresh(call: ApiCall): Promise<Answer> {
  requireFabric(call);
  const { key, path } = await vaultOf(call);
  const { operationId } = await refreshMachines(call.deps, { vault: key });
  return acceptedAt(call, `${path}/backupFabrics/Azure/operationResults/${operationId}`);
}

async function showStatus(call: ApiCall): Promise<Answer> {
  const { machineId } = parseBody(backupStatusBody, call.body);
  requireOwnSubscription(call, machineId);
  return ok(renderBackupStatus(await backupStatusOf(call.deps, { machineId })));
}

async function validate(call: ApiCall): Promise<Answer> {
  const { machineId, vaultId } = parseBody(preValidateBody, call.body);
  const ref = parseVaultId(vaultId);
  for (const id of [machineId, vaultId]) requireOwnSubscription(call, id);
  await getVault(call.deps, ref);
  const vault = vaultKeyOf(ref.subscriptionId, ref.name);
  return ok(renderPreValidation(await preValidate(call.deps, { vault, machineId })));
}

/** The caller's role was asked for in the subscription of the path: what lies in another one is not theirs to ask about. */
function requireOwnSubscription(call: ApiCall, id: string): void {
  if (isWithin(id, `/subscriptions/${call.name("subscription")}`)) return;
  const message = `"${id}" is not in the subscription ${call.name("subscription")}`;
  throw new HoldfastFailure("invalid", "LinkedInvalidPropertyId", message);
}
