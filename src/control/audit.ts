// Who changed what, when, and what came of it. Rows are only ever added. A call leaves two: one before it is carried out, so
// that nothing happens without a trace even if the process dies on the way, and one with the answer.

import { z } from "zod";
import type { ControlDeps } from "./control-deps.ts";
import { instant } from "./rows/fields.ts";
import { insertRow, type RowKind } from "./rows/row-kind.ts";

export interface AuditedCall {
  /** Who calls: an object id, and a name for people. */
  readonly callerId: string;
  readonly callerName: string;
  readonly method: string;
  readonly path: string;
  readonly requestId: string;
}

export interface AuditedAnswer {
  readonly status: number;
  /** Of a refusal. */
  readonly code: string | null;
}

const call = z.object({
  callerId: z.string(),
  callerName: z.string(),
  method: z.string(),
  path: z.string(),
  requestId: z.string(),
});
const answer = z.object({ status: z.number().int(), code: z.string().nullable() });
const body = z.object({ at: instant, call, answer: answer.nullable() });

export type AuditBody = z.infer<typeof body>;

export const AUDIT_ROWS: RowKind<AuditBody> = { table: "audit", schema: body, noun: "audit entry" };

/** Vaults keep books of their own; what concerns none goes to its subscription's, and the rest to the tenant's. */
export type AuditBook = string;

export async function recordCall(deps: ControlDeps, book: AuditBook, audited: AuditedCall): Promise<void> {
  await append(deps, book, { call: audited, answer: null });
}

export async function recordAnswer(
  deps: ControlDeps,
  book: AuditBook,
  audited: AuditedCall,
  given: AuditedAnswer,
): Promise<void> {
  await append(deps, book, { call: audited, answer: given });
}

async function append(deps: ControlDeps, book: AuditBook, entry: Omit<AuditBody, "at">): Promise<void> {
  const at = deps.clock.now().toISOString();
  const phase = entry.answer === null ? "a" : "b";
  // Keys grow with time; the request's id keeps those of one millisecond apart, and the phase those of one request.
  const key = `${at.replaceAll(/\D/g, "")}-${entry.call.requestId}-${phase}`;
  await insertRow(deps.tables, AUDIT_ROWS, { partition: book, key }, { at, ...entry });
}
