// The first backup of a real file system image into Azurite, against a bare loop that does the least one could do: read,
// hash, compress at the same level, encrypt, upload as 4 MiB blobs. Then what an incremental and a restore take.

import { createCipheriv, createHmac, randomBytes } from "node:crypto";
import { mkdtempSync, rmSync } from "node:fs";
import { open } from "node:fs/promises";
import { join } from "node:path";
import { createBlobStore } from "../src/azure/blob-object-store.ts";
import { releaseBuffer } from "../src/base/release.ts";
import { createImage, openImage } from "../src/files/image-disk.ts";
import type { ByteRange, ObjectStore } from "../src/ports/object-store.ts";
import { compressChunk } from "../src/vault/format/frame.ts";
import type { Manifest } from "../src/vault/format/manifest.ts";
import { parseItemId } from "../src/vault/format/names.ts";
import { createVault, type Vault } from "../src/vault/open-vault.ts";
import { restoreDisk } from "../src/vault/restore-disk.ts";
import { backUp } from "../src/vault/transfer.ts";
import { type Azurite, startAzurite } from "../test/support/azurite.ts";
import type { Bench, BenchRow } from "./bench.ts";
import { benchFolder, digestOf, diskImage, lacksForImage, withChurn } from "./support/disk-image.ts";
import { listed, median, round, timedWarm } from "./support/programs.ts";
import { benchDeps } from "./support/synthetic.ts";

const MiB = 2 ** 20;
const LEVEL = 3;
const ROUNDS = 3;
const BLOCK_BYTES = 4 * MiB;
/** As many bytes as the vault has packs on their way, and enough chunks in hand to keep all threads busy. */
const BLOCKS_AT_ONCE = 4;
const ZEROS = Buffer.alloc(BLOCK_BYTES);

export const firstBackup: Bench = {
  about: "vault: first backup of an ext4 image into Azurite against a bare loop; incremental; restore",
  timeoutMs: 900_000,
  async run() {
    const missing = lacksForImage();
    if (missing) return [{ name: "first backup, times a bare loop", skipped: missing }];
    const image = await diskImage();
    const folder = mkdtempSync(join(benchFolder(), "azurite-"));
    const azurite = await startAzurite({ folder: join(folder, "azurite") });
    try {
      return await measure(azurite, folder, image);
    } finally {
      await azurite.stop();
      rmSync(folder, { recursive: true });
    }
  },
};

interface Run {
  readonly seconds: number;
  readonly processorSeconds: number;
}

async function timedRun(image: string, work: () => Promise<unknown>): Promise<Run> {
  let processorSeconds = 0;
  const seconds = await timedWarm(image, async () => {
    const before = process.cpuUsage();
    await work();
    const { user, system } = process.cpuUsage(before);
    processorSeconds = (user + system) / 1e6;
  });
  return { seconds, processorSeconds };
}

async function measure(azurite: Azurite, folder: string, image: string): Promise<BenchRow[]> {
  const store = (name: string) => createBlobStore(`${azurite.blobEndpoint}/${name}`, azurite.credential);
  const bareRuns: Run[] = [];
  const ownRuns: Run[] = [];
  const vaults: Vault[] = [];
  for (let turn = 0; turn < ROUNDS; turn++) {
    const target = await store(`bare-${turn}`);
    const vault = await createVault(benchDeps(await store(`v-${turn}`), await store(`w-${turn}`)), {
      ...{ name: "bench", suite: "aes-256-gcm", compressionLevel: LEVEL },
    });
    vaults.push(vault);
    const bare = async () => bareRuns.push(await timedRun(image, () => bareLoop(image, target)));
    const own = async () => ownRuns.push(await timedRun(image, () => backUpImage(vault, image)));
    for (const step of turn % 2 === 0 ? [bare, own] : [own, bare]) await step();
  }
  const secondsOf = (runs: readonly Run[]) => runs.map(({ seconds }) => seconds);
  const told = (runs: readonly Run[]) =>
    `${listed(secondsOf(runs))} s (${listed(runs.map(({ processorSeconds }) => processorSeconds))} s of processor time)`;
  const note = `vault ${told(ownRuns)}, bare loop ${told(bareRuns)}, besides Azurite's`;
  return [
    {
      ...{ name: "first backup, times a bare loop", unit: "x", bar: { atMost: 1.1 }, note },
      figure: round(median(secondsOf(ownRuns)) / median(secondsOf(bareRuns))),
    },
    ...(await withChurn(image, (churned, ranges) =>
      describeFurther(vaults[0] as Vault, churned, ranges, join(folder, "restored.img")),
    )),
  ];
}

async function describeFurther(vault: Vault, image: string, changed: ByteRange[], target: string): Promise<BenchRow[]> {
  let manifest: Manifest | undefined;
  const incrementalSeconds = await timedWarm(image, async () => {
    manifest = await backUpImage(vault, image, changed);
  });
  const { disks } = manifest as Manifest;
  const [disk] = disks;
  if (!disk) throw new Error("nothing was backed up");
  const restoreSeconds = await timedWarm(image, async () =>
    restoreDisk(vault, manifest as Manifest, disk, await createImage(target, disk.sizeBytes, "raw")),
  );
  const isEqual = (await digestOf(target)) === (await digestOf(image));
  const stored = `${Math.round(disk.stats.storedBytes / MiB)} MiB stored`;
  return [
    { name: "incremental of 80 MiB of churn", figure: round(incrementalSeconds), unit: "s", note: stored },
    { name: "restore", figure: round(restoreSeconds), unit: "s" },
    { name: "restored image equals its source", figure: isEqual ? 1 : 0, unit: "(1 = yes)", bar: { atLeast: 1 } },
  ];
}

async function bareLoop(image: string, store: ObjectStore): Promise<void> {
  const file = await open(image, "r");
  const { size } = await file.stat();
  const key = randomBytes(32);
  let next = 0;
  const lane = async () => {
    const block = Buffer.alloc(BLOCK_BYTES);
    while (next < size) {
      const offset = next;
      next += BLOCK_BYTES;
      const { bytesRead } = await file.read(block, 0, BLOCK_BYTES, offset);
      await storeBlock(store, key, offset, block.subarray(0, bytesRead));
    }
  };
  await Promise.all(Array.from({ length: BLOCKS_AT_ONCE }, lane));
  await file.close();
}

/** With the vault's own call of zstd, and nothing left to the garbage collector: no loop in this language does less. */
async function storeBlock(store: ObjectStore, key: Buffer, offset: number, block: Buffer): Promise<void> {
  if (ZEROS.subarray(0, block.length).equals(block)) return;
  const id = createHmac("sha256", key).update(block).digest("hex");
  const { payload } = await compressChunk(block, LEVEL);
  const cipher = createCipheriv("aes-256-gcm", key, randomBytes(12));
  const sealed = cipher.update(payload);
  cipher.final();
  if (payload !== block) releaseBuffer(payload);
  await store.create(`blocks/${offset}-${id}`, sealed);
  releaseBuffer(sealed);
}

async function backUpImage(vault: Vault, image: string, changed?: ByteRange[]): Promise<Manifest> {
  const source = await openImage(image, { diskId: "os", ...(changed ? { changed } : {}) });
  const manifest = await backUp(vault, { item: parseItemId("bench"), disks: [{ source, name: "os", lun: -1 }] });
  await source.close();
  return manifest;
}
