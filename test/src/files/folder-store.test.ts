import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { openFolderStore } from "../../../src/files/folder-store.ts";
import { objectStoreContract } from "../../contracts/object-store.contract.ts";

describe("A folder as an object store", () => {
  let root: string;
  let count = 0;
  const freshFolder = () => join(root, `store-${count++}`);
  beforeAll(async () => {
    root = await mkdtemp(join(tmpdir(), "holdfast-folder-"));
  });
  afterAll(() => rm(root, { recursive: true }));

  objectStoreContract(() => openFolderStore(freshFolder()));

  it("lets two openings of one folder race as well", async () => {
    const folder = freshFolder();
    const stores = await Promise.all([openFolderStore(folder), openFolderStore(folder)]);
    const { etag } = (await stores[0]?.create("states/s", Buffer.from("0"))) ?? { etag: "" };
    const results = await Promise.allSettled(
      [...stores, ...stores].map((store, index) => store.replace("states/s", Buffer.from(`${index}`), etag)),
    );
    expect(results.filter((result) => result.status === "fulfilled")).toHaveLength(1);
  });

  it("names the lock that a dead process has left, and changes nothing", async () => {
    const folder = freshFolder();
    const store = await openFolderStore(folder);
    const { etag } = await store.create("states/s", Buffer.from("0"));
    await writeFile(join(folder, ".scratch", "lock-states_s"), "4194303");
    const hint = expect.stringContaining("lock-states_s");
    await expect(store.replace("states/s", Buffer.from("1"), etag)).rejects.toMatchObject({
      kind: "unavailable",
      hint,
    });
    expect(Buffer.from((await store.read("states/s")).body).toString()).toBe("0");
  });

  it("refuses names that lead out of the folder", async () => {
    const store = await openFolderStore(freshFolder());
    for (const name of ["../evil", "a/../b", "/etc/passwd", "a//b", "", ".scratch/x", "A", "a\\b"]) {
      await expect(store.read(name)).rejects.toMatchObject({ kind: "invalid" });
    }
  });
});
