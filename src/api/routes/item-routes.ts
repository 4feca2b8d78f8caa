// Protected items: one PUT for all that can happen to an item, deletion, backing up now, and lists with real filters.

import { HoldfastFailure } from "../../base/failure.ts";
import { backUpNow } from "../../control/backups.ts";
import { countPoints, listItems } from "../../control/items.ts";
import { getPolicy, listPolicies, nextRunTime } from "../../control/policies.ts";
import { deleteItem, protectMachine, stopProtection, suspendBackups, undeleteItem } from "../../control/protection.ts";
import { ITEM_ROWS, type ItemBody, itemPlace } from "../../control/rows/item-row.ts";
import { readRow } from "../../control/rows/row-kind.ts";
import { sameArmId } from "../../domain/arm-ids.ts";
import { LIMITS } from "../../domain/limits.ts";
import { shortenedRules } from "../../domain/policy-change.ts";
import type { Operation } from "../../domain/roles.ts";
import { type Answer, type ApiCall, ok, PATHS, type Route } from "../api-call.ts";
import type { Filter } from "../filter.ts";
import { accepted, resourcePlaces, vaultPlaces } from "../long-running.ts";
import { pageOf } from "../paging.ts";
import { parseBody } from "../request-body.ts";
import { backupBody } from "../wire/backup-request.ts";
import { healthStatusOf, type ItemWish, itemPathOf, protectedItemBody, renderItem } from "../wire/protected-item.ts";
import { admitsContainer, type InVault, itemNamesOf, itemOf, sameText, vaultOf } from "./in-vault.ts";

export const ITEM_ROUTES: readonly Route[] = [
  { method: "PUT", path: PATHS.item, operation: operationOfPut, isChange: true, handle: put },
  { method: "GET", path: PATHS.item, operation: "items/read", isChange: false, handle: show },
  { method: "DELETE", path: PATHS.item, operation: "items/delete", isChange: true, handle: remove },
  { method: "POST", path: `${PATHS.item}/backup`, operation: "items/backup", isChange: true, handle: backUp },
  {
    method: "GET",
    path: `${PATHS.vault}/backupProtectedItems`,
    operation: "items/read",
    isChange: false,
    handle: list,
  },
];

const wishOf = (call: ApiCall): ItemWish =>
  parseBody(protectedItemBody, call.body, "BMSUserErrorInvalidConfigureProtectionRequest");

const OPERATION_OF_WISH: Readonly<Record<ItemWish["kind"], Operation>> = {
  protect: "items/enable",
  stop: "items/stop",
  suspend: "items/stop",
  undelete: "items/undelete",
};

function operationOfPut(call: ApiCall): Operation {
  return OPERATION_OF_WISH[wishOf(call).kind];
}

/** 202 always: one client takes 201 for an error, another cannot do without the headers. */
async function put(call: ApiCall): Promise<Answer> {
  const names = itemNamesOf(call);
  const inVault = await vaultOf(call);
  const { operationId } = await carryOut(call, inVault, wishOf(call), names.item);
  const itemPath = itemPathOf(inVault.path, { containerName: names.container, name: names.item });
  return accepted(call, resourcePlaces(itemPath), operationId);
}

function carryOut(call: ApiCall, { key, path }: InVault, wish: ItemWish, item: string) {
  const ref = { vault: key, item };
  switch (wish.kind) {
    case "protect":
      return protect(call, ref, path, wish);
    case "stop":
      return stopProtection(call.deps, ref);
    case "suspend":
      return suspendBackups(call.deps, ref);
    case "undelete":
      return undeleteItem(call.deps, ref);
  }
}

interface ItemName {
  readonly vault: string;
  readonly item: string;
}

async function protect(call: ApiCall, ref: ItemName, vaultPath: string, wish: ItemWish & { readonly kind: "protect" }) {
  const { machineId, disks } = wish;
  const policy = policyNameIn(vaultPath, wish.policyId);
  await call.requireReach("machine", machineId);
  await requireNoShortening(call, ref, policy);
  return protectMachine(call.deps, { ...ref, machineId, policy, ...(disks && { disks }) });
}

