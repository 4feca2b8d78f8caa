// A backup that is cancelled while its transfer is under way: its recovery point stays a snapshot, of the transfer nothing is
// left but the word that it was given up, and the next backup is as good as any.

import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { collectVaults } from "../../src/control/care.ts";
import { cancelJob } from "../../src/control/jobs.ts";
import { reconcileVaults } from "../../src/control/reconcile.ts";
import type { JobBody } from "../../src/control/rows/job-row.ts";
import type { SlotBody } from "../../src/control/rows/work-rows.ts";
import { freeSlot, takeSlot } from "../../src/control/slots.ts";
import { LIMITS } from "../../src/domain/limits.ts";
import { fragmentsOf, packsOf, parseItemId, parseTransferId, type TransferId } from "../../src/vault/format/names.ts";
import { readPoint } from "../../src/vault/points.ts";
import { memoryDisk } from "../support/memory-cloud.ts";
import { VAULT } from "../support/service.ts";
import { SETTINGS } from "../support/service-rows.ts";
import { openArchive } from "../support/service-work.ts";
import { beginBackup, faultsOf, type SmallWorld, startSmallWorld, write } from "../support/small-world.ts";

const MiB = 2 ** 20;
const DAY_MS = 24 * 3_600_000;
let world: SmallWorld;

/** Three disks of a slice each, of which two are transferred at once: the third one begins when they are done. */
beforeEach(async () => {
  world = await startSmallWorld();
  const disks = ["os", "data-1", "data-2"].map((name, at) => memoryDisk(`vm-1-${name}`, MiB, 1 + 10 * at));
  world.cloud.addMachine(world.item.machineId, disks);
});

afterEach(async () => {
  await world.service.close();
});

const stores = () => {
  const [only] = world.service.archive.stores.values();
  if (!only) throw new Error("the vault has an archive");
  return only;
};

const transferOf = ({ backup }: JobBody): TransferId => parseTransferId(backup?.transfer ?? "");

const jobOf = (id: string): JobBody => {
  const job = (world.service.tables.bodiesOf("jobs") as JobBody[]).find((body) => body.id === id);
  if (!job) throw new Error(`there is no job ${id}`);
  return job;
};

/** By disk and number. */
const slicesWrittenBy = (job: JobBody): string[] => {
  if (job.backup?.transfer == null) return [];
  const prefix = fragmentsOf(transferOf(job));
  const names = stores().state.names(prefix);
  return names.map((name) => name.slice(prefix.length)).filter((name) => /^\d+-\d+$/.test(name));
};

const slots = (): SlotBody[] => world.service.tables.bodiesOf("slots") as SlotBody[];

/** How many of the job's slices are at work. */
const placesOf = (id: string): number =>
  slots().filter(({ job, holder }) => job === id && /\/\d+\/\d+$/.test(holder ?? "")).length;

interface Moment {
  readonly isHeld: (call: string, job: string) => boolean;
  readonly isReached: (job: string) => boolean;
}

const UPLOADING: Moment = {
  isHeld: (call) => call === "archive.create",
  isReached: (job) => placesOf(job) === 2,
};
const UPLOADING_ALONE: Moment = { ...UPLOADING, isReached: (job) => placesOf(job) === 1 };
const BETWEEN: Moment = {
  isHeld: (_call, job) => slicesWrittenBy(jobOf(job)).length === 2,
  isReached: (job) => slicesWrittenBy(jobOf(job)).length === 2,
};

/** Backs up, holds its calls up at the moment, and asks to cancel there. */
async function cancelBackup({ isHeld, isReached }: Moment, beforeItGoesOn = async () => {}): Promise<JobBody> {
  const { service } = world;
  const id = await beginBackup(world);
  const goOn = service.holdUp((call) => isHeld(call, id));
  await service.until(async () => isReached(id));
  const { status } = await cancelJob({ ...service.deps, tables: service.tables }, { vault: VAULT, job: id });
  expect(status).toBe("Cancelling");
  await beforeItGoesOn();
  service.onCall = (_call, perform) => perform();
  goOn();
  await service.untilAllEnded();
  return jobOf(id);
}

