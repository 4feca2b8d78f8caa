// A machine that was registered with a vault by itself, without being protected. A protected machine needs no such row.
// Partition: the vault; key: the container's wire name, lower case.

import { z } from "zod";
import { instant, machineKind } from "./fields.ts";
import type { Place, RowKind } from "./row-kind.ts";
import type { VaultKey } from "./vault-row.ts";

const body = z.object({
  name: z.string(),
  machineKind,
  machineId: z.string(),
  machineName: z.string(),
  registeredAt: instant,
  /** Of the vault it was made for, as in policies. */
  vaultIncarnation: z.string(),
});

export type ContainerBody = z.infer<typeof body>;

export const CONTAINER_ROWS: RowKind<ContainerBody> = { table: "containers", schema: body, noun: "container" };

export const containerPlace = (vault: VaultKey, name: string): Place => ({ partition: vault, key: name.toLowerCase() });
