// Deleting a resource group takes everything in it, in the order that lets each part go.
import { drop, keep, type Resource } from "../arm/resources.ts";
import { typeOf } from "../arm/target.ts";
import { conflict, type World } from "../arm/world.ts";
import type { Entry } from "../state/entry.ts";
import { refuseWhileShared } from "./disk-access.ts";
import { asDisk, asResource, DISK_RESTORE_POINTS, DISKS, SNAPSHOTS, VIRTUAL_MACHINES } from "./disk-model.ts";
import { dropWithVolume } from "./drop-with-volume.ts";
import { asVm, volumesOf } from "./vm-model.ts";

export function collectGroup(world: World, resources: readonly Resource[]): Entry[] {
  const inGroup = new Set(resources.map(({ id }) => id.toLowerCase()));
  return resources.flatMap((resource) => {
    const type = typeOf(resource.id).toLowerCase();
    if (type === DISKS.toLowerCase()) {
      const disk = asDisk(resource);
      refuseWhileShared(world, disk);
      if (disk.managedBy !== undefined && !inGroup.has(disk.managedBy.toLowerCase()))
        throw conflict(`Disk ${resource.id} is attached to VM ${disk.managedBy}.`);
      return dropWithVolume(world, disk);
    }
    if (type === SNAPSHOTS.toLowerCase() || type === DISK_RESTORE_POINTS.toLowerCase()) {
      refuseWhileShared(world, asDisk(resource));
      return dropWithVolume(world, asDisk(resource));
    }
    if (type === VIRTUAL_MACHINES.toLowerCase()) {
      const outside = volumesOf(world, asVm(resource)).filter(({ disk }) => !inGroup.has(disk.id.toLowerCase()));
      return [...outside.map(({ disk }) => keep(asResource({ ...disk, managedBy: undefined }))), drop(resource.id)];
    }
    return [drop(resource.id)];
  });
}
