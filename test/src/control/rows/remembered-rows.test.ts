import { describe, expect, it } from "vitest";
import { z } from "zod";
import { rememberRows } from "../../../../src/control/rows/remembered-rows.ts";
import { changeRow, insertRow, type RowKind, readRow } from "../../../../src/control/rows/row-kind.ts";
import type { TableStore } from "../../../../src/ports/table-store.ts";
import { tableStoreContract } from "../../../contracts/table-store.contract.ts";
import { MemoryTableStore } from "../../../support/memory-table-store.ts";

const COUNTS: RowKind<{ count: number; note: string }> = {
  table: "counts",
  schema: z.object({ count: z.number(), note: z.string() }),
  noun: "count",
};
const PLACE = { partition: "p", key: "k" };

/** Counts the reads that reach the store. */
function counted(store: TableStore) {
  let reads = 0;
  const tables: TableStore = {
    insert: (...args) => store.insert(...args),
    replace: (...args) => store.replace(...args),
    remove: (...args) => store.remove(...args),
    list: (...args) => store.list(...args),
    transact: (...args) => store.transact(...args),
    read: (...args) => {
      reads++;
      return store.read(...args);
    },
  };
  return { tables, reads: () => reads };
}

async function world() {
  const store = new MemoryTableStore();
  const { tables, reads } = counted(store);
  const mine = rememberRows(tables);
  await insertRow(mine, COUNTS, PLACE, { count: 1, note: "" });
  const increment = () => changeRow(mine, COUNTS, PLACE, (row) => ({ ...row, count: row.count + 1 }));
  return { store, mine, reads, increment };
}

describe("Tables that remember rows", () => {
  tableStoreContract(async () => rememberRows(new MemoryTableStore()));

  it("change what they have seen last without reading it again", async () => {
    const { store, reads, increment } = await world();
    await increment();
    await increment();
    expect(reads()).toBe(0);
    expect((await readRow(store, COUNTS, PLACE))?.body.count).toBe(3);
  });

  it("lose no change that somebody else has made meanwhile", async () => {
    const { store, reads, increment } = await world();
    await changeRow(store, COUNTS, PLACE, (row) => ({ ...row, count: 10, note: "theirs" }));
    expect(await increment()).toEqual({ count: 11, note: "theirs" });
    expect(reads()).toBe(1);
  });

  it("never take what they remember for a reason to do nothing, or to fail", async () => {
    const { store, mine } = await world();
    await changeRow(store, COUNTS, PLACE, (row) => ({ ...row, count: 10 }));
    const once = await changeRow(mine, COUNTS, PLACE, (row) =>
      row.count === 1 ? undefined : { ...row, note: "seen" },
    );
    expect(once).toEqual({ count: 10, note: "seen" });
    await changeRow(store, COUNTS, PLACE, (row) => ({ ...row, count: 20 }));
    const twice = await changeRow(mine, COUNTS, PLACE, (row) => {
      if (row.count === 10) throw new Error("ten is not to be changed");
      return { ...row, note: "again" };
    });
    expect(twice).toEqual({ count: 20, note: "again" });
  });

  it("do not bring a row back that was removed", async () => {
    const { store, increment } = await world();
    await store.remove(COUNTS.table, PLACE.partition, PLACE.key);
    await expect(increment()).rejects.toMatchObject({ code: "HoldfastRowNotFound" });
  });
});
