// Deleting a disk, a snapshot or a disk restore point: the resource goes with its volume and with every access to it.

import { drop } from "../arm/resources.ts";
import type { World } from "../arm/world.ts";
import type { Entry } from "../state/entry.ts";
import type { Disk } from "./disk-model.ts";

/** The entries to commit; what refers to the same data (snapshots, copies) keeps it. */
export function dropWithVolume(world: World, disk: Disk): Entry[] {
  world.disks.sweepSoon();
  return [...world.grants.planRevoke(disk.id), drop(disk.id), { kind: "volume-deleted", id: disk.inner.volume }];
}
