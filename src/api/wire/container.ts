// Containers and protectable machines on the wire. A container is what its item's machine is registered as.

import { z } from "zod";
import type { Container } from "../../control/containers.ts";
import { machineNamesOf } from "../../control/discovery.ts";
import type { ItemBody } from "../../control/rows/item-row.ts";
import { renderContainerName, renderContainerProperty } from "../../domain/arm-ids.ts";
import type { MachineSummary } from "../../ports/machines.ts";
import { machineTypeOf } from "./protected-item.ts";
import { optional, resourceId } from "./text.ts";

const groupOf = (machineId: string): string => machineId.split("/")[4] ?? "";
const versionOf = (kind: ItemBody["machineKind"]): string => (kind === "classic" ? "Classic" : "Compute");

/** Registering names the machine. */
export const containerBody: z.ZodType<{ readonly machineId: string }> = z
  .object({ properties: z.object({ sourceResourceId: optional(resourceId), virtualMachineId: optional(resourceId) }) })
  .transform(({ properties: { sourceResourceId, virtualMachineId } }, context) => {
    const machineId = sourceResourceId ?? virtualMachineId;
    if (machineId !== undefined && machineId !== "") return { machineId };
    context.addIssue({ code: "custom", path: ["properties", "sourceResourceId"], message: "names the machine" });
    return z.NEVER;
  });

export function renderContainer(vaultPath: string, item: Container): unknown {
  return {
    id: `${vaultPath}/backupFabrics/Azure/protectionContainers/${item.name}`,
    name: item.name,
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

export function renderProtectable(vaultPath: string, machine: MachineSummary): unknown {
  const names = machineNamesOf(machine.id);
  const container = `${vaultPath}/backupFabrics/Azure/protectionContainers/${renderContainerName(names)}`;
  const name = renderContainerProperty(names);
  const type = machineTypeOf({ machineKind: machine.kind });
  return {
    id: `${container}/protectableItems/vm;${name}`,
    name,
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
