// Vaults: creating, changing, reading, deleting. A vault's row is the vault; what else a new one needs comes after it and
// before anybody sees it, and a deletion flags the row before it looks around, so that of two requests that meet at least
// one finds out.

import { HoldfastFailure } from "../base/failure.ts";
import { DEFAULT_POLICIES } from "../domain/default-policies.ts";
import {
  DEFAULT_REDUNDANCY,
  DEFAULT_SOFT_DELETE,
  regionKey,
  requireImmutabilityChange,
  requireRedundancyChange,
  requireSoftDeleteChange,
  requireVaultName,
  vaultNotEmpty,
} from "../domain/vault-rules.ts";
import type { ControlDeps } from "./control-deps.ts";
import { randomUuid } from "./ids.ts";
import { type Page, type PageRequest, pageOfHeld } from "./paging.ts";
import { ITEM_ROWS } from "./rows/item-row.ts";
import { newPolicy, POLICY_ROWS, type PolicyBody, policyPlace } from "./rows/policy-row.ts";
import { type Held, insertRow, listRows, readRow, removeHeldRow, replaceRow, swapRow } from "./rows/row-kind.ts";
import { VAULT_ROWS, type VaultBody, type VaultKey, vaultKeyOf, vaultPlace } from "./rows/vault-row.ts";

export interface VaultRef {
  readonly subscriptionId: string;
  readonly resourceGroup: string;
  readonly name: string;
}

/** What of a vault a client may write. Absent: as it is. */
export interface VaultChange {
  readonly tags?: VaultBody["tags"];
  readonly identity?: unknown;
  readonly redundancy?: VaultBody["redundancy"];
  readonly crossRegionRestore?: boolean;
  readonly softDelete?: Partial<VaultBody["softDelete"]>;
  readonly immutability?: VaultBody["immutability"];
  /** Merged into what is there, setting by setting. */
  readonly settings?: VaultBody["settings"];
}

export async function createOrUpdateVault(
  deps: ControlDeps,
  ref: VaultRef,
  request: VaultChange & { readonly location: string },
): Promise<{ readonly vault: Held<VaultBody>; readonly isNew: boolean }> {
  requireVaultName(ref.name);
  requireRegion(deps, request.location);
  const place = vaultPlace(vaultKeyOf(ref.subscriptionId, ref.name));
  const isNew = await insertRow(deps.tables, VAULT_ROWS, place, newVault(deps, ref, request));
  const found = await readRow(deps.tables, VAULT_ROWS, place);
  if (!found) throw deletedMeanwhile(ref.name);
  requireSamePlace(found.body, ref, request.location);
  if (!found.body.isReady) return { vault: await complete(deps, found), isNew: true };
  if (isNew) return { vault: found, isNew };
  return { vault: await changeVault(deps, ref, request), isNew: false };
}

export function updateVault(deps: ControlDeps, ref: VaultRef, change: VaultChange): Promise<Held<VaultBody>> {
  return changeVault(deps, ref, change);
}

export async function getVault(deps: ControlDeps, ref: VaultRef): Promise<Held<VaultBody>> {
  const held = await readRow(deps.tables, VAULT_ROWS, vaultPlace(vaultKeyOf(ref.subscriptionId, ref.name)));
  if (held?.body.isReady && sameText(held.body.resourceGroup, ref.resourceGroup)) return held;
  throw vaultNotFound(ref.name, ref.resourceGroup);
}

/** For use cases that were given the key of a vault that somebody looked up already. */
export async function requireVault(deps: ControlDeps, vault: VaultKey): Promise<Held<VaultBody>> {
  const held = await readRow(deps.tables, VAULT_ROWS, vaultPlace(vault));
  if (held?.body.isReady) return held;
  throw vaultNotFound(vault.split("/")[1] ?? "", undefined);
}

/** For who has put something into a vault: it is there, and whoever was about to delete it looks again. */
export async function keepVault(deps: ControlDeps, vault: VaultKey): Promise<VaultBody> {
  for (;;) {
    const held = await requireVault(deps, vault);
    if (held.body.deletingSince === null) return held.body;
    await replaceRow(deps.tables, VAULT_ROWS, held, { ...held.body, deletingSince: null });
  }
}