async function completeBackup(): Promise<void> {
  const { service } = world;
  await service.pass(1_000);
  const id = await beginBackup(world);
  await service.untilAllEnded();
  const { status, tasks } = await service.job(id);
  expect([status, ...tasks.map((task) => task.status)]).toEqual(["Completed", "Completed", "Completed"]);
}

async function expectGivenUp(job: JobBody): Promise<void> {
  const { service, cloud, item } = world;
  expect(job.status).toBe("CompletedWithWarnings");
  expect(job.tasks.map(({ status }) => status)).toEqual(["Completed", "Cancelled"]);
  const point = { item: parseItemId(item.archiveItem), transfer: transferOf(job) };
  expect((await readPoint(await openArchive(service), point))?.kind).toBe("void");
  expect(stores().state.names("pins/")).toEqual([]);
  expect(slots().length).toBeGreaterThan(1);
  expect(slots().filter(({ holder }) => holder !== null)).toEqual([]);
  expect([...cloud.openAccess]).toEqual([]);
  const [newest] = await service.points(item);
  expect(newest).toMatchObject({ jobId: job.id, archive: null, snapshot: { state: "valid" } });
  expect(await faultsOf(world)).toEqual([]);
}

async function completeBackups(count: number): Promise<void> {
  for (let seed = 1; seed <= count; seed++) {
    await completeBackup();
    write(world, seed);
  }
}

describe("Cancelling a transfer", () => {
  it.each([
    ["a first backup's, between two slices", 0, BETWEEN],
    ["a first backup's, while slices upload", 0, UPLOADING],
    ["a later backup's, between two slices", 2, BETWEEN],
    ["a later backup's, while slices upload", 2, UPLOADING],
  ])(
    "(%s) gives it up and keeps the point as a snapshot; the next backup completes",
    async (_which, earlier, moment) => {
      await completeBackups(earlier);
      const job = await cancelBackup(moment);
      expect(slicesWrittenBy(job)).toEqual(["0-0", "1-0"]);
      await expectGivenUp(job);
      write(world, 4);
      await completeBackup();
      const points = await world.service.points(world.item);
      const inVault = points.map(({ archive }) => archive !== null);
      expect(inVault).toEqual([true, false, ...Array(earlier).fill(true)]);
      expect(await faultsOf(world)).toEqual([]);
    },
  );

  it("does the same when the process dies at that moment, once the reconciler has been there", async () => {
    const { service } = world;
    await completeBackups(1);
    const job = await cancelBackup(UPLOADING, async () => service.kill());
    expect(service.crashes).toBe(1);
    await service.pass(2 * LIMITS.sliceRunMs);
    await reconcileVaults(service.deps);
    await expectGivenUp(job);
    await completeBackup();
    expect(await faultsOf(world)).toEqual([]);
  });

  it("ends the slice that waits for its place, without giving it one", async () => {
    const { service } = world;
    const others = Array.from({ length: SETTINGS.sliceSlots - 1 }, (_, at) => ({
      ...{ vault: VAULT, job: `other-${at}`, part: "0/0" },
    }));
    for (const other of others) expect(await takeSlot(service.deps, "slices", other)).toBe(true);
    const job = await cancelBackup(UPLOADING_ALONE, () => service.pass(10_000));
    expect(slicesWrittenBy(job)).toHaveLength(1);
    for (const other of others) await freeSlot(service.deps, "slices", other);
    await expectGivenUp(job);
  });

  it("leaves its packs to the collector, which takes them when the vault's grace is over", async () => {
    const { service } = world;
    await completeBackups(4);
    const job = await cancelBackup(BETWEEN);
    const packs = () => stores().archive.names(packsOf(transferOf(job)));
    expect(packs()).not.toEqual([]);
    await service.pass(15 * DAY_MS);
    await collectVaults(service.deps);
    expect(packs()).toEqual([]);
    expect(await faultsOf(world)).toEqual([]);
  });
});
