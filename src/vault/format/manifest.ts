// The manifest of a point: the object whose create-only write *is* the backup. Immutable. Its tag roots a path of digests
// through the index trees down to chunk ids. A void stands at the same name when a transfer was given up, so that commit
// and abandonment race on one name.

import { z } from "zod";
import { encodeJson, type Json } from "./canonical-json.ts";
import { count, hexDigest, instant, itemId, keyId, nodeRef, parseJson, transferId } from "./schema.ts";

const snapshotIdentity = z.strictObject({ diskUniqueId: z.string(), snapshotId: z.string(), snapshotTime: z.string() });

const diskStats = z.strictObject({
  /** Chunks that were read and compared. */
  readChunks: count,
  readBytes: count,
  newChunks: count,
  newRawBytes: count,
  storedBytes: count,
  reusedChunks: count,
  zeroChunks: count,
});

const disk = z.strictObject({
  lun: z.number().int().min(-1).max(63),
  name: z.string(),
  uniqueId: z.string(),
  sizeBytes: count,
  logicalSectorBytes: count,
  physicalSectorBytes: count,
  chunkBytes: count,
  root: nodeRef.nullable(),
  /** What was read; the next backup may ask its source for the difference from exactly this. */
  base: snapshotIdentity,
  /** Ranges that the source could not read. */
  unreadable: z.array(z.strictObject({ offset: count, length: count })),
  stats: diskStats,
});

const manifest = z.strictObject({
  item: itemId,
  transfer: transferId,
  /** The data key under which all of this point lies. */
  keyId,
  pointId: z.string(),
  sequence: count,
  committedBy: z.string(),
  pointTime: instant,
  createdAt: instant,
  parent: z.strictObject({ transfer: transferId, digest: hexDigest }).nullable(),
  consistency: z.enum(["application", "file-system", "crash"]),
  consistencyReason: z.string(),
  tags: z.array(z.string()),
  reason: z.string(),
  /** The configuration of the machine as the platform gave it, in its own spelling: JSON text, not interpreted here. */
  machine: z.string().nullable(),
  disks: z.array(disk),
});

const voidRecord = z.strictObject({ item: itemId, transfer: transferId, reason: z.string(), createdAt: instant });

export type Manifest = z.infer<typeof manifest>;
export type ManifestDisk = z.infer<typeof disk>;
export type DiskStats = z.infer<typeof diskStats>;
export type VoidRecord = z.infer<typeof voidRecord>;

export const encodeManifest = (value: Manifest): Buffer => encodeJson(value as unknown as Json);
export const decodeManifest = (bytes: Uint8Array, what: string): Manifest => parseJson(manifest, bytes, what);
export const encodeVoid = (value: VoidRecord): Buffer => encodeJson(value);
export const decodeVoid = (bytes: Uint8Array, what: string): VoidRecord => parseJson(voidRecord, bytes, what);

export const NO_STATS: DiskStats = {
  readChunks: 0,
  readBytes: 0,
  newChunks: 0,
  newRawBytes: 0,
  storedBytes: 0,
  reusedChunks: 0,
  zeroChunks: 0,
};

export function addStats(left: DiskStats, right: DiskStats): DiskStats {
  const sum = { ...left };
  for (const name of Object.keys(sum) as (keyof DiskStats)[]) sum[name] += right[name];
  return sum;
}
