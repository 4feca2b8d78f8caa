import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { workloadSchema, writesOfTick } from "../../../../localhost/azure/life/workload.ts";
import { GROUP, POLL, pageBlob, startTestAzure, testEstate } from "../support/azure.ts";

const GIB = 1024 ** 3;
const sizes = [4 * GIB, 2 * GIB, 1 * GIB];

describe("workloads", () => {
  it("follow from kind, seed and tick alone, stay on the disks, and keep their rate", () => {
    const kinds = fc.constantFrom("web" as const, "database" as const, "files" as const);
    fc.assert(
      fc.property(
        kinds,
        fc.integer({ min: 5000, max: 3_000_000 }),
        fc.integer(),
        fc.integer({ min: 1, max: 3 }),
        (kind, bytesPerSecond, seed, disks) => {
          const workload = workloadSchema.parse({ kind, bytesPerSecond, seed });
          const mine = sizes.slice(0, disks);
          let total = 0;
          for (let tick = 0; tick < 20; tick += 1) {
            const writes = writesOfTick(workload, mine, tick, 1000);
            expect(writesOfTick(workload, mine, tick, 1000)).toEqual(writes);
            for (const { disk, offset, length } of writes) {
              expect(offset % 512 === 0 && length % 512 === 0 && length > 0 && length <= 4 * 1024 * 1024).toBe(true);
              expect(offset + length).toBeLessThanOrEqual(mine[disk] ?? 0);
              total += length;
            }
          }
          expect(Math.abs(total - 20 * bytesPerSecond)).toBeLessThanOrEqual(4096);
        },
      ),
      { numRuns: 50 },
    );
  });

  it("leave an idle machine alone, and other seeds write elsewhere", () => {
    expect(writesOfTick(workloadSchema.parse({ kind: "idle" }), sizes, 3, 1000)).toEqual([]);
    const at = (seed: number) =>
      writesOfTick(workloadSchema.parse({ kind: "database", bytesPerSecond: 100_000, seed }), sizes, 3, 1000);
    expect(at(1)).not.toEqual(at(2));
  });
});

describe("the life of machines", () => {
  it("changes the disks of running machines by itself, and not those of stopped ones", async () => {
    const azure = await startTestAzure(testEstate({ life: { enabled: true, tickMs: 20 } }));
    const compute = azure.compute();
    let taken = 0;
    const snapshot = async () => {
      taken += 1;
      const sourceResourceId = `${GROUP}/providers/Microsoft.Compute/disks/web-01_OsDisk`;
      await compute.snapshots.createOrUpdate(
        "demo",
        `s${taken}`,
        { location: "westeurope", incremental: true, creationData: { createOption: "Copy", sourceResourceId } },
        POLL,
      );
      return (
        (await compute.snapshots.grantAccess("demo", `s${taken}`, { access: "Read", durationInSeconds: 600 }, POLL))
          .accessSAS ?? ""
      );
    };
    const first = await snapshot();
    const changedPages = async () => {
      const diff = await pageBlob(await snapshot()).getPageRangesDiffForManagedDisks(0, GIB, first);
      await compute.snapshots.revokeAccess("demo", `s${taken}`, POLL);
      return (diff.pageRange ?? []).length;
    };
    await expect.poll(changedPages, { timeout: 15_000 }).toBeGreaterThan(0);
    for (const name of ["web-01", "db-01"]) await compute.virtualMachines.deallocate("demo", name, POLL);
    expect((await azure.control("POST", "advance-life", { ticks: 5 })).written).toBe(0);
    expect(azure.defects).toEqual([]);
    await azure.stop();
  });

  it("writes the same bytes in two runs of the same estate", async () => {
    const run = async () => {
      const azure = await startTestAzure();
      await azure.control("POST", "advance-life", { ticks: 30 });
      await azure.compute().virtualMachines.deallocate("demo", "web-01", POLL);
      const { accessSAS } = await azure
        .compute()
        .disks.grantAccess("demo", "web-01_OsDisk", { access: "Read", durationInSeconds: 600 }, POLL);
      const response = await fetch(accessSAS ?? "", {
        headers: { range: `bytes=${GIB / 2}-${GIB / 2 + 4 * 1024 * 1024 - 1}` },
      });
      const bytes = Buffer.from(await response.arrayBuffer());
      await azure.stop();
      return bytes;
    };
    const [first, second] = [await run(), await run()];
    expect(first.some((byte) => byte !== 0)).toBe(true);
    expect(first.equals(second)).toBe(true);
  });
});
