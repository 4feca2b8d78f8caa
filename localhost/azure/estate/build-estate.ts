// Making an estate real: its description becomes resources and volumes, committed in a few large steps. Done once, when the
// data folder is new; afterwards the folder is the truth.
import { createHash } from "node:crypto";
import { dirname, resolve } from "node:path";
import { HoldfastFailure } from "../../../src/base/failure.ts";
import { groupResource, LOCKS, subscriptionKey } from "../arm/groups-and-locks.ts";
import { keep, type Resource } from "../arm/resources.ts";
import { resourceId } from "../arm/target.ts";
import type { World } from "../arm/world.ts";
import { CLASSIC_ACCOUNTS, CLASSIC_DOMAINS, CLASSIC_VMS } from "../classic/classic-arm.ts";
import { asResource, type Disk, GIB, guidOf } from "../compute/disk-model.ts";
import { type Vm, vmAsResource } from "../compute/vm-model.ts";
import { type ImageDefinition, imageFromFile } from "../disks/image.ts";
import { FaultPlan } from "../faults/fault-plan.ts";
import type { Entry } from "../state/entry.ts";
import type { Estate, EstateGroup, EstateVm } from "./estate-schema.ts";

const MIB = 1024 * 1024;
const ENTRIES_PER_COMMIT = 2000;
const BUILT = "estate/built";

interface BuiltImage {
  readonly source: number;
  readonly sizeBytes: number;
}

/** `path` of the estate file: image paths are relative to it. Says whether a folder that is not new had another estate. */
export async function buildEstate(
  world: World,
  estate: Estate,
  path: string | undefined,
): Promise<"built" | "kept" | "kept-another"> {
  const described = createHash("sha256")
    .update(JSON.stringify([estate.subscriptions, estate.images]))
    .digest("hex");
  const kept = world.state.document(BUILT);
  if (kept !== undefined) return kept === described ? "kept" : "kept-another";
  const images = await buildImages(world, estate, path);
  const entries: Entry[] = estate.faults.map((rule) => ({
    kind: "document",
    key: FaultPlan.key(rule.name),
    value: rule,
  }));
  for (const { id, name, groups } of estate.subscriptions) {
    entries.push({ kind: "document", key: subscriptionKey(id), value: { id, name } });
    for (const group of groups) entries.push(...groupEntries(world, id, group, images));
  }
  for (let at = 0; at < entries.length; at += ENTRIES_PER_COMMIT)
    await world.state.commit(entries.slice(at, at + ENTRIES_PER_COMMIT));
  await world.state.commit([{ kind: "document", key: BUILT, value: described }]);
  return "built";
}

async function buildImages(
  world: World,
  estate: Estate,
  path: string | undefined,
): Promise<ReadonlyMap<string, BuiltImage>> {
  const images = new Map<string, BuiltImage>();
  for (const [name, described] of Object.entries(estate.images)) {
    const image: ImageDefinition =
      "path" in described
        ? await imageFromFile(resolve(path === undefined ? "." : dirname(path), described.path))
        : generatedImage(
            described.generated.seed ?? name,
            described.generated.sizeGiB * GIB,
            described.generated.allocatedMiB,
          );
    const { id, entries } = world.disks.planImage(image);
    await world.state.commit(entries);
    images.set(name, { source: id, sizeBytes: image.sizeBytes });
  }
  return images;
}

function generatedImage(seed: string, sizeBytes: number, allocatedMiB: number): ImageDefinition {
  return { kind: "generated", seed, sizeBytes, allocatedBytes: Math.min(sizeBytes, allocatedMiB * MIB) };
}

