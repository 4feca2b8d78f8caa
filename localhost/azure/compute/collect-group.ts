// Deleting a resource group takes everything in it, in the order that lets each part go.
import { drop, keep, type Resource } from "../arm/resources.ts";
import { typeOf } from "../arm/target.ts";
import { conflict, type World } from "../arm/world.ts";
import { refuseWhileUsed } from "../network/references.ts";
import type { Entry } from "../state/entry.ts";
import { refuseWhileShared } from "./disk-access.ts";
import { asDisk, asResource, DISK_RESTORE_POINTS, DISKS, SNAPSHOTS, VIRTUAL_MACHINES } from "./disk-model.ts";
import { dropWithVolume } from "./drop-with-volume.ts";
import { planInterfacesOfLeaving } from "./vm-interfaces.ts";
import { asVm, volumesOf } from "./vm-model.ts";

export function collectGroup(world: World, resources: readonly Resource[]): Entry[] {
  const inGroup = new Set(resources.map(({ id }) => id.toLowerCase()));
  const entries = resources.flatMap((resource) => {
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
      return [
        ...outside.map(({ disk }) => keep(asResource({ ...disk, managedBy: undefined }))),
        ...planInterfacesOfLeaving(world, asVm(resource)),
        drop(resource.id),
      ];
    }
    refuseWhileUsed(world, resource, inGroup);
    return [drop(resource.id)];
  });
  // An interface that its machine lets go is kept by one entry; what is of this group goes all the same.
  return [...entries, ...resources.map(({ id }) => drop(id))];
}
