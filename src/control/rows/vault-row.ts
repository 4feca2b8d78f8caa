// A vault as the control plane knows it. Partition: subscription, lower case; key: the vault's name, lower case, which is
// what makes names unique in a subscription, whatever the resource group.

import { z } from "zod";
import { instant } from "./fields.ts";
import type { Place, RowKind } from "./row-kind.ts";

const body = z.object({
  subscriptionId: z.string(),
  resourceGroup: z.string(),
  name: z.string(),
  location: z.string(),
  tags: z.record(z.string(), z.string()),
  identity: z.unknown(),
  createdAt: instant,
  /** Drawn. Tells a vault from an earlier one of its name, whose rows may have outlived it. */
  incarnation: z.string(),
  /** False until its first policies are there; until then nobody sees it, and the next PUT completes it. */
  isReady: z.boolean(),
  /** Set while a deletion looks whether the vault is empty; lifted by whoever puts something into it. */
  deletingSince: instant.nullable(),
  redundancy: z.enum(["LocallyRedundant", "ZoneRedundant", "GeoRedundant"]),
  /** Set once the first item was protected: containers exist, and the redundancy is locked. */
  archive: z.object({ containerName: z.string(), vaultId: z.string() }).nullable(),
  softDelete: z.object({
    state: z.enum(["Enabled", "Disabled", "AlwaysON"]),
    days: z.number().int(),
    enhancedState: z.enum(["Enabled", "Disabled", "AlwaysON"]),
  }),
  crossRegionRestore: z.boolean(),
  immutability: z.enum(["Disabled", "Unlocked", "Locked"]),
  /** What clients set and get back, and nothing here interprets: monitoring, network access. */
  settings: z.record(z.string(), z.unknown()),
});

export type VaultBody = z.infer<typeof body>;

export const VAULT_ROWS: RowKind<VaultBody> = { table: "vaults", schema: body, noun: "vault" };

/** How every other row and every job names a vault: `<subscription>/<name>`, lower case. */
export type VaultKey = string;

export const vaultKeyOf = (subscriptionId: string, name: string): VaultKey => `${subscriptionId}/${name}`.toLowerCase();

export function vaultPlace(vault: VaultKey): Place {
  const [partition = "", key = ""] = vault.split("/");
  return { partition, key };
}
