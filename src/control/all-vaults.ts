// The vaults of this deployment, one after another: what timers go through.

import type { ControlDeps } from "./control-deps.ts";
import { listRows } from "./rows/row-kind.ts";
import { VAULT_ROWS, type VaultBody, type VaultKey, vaultKeyOf } from "./rows/vault-row.ts";

export interface ListedVault {
  readonly key: VaultKey;
  readonly body: VaultBody;
}

export async function* allVaults(deps: Pick<ControlDeps, "tables" | "settings">): AsyncGenerator<ListedVault> {
  for (const subscriptionId of deps.settings.subscriptionIds) {
    for await (const { body } of listRows(deps.tables, VAULT_ROWS, subscriptionId.toLowerCase())) {
      yield { key: vaultKeyOf(body.subscriptionId, body.name), body };
    }
  }
}

export function forEachVault(
  deps: Pick<ControlDeps, "tables" | "settings">,
  work: (vault: ListedVault) => Promise<unknown>,
): Promise<void> {
  return tryEach(allVaults(deps), work);
}

/** All of them are tried; what went wrong with one is told when the others have had their turn. */
export async function tryEach<Item>(
  items: AsyncIterable<Item> | Iterable<Item>,
  work: (item: Item) => Promise<unknown>,
): Promise<void> {
  const failures: unknown[] = [];
  for await (const item of items) await work(item).catch((cause: unknown) => failures.push(cause));
  if (failures.length === 1) throw failures[0];
  if (failures.length > 1) throw new AggregateError(failures, `${failures.length} of them could not be worked on`);
}
