// What every object store promises (src/ports/object-store.ts). A store that cannot keep a promise has no business
// holding a vault.

import { randomBytes } from "node:crypto";
import { expect, it } from "vitest";
import type { ObjectPage, ObjectStore } from "../../src/ports/object-store.ts";

export function objectStoreContract(open: () => Promise<ObjectStore>): void {
  const body = (text: string) => Buffer.from(text, "utf8");
  const textOf = async (store: ObjectStore, name: string) => Buffer.from((await store.read(name)).body).toString();
  const namesOf = async (store: ObjectStore, prefix: string) =>
    (await pagesOf(store, prefix)).flatMap((page) => page.objects.map((object) => object.name));

  it("reads back what it was given, at once and whole", async () => {
    const store = await open();
    const bytes = randomBytes(3 * 1024 * 1024 + 1);
    const created = await store.create("packs/aa/bb.g0", bytes);
    const { body: read, object } = await store.read("packs/aa/bb.g0");
    expect(Buffer.from(read).equals(bytes)).toBe(true);
    expect(object).toMatchObject({ name: "packs/aa/bb.g0", sizeBytes: bytes.length, etag: created.etag });
  });

  it("keeps an empty object", async () => {
    const store = await open();
    await store.create("pins/empty", new Uint8Array());
    expect((await store.read("pins/empty")).body).toHaveLength(0);
  });

  it("never overwrites on create", async () => {
    const store = await open();
    await store.create("points/a", body("first"));
    await expect(store.create("points/a", body("second"))).rejects.toMatchObject({ kind: "conflict" });
    expect(await textOf(store, "points/a")).toBe("first");
  });

  it("lets exactly one of many racing creates win", async () => {
    const store = await open();
    const racers = Array.from({ length: 8 }, (_, index) => store.create("points/raced", body(`racer ${index}`)));
    const results = await Promise.allSettled(racers);
    const winners = results.flatMap((result, index) => (result.status === "fulfilled" ? [index] : []));
    expect(winners).toHaveLength(1);
    expect(await textOf(store, "points/raced")).toBe(`racer ${winners[0]}`);
  });

  it("replaces only what its writer has seen", async () => {
    const store = await open();
    const first = await store.create("states/s", body("1"));
    const second = await store.replace("states/s", body("2"), first.etag);
    expect(second.etag).not.toBe(first.etag);
    await expect(store.replace("states/s", body("3"), first.etag)).rejects.toMatchObject({ kind: "conflict" });
    expect(await textOf(store, "states/s")).toBe("2");
    expect((await store.read("states/s")).object.etag).toBe(second.etag);
  });

  it("lets exactly one of many racing replaces win", async () => {
    const store = await open();
    const { etag } = await store.create("states/raced", body("0"));
    const racers = Array.from({ length: 8 }, (_, index) => store.replace("states/raced", body(`${index}`), etag));
    const results = await Promise.allSettled(racers);
    const winners = results.flatMap((result, index) => (result.status === "fulfilled" ? [index] : []));
    expect(winners).toHaveLength(1);
    expect(await textOf(store, "states/raced")).toBe(`${winners[0]}`);
  });

  it("refuses to replace what is not there", async () => {
    const store = await open();
    const { etag } = await store.create("states/gone", body("1"));
    await store.delete("states/gone");
    await expect(store.replace("states/gone", body("2"), etag)).rejects.toMatchObject({ kind: "conflict" });
  });

  it("never gives an etag to two contents of one name", async () => {
    const store = await open();
    const etags = [(await store.create("states/e", body("same"))).etag];
    for (let round = 0; round < 5; round++) {
      etags.push((await store.replace("states/e", body("same"), etags.at(-1) as string)).etag);
    }
    expect(new Set(etags).size).toBe(etags.length);
  });

  it("reads ranges, up to the very end and not beyond", async () => {
    const store = await open();
    await store.create("packs/r", body("0123456789"));
    const range = async (offset: number, length: number) =>
      Buffer.from((await store.read("packs/r", { offset, length })).body).toString();
    expect(await range(0, 1)).toBe("0");
    expect(await range(4, 6)).toBe("456789");
    expect((await store.read("packs/r", { offset: 2, length: 3 })).object.sizeBytes).toBe(10);
    await expect(range(4, 7)).rejects.toMatchObject({ kind: "invalid" });
    await expect(range(10, 1)).rejects.toMatchObject({ kind: "invalid" });
  });

  it("says not-found for what is not there, and deletes it without complaint", async () => {
    const store = await open();
    await expect(store.read("points/none")).rejects.toMatchObject({ kind: "not-found" });
    await expect(store.read("points/none", { offset: 0, length: 1 })).rejects.toMatchObject({ kind: "not-found" });
    await store.delete("points/none");
  });

  it("forgets what was deleted", async () => {
    const store = await open();
    await store.create("pins/p", body("x"));
    await store.delete("pins/p");
    await expect(store.read("pins/p")).rejects.toMatchObject({ kind: "not-found" });
    expect(await namesOf(store, "pins/")).toEqual([]);
    await store.create("pins/p", body("y"));
    expect(await textOf(store, "pins/p")).toBe("y");
  });

  it("lists by prefix in the order of names, across folders", async () => {
    const store = await open();
    const names = [
      "points/b/2",
      "points/a/1.packs",
      "points/a-b/1",
      "points/a/1",
      "packs/a/1",
      "pointsx",
      "points/a/10",
    ];
    for (const name of names) await store.create(name, body(name));
    const expected = names.filter((name) => name.startsWith("points/")).sort();
    expect(await namesOf(store, "points/")).toEqual(expected);
    expect(await namesOf(store, "points/a/1")).toEqual(["points/a/1", "points/a/1.packs", "points/a/10"]);
    expect(await namesOf(store, "nothing/")).toEqual([]);
  });

  it("lists sizes, etags and times as reading gives them, and its own date on every page", async () => {
    const store = await open();
    const created = await store.create("packs/l", body("12345"));
    const pages = await pagesOf(store, "packs/l");
    const object = pages[0]?.objects[0];
    expect(object).toMatchObject({ name: "packs/l", sizeBytes: 5, etag: created.etag });
    const read = await store.read("packs/l");
    expect(object?.lastModified).toEqual(read.object.lastModified);
    if (object?.md5 !== undefined) expect(object.md5).toBe("827ccb0eea8a706c4c34a16891f84e7b");
    const date = pages[0]?.storeDate.getTime() ?? 0;
    expect(date).toBeGreaterThanOrEqual((object?.lastModified.getTime() ?? 0) - 1_000);
    expect((await pagesOf(store, "nothing/"))[0]?.storeDate).toBeInstanceOf(Date);
  });

  it("tells where it is without telling secrets", async () => {
    const store = await open();
    expect(store.location).not.toBe("");
    expect(store.location).not.toMatch(/sig=|AccountKey/i);
  });
}

async function pagesOf(store: ObjectStore, prefix: string): Promise<ObjectPage[]> {
  const pages: ObjectPage[] = [];
  for await (const page of store.list(prefix)) pages.push(page);
  return pages;
}