/** Of a subscription, or of one of its groups. */
export function listVaults(
  deps: ControlDeps,
  { subscriptionId, resourceGroup }: { readonly subscriptionId: string; readonly resourceGroup?: string | undefined },
  page: PageRequest<Held<VaultBody>>,
): Promise<Page<Held<VaultBody>>> {
  return pageOfHeld(deps.tables, VAULT_ROWS, subscriptionId.toLowerCase(), {
    ...page,
    matches: (held) =>
      held.body.isReady &&
      (resourceGroup === undefined || sameText(held.body.resourceGroup, resourceGroup)) &&
      (page.matches?.(held) ?? true),
  });
}

/**
 * Flag, look, remove: whoever puts an item into a vault writes the item first, and lifts the flag if there is one. So
 * either the deletion sees the item, or it loses the row that it flagged, or the item finds no vault any more and goes
 * again (protection.ts). A flag that a crash left behind hinders nobody.
 */
export async function deleteVault(deps: ControlDeps, ref: VaultRef): Promise<"deleted" | "absent"> {
  const vault = vaultKeyOf(ref.subscriptionId, ref.name);
  for (;;) {
    const found = await readRow(deps.tables, VAULT_ROWS, vaultPlace(vault));
    if (!found?.body.isReady || !sameText(found.body.resourceGroup, ref.resourceGroup)) return "absent";
    const flagged = await swapRow(deps.tables, VAULT_ROWS, found, { ...found.body, deletingSince: nowOf(deps) });
    if (!flagged) continue;
    const itemCount = await countItems(deps, vault);
    if (itemCount > 0) {
      await replaceRow(deps.tables, VAULT_ROWS, flagged, { ...flagged.body, deletingSince: null });
      throw vaultNotEmpty(found.body.name, itemCount);
    }
    if (!(await removeHeldRow(deps.tables, VAULT_ROWS, flagged))) continue;
    await dropPolicies(deps, vault, found.body);
    return "deleted";
  }
}

/** Nothing reads them any more, since they are of a vault that is gone: this only tidies up. */
async function dropPolicies(deps: ControlDeps, vault: VaultKey, { incarnation }: VaultBody): Promise<void> {
  for await (const held of listRows(deps.tables, POLICY_ROWS, vault)) {
    if (held.body.vaultIncarnation === incarnation) await removeHeldRow(deps.tables, POLICY_ROWS, held);
  }
}

/** The first policies, then the word that the vault is ready: both as often as it takes, by whoever comes by. */
async function complete(deps: ControlDeps, held: Held<VaultBody>): Promise<Held<VaultBody>> {
  const vault = vaultKeyOf(held.body.subscriptionId, held.body.name);
  const { createdAt: now, incarnation: vaultIncarnation } = held.body;
  for (const [name, policy] of Object.entries(DEFAULT_POLICIES)) {
    await standPolicy(deps, vault, newPolicy(name, policy, { vaultIncarnation, now }));
  }
  const ready = await swapRow(deps.tables, VAULT_ROWS, held, { ...held.body, isReady: true });
  if (ready) return ready;
  const found = await readRow(deps.tables, VAULT_ROWS, held);
  if (found?.body.incarnation === held.body.incarnation && found.body.isReady) return found;
  throw deletedMeanwhile(held.body.name);
}

/**
 * In place of what an earlier vault of the name has left. Read first, then looked whether the vault is still the one, then
 * swapped from what was read: so what a later vault of the name has put there is never taken for a leftover.
 */
async function standPolicy(deps: ControlDeps, vault: VaultKey, policy: PolicyBody): Promise<void> {
  const place = policyPlace(vault, policy.name);
  for (;;) {
    if (await insertRow(deps.tables, POLICY_ROWS, place, policy)) return;
    const found = await readRow(deps.tables, POLICY_ROWS, place);
    if (found?.body.vaultIncarnation === policy.vaultIncarnation) return;
    const owner = await readRow(deps.tables, VAULT_ROWS, vaultPlace(vault));
    if (owner?.body.incarnation !== policy.vaultIncarnation) throw deletedMeanwhile(vault.split("/")[1] ?? "");
    if (found && (await replaceRow(deps.tables, POLICY_ROWS, found, policy))) return;
  }
}

async function changeVault(deps: ControlDeps, ref: VaultRef, change: VaultChange): Promise<Held<VaultBody>> {
  for (;;) {
    const held = await getVault(deps, ref);
    const changed = await swapRow(deps.tables, VAULT_ROWS, held, changedVault(held.body, change));
    if (changed) return changed;
  }
}

