// The rows that a test of the service begins with: one vault, its policy, and items as a finished job that enables
// protection has left them.

import type { ServiceSettings } from "../../src/control/control-deps.ts";
import type { ItemBody } from "../../src/control/rows/item-row.ts";
import { type VaultBody, vaultKeyOf } from "../../src/control/rows/vault-row.ts";
import { itemIdOf } from "../../src/domain/item-id.ts";
import type { Policy } from "../../src/domain/policy.ts";
import { GROUP, SUBSCRIPTION } from "../localhost/azure/support/azure.ts";

export const VAULT = vaultKeyOf(SUBSCRIPTION, "vault1");

export const DAILY: Policy = {
  type: "V1",
  timeZone: "UTC",
  schedule: { frequency: "Daily", time: { hour: 2, minute: 0 } },
  retention: { daily: { keepDays: 30 } },
  instantRestoreDays: 2,
  snapshotGroup: { prefix: "", suffix: "" },
};

export const SETTINGS: ServiceSettings = {
  tenantId: "tenant",
  subscriptionIds: [SUBSCRIPTION],
  regions: ["westeurope"],
  sliceSlots: 4,
};

export function vaultBody(containerName: string): VaultBody {
  return {
    subscriptionId: SUBSCRIPTION,
    resourceGroup: "demo",
    name: "vault1",
    location: "westeurope",
    tags: {},
    identity: null,
    createdAt: "2026-03-01T00:00:00.000Z",
    incarnation: "first",
    isReady: true,
    deletingSince: null,
    redundancy: "LocallyRedundant",
    archive: { containerName, vaultId: "vault" },
    softDelete: { state: "Enabled", days: 14, enhancedState: "Enabled" },
    crossRegionRestore: false,
    immutability: "Disabled",
    settings: {},
  };
}

export const machineIdOf = (machine: string): string =>
  `${GROUP}/providers/Microsoft.Compute/virtualMachines/${machine}`;

export function itemBody(machine: string, protectedAt: string): ItemBody {
  return {
    name: `VM;iaasvmcontainerv2;demo;${machine}`,
    containerName: `IaasVMContainer;iaasvmcontainerv2;demo;${machine}`,
    machineKind: "resource-manager",
    machineId: machineIdOf(machine),
    machineName: machine,
    archiveItem: itemIdOf(machineIdOf(machine)),
    policy: "Daily",
    state: "IRPending",
    protectedAt,
    disks: { kind: "all", luns: [] },
    lastBackup: null,
    lastPointAt: null,
    deletedAt: null,
    purgeAt: null,
    isPurging: false,
    formerWeeklyRule: null,
    extensionNote: null,
    changingJob: null,
    collectionNumber: 1,
  };
}
