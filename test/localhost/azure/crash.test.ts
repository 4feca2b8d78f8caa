import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join, resolve } from "node:path";
import { createInterface } from "node:readline";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { ARM_AUDIENCE, computeClient, GROUP, POLL, pageBlob, tokenFor } from "./support/azure.ts";

const MIB = 1024 * 1024;
const PIECE = 64 * 1024;
const PROGRAM = resolve(import.meta.dirname, "../../../localhost/azure.ts");
let folder: string;
let running: ChildProcess | undefined;

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), "azure-crash-"));
});

afterAll(async () => {
  running?.kill("SIGKILL");
  await rm(folder, { recursive: true, force: true });
});

async function start(environment: NodeJS.ProcessEnv = {}): Promise<string> {
  const child = spawn(process.execPath, [PROGRAM, "--port", "0", "--data", join(folder, "data")], {
    stdio: ["ignore", "pipe", "inherit"],
    env: { ...process.env, ...environment },
  });
  running = child;
  for await (const line of createInterface({ input: child.stdout as NonNullable<typeof child.stdout> })) {
    const origin = /http:\/\/127\.0\.0\.1:\d+/.exec(line)?.[0];
    if (origin !== undefined) return origin;
  }
  throw new Error("The simulated Azure ended before it listened");
}

async function kill(): Promise<void> {
  const child = running as ChildProcess;
  child.kill("SIGKILL");
  await once(child, "exit");
}

describe("the simulated Azure, killed under write load", () => {
  it("has every acknowledged byte, disk and snapshot after a restart, again and again", async () => {
    let origin = await start();
    let compute = computeClient(origin, "owner");
    const uploadSizeBytes = 64 * MIB + 512;
    await compute.disks.createOrUpdate(
      "demo",
      "d",
      { location: "westeurope", creationData: { createOption: "Upload", uploadSizeBytes } },
      POLL,
    );
    const acknowledged = new Map<number, number>();
    const taken = new Set<string>();
    let stamp = 0;
    let writes = 0;
    for (let round = 0; round < 3; round += 1) {
      const { accessSAS } = await compute.disks.grantAccess(
        "demo",
        "d",
        { access: "Write", durationInSeconds: 3600 },
        POLL,
      );
      const blob = pageBlob(accessSAS);
      const unsure = new Set<number>();
      let alive = true;
      const writers = Array.from({ length: 6 }, async (_, writer) => {
        while (alive) {
          stamp = (stamp + 1) % 250;
          const value = stamp + 1;
          const slot = (writer + 6 * Math.floor(Math.random() * 150)) * PIECE;
          try {
            unsure.add(slot);
            await blob.uploadPages(Buffer.alloc(PIECE, value), slot, PIECE);
            acknowledged.set(slot, value);
            writes += 1;
            unsure.delete(slot);
          } catch {
            return;
          }
        }
      });
      const snapshots = takeSnapshots(compute, `round-${round}`, taken);
      const before = { writes, snapshots: taken.size };
      await expect
        .poll(() => writes - before.writes > 60 && taken.size > before.snapshots, {
          timeout: 10_000,
          interval: 5,
        })
        .toBe(true);
      await kill();
      alive = false;
      await Promise.all([...writers, snapshots]);
      origin = await start();
      compute = computeClient(origin, "owner");
      const again = pageBlob(relocated(accessSAS, origin));
      const content = await again.downloadToBuffer(0, 64 * MIB);
      for (const [slot, value] of acknowledged)
        if (!unsure.has(slot))
          expect(content.subarray(slot, slot + PIECE).equals(Buffer.alloc(PIECE, value)), `slot ${slot}`).toBe(true);
      expect((await compute.disks.get("demo", "d")).diskState).toBe("ActiveUpload");
      const found = new Map<string | undefined, string | undefined>();
      for await (const { name, provisioningState } of compute.snapshots.listByResourceGroup("demo"))
        found.set(name, provisioningState);
      for (const name of taken) expect(found.get(name), name).toBe("Succeeded");
      for (const slot of unsure) acknowledged.delete(slot);
    }
    await kill();
  }, 60_000);

  it("has everything that any answer has shown, also what nobody was told had succeeded", async () => {
    // One thread for all files: the journal's turn comes late, while requests are answered at once.
    const crowded = { UV_THREADPOOL_SIZE: "1" };
    const SLOTS = 1024;
    let origin = await start(crowded);
    const uploadSizeBytes = 512 * MIB + 512;
    const creationData = { createOption: "Upload", uploadSizeBytes };
    await computeClient(origin, "owner").disks.createOrUpdate(
      "demo",
      "seen",
      { location: "westeurope", creationData },
      POLL,
    );
    let slot = 0;
    for (let round = 0; round < 5; round += 1) {
      const compute = computeClient(origin, "owner");
      const write = { access: "Write", durationInSeconds: 3600 };
      const { accessSAS } = await compute.disks.grantAccess("demo", "seen", write, POLL);
      const blob = pageBlob(accessSAS);
      const busy = [1, 2].map((writer) => fillForEver(blob, 64 * MIB * writer));
      const disk = await seenDisk(origin);
      let tag = Number(await disk.tag());
      const tags = changes(async () => {
        tag += 1;
        await disk.tagWith(tag);
        return tag;
      });
      const pages = changes(async () => {
        await blob.uploadPages(Buffer.alloc(512, 1), slot * 1024, 512);
        slot += 1;
        return slot - 1;
      });
      // The instant to die at: somebody has seen what nobody was told had succeeded.
      const seen = { tag: -1, slot: -1 };
      for (let look = 0; look < 150; look += 1) {
        seen.tag = Number(await disk.tag());
        if (seen.tag > tags.acknowledged) break;
        const { pageRange = [] } = await blob.getPageRanges(0, SLOTS * 1024);
        seen.slot = (pageRange.at(-1)?.offset ?? -1024) / 1024;
        if (seen.slot > pages.acknowledged) break;
      }
      await kill();
      await Promise.all([tags.ended, pages.ended, ...busy]);
      origin = await start(crowded);
      expect(Number(await (await seenDisk(origin)).tag())).toBeGreaterThanOrEqual(seen.tag);
      const { pageRange = [] } = await pageBlob(relocated(accessSAS, origin)).getPageRanges(0, SLOTS * 1024);
      expect((pageRange.at(-1)?.offset ?? -1024) / 1024).toBeGreaterThanOrEqual(seen.slot);
      slot = (pageRange.at(-1)?.offset ?? -1024) / 1024 + 1;
    }
    await kill();
  }, 90_000);
});
interface Changes {
  /** The last change that was answered. */
  acknowledged: number;
  ended: Promise<void>;
}

