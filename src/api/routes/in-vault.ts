// What routes below a vault begin with: the vault of their path, and the item in it. Names are compared without regard to
// case, and a name that cannot be one is simply not there.

import { HoldfastFailure } from "../../base/failure.ts";
import { machineNamesOf } from "../../control/discovery.ts";
import { getItem } from "../../control/items.ts";
import type { ItemBody } from "../../control/rows/item-row.ts";
import { type VaultBody, type VaultKey, vaultKeyOf } from "../../control/rows/vault-row.ts";
import { getVault, type VaultRef } from "../../control/vaults.ts";
import {
  parseContainerName,
  parseItemName,
  renderContainerName,
  renderContainerProperty,
  renderItemName,
  type VmNameParts,
} from "../../domain/arm-ids.ts";
import type { ApiCall } from "../api-call.ts";
import type { Filter } from "../filter.ts";
import { itemPathOf } from "../wire/protected-item.ts";
import { vaultPathOf } from "../wire/vault.ts";

export interface InVault {
  readonly vault: VaultBody;
  readonly etag: string;
  readonly key: VaultKey;
  /** Its id, as it was created. */
  readonly path: string;
}

export const vaultRefOf = (call: ApiCall): VaultRef => ({
  subscriptionId: call.name("subscription"),
  resourceGroup: call.name("group"),
  name: call.name("vault"),
});

export async function vaultOf(call: ApiCall): Promise<InVault> {
  const ref = vaultRefOf(call);
  const { body, etag } = await getVault(call.deps, ref);
  return { vault: body, etag, key: vaultKeyOf(ref.subscriptionId, ref.name), path: vaultPathOf(body) };
}

export interface InItem extends InVault {
  readonly item: ItemBody;
  readonly itemPath: string;
}

/** Names that cannot be read name no item. */
export async function itemOf(call: ApiCall): Promise<InItem> {
  const inVault = await vaultOf(call);
  const name = readable(() => itemNamesOf(call).item);
  if (name === undefined) throw noItem(call.name("item"));
  const item = await getItem(call.deps, { vault: inVault.key, item: name });
  return { ...inVault, item, itemPath: itemPathOf(inVault.path, item) };
}

/** The item of a machine that a body names. */
export async function itemNamed(call: ApiCall, inVault: InVault, machineId: string | undefined): Promise<InItem> {
  const name = machineId === undefined ? undefined : readable(() => renderItemName(machineNamesOf(machineId)));
  if (name === undefined) throw noItem(machineId ?? "");
  const item = await getItem(call.deps, { vault: inVault.key, item: name });
  return { ...inVault, item, itemPath: itemPathOf(inVault.path, item) };
}

const noItem = (what: string): HoldfastFailure =>
  notFound("BMSUserErrorDataSourceObjectNotFound", `There is no protected item "${what}" in this vault`);

function readable<Value>(read: () => Value): Value | undefined {
  try {
    return read();
  } catch (cause) {
    if (cause instanceof HoldfastFailure && cause.kind === "invalid") return undefined;
    throw cause;
  }
}

export interface ItemNames {
  readonly machine: VmNameParts;
  readonly container: string;
  readonly item: string;
}

/** The names of container and item, in full; they must mean one machine. */
export function itemNamesOf(call: ApiCall): ItemNames {
  requireFabric(call);
  const machine = parseItemName(call.name("item"));
  const container = parseContainerName(call.name("container"));
  if (!sameText(renderContainerProperty(machine), renderContainerProperty(container))) {
    const message = `The container ${call.name("container")} does not hold the item ${call.name("item")}`;
    throw new HoldfastFailure("invalid", "BMSUserErrorInvalidConfigureProtectionRequest", message);
  }
  return { machine, container: renderContainerName(machine), item: renderItemName(machine) };
}

/** There is one fabric. */
export function requireFabric(call: ApiCall): void {
  if (sameText(call.name("fabric"), "Azure")) return;
  throw notFound("HoldfastFabricNotFound", `There is no fabric ${call.name("fabric")}; the only one is Azure`);
}

/** Clients name a container with its leading kind, or without. */
export function admitsContainer(filter: Filter, name: string): boolean {
  const asked = filter.value("containerName");
  return asked === undefined || sameText(name, asked) || name.toLowerCase().endsWith(`;${asked.toLowerCase()}`);
}

export const notFound = (code: string, message: string): HoldfastFailure =>
  new HoldfastFailure("not-found", code, message);

export const sameText = (one: string, other: string): boolean => one.toLowerCase() === other.toLowerCase();
