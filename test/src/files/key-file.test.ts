import { mkdtemp, readFile, rm, stat, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { createKeyFile, openKeyFile } from "../../../src/files/key-file.ts";
import { keyWrapperContract } from "../../contracts/key-wrapper.contract.ts";

describe("A key file", () => {
  let root: string;
  let count = 0;
  beforeAll(async () => {
    root = await mkdtemp(join(tmpdir(), "holdfast-keys-"));
  });
  afterAll(() => rm(root, { recursive: true }));
  const path = () => join(root, `${count++}.json`);

  keyWrapperContract(async () => {
    const file = path();
    const wrapper = await createKeyFile(file);
    return { wrapper, again: await openKeyFile(file), other: await createKeyFile(path()) };
  });

  it("is its owner's alone, and is never overwritten", async () => {
    const file = path();
    await createKeyFile(file);
    if (process.platform !== "win32") expect((await stat(file)).mode & 0o777).toBe(0o600);
    const before = await readFile(file, "utf8");
    await expect(createKeyFile(file)).rejects.toMatchObject({ kind: "conflict", code: "HoldfastKeyFile" });
    expect(await readFile(file, "utf8")).toBe(before);
  });

  it("says which file cannot be read as a key, and why", async () => {
    const missing = path();
    await expect(openKeyFile(missing)).rejects.toMatchObject({
      kind: "denied",
      message: expect.stringContaining(missing),
    });
    for (const text of [
      "",
      "{}",
      "not json",
      '{"holdfastKey":1,"id":"file:1","key":"c2hvcnQ="}',
      '{"holdfastKey":2,"id":"a","key":""}',
    ]) {
      const file = path();
      await writeFile(file, text);
      await expect(openKeyFile(file), text).rejects.toMatchObject({ kind: "denied", code: "HoldfastKeyFile" });
    }
  });
});
