// Rows that put work in order: who may do what, and what was begun. None of them is shown to users as it is.

import { z } from "zod";
import { instant } from "./fields.ts";
import type { Place, RowKind } from "./row-kind.ts";
import type { VaultKey } from "./vault-row.ts";

// Who holds a machine's snapshot or transfer phase. The row stays when the phase is free, for its fence only ever grows: a
// job's row keeps the one it was granted, and a step of a holder that was replaced is recognised by it.
const phase = z.object({ holder: z.string().nullable(), fence: z.number().int(), since: instant });
export type PhaseBody = z.infer<typeof phase>;
export const PHASE_ROWS: RowKind<PhaseBody> = { table: "phases", schema: phase, noun: "phase" };
export const phasePlace = (vault: VaultKey, item: string, name: "snapshot" | "transfer"): Place => ({
  partition: `${vault}/${item.toLowerCase()}`,
  key: name,
});

// Places for slices and for transfers, hub-wide: one row for each place, so that transfers never take all of the workers.
const slot = z.object({ holder: z.string().nullable(), vault: z.string(), job: z.string(), since: instant });
export type SlotBody = z.infer<typeof slot>;
export const SLOT_ROWS: RowKind<SlotBody> = { table: "slots", schema: slot, noun: "slot" };
export type SlotKind = "slices" | "transfers";
export const slotPlace = (kind: SlotKind, number: number): Place => ({
  partition: kind,
  key: String(number).padStart(3, "0"),
});

// A policy's run at an instant. Inserted before the run is started, and the reason why it happens once.
const occurrence = z.object({
  vault: z.string(),
  policy: z.string(),
  scheduledAt: instant,
  isCatchUp: z.boolean(),
  /** When all of its backups had been started. */
  startedAt: instant.nullable(),
});
export type OccurrenceBody = z.infer<typeof occurrence>;
export const OCCURRENCE_ROWS: RowKind<OccurrenceBody> = {
  table: "occurrences",
  schema: occurrence,
  noun: "policy run",
};
export const occurrencePlace = (vault: VaultKey, policy: string, scheduledAt: string): Place => ({
  partition: vault,
  key: `${scheduledAt.replace(/\D/g, "")}-${policy.toLowerCase()}`,
});

// How far something that runs again and again has come.
const mark = z.object({ at: instant });
export type MarkBody = z.infer<typeof mark>;
export const MARK_ROWS: RowKind<MarkBody> = { table: "marks", schema: mark, noun: "mark" };
export const markPlace = (name: string): Place => ({ partition: "marks", key: name });

// What an ARM client polls. An operation ends at once, or with its job.
const operation = z.object({
  id: z.string(),
  startedAt: instant,
  jobId: z.string().nullable(),
  endsWithJob: z.boolean(),
  /** Of an operation without a job. */
  result: z.unknown(),
});
export type OperationBody = z.infer<typeof operation>;
export const OPERATION_ROWS: RowKind<OperationBody> = { table: "operations", schema: operation, noun: "operation" };
export const operationPlace = (vault: VaultKey, operationId: string): Place => ({
  partition: vault,
  key: operationId.toLowerCase(),
});

// The machine as it was when its snapshot was taken: kept until the point is in the vault's archive, and longer than that
// while its snapshot is. Partition: the vault; key: the job.
const capture = z.object({ configuration: z.string() });
export type CaptureBody = z.infer<typeof capture>;
export const CAPTURE_ROWS: RowKind<CaptureBody> = { table: "captures", schema: capture, noun: "captured machine" };
export const capturePlace = (vault: VaultKey, jobId: string): Place => ({ partition: vault, key: jobId.toLowerCase() });

// Of machines that hold mostly the same blocks, the one that was last brought into the vault: what a first backup of another
// one compares with. Partition: the vault; key: what they have in common.
const relative = z.object({ archiveItem: z.string() });
export type RelativeBody = z.infer<typeof relative>;
export const RELATIVE_ROWS: RowKind<RelativeBody> = { table: "relatives", schema: relative, noun: "relative" };
export const relativePlace = (vault: VaultKey, relativeKey: string): Place => ({ partition: vault, key: relativeKey });