function groupEntries(
  world: World,
  subscription: string,
  group: EstateGroup,
  images: ReadonlyMap<string, BuiltImage>,
): Entry[] {
  const { name, location } = group;
  const id = (provider: string, type: string, own: string) => resourceId(subscription, name, provider, type, own);
  const network: Resource = {
    id: id("Microsoft.Network", "virtualNetworks", `${name}-vnet`),
    location,
    properties: {
      addressSpace: { addressPrefixes: ["10.0.0.0/16"] },
      subnets: [{ name: "default", properties: { addressPrefix: "10.0.0.0/20" } }],
    },
    inner: {},
  };
  const entries: Entry[] = [keep(groupResource(subscription, name, location)), keep(network)];
  if (group.lock !== undefined)
    entries.push(
      keep({
        id: id("Microsoft.Authorization", LOCKS.split("/")[1] ?? "", `${name}-lock`),
        location: "global",
        properties: { level: group.lock },
        inner: {},
      }),
    );
  for (const vm of group.virtualMachines)
    entries.push(...vmEntries(world, subscription, group, vm, images, network.id));
  for (const account of group.storageAccounts)
    entries.push(
      keep({
        id: id("Microsoft.Storage", "storageAccounts", account.name),
        location,
        kind: "StorageV2",
        sku: { name: account.sku, tier: "Standard" },
        properties: { minimumTlsVersion: "TLS1_2", allowBlobPublicAccess: false },
        inner: { createdAt: world.now() },
      }),
    );
  for (const machine of group.classicMachines)
    entries.push(...classicEntries(world, id, location, machine, imageOf(images, machine.image)));
  return entries;
}

function vmEntries(
  world: World,
  subscription: string,
  group: EstateGroup,
  vm: EstateVm,
  images: ReadonlyMap<string, BuiltImage>,
  networkId: string,
): Entry[] {
  const id = (provider: string, type: string, own: string) => resourceId(subscription, group.name, provider, type, own);
  const vmId = id("Microsoft.Compute", "virtualMachines", vm.name);
  const nicId = id("Microsoft.Network", "networkInterfaces", `${vm.name}-nic`);
  const image = imageOf(images, vm.image);
  const entries: Entry[] = [];
  const disk = (
    name: string,
    sizeBytes: number,
    from: number | undefined,
    creationData: Disk["properties"]["creationData"],
    extra: object,
  ): Disk => {
    const volume = world.disks.newId();
    entries.push({ kind: "volume-created", id: volume, sizeBytes, ...(from === undefined ? {} : { from }) });
    const made = diskResource(
      world,
      id("Microsoft.Compute", "disks", name),
      group.location,
      vm,
      volume,
      sizeBytes,
      creationData,
      extra,
      vmId,
    );
    entries.push(keep(asResource(made)));
    return made;
  };
  const hyperVGeneration = "V2";
  const osBytes = vm.osDiskGiB === undefined ? image.sizeBytes : Math.max(image.sizeBytes, vm.osDiskGiB * GIB);
  const osDisk = disk(
    `${vm.name}_OsDisk`,
    osBytes,
    image.source,
    { createOption: "FromImage", imageReference: { id: imageId(subscription, vm.image) } },
    { osType: vm.os, hyperVGeneration },
  );
  const dataDisks = vm.dataDisks.map(({ sizeGiB, allocatedMiB, image: named }, lun) => {
    const name = `${vm.name}_DataDisk_${lun}`;
    const based =
      named === undefined
        ? generatedData(world, entries, `${group.name}/${name}`, (sizeGiB ?? 4) * GIB, allocatedMiB)
        : imageOf(images, named);
    const sizeBytes = Math.max(based?.sizeBytes ?? 0, (sizeGiB ?? 0) * GIB) || 4 * GIB;
    return disk(name, sizeBytes, based?.source, { createOption: "Empty" }, {});
  });
  const attached = (one: Disk) => ({
    name: one.id.split("/").at(-1),
    diskSizeGB: one.properties.diskSizeGB,
    caching: "ReadWrite",
    deleteOption: "Detach",
    managedDisk: { id: one.id, storageAccountType: "Premium_LRS" },
  });
  const machine: Vm = {
    id: vmId,
    location: group.location,
    tags: vm.tags,
    zones: vm.zones,
    properties: {
      vmId: guidOf("vm", vmId.toLowerCase()),
      hardwareProfile: { vmSize: vm.size },
      storageProfile: {
        imageReference: { id: imageId(subscription, vm.image) },
        osDisk: { ...attached(osDisk), osType: vm.os, createOption: "FromImage" },
        dataDisks: dataDisks.map((one, lun) => ({ ...attached(one), lun, createOption: "Attach" })),
      },
      osProfile: { computerName: vm.name, adminUsername: "azureuser" },
      networkProfile: { networkInterfaces: [{ id: nicId, properties: { primary: true } }] },
      ...(vm.trustedLaunch
        ? {
            securityProfile: {
              securityType: "TrustedLaunch",
              uefiSettings: { secureBootEnabled: true, vTpmEnabled: true },
            },
          }
        : {}),
    },
    inner: {
      power: vm.power,
      powerSince: world.now(),
      createdAt: world.now(),
      agent: vm.agent,
      agentVersion: vm.agentVersion ?? (vm.os === "Windows" ? "2.7.41491.1176" : "2.11.1.4"),
      freeze: vm.freeze,
      freezeScripts: vm.freezeScripts,
      workload: vm.workload,
      hyperVGeneration,
    },
  };
  const nic: Resource = {
    id: nicId,
    location: group.location,
    properties: {
      virtualMachine: { id: vmId },
      ipConfigurations: [
        { name: "ipconfig1", properties: { primary: true, subnet: { id: `${networkId}/subnets/default` } } },
      ],
    },
    inner: {},
  };
  return [...entries, keep(nic), keep(vmAsResource(machine))];
}