/** Any change lifts a flag that says "is being deleted": the deletion loses its etag, and looks again. */
function changedVault(vault: VaultBody, change: VaultChange): VaultBody {
  const redundancy = change.redundancy ?? vault.redundancy;
  const softDelete = { ...vault.softDelete, ...change.softDelete };
  const immutability = change.immutability ?? vault.immutability;
  const crossRegionRestore = change.crossRegionRestore ?? vault.crossRegionRestore;
  requireRedundancyChange(vault.redundancy, redundancy, vault.archive !== null);
  for (const state of ["state", "enhancedState"] as const) {
    const rule = (settings: VaultBody["softDelete"]) => ({ state: settings[state], retentionDays: settings.days });
    requireSoftDeleteChange(rule(vault.softDelete), rule(softDelete));
  }
  requireImmutabilityChange(vault.immutability, immutability);
  requireCrossRegionFits(redundancy, crossRegionRestore);
  return {
    ...vault,
    tags: change.tags ?? vault.tags,
    identity: change.identity === undefined ? vault.identity : change.identity,
    redundancy,
    softDelete,
    immutability,
    crossRegionRestore,
    settings: { ...vault.settings, ...change.settings },
    deletingSince: null,
  };
}

function newVault(
  deps: ControlDeps,
  { subscriptionId, resourceGroup, name }: VaultRef,
  { location, ...change }: VaultChange & { readonly location: string },
): VaultBody {
  const { state, retentionDays } = DEFAULT_SOFT_DELETE;
  const fresh: VaultBody = {
    ...{ subscriptionId, resourceGroup, name, location, tags: {}, identity: null, createdAt: nowOf(deps) },
    incarnation: randomUuid(deps.random),
    ...{ isReady: false, deletingSince: null, redundancy: DEFAULT_REDUNDANCY, archive: null },
    softDelete: { state, days: retentionDays, enhancedState: "Enabled" },
    ...{ crossRegionRestore: false, immutability: "Disabled", settings: {} },
  };
  return changedVault(fresh, change);
}

async function countItems(deps: ControlDeps, vault: VaultKey): Promise<number> {
  let count = 0;
  for await (const _ of listRows(deps.tables, ITEM_ROWS, vault)) count++;
  return count;
}

function requireRegion(deps: ControlDeps, location: string): void {
  const { regions } = deps.settings;
  if (regions.some((region) => regionKey(region) === regionKey(location))) return;
  throw new HoldfastFailure(
    "invalid",
    "LocationNotAvailableForResourceType",
    `There are no vaults in "${location}": this deployment has storage accounts in ${regions.join(", ")}`,
  );
}

/** Names are unique in a subscription, whatever the group: the row's key says so. */
function requireSamePlace(vault: VaultBody, ref: VaultRef, location: string): void {
  if (!sameText(vault.resourceGroup, ref.resourceGroup)) {
    throw new HoldfastFailure(
      "conflict",
      "HoldfastVaultNameTaken",
      `The subscription has a vault ${vault.name} already, in the group ${vault.resourceGroup}`,
      { hint: "Choose another name." },
    );
  }
  if (regionKey(vault.location) === regionKey(location)) return;
  throw new HoldfastFailure(
    "conflict",
    "InvalidResourceLocation",
    `The vault ${vault.name} is in ${vault.location} already and cannot be in ${location}`,
  );
}

function requireCrossRegionFits(redundancy: VaultBody["redundancy"], crossRegionRestore: boolean): void {
  if (!crossRegionRestore || redundancy === "GeoRedundant") return;
  throw new HoldfastFailure(
    "invalid",
    "HoldfastCrossRegionNeedsGeoRedundancy",
    `Restoring in the other region needs GeoRedundant storage; this vault's is ${redundancy}`,
  );
}

function vaultNotFound(name: string, resourceGroup: string | undefined): HoldfastFailure {
  const where = resourceGroup === undefined ? "" : ` under resource group '${resourceGroup}'`;
  return new HoldfastFailure(
    "not-found",
    "ResourceNotFound",
    `The Resource 'Microsoft.RecoveryServices/vaults/${name}'${where} was not found.`,
  );
}

function deletedMeanwhile(name: string): HoldfastFailure {
  return new HoldfastFailure("conflict", "HoldfastVaultBeingDeleted", `The vault ${name} was just deleted`, {
    hint: "Try again.",
  });
}

const sameText = (one: string, other: string): boolean => one.toLowerCase() === other.toLowerCase();
const nowOf = (deps: ControlDeps): string => deps.clock.now().toISOString();
