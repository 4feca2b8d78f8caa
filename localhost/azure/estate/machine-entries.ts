// One machine of an estate: its disks, its network interface and itself, as entries.
import { keep, type Resource } from "../arm/resources.ts";
import { resourceId } from "../arm/target.ts";
import type { World } from "../arm/world.ts";
import { asResource, type Disk, GIB, guidOf } from "../compute/disk-model.ts";
import { type Vm, vmAsResource } from "../compute/vm-model.ts";
import type { Entry } from "../state/entry.ts";
import { type BuiltImage, type BuiltImages, generatedImage, imageOf } from "./estate-images.ts";
import type { EstateGroup, EstateVm } from "./estate-schema.ts";

const DEFAULT_DATA_GIB = 4;
const HYPER_V_GENERATION = "V2";

export interface MachinePlace {
  readonly world: World;
  readonly subscription: string;
  readonly group: EstateGroup;
  readonly images: BuiltImages;
  readonly networkId: string;
}

interface PlannedDisk {
  readonly disk: Disk;
  readonly entries: Entry[];
}

export function machineEntries(place: MachinePlace, vm: EstateVm): Entry[] {
  const id = (type: string, own: string) =>
    resourceId(
      place.subscription,
      place.group.name,
      type === "networkInterfaces" ? "Microsoft.Network" : "Microsoft.Compute",
      type,
      own,
    );
  const vmId = id("virtualMachines", vm.name);
  const nicId = id("networkInterfaces", `${vm.name}-nic`);
  const os = planOsDisk(place, vm, vmId);
  const data = vm.dataDisks.map((_, lun) => planDataDisk(place, vm, vmId, lun));
  const machine = machineOf(
    place,
    vm,
    vmId,
    nicId,
    os.disk,
    data.map(({ disk }) => disk),
  );
  return [
    ...[os, ...data].flatMap(({ entries }) => entries),
    keep(interfaceOf(place, nicId, vmId)),
    keep(vmAsResource(machine)),
  ];
}

function planOsDisk(place: MachinePlace, vm: EstateVm, vmId: string): PlannedDisk {
  const image = imageOf(place.images, vm.image);
  const sizeBytes = Math.max(image.sizeBytes, (vm.osDiskGiB ?? 0) * GIB);
  const creationData = { createOption: "FromImage", imageReference: { id: imageId(place, vm) } };
  return planDisk(
    place,
    vm,
    vmId,
    `${vm.name}_OsDisk`,
    { ...image, sizeBytes },
    { creationData, osType: vm.os, hyperVGeneration: HYPER_V_GENERATION },
  );
}

function planDataDisk(place: MachinePlace, vm: EstateVm, vmId: string, lun: number): PlannedDisk {
  const { sizeGiB, allocatedMiB = 0, image } = vm.dataDisks[lun] ?? {};
  const name = `${vm.name}_DataDisk_${lun}`;
  const creationData = { createOption: "Empty" };
  if (image !== undefined) {
    const based = imageOf(place.images, image);
    return planDisk(
      place,
      vm,
      vmId,
      name,
      { ...based, sizeBytes: Math.max(based.sizeBytes, (sizeGiB ?? 0) * GIB) },
      { creationData },
    );
  }
  const sizeBytes = (sizeGiB ?? DEFAULT_DATA_GIB) * GIB;
  if (allocatedMiB === 0) return planDisk(place, vm, vmId, name, { source: undefined, sizeBytes }, { creationData });
  const content = place.world.disks.planImage(generatedImage(`${place.group.name}/${name}`, sizeBytes, allocatedMiB));
  const { disk, entries } = planDisk(place, vm, vmId, name, { source: content.id, sizeBytes }, { creationData });
  return { disk, entries: [...content.entries, ...entries] };
}

function planDisk(
  { world, subscription, group }: MachinePlace,
  vm: EstateVm,
  managedBy: string,
  name: string,
  { source, sizeBytes }: BuiltImage,
  more: Pick<Disk["properties"], "creationData" | "osType" | "hyperVGeneration">,
): PlannedDisk {
  const volume = world.disks.newId();
  const id = resourceId(subscription, group.name, "Microsoft.Compute", "disks", name);
  const disk: Disk = {
    id,
    location: group.location,
    zones: vm.zones,
    sku: { name: "Premium_LRS", tier: "Premium" },
    managedBy,
    properties: {
      ...more,
      diskSizeGB: Math.ceil(sizeBytes / GIB),
      diskSizeBytes: sizeBytes,
      uniqueId: guidOf("disk", id.toLowerCase(), volume),
      timeCreated: new Date(world.now()).toISOString(),
      networkAccessPolicy: "AllowAll",
      publicNetworkAccess: "Enabled",
      encryption: { type: "EncryptionAtRestWithPlatformKey" },
    },
    inner: { volume },
  };
  const made: Entry = {
    kind: "volume-created",
    id: volume,
    sizeBytes,
    ...(source === undefined ? {} : { from: source }),
  };
  return { disk, entries: [made, keep(asResource(disk))] };
}

function machineOf(
  place: MachinePlace,
  vm: EstateVm,
  id: string,
  nicId: string,
  osDisk: Disk,
  dataDisks: readonly Disk[],
): Vm {
  const now = place.world.now();
  const uefiSettings = { secureBootEnabled: true, vTpmEnabled: true };
  return {
    id,
    location: place.group.location,
    tags: vm.tags,
    zones: vm.zones,
    properties: {
      vmId: guidOf("vm", id.toLowerCase()),
      hardwareProfile: { vmSize: vm.size },
      storageProfile: {
        imageReference: { id: imageId(place, vm) },
        osDisk: { ...attached(osDisk), osType: vm.os, createOption: "FromImage" },
        dataDisks: dataDisks.map((disk, lun) => ({ ...attached(disk), lun, createOption: "Attach" })),
      },
      osProfile: { computerName: vm.name, adminUsername: "azureuser" },
      networkProfile: { networkInterfaces: [{ id: nicId, properties: { primary: true } }] },
      ...(vm.trustedLaunch ? { securityProfile: { securityType: "TrustedLaunch", uefiSettings } } : {}),
    },
    inner: {
      power: vm.power,
      powerSince: now,
      createdAt: now,
      agent: vm.agent,
      agentVersion: vm.agentVersion ?? (vm.os === "Windows" ? "2.7.41491.1176" : "2.11.1.4"),
      freeze: vm.freeze,
      freezeScripts: vm.freezeScripts,
      workload: vm.workload,
      hyperVGeneration: HYPER_V_GENERATION,
    },
  };
}

function attached({ id, properties }: Disk) {
  return {
    name: id.split("/").at(-1),
    diskSizeGB: properties.diskSizeGB,
    caching: "ReadWrite",
    deleteOption: "Detach",
    managedDisk: { id, storageAccountType: "Premium_LRS" },
  };
}

function interfaceOf({ group, networkId }: MachinePlace, id: string, vmId: string): Resource {
  const subnet = { id: `${networkId}/subnets/default` };
  return {
    id,
    location: group.location,
    properties: {
      virtualMachine: { id: vmId },
      ipConfigurations: [{ name: "ipconfig1", properties: { primary: true, subnet } }],
    },
    inner: {},
  };
}

function imageId({ subscription }: MachinePlace, { image }: EstateVm): string {
  return resourceId(subscription, "images", "Microsoft.Compute", "images", image);
}
