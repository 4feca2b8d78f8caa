// Which disks a virtual machine holds: attaching, making empty ones, letting go, under Azure's conditions.
import { keep } from "../arm/resources.ts";
import { groupId, nameOf } from "../arm/target.ts";
import { conflict, invalid, type World } from "../arm/world.ts";
import { AzureError } from "../http/azure-error.ts";
import type { Entry } from "../state/entry.ts";
import { refuseWhileShared } from "./disk-access.ts";
import { asDisk, asResource, type Disk, GIB, guidOf } from "./disk-model.ts";
import { type AttachedDisk, type Vm, volumesOf } from "./vm-model.ts";

interface Home {
  readonly id: string;
  readonly location: string;
  readonly zones?: readonly string[] | undefined;
}

interface WantedDisk {
  readonly [property: string]: unknown;
  readonly name?: string | undefined;
  readonly deleteOption?: string | undefined;
  readonly managedDisk?: { readonly id?: string | undefined; readonly [more: string]: unknown } | undefined;
  readonly lun?: number | undefined;
  readonly createOption?: string | undefined;
  readonly diskSizeGB?: number | undefined;
}

/** The disks as the VM will hold them, and the entries that mark the new ones as its own. OS disk first. */
export function planDisks(
  world: World,
  home: Home,
  os: readonly WantedDisk[],
  data: readonly WantedDisk[],
): { disks: AttachedDisk[]; entries: Entry[] } {
  const luns = data.map(({ lun }) => lun);
  if (new Set(luns).size !== luns.length)
    throw invalid("dataDisk.lun", "Two data disks of a virtual machine cannot have the same LUN.");
  const ids = [...os, ...data].flatMap(({ managedDisk }) => managedDisk?.id?.toLowerCase() ?? []);
  if (new Set(ids).size !== ids.length)
    throw invalid("managedDisk.id", "A disk cannot be attached twice to a virtual machine.");
  const entries: Entry[] = [];
  const disks = [...os, ...data].map((wanted) => {
    const disk =
      wanted.createOption === "Empty" && wanted.managedDisk?.id === undefined
        ? emptyDisk(world, home, wanted, entries)
        : attachable(world, home, wanted);
    if (disk.managedBy === undefined) entries.push(keep(asResource({ ...disk, managedBy: home.id })));
    return {
      ...wanted,
      createOption: wanted.createOption ?? "Attach",
      name: nameOf(disk.id),
      diskSizeGB: disk.properties.diskSizeGB,
      deleteOption: wanted.deleteOption ?? "Detach",
      managedDisk: { ...wanted.managedDisk, id: disk.id, storageAccountType: String(disk.sku?.name ?? "Standard_LRS") },
    };
  });
  return { disks, entries };
}

function attachable(world: World, home: Home, wanted: WantedDisk): Disk {
  const id = wanted.managedDisk?.id;
  const found = id === undefined ? undefined : world.resources.find(id);
  if (found === undefined)
    throw new AzureError(404, "NotFound", `Disk ${id ?? wanted.name ?? ""} is not found.`, {
      target: "managedDisk.id",
    });
  const disk = asDisk(found);
  if (disk.managedBy?.toLowerCase() === home.id.toLowerCase()) return disk;
  if (disk.managedBy !== undefined)
    throw new AzureError(
      409,
      "AttachDiskWhileBeingDetached",
      `Disk ${nameOf(disk.id)} cannot be attached to the VM because it is already attached to VM ${disk.managedBy}.`,
    );
  if (disk.location.toLowerCase() !== home.location.toLowerCase())
    throw invalid("managedDisk.id", `Disk ${disk.id} is in ${disk.location}, not in ${home.location}.`);
  if (disk.inner.upload === "awaited")
    throw conflict(`Disk ${nameOf(disk.id)} is waiting for an upload and cannot be attached.`);
  refuseWhileShared(world, disk);
  return disk;
}

function emptyDisk(world: World, home: Home, wanted: WantedDisk, entries: Entry[]): Disk {
  if (wanted.diskSizeGB === undefined)
    throw invalid("dataDisk.diskSizeGB", "Required parameter 'dataDisk.diskSizeGB' is missing (null).");
  const name = wanted.name ?? `${nameOf(home.id)}_disk_${guidOf(home.id, wanted.lun ?? -1, world.now())}`;
  const [, , subscription = "", , group = ""] = home.id.split("/");
  const id = `${groupId(subscription, group)}/providers/Microsoft.Compute/disks/${name}`;
  if (world.resources.find(id) !== undefined) throw conflict(`Disk ${name} already exists.`);
  const volume = world.disks.newId();
  const sizeBytes = wanted.diskSizeGB * GIB;
  entries.push({ kind: "volume-created", id: volume, sizeBytes });
  return {
    id,
    location: home.location,
    zones: home.zones,
    sku: { name: "Premium_LRS", tier: "Premium" },
    properties: {
      creationData: { createOption: "Empty" },
      diskSizeGB: wanted.diskSizeGB,
      diskSizeBytes: sizeBytes,
      uniqueId: guidOf("disk", id.toLowerCase(), volume),
      timeCreated: new Date(world.now()).toISOString(),
      networkAccessPolicy: "AllowAll",
    },
    inner: { volume },
  };
}

/** Disks the VM held and does not hold any more are free again. */
export function planDetach(world: World, vm: Vm, disks: readonly AttachedDisk[]): Entry[] {
  const stays = new Set(disks.map((disk) => disk.managedDisk?.id.toLowerCase()));
  return volumesOf(world, vm).flatMap(({ disk }) =>
    stays.has(disk.id.toLowerCase()) ? [] : [keep(asResource({ ...disk, managedBy: undefined }))],
  );
}
