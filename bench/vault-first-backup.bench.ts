// The first backup of a real file system image into Azurite, against a bare loop that does the least one could do: read,
// hash, compress at the same level, encrypt, upload as 4 MiB blobs. Then what an incremental and a restore take.
// The image: ext4 with files of this machine's own /usr; HOLDFAST_BENCH_GIB sets its size (4), half of which is files.

import { execFileSync } from "node:child_process";
import { createCipheriv, createHash, createHmac, randomBytes } from "node:crypto";
import { cpSync, lstatSync, mkdirSync, mkdtempSync, readdirSync, rmSync } from "node:fs";
import { open } from "node:fs/promises";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { promisify } from "node:util";
import { constants, zstdCompress } from "node:zlib";
import pMap from "p-map";
import { createBlobStore } from "../src/azure/blob-object-store.ts";
import { createImage, openImage } from "../src/files/image-disk.ts";
import type { ObjectStore } from "../src/ports/object-store.ts";
import { parseItemId } from "../src/vault/format/names.ts";
import { createVault, type Vault } from "../src/vault/open-vault.ts";
import { restoreDisk } from "../src/vault/restore-disk.ts";
import { backUp } from "../src/vault/transfer.ts";
import { startAzurite } from "../test/support/azurite.ts";
import type { Bench, BenchRow } from "./bench.ts";

const GiB = 2 ** 30;
const MiB = 2 ** 20;
const LEVEL = 3;
const BLOCK_BYTES = 4 * MiB;
const BLOCKS_AT_ONCE = 4;
const HOT_ZONES = 8;
const compress = promisify(zstdCompress);

export const firstBackup: Bench = {
  about: "first backup of an ext4 image into Azurite against a bare loop; incremental; restore",
  timeoutMs: 900_000,
  async run() {
    const folder = mkdtempSync(join(tmpdir(), "holdfast-bench-"));
    const azurite = await startAzurite({ folder: join(folder, "azurite") });
    try {
      const image = makeImage(folder);
      const store = (name: string) => createBlobStore(`${azurite.blobEndpoint}/${name}`, azurite.credential);
      const ours: number[] = [];
      const bare: number[] = [];
      let vault: Vault | undefined;
      for (const round of [0, 1]) {
        bare.push(await timed(async () => bareLoop(image, await store(`bare-${round}`))));
        vault = await makeVault(await store(`v-${round}`), await store(`w-${round}`));
        ours.push(await timed(() => backUpImage(vault as Vault, image)));
      }
      return await describeRun(vault as Vault, folder, image, ours, bare);
    } finally {
      await azurite.stop();
      rmSync(folder, { recursive: true });
    }
  },
};

async function describeRun(
  vault: Vault,
  folder: string,
  image: string,
  ours: number[],
  bare: number[],
): Promise<BenchRow[]> {
  const [best, bareBest] = [Math.min(...ours), Math.min(...bare)];
  const changed = await churn(image);
  let stored = 0;
  const incrementalSeconds = await timed(async () => {
    stored = (await backUpImage(vault, image, changed)).disks[0]?.stats.storedBytes ?? 0;
  });
  const restored = join(folder, "restored.img");
  const restoreSeconds = await timed(() => restoreImage(vault, restored));
  const isEqual = (await digestOf(restored)) === (await digestOf(image));
  const note = `${best.toFixed(1)} s against ${bareBest.toFixed(1)} s; rounds ${[...ours, ...bare].map((s) => s.toFixed(1)).join(" ")}`;
  return [
    { name: "first backup, times a bare loop", figure: round(best / bareBest), unit: "x", bar: { atMost: 1.1 }, note },
    {
      name: "incremental of 80 MiB of churn",
      figure: round(incrementalSeconds),
      unit: "s",
      note: `${Math.round(stored / MiB)} MiB stored`,
    },
    { name: "restore", figure: round(restoreSeconds), unit: "s" },
    { name: "restored image equals the source", figure: isEqual ? 1 : 0, unit: "(1 = yes)", bar: { atLeast: 1 } },
    {
      name: "peak memory, bare loop included",
      figure: Math.round(process.resourceUsage().maxRSS / 1024),
      unit: "MB",
    },
  ];
}

