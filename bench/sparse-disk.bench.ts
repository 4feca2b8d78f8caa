// The largest disk that Azure makes, with little on it, through the whole service: what its size alone costs.

import { writeFile } from "node:fs/promises";
import { join } from "node:path";
import type { Bench } from "./bench.ts";
import { temporaryFolder } from "./host-under-test.ts";
import { BenchVault, oneMachineEstate, startStack } from "./support/stack.ts";

const ONE_LARGE_DISK = oneMachineEstate(
  { sizeGiB: 4, allocatedMiB: 64 },
  { dataDisks: [{ sizeGiB: 32_767, allocatedMiB: 1024 }] },
);

export const sparseDisk: Bench = {
  about: "service: two backups of a machine with a sparse disk of 32 TiB; memory of the host",
  timeoutMs: 600_000,
  async run() {
    const folder = temporaryFolder();
    const estate = join(folder.path, "estate.json");
    await writeFile(estate, JSON.stringify(ONE_LARGE_DISK));
    const stack = await startStack(join(folder.path, "data"), ["--estate", estate]);
    try {
      const vault = new BenchVault(stack, "bench", "bench");
      await vault.create();
      await vault.protect("vm-1", "DefaultPolicy");
      const first = await vault.backUp("vm-1");
      const second = await vault.backUp("vm-1");
      const peakMegabytes = Math.round(stack.peakBytes() / 1e6);
      return [
        { name: "first backup of a sparse disk of 32 TiB, 1 GiB of content", figure: first, unit: "s" },
        { name: "the next one, without a change", figure: second, unit: "s" },
        { name: "peak memory of the host", figure: peakMegabytes, unit: "MB", bar: { atMost: 400 } },
      ];
    } finally {
      await stack.stop();
      folder.remove();
    }
  },
};