function diskResource(
  world: World,
  id: string,
  location: string,
  vm: EstateVm,
  volume: number,
  sizeBytes: number,
  creationData: Disk["properties"]["creationData"],
  extra: object,
  managedBy: string,
): Disk {
  return {
    id,
    location,
    zones: vm.zones,
    sku: { name: "Premium_LRS", tier: "Premium" },
    managedBy,
    properties: {
      ...extra,
      creationData,
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
}

function generatedData(
  world: World,
  entries: Entry[],
  seed: string,
  sizeBytes: number,
  allocatedMiB: number,
): BuiltImage | undefined {
  if (allocatedMiB === 0) return undefined;
  const image = generatedImage(seed, sizeBytes, allocatedMiB);
  const planned = world.disks.planImage(image);
  entries.push(...planned.entries);
  return { source: planned.id, sizeBytes };
}

function classicEntries(
  world: World,
  id: (provider: string, type: string, own: string) => string,
  location: string,
  { name, cloudService, storageAccount, os }: EstateGroup["classicMachines"][number],
  image: BuiltImage,
): Entry[] {
  const volume = world.disks.newId();
  const accountId = id("Microsoft.ClassicStorage", CLASSIC_ACCOUNTS.split("/")[1] ?? "", storageAccount);
  const domainId = id("Microsoft.ClassicCompute", CLASSIC_DOMAINS.split("/")[1] ?? "", cloudService);
  return [
    { kind: "volume-created", id: volume, sizeBytes: image.sizeBytes, from: image.source },
    keep({ id: accountId, location, properties: {}, inner: {} }),
    keep({
      id: domainId,
      location,
      properties: { label: cloudService, hostName: `${cloudService}.cloudapp.net` },
      inner: {},
    }),
    keep({
      id: id("Microsoft.ClassicCompute", CLASSIC_VMS.split("/")[1] ?? "", name),
      location,
      properties: {
        domainName: { id: domainId, name: cloudService, type: CLASSIC_DOMAINS },
        hardwareProfile: { size: "Standard_D2_v2", platformGuestAgent: true },
      },
      inner: {
        power: "running",
        os,
        domain: cloudService,
        agentVersion: "2.7.41491.1176",
        account: { id: accountId, name: storageAccount },
        disks: [{ blob: `${name}-os.vhd`, volume }],
      },
    }),
  ];
}

function imageOf(images: ReadonlyMap<string, BuiltImage>, name: string): BuiltImage {
  const found = images.get(name);
  if (found !== undefined) return found;
  throw new HoldfastFailure("invalid", "EstateImageUnknown", `The estate has no image '${name}'`, {
    hint: `Its images are: ${[...images.keys()].join(", ") || "none"}.`,
  });
}

function imageId(subscription: string, name: string): string {
  return `/subscriptions/${subscription}/resourceGroups/images/providers/Microsoft.Compute/images/${name}`;
}
