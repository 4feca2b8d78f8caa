// Tables that remember the rows that went through them last, so that a step which has just read a row need not read it
// again to change it. Only `recall` answers from memory: a read is always a read.

import type { Row, StoredRow, TableStore } from "../../ports/table-store.ts";

/** A step touches some ten rows, and some tens of steps run at once. */
const MAX_ROWS = 256;

export function rememberRows(tables: TableStore): TableStore {
  const rows = new Map<string, StoredRow>();
  const keyOf = (table: string, { partition, key }: Pick<Row, "partition" | "key">) => `${table}\n${partition}\n${key}`;
  const remember = (table: string, row: StoredRow): void => {
    const key = keyOf(table, row);
    rows.delete(key);
    rows.set(key, row);
    if (rows.size > MAX_ROWS) rows.delete(rows.keys().next().value as string);
  };
  return {
    recall: (table, partition, key) => rows.get(keyOf(table, { partition, key })),
    async insert(table, row) {
      const etag = await tables.insert(table, row);
      remember(table, { ...row, etag });
      return etag;
    },
    async replace(table, row, etag) {
      // Whether it takes effect or not, what was remembered is the past.
      rows.delete(keyOf(table, row));
      const newEtag = await tables.replace(table, row, etag);
      remember(table, { ...row, etag: newEtag });
      return newEtag;
    },
    async remove(table, partition, key, etag) {
      rows.delete(keyOf(table, { partition, key }));
      await tables.remove(table, partition, key, etag);
    },
    async read(table, partition, key) {
      const row = await tables.read(table, partition, key);
      if (row) remember(table, row);
      else rows.delete(keyOf(table, { partition, key }));
      return row;
    },
    list: (table, partition, options) => tables.list(table, partition, options),
    transact: (table, partition, changes) => tables.transact(table, partition, changes),
  };
}
