// Which machines a vault could protect, why it cannot protect others, and who protects one already. Nothing is cached, so
// there is nothing to refresh: a listing asks the platform.

import type { HoldfastFailure } from "../base/failure.ts";
import {
  parseVmId,
  renderContainerName,
  renderItemName,
  renderVaultId,
  sameArmId,
  type VmNameParts,
} from "../domain/arm-ids.ts";
import { refusalToProtect } from "../domain/protectability.ts";
import { regionKey } from "../domain/vault-rules.ts";
import type { Machine, MachineSummary } from "../ports/machines.ts";
import { findClaim } from "./claims.ts";
import type { ControlDeps } from "./control-deps.ts";
import { createOperation } from "./operations.ts";
import type { Page, PageRequest } from "./paging.ts";
import { CONTAINER_ROWS } from "./rows/container-row.ts";
import { CLAIM_ROWS, ITEM_ROWS, type ItemBody } from "./rows/item-row.ts";
import { listRows, readRow } from "./rows/row-kind.ts";
import { VAULT_ROWS, type VaultBody, type VaultKey, vaultPlace } from "./rows/vault-row.ts";
import { requireVault } from "./vaults.ts";

export type DiskChoice = ItemBody["disks"];

export const ALL_DISKS: DiskChoice = { kind: "all", luns: [] };

/** Machines of the vault's region that no vault has. The cursor is the id of a machine, in lower case. */
export async function listProtectableMachines(
  deps: ControlDeps,
  { vault, after = "", limit, matches = () => true }: { readonly vault: VaultKey } & PageRequest<MachineSummary>,
): Promise<Page<MachineSummary>> {
  const { body: owner } = await requireVault(deps, vault);
  const claimed = await claimedIds(deps, owner);
  const found: MachineSummary[] = [];
  for await (const page of deps.machines.list(owner.subscriptionId)) {
    found.push(...page.filter((machine) => regionKey(machine.location) === regionKey(owner.location)));
  }
  const keyOf = ({ id }: MachineSummary): string => id.toLowerCase();
  const rest = found
    .filter((machine) => keyOf(machine) > after && !claimed.has(keyOf(machine)) && matches(machine))
    .sort((one, other) => (keyOf(one) < keyOf(other) ? -1 : 1));
  const values = rest.slice(0, limit);
  const last = values.at(-1);
  return { values, next: last && rest.length > limit ? keyOf(last) : undefined };
}

/** An operation that is over: the next listing asks the platform anyway. */
export async function refreshMachines(
  deps: ControlDeps,
  { vault }: { readonly vault: VaultKey },
): Promise<{ readonly operationId: string }> {
  await requireVault(deps, vault);
  return createOperation(deps, vault, { result: null });
}

export interface PreValidation {
  readonly refusal: HoldfastFailure | undefined;
  readonly containerName: string;
  readonly itemName: string;
}

/** Whether a vault could protect a machine now; the first reason against it, if not. */
export async function preValidate(
  deps: ControlDeps,
  { vault, machineId }: { readonly vault: VaultKey; readonly machineId: string },
): Promise<PreValidation> {
  const { body: owner } = await requireVault(deps, vault);
  const { refusal } = await examineMachine(deps, { owner, vault, machineId, disks: ALL_DISKS });
  const names = machineNamesOf(machineId);
  return { refusal, containerName: renderContainerName(names), itemName: renderItemName(names) };
}

export interface BackupStatus {
  readonly status: "NotProtected" | "Protecting" | "Protected" | "ProtectionFailed";
  readonly vault: VaultBody | undefined;
  readonly item: ItemBody | undefined;
}

export async function backupStatusOf(
  deps: ControlDeps,
  { machineId }: { readonly machineId: string },
): Promise<BackupStatus> {
  parseVmId(machineId);
  const standing = await findClaim(deps, machineId);
  if (!standing?.item) return { status: "NotProtected", vault: undefined, item: undefined };
  const { vault, item } = standing;
  return { status: statusOf(item), vault, item };
}

