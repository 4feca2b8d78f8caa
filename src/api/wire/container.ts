// Containers and protectable machines on the wire. A container is what its item's machine is registered as.

import type { ItemBody } from "../../control/rows/item-row.ts";
import type { MachineSummary } from "../../ports/machines.ts";
import { machineTypeOf } from "./protected-item.ts";

const groupOf = (machineId: string): string => machineId.split("/")[4] ?? "";
const versionOf = (kind: ItemBody["machineKind"]): string => (kind === "classic" ? "Classic" : "Compute");

export function renderContainer(vaultPath: string, item: ItemBody): unknown {
  return {
    id: `${vaultPath}/backupFabrics/Azure/protectionContainers/${item.containerName}`,
    name: item.containerName,
    type: "Microsoft.RecoveryServices/vaults/backupFabrics/protectionContainers",
    properties: {
      containerType: machineTypeOf(item),
      friendlyName: item.machineName,
      backupManagementType: "AzureIaasVM",
      registrationStatus: "Registered",
      healthStatus: "Healthy",
      protectableObjectType: machineTypeOf(item),
      virtualMachineId: item.machineId,
      virtualMachineVersion: versionOf(item.machineKind),
      resourceGroup: groupOf(item.machineId),
    },
  };
}

export interface ProtectableMachine extends MachineSummary {
  readonly containerName: string;
  readonly itemName: string;
}

export function renderProtectable(vaultPath: string, machine: ProtectableMachine): unknown {
  const container = `${vaultPath}/backupFabrics/Azure/protectionContainers/${machine.containerName}`;
  const type = machineTypeOf({ machineKind: machine.kind });
  return {
    id: `${container}/protectableItems/${machine.itemName.replace(/^VM;/, "vm;")}`,
    name: machine.itemName.replace(/^VM;/, ""),
    type: "Microsoft.RecoveryServices/vaults/backupFabrics/protectionContainers/protectableItems",
    properties: {
      protectableItemType: type,
      backupManagementType: "AzureIaasVM",
      workloadType: "VM",
      friendlyName: machine.name,
      protectionState: "NotProtected",
      virtualMachineId: machine.id,
      virtualMachineVersion: versionOf(machine.kind),
      resourceGroup: machine.resourceGroup,
    },
  };
}
