// Vaults that earlier builds wrote, kept for ever: every later build must open, verify and restore them.

import { createHash, randomBytes } from "node:crypto";
import { cp, mkdtemp, readdir, readFile, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { openFolderStore } from "../../src/files/folder-store.ts";
import { openKeyFile } from "../../src/files/key-file.ts";
import { findPoint } from "../../src/vault/list-points.ts";
import { openVault } from "../../src/vault/open-vault.ts";
import { verifyVault } from "../../src/vault/verify.ts";
import { restoreFrom, VM } from "../support/vault-fixture.ts";

interface ExpectedPoint {
  readonly suite: string;
  readonly transfer: string;
  readonly sha256: string;
}

const formats = (await readdir(import.meta.dirname)).filter((name) => name.startsWith("format-"));

describe.each(formats)("The vaults of %s", (format) => {
  let root: string;
  beforeAll(async () => {
    // A copy, for opening a folder makes room for scratch files in it.
    root = await mkdtemp(join(tmpdir(), "holdfast-golden-"));
    await cp(join(import.meta.dirname, format), root, { recursive: true });
  });
  afterAll(() => rm(root, { recursive: true }));

  it("restore to what they were made of, and are whole", async () => {
    const expected: ExpectedPoint[] = JSON.parse(await readFile(join(root, "expected.json"), "utf8"));
    for (const { suite, transfer, sha256 } of expected) {
      const vault = await openVault({
        archive: await openFolderStore(join(root, suite, "v")),
        state: await openFolderStore(join(root, suite, "w")),
        wrappers: suite === "sealed" ? [await openKeyFile(join(root, "key.json"))] : [],
        clock: { now: () => new Date() },
        random: { bytes: (count) => randomBytes(count) },
      });
      const { manifest } = await findPoint(vault, { item: VM, transfer: transfer as never });
      expect(
        createHash("sha256")
          .update(await restoreFrom(vault, manifest))
          .digest("hex"),
      ).toBe(sha256);
      expect((await verifyVault(vault, { data: "all" })).findings).toEqual([]);
    }
    expect(expected.length).toBeGreaterThan(3);
  });
});
