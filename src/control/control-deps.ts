// What the use cases and activities are given: ports to the world, and the settings of this deployment. Put together in
// src/wiring.ts; in tests, from the same parts over Azurite and the simulated Azure, or from those in memory.

import type { Clock, Random } from "../ports/clock.ts";
import type { Machines } from "../ports/machines.ts";
import type { Snapshots } from "../ports/snapshots.ts";
import type { Staging } from "../ports/staging.ts";
import type { TableStore } from "../ports/table-store.ts";
import type { TargetDisks } from "../ports/target-disks.ts";
import type { Workflow } from "../ports/workflow.ts";
import type { Vault } from "../vault/open-vault.ts";
import type { VaultBody } from "./rows/vault-row.ts";

export interface ControlDeps {
  readonly tables: TableStore;
  readonly machines: Machines;
  readonly snapshots: Snapshots;
  readonly targets: TargetDisks;
  readonly staging: Staging;
  readonly archives: Archives;
  readonly workflow: Workflow;
  readonly clock: Clock;
  readonly random: Random;
  readonly settings: ServiceSettings;
}

/** The data plane of each vault: its containers in the storage account of its region and redundancy. */
export interface Archives {
  /** Opens the archive of a vault; makes containers, key and record first if there are none. Repeatable. */
  prepare(vault: VaultBody, containerName: string): Promise<Vault>;

  /** Opens what was prepared; may answer one that it opened earlier. */
  open(vault: VaultBody): Promise<Vault>;
}

export interface ServiceSettings {
  readonly tenantId: string;
  readonly subscriptionIds: readonly string[];
  /** Regions with a storage account for vaults. */
  readonly regions: readonly string[];
  /** Slices that run at once, in all of the hub. */
  readonly sliceSlots: number;
}
