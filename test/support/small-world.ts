// A cloud in memory with one small machine, the service over it, and a day of its life: backups while it writes, restores from
// both tiers. What is written here is the same in every run, so that a run may be cut off at any of its calls.

import { HoldfastFailure } from "../../src/base/failure.ts";
import { releaseSnapshot } from "../../src/control/point-removal.ts";
import type { ItemBody } from "../../src/control/rows/item-row.ts";
import type { PointBody } from "../../src/control/rows/point-row.ts";
import { brokenPromises } from "./invariants.ts";
import { MemoryCloud, memoryDisk } from "./memory-cloud.ts";
import { TestService, VAULT } from "./service.ts";
import { machineIdOf } from "./service-rows.ts";
import { beginRestore, disksInVault, startBackup } from "./service-work.ts";

const MiB = 2 ** 20;

export interface SmallWorld {
  readonly cloud: MemoryCloud;
  readonly service: TestService;
  readonly item: ItemBody;
  /** What the machine's disks held when each point was taken, by the job. */
  readonly taken: Map<string, Buffer[]>;
  /** Names of snapshots that the test took away itself. */
  readonly lost: Set<string>;
}

export async function startSmallWorld(name = "vm-1"): Promise<SmallWorld> {
  const cloud = new MemoryCloud({ makingMs: 5_000, removingMs: 5_000 });
  const service = await TestService.start(cloud, { chunkBytes: 64 * 1024 });
  cloud.addMachine(machineIdOf(name), [memoryDisk(`${name}-os`, 2 * MiB, 1), memoryDisk(`${name}-data`, MiB, 7)]);
  return { cloud, service, item: await service.protect(name), taken: new Map(), lost: new Set() };
}

/** Starts a backup, and keeps what the disks hold now: nothing is written to them until it has ended. */
export async function beginBackup(world: SmallWorld): Promise<string> {
  const { service, cloud, item, taken } = world;
  const now = cloud.disksOf(item.machineId).map(({ bytes }) => Buffer.from(bytes));
  const id = await startBackup(service, item, {}, (job) => taken.set(job, now));
  return id;
}

export function write({ cloud, item }: SmallWorld, seed: number): void {
  for (const disk of cloud.disksOf(item.machineId)) disk.fill((seed % 5) * 128 * 1024, 80 * 1024, seed);
}

/** From now on the point is in the vault alone. The test took its snapshot, not the service: no base is missed. */
export async function leaveToVault({ service, item, lost }: SmallWorld, point: PointBody): Promise<void> {
  await releaseSnapshot(service.deps, VAULT, item, point);
  await service.pass(10_000);
  await releaseSnapshot(service.deps, VAULT, item, point);
  lost.add(point.snapshot.ref?.name ?? "");
}

/** Restores every point from each tier that has it; `faultsOf` compares what came of it. Answers the tiers, newest first. */
export async function restoreFromAllTiers(world: SmallWorld): Promise<string[][]> {
  const { service, item } = world;
  const tiers: string[][] = [];
  for (const point of await service.points(item)) {
    const from = [await tierOfRestore(world, point)];
    if (point.archive) {
      await leaveToVault(world, point);
      from.push(await tierOfRestore(world, point));
    }
    tiers.push(from);
  }
  return tiers;
}

async function tierOfRestore({ service, item }: SmallWorld, point: PointBody): Promise<string> {
  const { status, restore } = await service.end(await beginRestore(service, item, point));
  if (status !== "Completed" || !restore) return `a restore that is ${status}`;
  return [
    ...new Set(restore.disks.map(({ snapshotDiskId }) => (snapshotDiskId === null ? "vault" : "snapshot"))),
  ].join();
}

/** Three backups, then a restore from each tier. */
export async function liveADay(world: SmallWorld): Promise<void> {
  const { service, item } = world;
  for (const seed of [11, 12, 13]) {
    write(world, seed);
    // A starter that dies leaves the job's row, and the reconciler does the rest.
    await ask(service, () => beginBackup(world));
    await service.untilAllEnded();
  }
  const [newest, , oldest] = await service.points(item);
  if (oldest?.archive) {
    await ask(service, () => releaseSnapshot(service.deps, VAULT, item, oldest));
    await service.pass(10_000);
    await ask(service, () => releaseSnapshot(service.deps, VAULT, item, oldest));
  }
  for (const point of [newest, oldest]) {
    if (!point || (point === oldest && !point.archive)) continue;
    await ask(service, () => beginRestore(service, item, point));
    await service.untilAllEnded();
  }
}

/** As a person asks: who gets no answer looks later what became of it. */
async function ask(service: TestService, work: () => Promise<unknown>): Promise<void> {
  await service.whileAlive(work).catch((cause: unknown) => {
    if (!(cause instanceof HoldfastFailure) || cause.kind !== "unavailable") throw cause;
  });
}

/** Everything that is wrong with the world, bytes included. */
export async function faultsOf(world: SmallWorld): Promise<string[]> {
  const { service, cloud, item, lost } = world;
  const faults = await brokenPromises(service, cloud, { lost });
  for (const point of await service.points(item)) {
    if (point.archive) faults.push(...(await differences(world, point, await disksInVault(service, item, point))));
  }
  for (const { id, restore, status } of await service.jobs()) {
    if (!restore || status !== "Completed") continue;
    const point = (await service.points(item)).find(({ pointId }) => pointId === restore.pointId);
    const disks = restore.disks.map(({ targetDiskId }) => cloud.targets.get(targetDiskId)?.bytes ?? Buffer.alloc(0));
    if (point) faults.push(...(await differences(world, point, disks)).map((text) => `restore ${id}: ${text}`));
    if (!service.staged.has(`holdfast-restore-${id}`)) faults.push(`restore ${id} has written no files`);
  }
  return faults;
}

async function differences({ taken }: SmallWorld, { jobId, pointId }: PointBody, disks: readonly Buffer[]) {
  const wanted = taken.get(jobId) ?? [];
  const isSame = wanted.length === disks.length && wanted.every((bytes, at) => bytes.equals(disks[at] as Buffer));
  return isSame ? [] : [`point ${pointId} does not hold what its snapshot held`];
}
