// Pages of a listing: filters are applied here, row by row, so that a page is full however few rows match; the cursor is
// the key of the last row that was looked at, so that nothing is shown twice or left out whatever comes and goes.

import type { TableStore } from "../ports/table-store.ts";
import { type Held, listRows, type RowKind } from "./rows/row-kind.ts";

export interface PageRequest<Value> {
  /** What the page before answered as `next`. */
  readonly after?: string | undefined;
  readonly limit: number;
  readonly matches?: ((value: Value) => boolean) | undefined;
}

export interface Page<Value> {
  readonly values: readonly Value[];
  /** Absent on the last page. */
  readonly next: string | undefined;
}

export async function pageOfRows<Body>(
  tables: TableStore,
  kind: RowKind<Body>,
  partition: string,
  { after, limit, matches = () => true }: PageRequest<Body>,
): Promise<Page<Body>> {
  const { values, next } = await pageOfHeld(tables, kind, partition, {
    after,
    limit,
    matches: ({ body }) => matches(body),
  });
  return { values: values.map(({ body }) => body), next };
}

export async function pageOfHeld<Body>(
  tables: TableStore,
  kind: RowKind<Body>,
  partition: string,
  { after, limit, matches = () => true }: PageRequest<Held<Body>>,
): Promise<Page<Held<Body>>> {
  const values: Held<Body>[] = [];
  for await (const held of listRows(tables, kind, partition, after === undefined ? {} : { after })) {
    if (!matches(held)) continue;
    // One more than asked for shows that there is a next page.
    if (values.length === limit) return { values, next: values.at(-1)?.key };
    values.push(held);
  }
  return { values, next: undefined };
}
