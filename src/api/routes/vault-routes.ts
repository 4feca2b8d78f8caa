// Vaults. All of it is done when it is answered: no client has to poll for a vault.

import type { Held } from "../../control/rows/row-kind.ts";
import type { VaultBody } from "../../control/rows/vault-row.ts";
import { createOrUpdateVault, deleteVault, getVault, listVaults, updateVault } from "../../control/vaults.ts";
import { type Answer, type ApiCall, ok, PATHS, type Route } from "../api-call.ts";
import { pageOf } from "../paging.ts";
import { parseBody } from "../request-body.ts";
import { renderVault, vaultBody, vaultPatchBody } from "../wire/vault.ts";
import { vaultRefOf } from "./in-vault.ts";

export const VAULT_ROUTES: readonly Route[] = [
  { method: "PUT", path: PATHS.vault, operation: "vaults/write", isChange: true, handle: put },
  { method: "GET", path: PATHS.vault, operation: "vaults/read", isChange: false, handle: show },
  { method: "PATCH", path: PATHS.vault, operation: "vaults/write", isChange: true, handle: patch },
  { method: "DELETE", path: PATHS.vault, operation: "vaults/delete", isChange: true, handle: remove },
  { method: "GET", path: `${PATHS.group}/vaults`, operation: "vaults/read", isChange: false, handle: listInGroup },
  { method: "GET", path: `${PATHS.subscription}/vaults`, operation: "vaults/read", isChange: false, handle: listAll },
];

async function put(call: ApiCall): Promise<Answer> {
  const { vault, isNew } = await createOrUpdateVault(call.deps, vaultRefOf(call), parseBody(vaultBody, call.body));
  return { status: isNew ? 201 : 200, body: render(vault) };
}

async function show(call: ApiCall): Promise<Answer> {
  return ok(render(await getVault(call.deps, vaultRefOf(call))));
}

async function patch(call: ApiCall): Promise<Answer> {
  return ok(render(await updateVault(call.deps, vaultRefOf(call), parseBody(vaultPatchBody, call.body))));
}

/** 200 for a client that takes nothing else, 204 for what was gone already, as in ARM. */
async function remove(call: ApiCall): Promise<Answer> {
  const outcome = await deleteVault(call.deps, vaultRefOf(call));
  return { status: outcome === "deleted" ? 200 : 204 };
}

async function listInGroup(call: ApiCall): Promise<Answer> {
  const place = { subscriptionId: call.name("subscription"), resourceGroup: call.name("group") };
  return ok(
    await pageOf(
      call.page,
      (page) => listVaults(call.deps, place, page),
      () => true,
      render,
    ),
  );
}

async function listAll(call: ApiCall): Promise<Answer> {
  const place = { subscriptionId: call.name("subscription") };
  return ok(
    await pageOf(
      call.page,
      (page) => listVaults(call.deps, place, page),
      () => true,
      render,
    ),
  );
}

const render = ({ body, etag }: Held<VaultBody>): unknown => renderVault(body, etag);
