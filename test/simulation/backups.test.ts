// Backups and restores by the real orchestrations and activities, against the simulated Azure over HTTP: what is read back
// through Azure itself equals what the snapshot held.

import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it, vi } from "vitest";
import { releaseSnapshot } from "../../src/control/point-removal.ts";
import type { ItemBody } from "../../src/control/rows/item-row.ts";
import type { PointBody } from "../../src/control/rows/point-row.ts";
import { type ServiceAzure, startServiceAzure } from "../support/azure-service.ts";
import { readDisk, readSnapshot } from "../support/read-azure.ts";
import { TestService, VAULT } from "../support/service.ts";
import { backUp, disksInVault, manifestOf, restore } from "../support/service-work.ts";

vi.setConfig({ testTimeout: 60_000 });

let azure: ServiceAzure;
let service: TestService;

beforeAll(async () => {
  azure = await startServiceAzure();
});

afterAll(async () => {
  expect(azure.defects).toEqual([]);
  await azure.stop();
});

beforeEach(async () => {
  service = await TestService.start(azure);
});

afterEach(async () => {
  await azure.noFaults();
  await service.close();
});

/** Every disk of the snapshot, read by SAS; the vault holds the same. */
async function bytesOf(item: ItemBody, point: PointBody): Promise<Buffer[]> {
  const disks: Buffer[] = [];
  for (const ordinal of point.snapshot.disks.keys()) disks.push(await readSnapshot(service, point, ordinal));
  if (point.archive) expect(sameBytes(await disksInVault(service, item, point), disks)).toBe(true);
  return disks;
}

const sameBytes = (some: readonly Buffer[], others: readonly Buffer[]): boolean =>
  some.length === others.length && some.every((bytes, at) => bytes.equals(others[at] as Buffer));

/** Restores the point, compares every disk that was made, and removes them. */
async function expectRestores(item: ItemBody, point: PointBody, wanted: readonly Buffer[], luns?: number[]) {
  const job = await restore(service, item, point, luns);
  expect(job).toMatchObject({ status: "Completed", failure: null });
  const made: Buffer[] = [];
  for (const { targetDiskId } of job.restore?.disks ?? []) made.push(await readDisk(azure, targetDiskId));
  expect(sameBytes(made, wanted)).toBe(true);
  for (const { targetDiskId } of job.restore?.disks ?? []) await service.deps.targets.remove(targetDiskId, job.id);
  return job;
}

async function points(item: ItemBody): Promise<[PointBody, ...PointBody[]]> {
  return (await service.points(item)) as [PointBody, ...PointBody[]];
}

/** From now on the point is in the vault alone. */
async function leaveToVault(item: ItemBody, point: PointBody): Promise<void> {
  for (let look = 0; look < 50; look++) {
    await releaseSnapshot(service.deps, VAULT, item, point);
    const [now] = (await points(item)).filter(({ pointId }) => pointId === point.pointId);
    if (now?.snapshot.state === "deleted") return;
  }
  throw new Error("the snapshot does not go");
}

describe("A running machine that goes on writing", () => {
  it("is backed up byte for byte, and restored from both tiers, with what is needed to make a machine again", async () => {
    const item = await service.protect("web-01");
    expect(await backUp(service, item)).toMatchObject({ status: "Completed", failure: null });
    await azure.live(20);
    expect((await backUp(service, item)).status).toBe("Completed");
    const [second, first] = await points(item);
    if (!first) throw new Error("there are two points");
    const [before, after] = [await bytesOf(item, first), await bytesOf(item, second)];
    expect(sameBytes(before, after)).toBe(false);
    const job = await expectRestores(item, second, after);
    expect(job.restore?.disks.every(({ snapshotDiskId }) => snapshotDiskId !== null)).toBe(true);
    await leaveToVault(item, first);
    const fromVault = await expectRestores(item, first, before);
    expect(fromVault.restore?.disks.every(({ snapshotDiskId }) => snapshotDiskId === null)).toBe(true);
    const files = service.staged.get(`holdfast-restore-${fromVault.id}`) ?? [];
    expect(files.map(({ name }) => name)).toEqual(["config.json", "azuredeploy.json"]);
    const [config, template] = files.map(({ text }) => JSON.parse(text));
    expect(config).toMatchObject({ machineName: "web-01", disks: [{ lun: -1 }] });
    expect(config.virtualMachine.id.toLowerCase()).toBe(item.machineId.toLowerCase());
    expect(JSON.stringify(template)).toContain(fromVault.restore?.disks[0]?.targetDiskId);
    expect(await service.item(item)).toMatchObject({ state: "Protected", lastBackup: { status: "Completed" } });
    expect(service.archive.stores.get("v-vault1")?.state.names("pins/")).toEqual([]);
  });

  it("is read whole again when the snapshot that it would compare with is gone, and loses nothing", async () => {
    const item = await service.protect("web-01");
    await backUp(service, item);
    const [first] = await points(item);
    const ref = first.snapshot.ref;
    if (!ref) throw new Error("the point has a snapshot");
    const { restorePoints } = azure.compute();
    const { resourceGroup, name } = ref.collection;
    await restorePoints.delete(resourceGroup, name, ref.name, { updateIntervalInMs: 5 });
    await azure.live(10);
    expect((await backUp(service, item)).status).toBe("Completed");
    const [second] = await points(item);
    await bytesOf(item, second);
    const { manifest } = await manifestOf(service, item, second);
    expect(manifest.parent).not.toBeNull();
    expect(manifest.disks[0]?.stats.readBytes).toBeGreaterThan(4 * 2 ** 20);
  });
});

describe("A machine of several disks that is deallocated", () => {
  it("is restored whole, in part, and its operating system alone", async () => {
    const machines = azure.compute().virtualMachines;
    await machines.deallocate("demo", "db-01", { updateIntervalInMs: 5 });
    const item = await service.protect("db-01");
    expect((await backUp(service, item)).status).toBe("Completed");
    const [point] = await points(item);
    expect(point.consistency).toBe("crash");
    const all = await bytesOf(item, point);
    const luns = point.snapshot.disks.map(({ lun }) => lun);
    expect(luns).toEqual([-1, 0, 1, 2]);
    await leaveToVault(item, point);
    await expectRestores(item, point, all);
    await expectRestores(item, point, [all[0], all[2]] as Buffer[], [1]);
    await expectRestores(item, point, [all[0]] as Buffer[], []);
    await machines.start("demo", "db-01", { updateIntervalInMs: 5 });
  });

  it("is backed up again after one of its disks has grown", async () => {
    const { disks, virtualMachines } = azure.compute();
    await virtualMachines.deallocate("demo", "db-01", { updateIntervalInMs: 5 });
    const item = await service.protect("db-01");
    await backUp(service, item);
    const { storageProfile } = await virtualMachines.get("demo", "db-01");
    const grown = storageProfile?.dataDisks?.find(({ lun }) => lun === 1)?.name ?? "";
    await disks.update("demo", grown, { diskSizeGB: 2 }, { updateIntervalInMs: 5 });
    await virtualMachines.start("demo", "db-01", { updateIntervalInMs: 5 });
    await azure.live(5);
    expect(await backUp(service, item)).toMatchObject({ status: "Completed", failure: null });
    const [point] = await points(item);
    const bytes = await bytesOf(item, point);
    expect(bytes.map(({ length }) => length / 2 ** 30)).toEqual([2, 1, 2, 2]);
  });
});
