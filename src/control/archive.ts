// The archive of a vault comes into being with the first item, in the storage account that region and redundancy choose:
// from then on the redundancy is locked.

import { createHash } from "node:crypto";
import type { ControlDeps } from "./control-deps.ts";
import { replaceRow } from "./rows/row-kind.ts";
import { VAULT_ROWS, type VaultBody, type VaultKey } from "./rows/vault-row.ts";
import { requireVault } from "./vaults.ts";

/**
 * The swap is from the very row by which the archive was prepared: had the redundancy changed meanwhile, the archive would
 * lie in the wrong account, and is prepared anew in the right one. What was left behind then is an empty container.
 */
export async function prepareArchive(deps: ControlDeps, vault: VaultKey): Promise<void> {
  for (;;) {
    const held = await requireVault(deps, vault);
    if (held.body.archive) return;
    const containerName = containerNameOf(vault, held.body);
    const { vaultId } = await deps.archives.prepare(held.body, containerName);
    const body = { ...held.body, archive: { containerName, vaultId } };
    if (await replaceRow(deps.tables, VAULT_ROWS, held, body)) return;
  }
}

/** Another one for another vault of the same name. */
function containerNameOf(vault: VaultKey, { incarnation }: VaultBody): string {
  return `vault-${createHash("sha256").update(`${vault}/${incarnation}`).digest("hex").slice(0, 32)}`;
}
