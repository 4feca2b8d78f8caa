// Rows with a type: what a table holds, how a row is read and checked, and changing one by compare-and-swap. Everything
// that the control plane remembers goes through here.

import type { z } from "zod";
import { HoldfastFailure } from "../../base/failure.ts";
import type { ListOptions, StoredRow, TableStore } from "../../ports/table-store.ts";

export interface RowKind<Body> {
  readonly table: string;
  readonly schema: z.ZodType<Body>;
  /** For messages: "vault", "job". */
  readonly noun: string;
  /** By what some of the rows are listed alone. */
  readonly markOf?: (body: Body) => string | undefined;
}

export interface Place {
  readonly partition: string;
  readonly key: string;
}

export interface Held<Body> extends Place {
  readonly body: Body;
  readonly etag: string;
}

/** Sixteen lost races in a row are no accident. */
const MAX_SWAPS = 16;

export async function readRow<Body>(
  tables: TableStore,
  kind: RowKind<Body>,
  { partition, key }: Place,
): Promise<Held<Body> | undefined> {
  const row = await tables.read(kind.table, partition, key);
  return row && parse(kind, row);
}

/** Answers false when a row stands there already: it may be one's own, after a lost answer. Who must know reads it. */
export async function insertRow<Body>(
  tables: TableStore,
  kind: RowKind<Body>,
  place: Place,
  body: Body,
): Promise<boolean> {
  try {
    await tables.insert(kind.table, { ...place, body, mark: kind.markOf?.(body) });
    return true;
  } catch (cause) {
    if (isConflict(cause)) return false;
    throw cause;
  }
}

/** Answers false when the row has changed since it was read. */
export async function replaceRow<Body>(
  tables: TableStore,
  kind: RowKind<Body>,
  held: Held<Body>,
  body: Body,
): Promise<boolean> {
  return (await swapRow(tables, kind, held, body)) !== undefined;
}

/** Answers the row as it stands then, for the next swap; or undefined when it has changed since it was read. */
export async function swapRow<Body>(
  tables: TableStore,
  kind: RowKind<Body>,
  held: Held<Body>,
  body: Body,
): Promise<Held<Body> | undefined> {
  try {
    const { partition, key } = held;
    const etag = await tables.replace(kind.table, { partition, key, body, mark: kind.markOf?.(body) }, held.etag);
    return { partition, key, body, etag };
  } catch (cause) {
    if (isConflict(cause)) return undefined;
    throw cause;
  }
}

/** Answers false when the row has changed, or gone, since it was read. */
export async function removeHeldRow<Body>(
  tables: TableStore,
  kind: RowKind<Body>,
  { partition, key, etag }: Held<Body>,
): Promise<boolean> {
  try {
    await tables.remove(kind.table, partition, key, etag);
    return true;
  } catch (cause) {
    if (isConflict(cause)) return false;
    throw cause;
  }
}

/**
 * Changes a row by compare-and-swap: from what was last seen of it, and after each lost race from what it is. `change`
 * answers the next body, or undefined to leave the row as it is; it may be called several times, and with a body that is out
 * of date by then. Answers the body that stands afterwards.
 */
export async function changeRow<Body>(
  tables: TableStore,
  kind: RowKind<Body>,
  place: Place,
  change: (body: Body) => Body | undefined,
): Promise<Body> {
  const changed = await changeRecalled(tables, kind, place, change);
  if (changed !== undefined) return changed;
  for (let swap = 0; swap < MAX_SWAPS; swap++) {
    const held = await readRow(tables, kind, place);
    if (!held) throw new HoldfastFailure("not-found", "HoldfastRowNotFound", `There is no ${kind.noun} ${place.key}`);
    const next = change(held.body);
    if (next === undefined) return held.body;
    if (await replaceRow(tables, kind, held, next)) return next;
  }
  throw new HoldfastFailure("unavailable", "HoldfastRowContended", `The ${kind.noun} ${place.key} changes too often`, {
    hint: "Try again.",
  });
}

/** Undefined when nothing came of it: that it was seen says nothing of what the row is now, unless the swap succeeds. */
async function changeRecalled<Body>(
  tables: TableStore,
  kind: RowKind<Body>,
  { partition, key }: Place,
  change: (body: Body) => Body | undefined,
): Promise<Body | undefined> {
  const seen = tables.recall?.(kind.table, partition, key);
  if (!seen) return undefined;
  let held: Held<Body>;
  let next: Body | undefined;
  try {
    held = parse(kind, seen);
    next = change(held.body);
  } catch {
    // What cannot be done to the row as it was may be right for the row as it is; if not, it is thrown there.
    return undefined;
  }
  return next !== undefined && (await replaceRow(tables, kind, held, next)) ? next : undefined;
}

export async function* listRows<Body>(
  tables: TableStore,
  kind: RowKind<Body>,
  partition: string,
  options: ListOptions = {},
): AsyncGenerator<Held<Body>> {
  for await (const page of tables.list(kind.table, partition, options)) {
    for (const row of page) yield parse(kind, row);
  }
}

export async function removeRow<Body>(tables: TableStore, kind: RowKind<Body>, place: Place): Promise<void> {
  await tables.remove(kind.table, place.partition, place.key);
}

function parse<Body>(kind: RowKind<Body>, row: StoredRow): Held<Body> {
  const parsed = kind.schema.safeParse(row.body);
  if (parsed.success) return { partition: row.partition, key: row.key, etag: row.etag, body: parsed.data };
  throw new HoldfastFailure("corrupt", "HoldfastRowUnreadable", `The ${kind.noun} ${row.key} cannot be read`, {
    cause: parsed.error,
    hint: "It was written by another release, or changed by hand.",
  });
}

export function isConflict(cause: unknown): boolean {
  return cause instanceof HoldfastFailure && cause.kind === "conflict";
}
