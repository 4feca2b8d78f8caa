// A simulated Azure that fails anywhere, again and again, in backups and restores: jobs end as they should, bytes stay right,
// nothing is left, and a platform that asks for patience gets it. What fails in one phase alone is azure-phases.test.ts.

import { beforeEach, describe, expect, it, vi } from "vitest";
import { releaseSnapshot } from "../../src/control/point-removal.ts";
import type { ItemBody } from "../../src/control/rows/item-row.ts";
import type { JobBody } from "../../src/control/rows/job-row.ts";
import type { PointBody } from "../../src/control/rows/point-row.ts";
import type { ServiceAzure } from "../support/azure-service.ts";
import { brokenPromises } from "../support/invariants.ts";
import { readDisk, readSnapshot } from "../support/read-azure.ts";
import { type TestService, VAULT } from "../support/service.ts";
import { backUp, disksInVault, restore } from "../support/service-work.ts";
import { onSmallAzure } from "../support/small-azure.ts";

vi.setConfig({ testTimeout: 60_000 });

let azure: ServiceAzure;
let service: TestService;
let item: ItemBody;
/** Snapshots that the test took away. */
let lost: Set<string>;

onSmallAzure((started) => {
  ({ azure, service } = started);
});

beforeEach(async () => {
  lost = new Set();
  item = await service.protect("app-01");
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
  expect(await brokenPromises(service, undefined, { lost })).toEqual([]);
  const points = await service.points(item);
  for (const point of points) if (point.archive && point.snapshot.ref) await expectSameBytes(point);
  const { snapshots } = await inAzure();
  const known = points.flatMap(({ snapshot }) => (snapshot.ref ? [snapshot.ref.name] : []));
  expect(snapshots.filter((name) => !before.snapshots.includes(name)).sort()).toEqual(known.sort());
}

async function expectSameBytes(point: PointBody): Promise<void> {
  for (const [ordinal, inVault] of (await disksInVault(service, item, point)).entries())
    expect(inVault.equals(await readSnapshot(service, point, ordinal))).toBe(true);
}

async function restoreDisks(point: PointBody): Promise<JobBody> {
  const { id } = await restore(service, item, point);
  await service.untilAllEnded();
  const job = await service.job(id);
  expect(job.status).toBe("Completed");
  return job;
}

/** From now on the point is in the vault alone. */
async function leaveToVault(point: PointBody): Promise<void> {
  await releaseSnapshot(service.deps, VAULT, item, point);
  const [now] = await service.points(item);
  expect(now?.snapshot.state).toBe("deleted");
  lost.add(point.snapshot.ref?.name ?? "");
}

async function vanish({ snapshot: { ref } }: PointBody): Promise<void> {
  if (!ref) throw new Error("the point has a snapshot");
  const { resourceGroup, name } = ref.collection;
  await azure.compute().restorePoints.delete(resourceGroup, name, ref.name, { updateIntervalInMs: 5 });
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
    const [point] = (await service.points(item)) as [PointBody];
    const instant = await restoreDisks(point);
    await azure.noFaults();
    const held: Buffer[] = [];
    for (const ordinal of point.snapshot.disks.keys()) held.push(await readSnapshot(service, point, ordinal));
    await leaveToVault(point);
    await azure.fault("fault", fault, { seed: 4, ...where });
    const fromVault = await restoreDisks(point);
    await expectSound(before);
    for (const { id, restore: work } of [instant, fromVault]) {
      for (const [ordinal, { targetDiskId }] of (work?.disks ?? []).entries()) {
        expect((await readDisk(azure, targetDiskId)).equals(held[ordinal] as Buffer)).toBe(true);
        await service.deps.targets.remove(targetDiskId, id);
      }
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

describe("A restore of a snapshot that vanishes meanwhile, and that the vault does not have,", () => {
  it("fails, says why, and leaves no disk", async () => {
    expect((await backUp(service, item, { goesToVault: false })).status).toBe("Completed");
    const [point] = (await service.points(item)) as [PointBody];
    expect(point.archive).toBeNull();
    const before = await inAzure();
    let count = 0;
    service.onCall = async (call, perform) => {
      // The first disk is made of it, the second is not.
      if (call === "targets.beginFromSnapshot" && ++count === 2) await vanish(point);
      return perform();
    };
    const job = await restore(service, item, point);
    expect(job).toMatchObject({ status: "Failed", failure: { code: "NotFound" } });
    expect(count).toBe(2);
    expect((await inAzure()).disks).toEqual(before.disks);
  });
});
