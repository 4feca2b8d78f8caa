// Protected items: one PUT for all that can happen to an item, deletion, backing up now, and lists with real filters.

import { HoldfastFailure } from "../../base/failure.ts";
import { backUpNow } from "../../control/backups.ts";
import { deleteItem, protectMachine, stopProtection, suspendBackups, undeleteItem } from "../../control/protection.ts";
import { ITEM_ROWS, type ItemBody, itemPlace } from "../../control/rows/item-row.ts";
import { POINT_ROWS, pointsPartition } from "../../control/rows/point-row.ts";
import { POLICY_ROWS, policyPlace } from "../../control/rows/policy-row.ts";
import { type Held, listRows, readRow } from "../../control/rows/row-kind.ts";
import { shortenedRules } from "../../domain/policy-change.ts";
import type { Operation } from "../../domain/roles.ts";
import { type Answer, type ApiCall, ok, PATHS, type Route } from "../api-call.ts";
import type { Filter } from "../filter.ts";
import { accepted, itemPlaces, vaultPlaces } from "../long-running.ts";
import { pageOf } from "../paging.ts";
import { parseBody } from "../request-body.ts";
import { backupBody } from "../wire/backup-request.ts";
import { type ItemWish, itemPathOf, protectedItemBody, type RenderedItem, renderItem } from "../wire/protected-item.ts";
import { type InItem, type InVault, itemNamesOf, itemOf, sameText, vaultOf } from "./in-vault.ts";

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
    handle: listItems,
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

async function put(call: ApiCall): Promise<Answer> {
  const wish = wishOf(call);
  const { machine: _, ...names } = itemNamesOf(call);
  const inVault = await vaultOf(call);
  const { operationId } = await carryOut(call, inVault, wish, names);
  const itemPath = itemPathOf(inVault.path, { containerName: names.container, name: names.item });
  return accepted(call, itemPlaces(itemPath), operationId);
}
