// One backup or one restore in a process of its own, whose peak memory is then that of nothing else:
//   node bench/support/memory-child.ts backup|restore <case> <folder of the vault>
// Started by vault-memory.bench.ts. A restore goes to a sink that keeps nothing and compares all of it with the source.

import { join } from "node:path";
import { limitHeap } from "../../cli/heap-limits.ts";
import { openFolderStore } from "../../src/files/folder-store.ts";
import { openImage } from "../../src/files/image-disk.ts";
import type { DiskSink } from "../../src/ports/disk-sink.ts";
import type { DiskSource } from "../../src/ports/disk-source.ts";
import { parseItemId } from "../../src/vault/format/names.ts";
import { newestPoint } from "../../src/vault/list-points.ts";
import { createVault, openVault } from "../../src/vault/open-vault.ts";
import { restoreDisk } from "../../src/vault/restore-disk.ts";
import { backUp } from "../../src/vault/transfer.ts";
import { diskImage } from "./disk-image.ts";
import { benchDeps, NoiseDisk, peakMB } from "./synthetic.ts";

const MiB = 2 ** 20;
const GiB = 2 ** 30;
const TiB = 2 ** 40;
const CHUNK = 512 * 1024;
const ITEM = parseItemId("bench");

export interface MemoryResult {
  readonly peakMB: number;
  readonly seconds: number;
  /** Of the disk, that are not zeros. */
  readonly dataBytes: number;
}

/** The second and third store of themselves a sixteenth, else they would need much time and as much room as the disk. */
const CASES: Readonly<Record<string, () => Promise<DiskSource>>> = {
  "4GiB": async () => openImage(await diskImage(), { diskId: "noise" }),
  "64GiB": async () => new NoiseDisk(64 * GiB, spread(64 * GiB, 32 * GiB, 64), { seed: 1, noiseEvery: 16 }),
  "32TiB": async () => new NoiseDisk(32 * TiB, spread(32 * TiB, GiB, 16), { seed: 2 }),
};

/** So many bytes in so many equal parts, equally far apart. */
function spread(sizeBytes: number, usedBytes: number, parts: number) {
  return Array.from({ length: parts }, (_, part) => ({
    offset: Math.floor(sizeBytes / parts / MiB) * part * MiB,
    length: usedBytes / parts,
  }));
}

/** Fails if anything is written that the source has not, or if anything is left out that is not zeros. */
class ComparingSink implements DiskSink {
  dataBytes = 0;
  private readonly source: DiskSource;
  private readonly written = new Set<number>();

  constructor(source: DiskSource) {
    this.source = source;
  }

  async write(offset: number, bytes: Uint8Array): Promise<void> {
    const expected = await this.source.read({ offset, length: bytes.length });
    if (!Buffer.from(expected.buffer, expected.byteOffset, expected.length).equals(bytes)) {
      throw new Error(`the restored disk differs at ${offset}`);
    }
    this.written.add(offset);
    this.dataBytes += bytes.length;
  }

  async finish(): Promise<void> {
    const zeros = Buffer.alloc(CHUNK);
    for await (const { offset, length } of this.source.allocatedRanges()) {
      for (let chunk = offset; chunk < offset + length; chunk += CHUNK) {
        if (this.written.has(chunk)) continue;
        if (!zeros.equals(await this.source.read({ offset: chunk, length: CHUNK }))) {
          throw new Error(`the restored disk lacks what is at ${chunk}`);
        }
      }
    }
  }

  async discard(): Promise<void> {}
}

async function run(step: string, source: DiskSource, folder: string): Promise<number> {
  const deps = benchDeps(
    await openFolderStore(join(folder, "v-bench")),
    await openFolderStore(join(folder, "w-bench")),
  );
  if (step === "backup") {
    const vault = await createVault(deps, { name: "bench", suite: "aes-256-gcm" });
    const { disks } = await backUp(vault, { item: ITEM, disks: [{ source, name: "d", lun: 0 }] });
    const { newChunks = 0, reusedChunks = 0 } = disks[0]?.stats ?? {};
    return (newChunks + reusedChunks) * CHUNK;
  }
  const vault = await openVault(deps);
  const point = await newestPoint(vault, ITEM);
  const disk = point?.manifest.disks[0];
  if (!point || !disk) throw new Error("there is no point to restore");
  const sink = new ComparingSink(source);
  await restoreDisk(vault, point.manifest, disk, sink);
  return sink.dataBytes;
}

const [step = "", name = "", folder = ""] = process.argv.slice(2);
limitHeap();
const source = await (CASES[name] as () => Promise<DiskSource>)();
const startedMs = performance.now();
const dataBytes = await run(step, source, folder);
const seconds = (performance.now() - startedMs) / 1000;
process.stdout.write(JSON.stringify({ peakMB: peakMB(), seconds, dataBytes } satisfies MemoryResult));
