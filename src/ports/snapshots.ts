// Snapshots of machines: all disks of one moment. For a Resource Manager machine that is a restore point in a collection;
// for a Classic one a snapshot of each page blob. Begun, then looked at until they are done: no call waits for minutes.
//
// Every call may be repeated with the same arguments, and comes to the same. Failures: "throttled", "unavailable" (try
// again later); "conflict", "denied", "invalid", "not-found" with the platform's own code and message, which no retry cures.

import type { DiskSource } from "./disk-source.ts";

export interface Snapshots {
  /** Creates group and collection if they are not there, and begins the snapshot. */
  begin(request: SnapshotRequest): Promise<void>;

  /** How far it is; undefined when there is no such snapshot (any more). */
  read(snapshot: SnapshotRef): Promise<SnapshotState | undefined>;

  /** Begins its removal, and answers whether it is gone. Call again until it is. Ends all access to it first. */
  remove(snapshot: SnapshotRef): Promise<"gone" | "going">;

  /** Every snapshot of a collection: what a reconciler compares with what it knows. */
  list(collection: CollectionRef): AsyncIterable<readonly SnapshotRef[]>;

  /**
   * Grants access to the bytes of one disk for as long as they are read: a grant that is about to end is renewed, and one
   * that lasts is used again. Differences are offered from snapshots of the same disk that still exist.
   */
  open(disk: SnapshotDiskRef): Promise<DiskSource>;

  /** Ends the access that `open` was granted, also for the earlier snapshot of a difference. Absent is no failure. */
  close(disk: SnapshotDiskRef): Promise<void>;
}

export interface CollectionRef {
  readonly subscriptionId: string;
  readonly resourceGroup: string;
  readonly name: string;
}

export interface SnapshotRef {
  readonly collection: CollectionRef;
  readonly name: string;
}

export interface SnapshotRequest {
  readonly snapshot: SnapshotRef;
  readonly machineId: string;
  readonly location: string;
  /** Ask for no more than a crash-consistent one. */
  readonly crashConsistentOnly: boolean;
  readonly excludedDiskIds: readonly string[];
}

export interface SnapshotState {
  readonly state: "pending" | "done" | "failed";
  /** Of a failed one. */
  readonly failure?: { readonly code: string; readonly message: string };
  readonly consistency: "application" | "file-system" | "crash";
  /** RFC 3339, UTC: the moment whose bytes it holds. */
  readonly time: string;
  readonly disks: readonly SnapshotDisk[];
}

export interface SnapshotDisk {
  readonly lun: number;
  readonly name: string;
  readonly sizeBytes: number;
  /** What names the bytes to `open`: the id of a disk restore point, or a page blob's snapshot. */
  readonly snapshotDiskId: string;
  readonly diskUniqueId: string;
  readonly skuName: string;
}

export interface SnapshotDiskRef {
  readonly snapshotDiskId: string;
  readonly diskUniqueId: string;
  readonly snapshotTime: string;
}
