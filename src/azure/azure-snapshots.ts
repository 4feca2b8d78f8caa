// Snapshots of machines of both kinds. Whose a snapshot is tells its machine or its disk; where only its name is known, it is
// a restore point if there is a collection for it, and else what a Classic machine may have under that name.

import type { CollectionRef, SnapshotDiskRef, SnapshotRequest, Snapshots } from "../ports/snapshots.ts";
import type { Arm } from "./arm.ts";
import { BlobSnapshots } from "./blob-snapshots.ts";
import { CLASSIC_MACHINES } from "./classic-machines.ts";
import type { DiskAccess } from "./disk-access.ts";
import { parseResourceId } from "./resource-path.ts";
import { RestorePoints } from "./restore-points.ts";

export function azureSnapshots(arm: Arm, access: DiskAccess): Snapshots {
  const points = new RestorePoints(arm, access);
  const blobs = new BlobSnapshots(arm);
  const ofMachine = ({ machineId }: SnapshotRequest): Snapshots =>
    parseResourceId(machineId).type === CLASSIC_MACHINES.toLowerCase() ? blobs : points;
  const ofDisk = ({ snapshotDiskId }: SnapshotDiskRef): Snapshots =>
    /^https?:/i.test(snapshotDiskId) ? blobs : points;
  /** Whose machine has a collection is no Classic one. */
  const mayBeBlobs = async (collection: CollectionRef): Promise<boolean> => !(await points.hasCollection(collection));
  return {
    begin: async (request) => ofMachine(request).begin(request),
    async read(snapshot) {
      const state = await points.read(snapshot);
      return state === undefined && (await mayBeBlobs(snapshot.collection)) ? blobs.read(snapshot) : state;
    },
    async remove(snapshot) {
      const state = await points.remove(snapshot);
      return state === "gone" && (await mayBeBlobs(snapshot.collection)) ? blobs.remove(snapshot) : state;
    },
    async *list(collection) {
      yield* points.list(collection);
      if (await mayBeBlobs(collection)) yield* blobs.list(collection);
    },
    open: async (disk) => ofDisk(disk).open(disk),
    close: async (disk) => ofDisk(disk).close(disk),
  };
}
