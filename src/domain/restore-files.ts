// What a restore leaves beside its disks, for people and scripts: the machine as it was, and a template that makes a machine
// of the restored disks. The platform's own description of the machine is taken as it is, and only looked into for what a
// template needs.

export interface RestoredDisk {
  readonly lun: number;
  readonly name: string;
  readonly diskId: string;
}

export interface RestoreFileFacts {
  readonly machineName: string;
  readonly osType: "Windows" | "Linux";
  readonly sizeName: string;
  readonly location: string;
  readonly zones: readonly string[];
  readonly securityType: string;
  readonly pointTime: string;
  /** JSON of the platform, as it was captured with the snapshot; undefined when it was not. */
  readonly configuration: string | undefined;
  readonly disks: readonly RestoredDisk[];
}

export function restoreConfig(facts: RestoreFileFacts): string {
  const { configuration, disks, machineName, pointTime, osType, sizeName, location, zones } = facts;
  return pretty({
    machineName,
    ...{ osType, sizeName, location, zones, pointTime },
    disks: disks.map(({ lun, name, diskId }) => ({ lun, sourceName: name, restoredDiskId: diskId })),
    virtualMachine: configuration === undefined ? null : JSON.parse(configuration),
  });
}

const API_VERSIONS = { machine: "2023-09-01", interface: "2023-09-01" };

/** A machine needs a network of its new place, so the template asks for a subnet and makes an interface in it. */
export function restoreTemplate(facts: RestoreFileFacts): string {
  return pretty({
    $schema: "https://schema.management.azure.com/schemas/2019-04-01/deploymentTemplate.json#",
    contentVersion: "1.0.0.0",
    parameters: {
      virtualMachineName: { type: "string", defaultValue: facts.machineName.slice(0, 64) },
      virtualMachineSize: { type: "string", defaultValue: facts.sizeName },
      subnetId: { type: "string", metadata: { description: "ARM id of the subnet that the machine joins" } },
    },
    variables: { interfaceName: "[concat(parameters('virtualMachineName'), '-nic')]" },
    resources: [networkInterface(facts), machine(facts)],
  });
}

function networkInterface({ location }: RestoreFileFacts): object {
  return {
    type: "Microsoft.Network/networkInterfaces",
    apiVersion: API_VERSIONS.interface,
    name: "[variables('interfaceName')]",
    location,
    properties: {
      ipConfigurations: [
        {
          name: "ipconfig1",
          properties: { privateIPAllocationMethod: "Dynamic", subnet: { id: "[parameters('subnetId')]" } },
        },
      ],
    },
  };
}

function machine({ location, zones, osType, disks, securityType }: RestoreFileFacts): object {
  const system = disks.find(({ lun }) => lun === -1);
  const data = disks.filter(({ lun }) => lun !== -1);
  return {
    type: "Microsoft.Compute/virtualMachines",
    apiVersion: API_VERSIONS.machine,
    name: "[parameters('virtualMachineName')]",
    location,
    ...(zones.length > 0 && { zones }),
    dependsOn: ["[resourceId('Microsoft.Network/networkInterfaces', variables('interfaceName'))]"],
    properties: {
      hardwareProfile: { vmSize: "[parameters('virtualMachineSize')]" },
      storageProfile: {
        ...(system && { osDisk: { osType, createOption: "Attach", managedDisk: { id: system.diskId } } }),
        dataDisks: data.map(({ lun, diskId }) => ({ lun, createOption: "Attach", managedDisk: { id: diskId } })),
      },
      networkProfile: {
        networkInterfaces: [{ id: "[resourceId('Microsoft.Network/networkInterfaces', variables('interfaceName'))]" }],
      },
      ...(isNamedSecurity(securityType) && { securityProfile: { securityType } }),
    },
  };
}

const isNamedSecurity = (securityType: string): boolean => securityType !== "" && securityType !== "None";

function pretty(value: unknown): string {
  return `${JSON.stringify(value, undefined, 2)}\n`;
}
