// Disks, snapshots and disk restore points as resources: what is stored of each, and what a client is shown.
import { createHash } from "node:crypto";
import { provisioningState, type Resource, render } from "../arm/resources.ts";
import type { World } from "../arm/world.ts";

export const DISKS = "Microsoft.Compute/disks";
export const SNAPSHOTS = "Microsoft.Compute/snapshots";
export const COLLECTIONS = "Microsoft.Compute/restorePointCollections";
export const RESTORE_POINTS = "Microsoft.Compute/restorePointCollections/restorePoints";
export const DISK_RESTORE_POINTS = "Microsoft.Compute/restorePointCollections/restorePoints/diskRestorePoints";
export const VIRTUAL_MACHINES = "Microsoft.Compute/virtualMachines";

export const GIB = 1024 ** 3;
/** The largest managed disk. */
export const MAX_DISK_GIB = 32_767;

export interface DiskProperties {
  readonly [property: string]: unknown;
  readonly creationData: {
    readonly createOption: string;
    readonly sourceResourceId?: string | undefined;
    readonly [more: string]: unknown;
  };
  readonly diskSizeGB: number;
  readonly diskSizeBytes: number;
  readonly uniqueId: string;
  readonly timeCreated: string;
  readonly osType?: string | undefined;
  readonly hyperVGeneration?: string | undefined;
  readonly networkAccessPolicy: string;
}

export interface DiskInner {
  readonly [property: string]: unknown;
  readonly volume: number;
  /** Of a disk made for upload: what has happened to it. */
  readonly upload?: "awaited" | "done" | undefined;
}

export type Disk = Resource<DiskProperties, DiskInner>;

export function asDisk(resource: Resource): Disk {
  return resource as unknown as Disk;
}

export function asResource(disk: Disk): Resource {
  return disk as unknown as Resource;
}

/** A GUID that is always the same for the same words. */
export function guidOf(...words: (string | number)[]): string {
  const hex = createHash("sha256").update(words.join("\n")).digest("hex");
  return `${hex.slice(0, 8)}-${hex.slice(8, 12)}-4${hex.slice(13, 16)}-9${hex.slice(17, 20)}-${hex.slice(20, 32)}`;
}

/** Versions of one disk share it; only they can be compared. */
export function familyOf(world: World, volume: number): string {
  return guidOf("family", world.disks.find(volume)?.lineage ?? volume);
}

export function showDisk(world: World, disk: Disk): unknown {
  return render(asResource(disk), world.now(), { diskState: diskState(world, disk) });
}

export function diskState(world: World, disk: Disk): string {
  const hasGrant = world.grants.active(disk.id, world.now()).length > 0;
  if (disk.inner.upload === "awaited") return hasGrant ? "ActiveUpload" : "ReadyToUpload";
  const vm = disk.managedBy === undefined ? undefined : world.resources.find(disk.managedBy);
  if (hasGrant) return vm === undefined ? "ActiveSAS" : "ActiveSASFrozen";
  if (vm === undefined) return "Unattached";
  return vm.inner.power === "running" ? "Attached" : "Reserved";
}

export function showSnapshot(world: World, snapshot: Disk): unknown {
  const done = provisioningState(asResource(snapshot), world.now()) === "Succeeded";
  return render(asResource(snapshot), world.now(), {
    diskState: world.grants.active(snapshot.id, world.now()).length > 0 ? "ActiveSAS" : "Unattached",
    completionPercent: done ? 100 : 0,
    snapshotAccessState: done ? "Available" : "Pending",
  });
}

export function showDiskRestorePoint(_world: World, { id, properties }: Disk): unknown {
  // A restore point is kept as a disk, but shows less than one.
  const { creationData: _source, diskSizeGB: _gib, diskSizeBytes: _bytes, uniqueId: _own, ...shown } = properties;
  return { id, name: id.split("/").at(-1), type: DISK_RESTORE_POINTS, properties: shown };
}
