// Writes the golden vaults of the present format into an empty folder: `node test/golden/make-golden.ts <folder>`. Run once
// for each format version, by hand; what it wrote is committed and never made again.

import { createHash, randomBytes } from "node:crypto";
import { mkdir, rm, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { openFolderStore } from "../../src/files/folder-store.ts";
import { createKeyFile } from "../../src/files/key-file.ts";
import { createVault } from "../../src/vault/open-vault.ts";
import { backUp } from "../../src/vault/transfer.ts";
import { fillBytes, MemoryDisk } from "../support/memory-disk.ts";
import { VM } from "../support/vault-fixture.ts";

const KiB = 1024;
const [root] = process.argv.slice(2);
if (root === undefined) throw new Error("name a folder that does not exist yet");
await mkdir(root);
const key = await createKeyFile(join(root, "key.json"));
const expected: { suite: string; transfer: string; sha256: string }[] = [];

for (const suite of ["sealed", "open"]) {
  const vault = await createVault(
    {
      archive: await openFolderStore(join(root, suite, "v")),
      state: await openFolderStore(join(root, suite, "w")),
      wrappers: suite === "sealed" ? [key] : [],
      clock: { now: () => new Date() },
      random: { bytes: (count) => randomBytes(count) },
    },
    { name: "golden", suite: suite === "sealed" ? "aes-256-gcm" : "none", chunkBytes: 64 * KiB },
  );
  // A little over one leaf, so that the tree has an inner node, with a short last chunk.
  const disk = new MemoryDisk(9 * 1024 * KiB + 512);
  for (const round of [0, 1, 2]) {
    disk.write(round * 100 * KiB, fillBytes(3_000, round + 1));
    disk.write(8_300 * KiB + round * 64 * KiB, Buffer.from("text ".repeat(4_000)));
    if (round === 2) disk.write(0, Buffer.alloc(100 * KiB));
    const source = disk.snapshot({ canDiff: round === 1 });
    const manifest = await backUp(vault, { item: VM, disks: [{ source, name: "os", lun: -1 }] });
    expected.push({
      suite,
      transfer: manifest.transfer,
      sha256: createHash("sha256").update(disk.bytes).digest("hex"),
    });
  }
  for (const store of ["v", "w"]) await rm(join(root, suite, store, ".scratch"), { recursive: true });
}
await writeFile(join(root, "expected.json"), `${JSON.stringify(expected, null, 2)}\n`);
