import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join, resolve } from "node:path";
import { createInterface } from "node:readline";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { computeClient, POLL, pageBlob } from "./support/azure.ts";

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

async function start(): Promise<string> {
  const child = spawn(process.execPath, [PROGRAM, "--port", "0", "--data", join(folder, "data")], {
    stdio: ["ignore", "pipe", "inherit"],
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
});

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
