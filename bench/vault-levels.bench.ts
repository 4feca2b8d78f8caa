// What zstd's levels and the size of chunks cost and save: the whole writing side, hashes, encryption and the check of what
// was encoded included, but for the upload. A sample of the image: 64 MiB of every 256 MiB. No bars: docs/performance.md
// says what was chosen.

import { randomBytes } from "node:crypto";
import { openImage } from "../src/files/image-disk.ts";
import type { DiskSource } from "../src/ports/disk-source.ts";
import { parseItemId } from "../src/vault/format/names.ts";
import { createVault } from "../src/vault/open-vault.ts";
import { backUp } from "../src/vault/transfer.ts";
import type { Bench, BenchRow } from "./bench.ts";
import { diskImage, lacksForImage } from "./support/disk-image.ts";
import { round, timedWarm } from "./support/programs.ts";
import { benchDeps, ForgetfulStore } from "./support/synthetic.ts";

const KiB = 1024;
const MiB = 2 ** 20;
const SAMPLE_BYTES = 64 * MiB;
const SAMPLE_EVERY_BYTES = 256 * MiB;
const CHOICES = [
  ...[1, 2, 3, 5, 7].map((level) => ({ level, chunkBytes: 512 * KiB })),
  { level: 3, chunkBytes: 256 * KiB },
  { level: 3, chunkBytes: 1024 * KiB },
];

export const levels: Bench = {
  about: "vault: time and stored size of zstd's levels and of chunk sizes",
  timeoutMs: 600_000,
  async run() {
    const missing = lacksForImage();
    if (missing) return [{ name: "zstd's levels", skipped: missing }];
    const image = await diskImage();
    const rows: BenchRow[] = [];
    for (const choice of CHOICES) rows.push(await measure(image, choice.level, choice.chunkBytes));
    return rows;
  },
};

async function measure(image: string, level: number, chunkBytes: number): Promise<BenchRow> {
  const file = await openImage(image);
  const source: DiskSource = {
    sizeBytes: file.sizeBytes,
    identity: { ...file.identity, snapshotId: randomBytes(8).toString("hex") },
    async *allocatedRanges() {
      for (let offset = 0; offset < file.sizeBytes; offset += SAMPLE_EVERY_BYTES)
        yield { offset, length: SAMPLE_BYTES };
    },
    changedRanges: async () => undefined,
    read: (range) => file.read(range),
  };
  const archive = new ForgetfulStore("bench:v");
  const deps = benchDeps(archive, new ForgetfulStore("bench:w"));
  const vault = await createVault(deps, { name: "bench", suite: "aes-256-gcm", compressionLevel: level, chunkBytes });
  const before = process.cpuUsage();
  const seconds = await timedWarm(image, () =>
    backUp(vault, { item: parseItemId("bench"), disks: [{ source, name: "d", lun: 0 }] }),
  );
  const { user, system } = process.cpuUsage(before);
  await file.close();
  const note = `${seconds.toFixed(1)} s, ${((user + system) / 1e6).toFixed(1)} s of processor time`;
  const stored = (archive.dataBytes + archive.indexBytes) / MiB;
  return { name: `level ${level}, chunks of ${chunkBytes / KiB} KiB`, figure: round(stored), unit: "MiB stored", note };
}
