// Disks that a restore makes. Begun, then looked at until they are ready: no call waits for minutes. Every call may be
// repeated with the same arguments and comes to the same; a disk that somebody else made is never touched.
// Failures as in snapshots.ts.

import type { DiskSink } from "./disk-sink.ts";

export interface TargetDisks {
  /** Whether a group is there, and where; undefined when it is not. */
  readGroup(subscriptionId: string, resourceGroup: string): Promise<{ readonly location: string } | undefined>;

  read(diskId: string): Promise<TargetDisk | undefined>;

  /** An empty disk that waits for bytes, marked as `owner`'s. "conflict" when a disk of that name is not `owner`'s. */
  beginUpload(request: NewDisk): Promise<void>;

  /** A disk with the bytes of a snapshot, ready when `read` says so. */
  beginFromSnapshot(request: NewDisk & { readonly snapshotDiskId: string }): Promise<void>;

  /** The bytes of a disk that waits for them. `finish` of the sink ends nothing; `finishUpload` does. */
  openForWriting(diskId: string): Promise<DiskSink>;

  /** Writes the footer, ends the access, and makes it an ordinary disk. */
  finishUpload(diskId: string): Promise<void>;

  /** Removes a disk that is marked as `owner`'s; any other, or none, is left alone. */
  remove(diskId: string, owner: string): Promise<"gone" | "going">;
}

export interface NewDisk {
  readonly diskId: string;
  readonly location: string;
  readonly zones: readonly string[];
  readonly sizeBytes: number;
  readonly skuName: string;
  /** Of a disk with an operating system. */
  readonly osType: "Windows" | "Linux" | undefined;
  readonly hyperVGeneration: string | undefined;
  /** The job that makes it; written on the disk as a tag. */
  readonly owner: string;
}

export interface TargetDisk {
  readonly state: "pending" | "waits-for-upload" | "ready" | "failed";
  readonly owner: string | undefined;
}
