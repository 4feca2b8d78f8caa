// A vault's configuration resources: other views of the same vault, and a few that always say the same.

import { listContainers } from "../../control/containers.ts";
import { ITEM_ROWS } from "../../control/rows/item-row.ts";
import { listRows } from "../../control/rows/row-kind.ts";
import { updateVault } from "../../control/vaults.ts";
import { type Answer, type ApiCall, ok, PATHS, type Route } from "../api-call.ts";
import { parseBody } from "../request-body.ts";
import {
  renderEncryptionConfig,
  renderStorageConfig,
  renderVaultConfig,
  storageConfigBody,
  vaultConfigBody,
} from "../wire/vault.ts";
import { vaultOf, vaultRefOf } from "./in-vault.ts";

const STORAGE = `${PATHS.vault}/backupstorageconfig/vaultstorageconfig`;
const CONFIG = `${PATHS.vault}/backupconfig/vaultconfig`;
const ENCRYPTION = `${PATHS.vault}/backupEncryptionConfigs/backupResourceEncryptionConfig`;

const read = (path: string, handle: Route["handle"]): Route => ({
  method: "GET",
  path,
  operation: "vaults/settings/read",
  isChange: false,
  handle,
});
const write = (method: "PUT" | "PATCH", path: string, handle: Route["handle"]): Route => ({
  method,
  path,
  operation: "vaults/settings/write",
  isChange: true,
  handle,
});

export const VAULT_CONFIG_ROUTES: readonly Route[] = [
  read(STORAGE, showStorage),
  write("PUT", STORAGE, putStorage),
  write("PATCH", STORAGE, async (call) => {
    await putStorage(call);
    return { status: 204 };
  }),
  read(CONFIG, showConfig),
  write("PUT", CONFIG, putConfig),
  write("PATCH", CONFIG, putConfig),
  read(ENCRYPTION, async (call) => ok(renderEncryptionConfig((await vaultOf(call)).vault))),
  // There are none, and clients ask before they destroy anything.
  read(`${PATHS.vault}/backupResourceGuardProxies`, emptyList),
  read(`${PATHS.vault}/replicationUsages`, emptyList),
  read(`${PATHS.vault}/usages`, listUsages),
  read(`${PATHS.vault}/backupUsageSummaries`, listSummaries),
];

async function showStorage(call: ApiCall): Promise<Answer> {
  return ok(renderStorageConfig((await vaultOf(call)).vault));
}

async function putStorage(call: ApiCall): Promise<Answer> {
  const { body } = await updateVault(call.deps, vaultRefOf(call), parseBody(storageConfigBody, call.body));
  return ok(renderStorageConfig(body));
}

async function showConfig(call: ApiCall): Promise<Answer> {
  return ok(renderVaultConfig((await vaultOf(call)).vault));
}

async function putConfig(call: ApiCall): Promise<Answer> {
  const { body } = await updateVault(call.deps, vaultRefOf(call), parseBody(vaultConfigBody, call.body));
  return ok(renderVaultConfig(body));
}

async function emptyList(call: ApiCall): Promise<Answer> {
  await vaultOf(call);
  return ok({ value: [] });
}

async function listUsages(call: ApiCall): Promise<Answer> {
  return ok({ value: [usage("ProtectedItems", "Backup protected items", await countItems(call))] });
}

async function listSummaries(call: ApiCall): Promise<Answer> {
  const { key } = await vaultOf(call);
  const { filter } = call;
  const [ofItems, ofContainers] = ["BackupProtectedItemCountSummary", "BackupProtectionContainerCountSummary"];
  if (!filter.admits("backupManagementType", "AzureIaasVM")) return ok({ value: [] });
  if (filter.admits("type", ofItems)) return ok({ value: [usage("AzureVM", ofItems, await countItems(call))] });
  if (!filter.admits("type", ofContainers)) return ok({ value: [] });
  const { values } = await listContainers(call.deps, { vault: key, limit: Number.POSITIVE_INFINITY });
  return ok({ value: [usage("AzureVM", ofContainers, values.length)] });
}

async function countItems(call: ApiCall): Promise<number> {
  const { key } = await vaultOf(call);
  let count = 0;
  for await (const _ of listRows(call.deps.tables, ITEM_ROWS, key)) count++;
  return count;
}

const usage = (value: string, localizedValue: string, currentValue: number) => ({
  unit: "Count",
  currentValue,
  limit: 10_000,
  nextResetTime: null,
  quotaPeriod: null,
  name: { value, localizedValue },
});
