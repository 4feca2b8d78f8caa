// What every table store promises (src/ports/table-store.ts). The control plane's exactly-once and compare-and-swap
// arguments rest on these promises and on nothing else.

import { expect, it } from "vitest";
import type { ListOptions, RowChange, StoredRow, TableStore } from "../../src/ports/table-store.ts";

export function tableStoreContract(open: () => Promise<TableStore>): void {
  const row = (key: string, body: unknown = { n: 1 }, partition = "p") => ({ partition, key, body });
  const bodyOf = async (store: TableStore, key: string, partition = "p") =>
    (await store.read("t", partition, key))?.body;
  const winnersOf = (results: readonly PromiseSettledResult<unknown>[]) =>
    results.flatMap((result, index) => (result.status === "fulfilled" ? [index] : []));

  it("reads back what was inserted, with the etag that the insert answered", async () => {
    const store = await open();
    const body = { text: 'quote " and \\ and \n', nested: { list: [1, null, true, "ü漢🙂"] }, big: 2 ** 40 };
    const etag = await store.insert("t", row("k", body));
    expect(await store.read("t", "p", "k")).toEqual({ partition: "p", key: "k", body, etag });
  });

  it("answers nothing for rows, partitions and tables that are not there", async () => {
    const store = await open();
    expect(await store.read("nothing", "p", "k")).toBeUndefined();
    expect(await rowsOf(store, "nothing", "p")).toEqual([]);
    await store.remove("nothing", "p", "k");
    await store.insert("t", row("k"));
    expect(await store.read("t", "p", "other")).toBeUndefined();
    expect(await rowsOf(store, "t", "other")).toEqual([]);
    await store.remove("t", "p", "other");
  });

  it("never overwrites on insert", async () => {
    const store = await open();
    await store.insert("t", row("k", "first"));
    await expect(store.insert("t", row("k", "second"))).rejects.toMatchObject({ kind: "conflict" });
    expect(await bodyOf(store, "k")).toBe("first");
  });

  it("lets exactly one of many racing inserts win, into a table that none has written to", async () => {
    const store = await open();
    const racers = Array.from({ length: 16 }, (_, index) => store.insert("t", row("raced", index)));
    const results = await Promise.allSettled(racers);
    expect(winnersOf(results)).toHaveLength(1);
    expect(await bodyOf(store, "raced")).toBe(winnersOf(results)[0]);
    for (const result of results) if (result.status === "rejected") expect(result.reason.kind).toBe("conflict");
  });

  it("replaces only what its writer has seen, and whole", async () => {
    const store = await open();
    const long = "x".repeat(100_000);
    const first = await store.insert("t", row("k", { long, old: true }));
    const second = await store.replace("t", row("k", { short: 1 }), first);
    expect(second).not.toBe(first);
    await expect(store.replace("t", row("k", "late"), first)).rejects.toMatchObject({ kind: "conflict" });
    expect(await store.read("t", "p", "k")).toMatchObject({ body: { short: 1 }, etag: second });
    expect(await bodyOf(store, "k")).toEqual({ short: 1 });
  });

  it("lets exactly one of many racing replaces win", async () => {
    const store = await open();
    const etag = await store.insert("t", row("k", "start"));
    const racers = Array.from({ length: 16 }, (_, index) => store.replace("t", row("k", index), etag));
    const results = await Promise.allSettled(racers);
    expect(winnersOf(results)).toHaveLength(1);
    expect(await bodyOf(store, "k")).toBe(winnersOf(results)[0]);
  });

  it("loses no increment to a race: each writer reads, swaps, and tries again", async () => {
    const store = await open();
    await store.insert("t", row("count", 0));
    const increment = async (): Promise<void> => {
      for (;;) {
        const { body, etag } = (await store.read("t", "p", "count")) as StoredRow;
        const isSwapped = await store.replace("t", row("count", (body as number) + 1), etag).then(
          () => true,
          (cause) => {
            if (cause.kind !== "conflict") throw cause;
            return false;
          },
        );
        if (isSwapped) return;
      }
    };
    await Promise.all(Array.from({ length: 8 }, increment));
    expect(await bodyOf(store, "count")).toBe(8);
  });

  it("never gives an etag to two bodies of one row, even equal ones or after removal", async () => {
    const store = await open();
    const etags = [await store.insert("t", row("k", "same"))];
    for (let round = 0; round < 4; round++) etags.push(await store.replace("t", row("k", "same"), etags.at(-1) ?? ""));
    await store.remove("t", "p", "k");
    etags.push(await store.insert("t", row("k", "same")));
    expect(new Set(etags).size).toBe(etags.length);
  });

  it("refuses to replace or conditionally remove what is gone", async () => {
    const store = await open();
    const etag = await store.insert("t", row("k"));
    await store.remove("t", "p", "k");
    await expect(store.replace("t", row("k"), etag)).rejects.toMatchObject({ kind: "conflict" });
    await expect(store.remove("t", "p", "k", etag)).rejects.toMatchObject({ kind: "conflict" });
    await expect(store.replace("never", row("k"), etag)).rejects.toMatchObject({ kind: "conflict" });
    await expect(store.remove("never", "p", "k", etag)).rejects.toMatchObject({ kind: "conflict" });
  });

  it("removes by etag only what was read, and without one whatever stands there", async () => {
    const store = await open();
    const first = await store.insert("t", row("k", 1));
    const second = await store.replace("t", row("k", 2), first);
    await expect(store.remove("t", "p", "k", first)).rejects.toMatchObject({ kind: "conflict" });
    expect(await bodyOf(store, "k")).toBe(2);
    await store.remove("t", "p", "k", second);
    expect(await bodyOf(store, "k")).toBeUndefined();
    await store.insert("t", row("k", 3));
    await store.remove("t", "p", "k");
    expect(await rowsOf(store, "t", "p")).toEqual([]);
  });

  it("keeps rows of other partitions and tables apart", async () => {
    const store = await open();
    await store.insert("t", row("k", "here"));
    await store.insert("t", row("k", "there", "p2"));
    await store.insert("t2", row("k", "elsewhere"));
    await store.remove("t", "p", "k");
    expect(await bodyOf(store, "k", "p2")).toBe("there");
    expect((await store.read("t2", "p", "k"))?.body).toBe("elsewhere");
    expect((await rowsOf(store, "t", "p2")).map(({ body }) => body)).toEqual(["there"]);
  });

  it("keeps bodies up to 256 KiB, and refuses larger ones as invalid", async () => {
    const store = await open();
    const limit = 256 * 1024 - '""'.length;
    // Characters of several bytes lie across the places where a store, or a network, may cut.
    const wide = `a${"🙂ü漢".repeat(8_000)}`;
    const fits = "x".repeat(limit);
    const quotes = '"\\'.repeat(limit / 4);
    for (const [key, body] of Object.entries({ wide, fits, quotes })) {
      await store.insert("t", row(key, body));
      expect((await bodyOf(store, key)) === body, key).toBe(true);
    }
    await expect(store.insert("t", row("over", "ü".repeat(limit / 6 + 1)))).rejects.toMatchObject({ kind: "invalid" });
    await expect(store.insert("t", row("over", `${fits}x`))).rejects.toMatchObject({ kind: "invalid" });
    const etag = await store.insert("t", row("grows"));
    await expect(store.replace("t", row("grows", `${fits}x`), etag)).rejects.toMatchObject({ kind: "invalid" });
    const changes: RowChange[] = [{ kind: "insert", key: "over", body: `${fits}x` }];
    await expect(store.transact("t", "p", changes)).rejects.toMatchObject({ kind: "invalid" });
    expect(await bodyOf(store, "over")).toBeUndefined();
  });

  it("takes any text without control characters as partition and key, and tells all of them apart", async () => {
    const store = await open();
    const long = "/".repeat(399);
    const keys = [
      ...["VM;iaasvmcontainerv2;rg;vm-1", "vm;iaasvmcontainerv2;rg;vm-1", "/subscriptions/1/x", "|subscriptions|1|x"],
      ..."/\\#?%'\"!|&+:@=$(){}[]<>~`^,* ".split(""),
      ...["%2F", "%2f", "!2f", "!!", "a/b", "a//b", "a|b", "a!b", "a b", "a+b", "..", ".", "", "ü", "漢字", "🙂", "é"],
      ...[`${long}a`, `${long}b`, "漢".repeat(400)],
    ];
    for (const key of keys) await store.insert("odd", { partition: key, key, body: key });
    for (const key of keys) {
      expect((await rowsOf(store, "odd", key)).map((found) => [found.partition, found.key, found.body])).toEqual([
        [key, key, key],
      ]);
    }
    for (const key of keys) await store.insert("odd", { partition: "all", key, body: key });
    const found = await rowsOf(store, "odd", "all", { pageSize: 7 });
    expect(found.map(({ key }) => key).sort()).toEqual([...keys].sort());
    expect(found.every(({ key, body }) => key === body)).toBe(true);
    for (const { key, etag } of found) await store.remove("odd", "all", key, etag);
    expect(await rowsOf(store, "odd", "all")).toEqual([]);
  });

  it("lists a partition in the order of its keys, page by page, more than a thousand of them", async () => {
    const store = await open();
    const keys = Array.from({ length: 2_345 }, (_, index) => `${String(index * 7).padStart(6, "0")}-a`);
    const shuffled = keys.map((key, index) => ({ key, at: (index * 7_919) % keys.length })).sort((a, b) => a.at - b.at);
    for (let start = 0; start < shuffled.length; start += 100) {
      const changes = shuffled
        .slice(start, start + 100)
        .map(({ key }) => ({ kind: "insert" as const, key, body: key }));
      await store.transact("t", "many", changes);
    }
    await store.insert("t", row("000001-a", "of another partition", "man"));
    await store.insert("t", row("000001-a", "of another partition", "many2"));
    const pages = await pagesOf(store, "t", "many");
    expect(pages.flat().map(({ body }) => body)).toEqual(keys);
    for (const page of pages) expect(page.length).toBeLessThanOrEqual(1_000);
    const small = await pagesOf(store, "t", "many", { pageSize: 500, after: keys[999] as string });
    expect(small.flat().map(({ key }) => key)).toEqual(keys.slice(1_000));
    for (const page of small) expect(page.length).toBeLessThanOrEqual(500);
  });

  it("orders digits, lower-case letters and hyphens as text does", async () => {
    const store = await open();
    const keys = ["0", "00", "09-z", "0a", "9", "a", "a-", "a-b", "a0", "aa", "ab", "b", "z", "-", "-a"];
    for (const key of keys) await store.insert("t", row(key, key));
    const expected = [...keys].sort();
    expect((await rowsOf(store, "t", "p")).map(({ key }) => key)).toEqual(expected);
    expect((await rowsOf(store, "t", "p", { pageSize: 1 })).map(({ key }) => key)).toEqual(expected);
  });

  it("lists ranges without their bounds", async () => {
    const store = await open();
    for (const key of ["a", "b", "c", "d"]) await store.insert("t", row(key));
    const keysOf = async (options: ListOptions) => (await rowsOf(store, "t", "p", options)).map(({ key }) => key);
    expect(await keysOf({ after: "b" })).toEqual(["c", "d"]);
    expect(await keysOf({ before: "c" })).toEqual(["a", "b"]);
    expect(await keysOf({ after: "a", before: "d" })).toEqual(["b", "c"]);
    expect(await keysOf({ after: "b0", pageSize: 1 })).toEqual(["c", "d"]);
    expect(await keysOf({ after: "d" })).toEqual([]);
    expect(await keysOf({ after: "c", before: "b" })).toEqual([]);
  });

  it("lists rows of a mark alone, which goes with the body that it was written with", async () => {
    const store = await open();
    const etag = await store.insert("t", { ...row("a"), mark: "open" });
    await store.insert("t", row("b"));
    await store.insert("t", { ...row("c"), mark: "open" });
    await store.insert("t", { ...row("d"), mark: "other" });
    await store.insert("t", { ...row("e", { n: 1 }, "q"), mark: "open" });
    const keys = async (options: ListOptions) => (await rowsOf(store, "t", "p", options)).map(({ key }) => key);
    expect(await keys({ mark: "open" })).toEqual(["a", "c"]);
    expect(await keys({ mark: "open", after: "a", pageSize: 1 })).toEqual(["c"]);
    await store.replace("t", row("a", { n: 2 }), etag);
    expect(await keys({ mark: "open" })).toEqual(["c"]);
    await store.transact("t", "p", [{ kind: "insert", key: "f", body: 1, mark: "open" }]);
    expect(await keys({ mark: "open" })).toEqual(["c", "f"]);
    expect(await keys({})).toEqual(["a", "b", "c", "d", "f"]);
    expect(await store.read("t", "p", "c")).not.toHaveProperty("mark");
  });

  it("lists each row that stays exactly once, whatever comes and goes meanwhile", async () => {
    const store = await open();
    const keys = Array.from({ length: 40 }, (_, index) => String(index).padStart(3, "0"));
    for (const key of keys) await store.insert("t", row(key));
    const seen: string[] = [];
    for await (const page of store.list("t", "p", { pageSize: 10 })) {
      seen.push(...page.map(({ key }) => key));
      await store.remove("t", "p", page.at(-1)?.key ?? "");
      await store.insert("t", row(`${page.at(0)?.key}-late`));
    }
    expect(seen.filter((key) => !key.endsWith("-late"))).toEqual(keys);
  });

  it("makes all changes of a transaction", async () => {
    const store = await open();
    const replaced = await store.insert("t", row("replaced", 1));
    const removed = await store.insert("t", row("removed", 1));
    await store.transact("t", "p", [
      { kind: "insert", key: "a/new;one", body: "it's" },
      { kind: "replace", key: "replaced", body: 2, etag: replaced },
      { kind: "remove", key: "removed", etag: removed },
    ]);
    expect(await bodyOf(store, "a/new;one")).toBe("it's");
    expect(await bodyOf(store, "replaced")).toBe(2);
    expect(await bodyOf(store, "removed")).toBeUndefined();
    await store.transact("t", "p", []);
  });

  const harmless: RowChange[] = [
    { kind: "insert", key: "first", body: 1 },
    { kind: "insert", key: "last", body: 1 },
  ];
  const bad: Readonly<Record<string, (stale: string) => RowChange>> = {
    "an insert of what is there": () => ({ kind: "insert", key: "there", body: 2 }),
    "a replace of what has changed": (stale) => ({ kind: "replace", key: "there", body: 2, etag: stale }),
    "a replace of what is gone": (stale) => ({ kind: "replace", key: "gone", body: 2, etag: stale }),
    "a remove of what has changed": (stale) => ({ kind: "remove", key: "there", etag: stale }),
    "a remove of what is gone": (stale) => ({ kind: "remove", key: "gone", etag: stale }),
  };
  for (const [what, change] of Object.entries(bad)) {
    it(`makes no change of a transaction with ${what}`, async () => {
      const store = await open();
      const stale = await store.insert("t", row("there", 0));
      await store.replace("t", row("there", 1), stale);
      const [first, last] = harmless as [RowChange, RowChange];
      await expect(store.transact("t", "p", [first, change(stale), last])).rejects.toMatchObject({ kind: "conflict" });
      expect((await rowsOf(store, "t", "p")).map(({ key, body }) => [key, body])).toEqual([["there", 1]]);
    });
  }

  it("lets exactly one of many racing transactions on a row win", async () => {
    const store = await open();
    const etag = await store.insert("t", row("k", "start"));
    const racers = Array.from({ length: 8 }, (_, index) =>
      store.transact("t", "p", [
        { kind: "replace", key: "k", body: index, etag },
        { kind: "insert", key: `by-${index}`, body: index },
      ]),
    );
    const winners = winnersOf(await Promise.allSettled(racers));
    expect(winners).toHaveLength(1);
    const rows = await rowsOf(store, "t", "p");
    expect(rows.map(({ key, body }) => [key, body])).toEqual([
      [`by-${winners[0]}`, winners[0]],
      ["k", winners[0]],
    ]);
  });

  it("takes transactions of a hundred changes, up to 1 MiB together", async () => {
    const store = await open();
    const insertsOf = (sizeBytes: number): RowChange[] =>
      Array.from({ length: 100 }, (_, index) => ({
        kind: "insert",
        key: `k${index}`,
        body: '"'.repeat(sizeBytes / 2 - 1),
      }));
    await expect(store.transact("t", "p", insertsOf(10_600))).rejects.toMatchObject({ kind: "invalid" });
    expect(await rowsOf(store, "t", "p")).toEqual([]);
    await store.transact("t", "p", insertsOf(10_400));
    expect(await rowsOf(store, "t", "p")).toHaveLength(100);
  });
}

async function pagesOf(store: TableStore, table: string, partition: string, options: ListOptions = {}) {
  const pages: (readonly StoredRow[])[] = [];
  for await (const page of store.list(table, partition, options)) pages.push(page);
  return pages;
}

async function rowsOf(store: TableStore, table: string, partition: string, options: ListOptions = {}) {
  return (await pagesOf(store, table, partition, options)).flat();
}
