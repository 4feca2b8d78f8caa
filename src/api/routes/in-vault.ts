// What routes below a vault begin with: the vault of their path, and the item in it. Names are compared without regard to
// case, and a name that cannot be one is simply not there.

import { HoldfastFailure } from "../../base/failure.ts";
import { ITEM_ROWS, type ItemBody, itemPlace } from "../../control/rows/item-row.ts";
import { type Held, readRow } from "../../control/rows/row-kind.ts";
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

export async function itemOf(call: ApiCall): Promise<InItem> {
  const inVault = await vaultOf(call);
  const held = await findItem(call, inVault.key);
  if (held === undefined)
    throw notFound("BMSUserErrorDataSourceObjectNotFound", `There is no item ${call.name("item")}`);
  return { ...inVault, item: held.body, itemPath: itemPathOf(inVault.path, held.body) };
}

async function findItem(call: ApiCall, vault: VaultKey): Promise<Held<ItemBody> | undefined> {
  const names = readableNames(call);
  return names && readRow(call.deps.tables, ITEM_ROWS, itemPlace(vault, names.item));
}

/** Of requests that look for an item: names that cannot be read name none. */
function readableNames(call: ApiCall): ItemNames | undefined {
  try {
    return itemNamesOf(call);
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

export const notFound = (code: string, message: string): HoldfastFailure =>
  new HoldfastFailure("not-found", code, message);

export const sameText = (one: string, other: string): boolean => one.toLowerCase() === other.toLowerCase();