/** Changes one after the other, until Azure is gone. */
function changes(change: () => Promise<number>): Changes {
  const made: Changes = { acknowledged: -1, ended: Promise.resolve() };
  made.ended = (async () => {
    for (;;) {
      try {
        made.acknowledged = await change();
      } catch {
        return;
      }
    }
  })();
  return made;
}

/** A disk's tag, read and changed without a detour: one request, whose answer is the acknowledgement. */
async function seenDisk(origin: string) {
  const url = `${origin}${GROUP}/providers/Microsoft.Compute/disks/seen?api-version=2024-03-02`;
  const headers = {
    authorization: `Bearer ${await tokenFor(origin, "owner", ARM_AUDIENCE)}`,
    "content-type": "application/json",
  };
  return {
    tag: async () => ((await (await fetch(url, { headers })).json()) as { tags?: { n: string } }).tags?.n ?? "0",
    tagWith: async (n: number) => {
      const body = JSON.stringify({ tags: { n: String(n) } });
      expect((await fetch(url, { method: "PATCH", headers, body })).status).toBe(202);
    },
  };
}

/** Keeps the disk busy with large writes, until Azure is gone. */
async function fillForEver(blob: ReturnType<typeof pageBlob>, from: number): Promise<void> {
  const bytes = Buffer.alloc(4 * MIB, 3);
  for (let piece = 0; ; piece = (piece + 1) % 8) {
    try {
      await blob.uploadPages(bytes, from + piece * bytes.length, bytes.length);
    } catch {
      return;
    }
  }
}

/** Snapshots one after the other, until Azure is gone; `taken` has those whose operation has ended. */
async function takeSnapshots(
  compute: ReturnType<typeof computeClient>,
  prefix: string,
  taken: Set<string>,
): Promise<void> {
  const { id = "" } = await compute.disks.get("demo", "idle-01_OsDisk");
  const creationData = { createOption: "Copy", sourceResourceId: id };
  for (let number = 0; ; number += 1) {
    const name = `${prefix}-${number}`;
    try {
      await compute.snapshots.createOrUpdate("demo", name, { location: "westeurope", creationData }, POLL);
    } catch {
      return;
    }
    taken.add(name);
  }
}

/** The SAS of the process before, at the port of this one: grants outlive a restart. */
function relocated(sas: string | undefined, origin: string): string {
  return (sas ?? "").replace(/^http:\/\/127\.0\.0\.1:\d+/, origin);
}
