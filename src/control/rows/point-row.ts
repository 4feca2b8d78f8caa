// A recovery point: a mirror of its manifest, and while its snapshot lives also the only record of that. Partition: vault and
// item; key: made so that the newest comes first.

import { z } from "zod";
import { SNAPSHOT_STATES } from "../../domain/point-states.ts";
import { consistency, instant, pointMachine, retentionTag, snapshotDisk, snapshotRef } from "./fields.ts";
import type { Place, RowKind } from "./row-kind.ts";
import type { VaultKey } from "./vault-row.ts";

const body = z.object({
  /** Fifteen decimal digits that grow with time. */
  pointId: z.string(),
  jobId: z.string(),
  time: instant,
  scheduledAt: instant.nullable(),
  consistency,
  consistencyReason: z.string(),
  /** Retention rules that the point was tagged with. */
  tags: z.array(retentionTag),
  isPromoted: z.boolean(),
  isCatchUp: z.boolean(),
  policy: z.string().nullable(),
  /** Of an on-demand point, whose life no policy decides. */
  retainUntil: instant.nullable(),
  /** Never shorter than this, whatever a policy says. */
  keepUntil: instant.nullable(),
  isHeld: z.boolean(),
  snapshot: z.object({
    state: z.enum(SNAPSHOT_STATES),
    ref: snapshotRef.nullable(),
    disks: z.array(snapshotDisk),
  }),
  /** The transfer that committed the point in the vault's archive. */
  archive: z.object({ transfer: z.string(), storedBytes: z.number().int() }).nullable(),
  machine: pointMachine,
});

export type PointBody = z.infer<typeof body>;

export const POINT_ROWS: RowKind<PointBody> = { table: "points", schema: body, noun: "recovery point" };

/** Point ids grow with time and have one length, so that their complement sorts newest first. */
export function pointPlace(vault: VaultKey, itemName: string, pointId: string): Place {
  const complement = [...pointId].map((digit) => 9 - Number(digit)).join("");
  return { partition: `${vault}/${itemName.toLowerCase()}`, key: complement };
}

export const pointsPartition = (vault: VaultKey, itemName: string): string => `${vault}/${itemName.toLowerCase()}`;
