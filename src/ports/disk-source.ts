// A disk to be backed up: a snapshot that does not change while it is read. Implementations: a page blob or managed-disk
// snapshot behind a SAS, and an image file.

import type { ByteRange } from "./object-store.ts";

export interface DiskSource {
  readonly sizeBytes: number;

  /** What exactly is read. Two sources with the same snapshot id of the same disk hold the same bytes. */
  readonly identity: SnapshotIdentity;

  /**
   * Ranges that may hold something else than zeros, ascending, apart from each other, within the disk. What is not
   * listed reads as zeros.
   */
  allocatedRanges(): AsyncIterable<ByteRange>;

  /**
   * Ranges that may differ from the given snapshot of the same disk, cleared ones included; or undefined when this
   * source cannot tell, and everything has to be compared by content.
   * Never guess: a range that is missing here is missing in the backup.
   */
  changedRanges(since: SnapshotIdentity): Promise<AsyncIterable<ByteRange> | undefined>;

  /**
   * The bytes of a range that lies within the disk. Safe to call several times at once. A range whose bytes the source
   * has lost for good fails with code `HoldfastSourceUnreadable`; all else is worth a retry. The bytes are the caller's
   * from then on: it may give their memory back while the source goes on.
   */
  read(range: ByteRange): Promise<Uint8Array>;
}

export interface SnapshotIdentity {
  readonly diskUniqueId: string;
  readonly snapshotId: string;
  /** RFC 3339, UTC. */
  readonly snapshotTime: string;
}