/** Policies are named by their ids; one of another vault is none of this one's. */
function policyNameIn(vaultPath: string, policyId: string): string {
  const [, vaultId = "", name = ""] = /^(.*)\/backupPolicies\/([^/]+)\/?$/i.exec(policyId) ?? [];
  if (name !== "" && sameArmId(vaultId, vaultPath)) return name;
  const message = `"${policyId}" is not the id of a policy of this vault`;
  throw new HoldfastFailure("invalid", "BMSUserErrorInvalidConfigureProtectionRequest", message);
}

/** A policy that keeps less removes backups, if later: that takes more than the right to enable. */
async function requireNoShortening(call: ApiCall, { vault, item }: ItemName, policy: string): Promise<void> {
  const held = await readRow(call.deps.tables, ITEM_ROWS, itemPlace(vault, item));
  const before = held?.body.policy ?? null;
  if (before === null || sameText(before, policy)) return;
  const [from, to] = [
    await getPolicy(call.deps, { vault, policy: before }),
    await getPolicy(call.deps, { vault, policy }),
  ];
  const isShorter = shortenedRules(from.policy.retention, to.policy.retention).length > 0;
  if (isShorter) await call.requireOperation("items/shorten");
}

async function show(call: ApiCall): Promise<Answer> {
  const { key, path, item } = await itemOf(call);
  const points = call.filter.value("expand")?.toLowerCase() === "extendedinfo";
  const counts = points ? await countPoints(call.deps, { vault: key, item: item.name }) : undefined;
  const nextRunAt = (await nextRunsOf(call, key))(item);
  return ok(
    renderItem({ vaultPath: path, item, now: call.deps.clock.now(), nextRunAt, ...(counts && { points: counts }) }),
  );
}

/** The links lie at the vault: the item may be gone before its operation has ended. */
async function remove(call: ApiCall): Promise<Answer> {
  const { key, path, item } = await itemOf(call);
  const { operationId } = await deleteItem(call.deps, { vault: key, item: item.name });
  return accepted(call, vaultPlaces(path), operationId);
}

async function backUp(call: ApiCall): Promise<Answer> {
  const { retainUntil } = parseBody(backupBody, call.body);
  const { key, item, itemPath } = await itemOf(call);
  const { operationId } = await backUpNow(call.deps, { vault: key, item: item.name, retainUntil });
  return accepted(call, resourcePlaces(itemPath), operationId);
}

async function list(call: ApiCall): Promise<Answer> {
  const { key, path } = await vaultOf(call);
  const now = call.deps.clock.now();
  const nextRunOf = await nextRunsOf(call, key);
  return ok(
    await pageOf<ItemBody>(
      call.page,
      (page) => listItems(call.deps, { vault: key, ...page }),
      (item) => admits(call.filter, item),
      (item) => renderItem({ vaultPath: path, item, now, nextRunAt: nextRunOf(item) }),
    ),
  );
}

/** When an item's policy runs next; never for one that is not backed up on schedule. */
async function nextRunsOf(call: ApiCall, vault: string): Promise<(item: ItemBody) => string | undefined> {
  const { values } = await listPolicies(call.deps, { vault, limit: LIMITS.policiesPerVault });
  const policies = new Map(values.map((policy) => [policy.name.toLowerCase(), policy]));
  return (item) => {
    const policy = policies.get(item.policy?.toLowerCase() ?? "");
    const isInForce = item.deletedAt === null && IN_FORCE.includes(item.state);
    return policy && isInForce ? nextRunTime(call.deps, policy)?.toISOString() : undefined;
  };
}

const IN_FORCE: readonly ItemBody["state"][] = ["IRPending", "Protected", "ProtectionError"];

function admits(filter: Filter, item: ItemBody): boolean {
  return (
    filter.admits("backupManagementType", "AzureIaasVM") &&
    filter.admits("itemType", "VM") &&
    filter.admits("fabricName", "Azure") &&
    filter.admits("friendlyName", item.machineName) &&
    filter.admits("policyName", item.policy ?? "") &&
    filter.admits("healthState", healthStatusOf(item)) &&
    // What only other kinds of items have.
    filter.admits("backupSetName", undefined) &&
    filter.admits("backupEngineName", undefined) &&
    admitsContainer(filter, item.containerName)
  );
}
