// Backups and restores by the real orchestrations and activities, against the simulated Azure over HTTP: what is read back
// through Azure itself equals what the snapshot held.

import { describe, expect, it, vi } from "vitest";
import { releaseSnapshot } from "../../src/control/point-removal.ts";
import type { ItemBody } from "../../src/control/rows/item-row.ts";
import type { PointBody } from "../../src/control/rows/point-row.ts";
import { readRow } from "../../src/control/rows/row-kind.ts";
import { PHASE_ROWS, phasePlace } from "../../src/control/rows/work-rows.ts";
import type { ServiceAzure } from "../support/azure-service.ts";
import { readDisk, readSnapshot } from "../support/read-azure.ts";
import { type TestService, VAULT } from "../support/service.ts";
import { backUp, disksInVault, manifestOf, restore, startBackup } from "../support/service-work.ts";
import { onSmallAzure } from "../support/small-azure.ts";

vi.setConfig({ testTimeout: 60_000 });

let azure: ServiceAzure;
let service: TestService;

onSmallAzure((started) => {
  ({ azure, service } = started);
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

/** Restores the point from the tier, compares every disk that was made, and removes them. */
async function expectRestores(
  item: ItemBody,
  point: PointBody,
  wanted: readonly Buffer[],
  tier: "snapshot" | "vault",
  luns?: number[],
) {
  const job = await restore(service, item, point, luns);
  expect(job).toMatchObject({ status: "Completed", failure: null });
  const disks = job.restore?.disks ?? [];
  expect(disks.map(({ snapshotDiskId }) => (snapshotDiskId === null ? "vault" : "snapshot"))).toEqual(
    wanted.map(() => tier),
  );
  const made: Buffer[] = [];
  for (const { targetDiskId } of disks) made.push(await readDisk(azure, targetDiskId));
  expect(sameBytes(made, wanted)).toBe(true);
  for (const { targetDiskId } of disks) await service.deps.targets.remove(targetDiskId, job.id);
  return job;
}

async function expectBothTiers(item: ItemBody, point: PointBody, wanted: readonly Buffer[]): Promise<void> {
  await expectRestores(item, point, wanted, "snapshot");
  await leaveToVault(item, point);
  await expectRestores(item, point, wanted, "vault");
}

async function transferPhase({ name }: ItemBody) {
  return (await readRow(service.tables, PHASE_ROWS, phasePlace(VAULT, name, "transfer")))?.body;
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
    await expectRestores(item, second, after, "snapshot");
    await leaveToVault(item, first);
    const fromVault = await expectRestores(item, first, before, "vault");
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
    const before = await bytesOf(item, first);
    const ref = first.snapshot.ref;
    if (!ref) throw new Error("the point has a snapshot");
    const { restorePoints } = azure.compute();
    const { resourceGroup, name } = ref.collection;
    await restorePoints.delete(resourceGroup, name, ref.name, { updateIntervalInMs: 5 });
    await azure.live(10);
    expect((await backUp(service, item)).status).toBe("Completed");
    const [second] = await points(item);
    const after = await bytesOf(item, second);
    expect(sameBytes(before, after)).toBe(false);
    const { manifest } = await manifestOf(service, item, second);
    expect(manifest.parent).not.toBeNull();
    const { manifest: whole } = await manifestOf(service, item, first);
    expect(manifest.disks[0]?.stats.readBytes).toBeGreaterThan(whole.disks[0]?.stats.readBytes ?? 0);
    // Its row still names the snapshot; the vault steps in.
    await expectRestores(item, first, before, "vault");
    await expectBothTiers(item, second, after);
  });

  it("is restored as it was at each backup, also at the one whose transfer was skipped, and at the one after it", async () => {
    const item = await service.protect("web-01");
    const goOn = service.holdUp((call) => call === "archive.create");
    const firstJob = await startBackup(service, item);
    await service.until(async () => (await transferPhase(item))?.holder === firstJob);
    await azure.live(10);
    const skipped = await backUp(service, item);
    expect(skipped.tasks.map(({ status }) => status)).toEqual(["Completed", "Skipped"]);
    goOn();
    await service.untilAllEnded();
    await azure.live(10);
    await backUp(service, item);
    const [third, second, first] = await points(item);
    if (!second || !first) throw new Error("there are three points");
    expect([third, second, first].map(({ archive }) => archive !== null)).toEqual([true, false, true]);
    const [one, two, three] = [await bytesOf(item, first), await bytesOf(item, second), await bytesOf(item, third)];
    expect([sameBytes(one, two), sameBytes(two, three)]).toEqual([false, false]);
    await expectRestores(item, second, two, "snapshot");
    await expectBothTiers(item, third, three);
    await expectBothTiers(item, first, one);
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
    await expectRestores(item, point, [all[0], all[2]] as Buffer[], "snapshot", [1]);
    await expectBothTiers(item, point, all);
    await expectRestores(item, point, [all[0], all[2]] as Buffer[], "vault", [1]);
    await expectRestores(item, point, [all[0]] as Buffer[], "vault", []);
    await machines.start("demo", "db-01", { updateIntervalInMs: 5 });
  });

  it("is backed up again after one of its disks has grown, and restored in the size of each time", async () => {
    const { disks, virtualMachines } = azure.compute();
    await virtualMachines.deallocate("demo", "app-01", { updateIntervalInMs: 5 });
    const item = await service.protect("app-01");
    await backUp(service, item);
    const [small] = await points(item);
    const before = await bytesOf(item, small);
    const { storageProfile } = await virtualMachines.get("demo", "app-01");
    const grown = storageProfile?.dataDisks?.find(({ lun }) => lun === 0)?.name ?? "";
    await disks.update("demo", grown, { diskSizeGB: 2 }, { updateIntervalInMs: 5 });
    await virtualMachines.start("demo", "app-01", { updateIntervalInMs: 5 });
    await azure.live(5);
    expect(await backUp(service, item)).toMatchObject({ status: "Completed", failure: null });
    const [point] = await points(item);
    const bytes = await bytesOf(item, point);
    const sizes = (all: readonly Buffer[]) => all.map(({ length }) => length / 2 ** 20);
    expect([sizes(before), sizes(bytes)]).toEqual([
      [20, 21],
      [20, 2048],
    ]);
    await expectBothTiers(item, small, before);
    await expectBothTiers(item, point, bytes);
  });
});
