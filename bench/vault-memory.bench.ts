// Peak memory of a backup into a folder and of a restore from it, each in a process of its own. The disk of 4 GiB is the
// bench's image; larger ones make up their bytes, and the restored bytes are compared with what they make up again.

import { execFile } from "node:child_process";
import { mkdtempSync, rmSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";
import type { Bench } from "./bench.ts";
import { benchFolder, diskImage, lacksForImage } from "./support/disk-image.ts";
import type { MemoryResult } from "./support/memory-child.ts";

const CHILD = fileURLToPath(new URL("support/memory-child.ts", import.meta.url));
const GiB = 2 ** 30;

export const memory4GiB: Bench = memoryBench("4GiB", "the image of 4 GiB");
export const memory64GiB: Bench = memoryBench("64GiB", "a disk of 64 GiB, half of it in use");
export const memory32TiB: Bench = memoryBench("32TiB", "a sparse disk of 32 TiB");

function memoryBench(name: string, what: string): Bench {
  return {
    about: `vault: peak memory of a first backup and a restore of ${what}`,
    timeoutMs: 900_000,
    async run() {
      if (name === "4GiB") {
        const missing = lacksForImage();
        if (missing) return [{ name: `peak memory, ${name}`, skipped: missing }];
        await diskImage();
      }
      const folder = mkdtempSync(join(benchFolder(), "memory-"));
      try {
        const backup = await inChild("backup", name, folder);
        const restore = await inChild("restore", name, folder);
        if (backup.dataBytes !== restore.dataBytes) throw new Error("not everything was restored");
        return [rowOf("backup", name, backup), rowOf("restore", name, restore)];
      } finally {
        rmSync(folder, { recursive: true });
      }
    },
  };
}

async function inChild(step: string, name: string, folder: string): Promise<MemoryResult> {
  const { stdout } = await promisify(execFile)(process.execPath, [CHILD, step, name, folder]);
  return JSON.parse(stdout);
}

function rowOf(step: string, name: string, { peakMB, seconds, dataBytes }: MemoryResult) {
  const note = `${(dataBytes / GiB).toFixed(1)} GiB of data in ${seconds.toFixed(1)} s`;
  return { name: `peak memory of a ${step}, ${name}`, figure: peakMB, unit: "MB", bar: { atMost: 350 }, note };
}