async function bareLoop(image: string, store: ObjectStore): Promise<void> {
  const file = await open(image, "r");
  const { size } = await file.stat();
  const key = randomBytes(32);
  const zeros = Buffer.alloc(BLOCK_BYTES);
  const offsets = Array.from({ length: Math.ceil(size / BLOCK_BYTES) }, (_, block) => block * BLOCK_BYTES);
  await pMap(
    offsets,
    async (offset) => {
      const raw = Buffer.allocUnsafe(Math.min(BLOCK_BYTES, size - offset));
      await file.read(raw, 0, raw.length, offset);
      if (zeros.subarray(0, raw.length).equals(raw)) return;
      const id = createHmac("sha256", key).update(raw).digest("hex");
      const params = { [constants.ZSTD_c_compressionLevel]: LEVEL };
      const packed = await compress(raw, { chunkSize: raw.length + 4096, params });
      const cipher = createCipheriv("aes-256-gcm", key, randomBytes(12));
      const sealed = Buffer.concat([cipher.update(packed), cipher.final()]);
      await store.create(`blocks/${offset}-${id}`, sealed);
    },
    { concurrency: BLOCKS_AT_ONCE },
  );
  await file.close();
}

async function makeVault(archive: ObjectStore, state: ObjectStore): Promise<Vault> {
  const wrapper = {
    id: "bench",
    wrap: async (bytes: Uint8Array) => ({ wrapperId: "bench", version: "1", algorithm: "none", bytes }),
    unwrap: async ({ bytes }: { bytes: Uint8Array }) => bytes,
  };
  const deps = {
    archive,
    state,
    wrappers: [wrapper],
    clock: { now: () => new Date() },
    random: { bytes: (n: number) => randomBytes(n) },
  };
  return createVault(deps, { name: "bench", suite: "aes-256-gcm", compressionLevel: LEVEL });
}

async function backUpImage(vault: Vault, image: string, changed?: { offset: number; length: number }[]) {
  const source = await openImage(image, changed ? { changed } : {});
  const manifest = await backUp(vault, { item: parseItemId("bench"), disks: [{ source, name: "os", lun: -1 }] });
  await source.close();
  latest = manifest;
  return manifest;
}

let latest: Awaited<ReturnType<typeof backUp>> | undefined;

async function restoreImage(vault: Vault, path: string): Promise<void> {
  const disk = latest?.disks[0];
  if (!latest || !disk) throw new Error("nothing was backed up");
  await restoreDisk(vault, latest, disk, await createImage(path, disk.sizeBytes, "raw"));
}

/** Writes of 4 to 256 KiB, four in five of them in eight hot zones of 64 MiB, until 80 MiB are written. */
async function churn(image: string): Promise<{ offset: number; length: number }[]> {
  const file = await open(image, "r+");
  const { size } = await file.stat();
  const zone = () => (Math.floor(Math.random() * HOT_ZONES) / HOT_ZONES) * (size - 65 * MiB) + Math.random() * 64 * MiB;
  const ranges: { offset: number; length: number }[] = [];
  for (let written = 0; written < 80 * MiB; ) {
    const length = 4096 * (1 + Math.floor(Math.random() * 64));
    const place = Math.random() < 0.8 ? zone() : Math.random() * (size - length);
    const offset = Math.floor(place / 4096) * 4096;
    await file.write(randomBytes(length), 0, length, offset);
    ranges.push({ offset, length });
    written += length;
  }
  await file.close();
  return ranges;
}

function makeImage(folder: string): string {
  const sizeBytes = Number(process.env.HOLDFAST_BENCH_GIB ?? "4") * GiB;
  const staging = join(folder, "files");
  let left = sizeBytes / 2;
  const take = (from: string): void => {
    for (const entry of readdirSync(from, { withFileTypes: true })) {
      if (left <= 0) return;
      const path = join(from, entry.name);
      if (entry.isDirectory()) take(path);
      if (!entry.isFile()) continue;
      left -= lstatSync(path).size;
      const target = join(staging, path);
      mkdirSync(dirname(target), { recursive: true });
      cpSync(path, target);
    }
  };
  take("/usr");
  const image = join(folder, "disk.img");
  execFileSync("/sbin/mke2fs", ["-q", "-t", "ext4", "-d", staging, image, `${sizeBytes / 1024}k`]);
  rmSync(staging, { recursive: true });
  return image;
}

async function digestOf(path: string): Promise<string> {
  const hash = createHash("sha256");
  const file = await open(path, "r");
  for await (const part of file.createReadStream({ highWaterMark: MiB })) hash.update(part as Buffer);
  return hash.digest("hex");
}

async function timed(work: () => Promise<unknown>): Promise<number> {
  const startedMs = performance.now();
  await work();
  return (performance.now() - startedMs) / 1000;
}

function round(figure: number): number {
  return Math.round(figure * 100) / 100;
}
