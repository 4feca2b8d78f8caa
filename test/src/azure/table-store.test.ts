import type { AddressInfo } from "node:net";
import { connect, createServer, type Server, type Socket } from "node:net";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { openTableStore } from "../../../src/azure/table-store.ts";
import type { Row, StoredRow, TableStore } from "../../../src/ports/table-store.ts";
import { tableStoreContract } from "../../contracts/table-store.contract.ts";
import { type Azurite, startAzurite } from "../../support/azurite.ts";

describe("Tables of a storage account as a table store", () => {
  let azurite: Azurite;
  let count = 0;
  beforeAll(async () => {
    azurite = await startAzurite();
  });
  afterAll(() => azurite.stop());

  const open = async () => inFreshTables(openTableStore(azurite), `s${count++}`);
  tableStoreContract(open);

  it("finds what another store wrote", async () => {
    const name = `s${count++}`;
    await inFreshTables(openTableStore(azurite), name).insert("t", { partition: "p", key: "k", body: 1 });
    const other = inFreshTables(openTableStore(azurite), name);
    expect(await other.read("t", "p", "k")).toMatchObject({ body: 1 });
  });

  it("may say unavailable to a write that took effect, and the writer finds its own row", async () => {
    const gate = await openGate(azurite.tableEndpoint);
    const table = `s${count++}`;
    const direct = inFreshTables(openTableStore(azurite), table);
    await direct.insert("t", { partition: "p", key: "other", body: 0 });
    const connectionString = azurite.connectionString.replace(/TableEndpoint=[^;]*/, `TableEndpoint=${gate.endpoint}`);
    const store = inFreshTables(openTableStore({ connectionString }), table);
    gate.swallowAnswers();
    const outcome = await store.insert("t", { partition: "p", key: "k", body: "mine" }).then(
      () => "answered",
      (cause) => cause.kind,
    );
    gate.passAnswers();
    // The library tries again by itself: what its last attempt heard is "exists already", or nothing at all.
    expect(["unavailable", "conflict"]).toContain(outcome);
    expect(gate.swallowed()).toBeGreaterThan(0);
    expect(await direct.read("t", "p", "k")).toMatchObject({ body: "mine" });
    expect(await store.read("t", "p", "k")).toMatchObject({ body: "mine" });
    await gate.close();
  });

  it("makes a table for its first row, and none for readers", async () => {
    const store = openTableStore(azurite);
    const table = `s${count++}made`;
    expect(await store.read(table, "p", "k")).toBeUndefined();
    await expect(store.replace(table, { partition: "p", key: "k", body: 1 }, "*")).rejects.toMatchObject({
      kind: "conflict",
    });
    await store.transact(table, "p", [{ kind: "insert", key: "k", body: 1 }]);
    expect(await store.read(table, "p", "k")).toMatchObject({ body: 1 });
  });

  it("says unavailable when nobody listens, and denied for a wrong key", async () => {
    const parts = `AccountName=devstoreaccount1;AccountKey=${Buffer.from("wrong").toString("base64")};`;
    const wrongKey = openTableStore({ connectionString: `${parts}TableEndpoint=${azurite.tableEndpoint};` });
    await expect(wrongKey.read("ttt", "p", "k")).rejects.toMatchObject({ kind: "denied" });
    const nobody = openTableStore({ connectionString: `${parts}TableEndpoint=http://127.0.0.1:9/devstoreaccount1;` });
    await expect(nobody.read("ttt", "p", "k")).rejects.toMatchObject({ kind: "unavailable" });
  }, 60_000);

  it("refuses a connection string without a key, and plain http to other machines", async () => {
    expect(() => openTableStore({ connectionString: "AccountName=x" })).toThrow(/AccountKey/);
    const connectionString = "AccountName=x;AccountKey=a2V5;TableEndpoint=http://example.invalid/x;";
    await expect(openTableStore({ connectionString }).read("ttt", "p", "k")).rejects.toThrow(/http/i);
  });
});

/** Each test has tables of its own in one account. */
function inFreshTables(store: TableStore, prefix: string): TableStore {
  const name = (table: string) => `${prefix}${table}`;
  return {
    insert: (table, row: Row) => store.insert(name(table), row),
    replace: (table, row: Row, etag) => store.replace(name(table), row, etag),
    remove: (table, partition, key, etag) => store.remove(name(table), partition, key, etag),
    read: (table, partition, key): Promise<StoredRow | undefined> => store.read(name(table), partition, key),
    list: (table, partition, options) => store.list(name(table), partition, options),
    transact: (table, partition, changes) => store.transact(name(table), partition, changes),
  };
}

interface Gate {
  readonly endpoint: string;
  /** From now on requests arrive, and their answers are cut off. */
  swallowAnswers(): void;
  passAnswers(): void;
  swallowed(): number;
  close(): Promise<void>;
}

/** A relay before the table service that can lose answers, as networks do. */
async function openGate(tableEndpoint: string): Promise<Gate> {
  const { port, pathname } = new URL(tableEndpoint);
  let isSwallowing = false;
  let swallowed = 0;
  const open = new Set<Socket>();
  const server: Server = createServer((near) => {
    const far = connect(Number(port), "127.0.0.1");
    for (const socket of [near, far]) {
      open.add(socket);
      socket.on("error", () => socket.destroy());
      socket.on("close", () => open.delete(socket));
    }
    near.pipe(far);
    far.on("data", (bytes) => {
      if (!isSwallowing) return near.write(bytes);
      swallowed++;
      near.destroy();
    });
    far.on("close", () => near.destroy());
    near.on("close", () => far.destroy());
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  return {
    endpoint: `http://127.0.0.1:${(server.address() as AddressInfo).port}${pathname}`,
    swallowAnswers: () => {
      isSwallowing = true;
    },
    passAnswers: () => {
      isSwallowing = false;
    },
    swallowed: () => swallowed,
    close: () =>
      new Promise((resolve) => {
        for (const socket of open) socket.destroy();
        server.close(() => resolve());
      }),
  };
}