function statusOf({ deletedAt, protectedAt, state }: ItemBody): BackupStatus["status"] {
  if (deletedAt !== null) return "NotProtected";
  if (protectedAt === null) return "Protecting";
  return state === "ProtectionError" ? "ProtectionFailed" : "Protected";
}

/** The facts about a machine, gathered, and what the domain says of them. */
export async function examineMachine(
  deps: ControlDeps,
  about: {
    readonly owner: VaultBody;
    readonly vault: VaultKey;
    readonly machineId: string;
    readonly disks: DiskChoice;
  },
): Promise<{ readonly machine: Machine | undefined; readonly refusal: HoldfastFailure | undefined }> {
  const { owner, vault, machineId, disks } = about;
  const machine = await deps.machines.read(machineId);
  const standing = await findClaim(deps, machineId);
  const claim = standing && (sameVault(standing.vault, owner) && !standing.item ? undefined : standing);
  const refusal = refusalToProtect({
    vaultId: renderVaultId(owner),
    vaultRegion: owner.location,
    vaultSubscription: owner.subscriptionId,
    itemsInVault: await countItems(deps, vault),
    vmName: parseVmId(machineId).name,
    vm: machine && {
      region: machine.location,
      subscription: parseVmId(machine.id).subscriptionId,
      disks: machine.disks.map(({ name, sizeBytes, isReadable, lun }) => ({
        name,
        sizeBytes,
        networkAccess: isReadable ? "AllowAll" : "DenyAll",
        isExcluded: !isChosen(disks, lun),
      })),
    },
    claim: claim && {
      vaultId: renderVaultId(claim.vault),
      isSoftDeleted: claim.item !== undefined && claim.item.deletedAt !== null,
    },
  });
  return { machine, refusal };
}

/** Names that clients build from a machine's group and name. */
export function machineNamesOf(machineId: string): VmNameParts {
  const { platform, resourceGroup: group, name } = parseVmId(machineId);
  return { platform, group, name };
}

export function isChosen({ kind, luns }: DiskChoice, lun: number): boolean {
  return kind === "all" || luns.includes(lun) === (kind === "only");
}

const sameVault = (one: VaultBody, other: VaultBody): boolean => sameArmId(renderVaultId(one), renderVaultId(other));

async function countItems(deps: ControlDeps, vault: VaultKey): Promise<number> {
  let count = 0;
  for await (const _ of listRows(deps.tables, ITEM_ROWS, vault)) count++;
  return count;
}

/** Claims of which nothing stands hide no machine. Each vault's rows are listed once, not looked up one by one. */
async function claimedIds(deps: ControlDeps, { subscriptionId }: VaultBody): Promise<ReadonlySet<string>> {
  const namesByVault = new Map<VaultKey, ReadonlySet<string>>();
  const ids = new Set<string>();
  for await (const { key, body } of listRows(deps.tables, CLAIM_ROWS, subscriptionId.toLowerCase())) {
    const names = namesByVault.get(body.vault) ?? (await namesStanding(deps, body.vault));
    namesByVault.set(body.vault, names);
    if (names.has(body.item.toLowerCase()) || names.has(body.containerName.toLowerCase())) ids.add(key);
  }
  return ids;
}

async function namesStanding(deps: ControlDeps, vault: VaultKey): Promise<ReadonlySet<string>> {
  const owner = (await readRow(deps.tables, VAULT_ROWS, vaultPlace(vault)))?.body;
  const names = new Set<string>();
  if (!owner) return names;
  for await (const { key } of listRows(deps.tables, ITEM_ROWS, vault)) names.add(key);
  for await (const { key, body } of listRows(deps.tables, CONTAINER_ROWS, vault)) {
    if (body.vaultIncarnation === owner.incarnation) names.add(key);
  }
  return names;
}
