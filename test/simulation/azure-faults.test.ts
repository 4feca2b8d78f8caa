// Every fault of the simulated Azure, in backups and restores: jobs end as they should, bytes stay right, nothing is left, and
// a platform that asks for patience gets it.

import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it, vi } from "vitest";
import type { ItemBody } from "../../src/control/rows/item-row.ts";
import type { PointBody } from "../../src/control/rows/point-row.ts";
import { type ServiceAzure, startServiceAzure } from "../support/azure-service.ts";
import { brokenPromises } from "../support/invariants.ts";
import { readDisk, readSnapshot } from "../support/read-azure.ts";
import { TestService } from "../support/service.ts";
import { backUp, disksInVault, restore } from "../support/service-work.ts";

vi.setConfig({ testTimeout: 60_000 });

let azure: ServiceAzure;
let service: TestService;
let item: ItemBody;

beforeAll(async () => {
  azure = await startServiceAzure();
});

afterAll(async () => {
  expect(azure.defects).toEqual([]);
  await azure.stop();
});

beforeEach(async () => {
  service = await TestService.start(azure);
  item = await service.protect("web-01");
});

afterEach(async () => {
  await azure.noFaults();
  await service.close();
});

/** Restore points of the service in the simulated Azure, and disks that its restores have made. */
async function inAzure(): Promise<{ snapshots: string[]; disks: string[] }> {
  const [{ restorePointCollections, disks }, snapshots, made]: [ReturnType<typeof azure.compute>, string[], string[]] =
    [azure.compute(), [], []];
  for await (const { id = "", name = "" } of restorePointCollections.listAll()) {
    const group = id.split("/")[4] ?? "";
    const { restorePoints = [] } = await restorePointCollections.get(group, name, { expand: "restorePoints" });
    snapshots.push(...restorePoints.map((point) => point.name ?? ""));
  }
  for await (const { name = "", tags } of disks.list()) if (tags?.["holdfast-job"]) made.push(name);
  return { snapshots, disks: made };
}

async function expectSound(before: Awaited<ReturnType<typeof inAzure>>): Promise<void> {
  await azure.noFaults();
  expect(await brokenPromises(service, undefined)).toEqual([]);
  const points = await service.points(item);
  for (const point of points) if (point.archive) await expectSameBytes(point);
  const { snapshots } = await inAzure();
  const known = points.flatMap(({ snapshot }) => (snapshot.ref ? [snapshot.ref.name] : []));
  expect(snapshots.filter((name) => !before.snapshots.includes(name)).sort()).toEqual(known.sort());
}

async function expectSameBytes(point: PointBody): Promise<void> {
  const [inVault] = await disksInVault(service, item, point);
  const source = await readSnapshot(service, point, 0);
  expect(inVault?.equals(source)).toBe(true);
}

describe("A backup and a restore", () => {
  it.each([
    ["answers 503 to one request in five", { kind: "error", status: 503 }, { probability: 0.2 }],
    ["answers 500 to one request in five", { kind: "error", status: 500 }, { probability: 0.2 }],
    ["drops one connection in five", { kind: "drop" }, { probability: 0.2 }],
    ["breaks off one answer in five", { kind: "truncate" }, { probability: 0.2 }],
    ["loses one answer in five", { kind: "lost-answer" }, { probability: 0.2 }],
    ["is slow", { kind: "latency", latencyMs: 20 }, {}],
    [
      "ends access at once, now and then",
      { kind: "sas-expires-early", share: 0 },
      { operation: "begingetaccess", times: 2 },
    ],
  ])("complete, and are right, when Azure %s", async (_what, fault, where) => {
    const before = await inAzure();
    await azure.fault("fault", fault, { seed: 3, ...where });
    await backUp(service, item);
    const [first] = await service.untilAllEnded();
    expect(first).toMatchObject({ status: "Completed", failure: null });
    const [point] = await service.points(item);
    const restored = await restore(service, item, point as PointBody);
    await service.untilAllEnded();
    const { status, restore: work } = await service.job(restored.id);
    expect(status).toBe("Completed");
    await expectSound(before);
    for (const [ordinal, { targetDiskId }] of (work?.disks ?? []).entries()) {
      const made = await readDisk(azure, targetDiskId);
      expect(made.equals(await readSnapshot(service, point as PointBody, ordinal))).toBe(true);
      await service.deps.targets.remove(targetDiskId, restored.id);
    }
  });

  it("wait as long as they are asked to when Azure throttles, and do not ask much meanwhile", async () => {
    const before = await inAzure();
    await azure.fault("fault", { kind: "throttle", retryAfterSeconds: 120 }, { surface: "arm", times: 5 });
    const startMs = service.now().getTime();
    expect(await backUp(service, item)).toMatchObject({ status: "Completed", failure: null });
    expect(service.now().getTime() - startMs).toBeGreaterThanOrEqual(5 * 120_000);
    const { value } = (await azure.control("GET", "faults")) as { value: { injected: number }[] };
    expect(value[0]?.injected).toBe(5);
    await expectSound(before);
  });

  it("give up after hours of throttling, without having asked more than now and then", async () => {
    const before = await inAzure();
    await azure.fault(
      "fault",
      { kind: "throttle", retryAfterSeconds: 60 },
      { operation: "restorepoints", surface: "arm" },
    );
    const job = await backUp(service, item);
    const { value } = (await azure.control("GET", "faults")) as { value: { injected: number }[] };
    expect(value[0]?.injected).toBeLessThan(200);
    await azure.noFaults();
    await service.untilAllEnded();
    expect((await service.job(job.id)).endedAt).not.toBeNull();
    await expectSound(before);
  });
});

describe("A backup", () => {
  it("fails with Azure's reason when its snapshot fails, and leaves none behind", async () => {
    const before = await inAzure();
    const fault = { kind: "operation-fails", code: "SnapshotRefused", message: "The snapshot is refused." };
    await azure.fault("fault", fault, { operation: "^PUT .*restorepoints", times: 1 });
    const job = await backUp(service, item);
    expect(job.status).toBe("Failed");
    expect(job.failure?.message).toContain("The snapshot is refused");
    expect(job.tasks.map(({ status }) => status)).toEqual(["Failed", "Failed"]);
    await expectSound(before);
    expect((await backUp(service, item)).status).toBe("Completed");
  });

  it("that loses its snapshot while it reads it ends with a warning, and the next one completes", async () => {
    await azure.fault("fault", { kind: "snapshot-vanishes" }, { surface: "blob", times: 1 });
    const job = await backUp(service, item);
    expect(job.status).toBe("CompletedWithWarnings");
    expect(job.tasks.map(({ status }) => status)).toEqual(["Completed", "Failed"]);
    await azure.noFaults();
    expect(service.archive.stores.get("v-vault1")?.state.names("pins/")).toEqual([]);
    expect((await backUp(service, item)).status).toBe("Completed");
    const [newest] = await service.points(item);
    await expectSameBytes(newest as PointBody);
  });
});

describe("A restore", () => {
  it("that cannot make its disk fails with Azure's reason, and leaves no disk", async () => {
    await backUp(service, item);
    const [point] = await service.points(item);
    const before = await inAzure();
    const fault = { kind: "operation-fails", code: "DiskRefused", message: "The disk is refused." };
    await azure.fault("fault", fault, { operation: "PUT microsoft.compute/disks", times: 1 });
    const job = await restore(service, item, point as PointBody);
    await azure.noFaults();
    expect(job.status).toBe("Failed");
    expect((await inAzure()).disks).toEqual(before.disks);
  });
});
