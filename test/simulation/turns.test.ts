// More machines than there are places for transfers: snapshots are taken at once, transfers come one after another, and who
// waits holds nothing of the platform's.

import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { HoldfastFailure } from "../../src/base/failure.ts";
import { cancelJob } from "../../src/control/jobs.ts";
import type { ItemBody } from "../../src/control/rows/item-row.ts";
import type { JobBody } from "../../src/control/rows/job-row.ts";
import type { SlotBody } from "../../src/control/rows/work-rows.ts";
import { freeSlot, takeSlot } from "../../src/control/slots.ts";
import { LIMITS } from "../../src/domain/limits.ts";
import { brokenPromises } from "../support/invariants.ts";
import { MemoryCloud, memoryDisk } from "../support/memory-cloud.ts";
import { TestService, VAULT } from "../support/service.ts";
import { machineIdOf } from "../support/service-rows.ts";
import { startBackup } from "../support/service-work.ts";

const HOUR_MS = 3_600_000;
const PLACES = LIMITS.transfersPerSliceSlot;

let cloud: MemoryCloud;
let service: TestService;

beforeEach(async () => {
  cloud = new MemoryCloud({ makingMs: 5_000, removingMs: 5_000 });
  service = await TestService.start(cloud, { chunkBytes: 64 * 1024, settings: { sliceSlots: 1 } });
});

afterEach(async () => {
  await service.close();
});

async function protectMachine(name: string): Promise<ItemBody> {
  cloud.addMachine(machineIdOf(name), [memoryDisk(`${name}-os`, 1024 * 1024, 1)]);
  return service.protect(name);
}

const statusesOf = ({ tasks }: JobBody): string[] => tasks.map(({ status }) => status);
const hasBegunTransfer = ({ backup }: JobBody): boolean => backup?.transfer !== null;

/** By something that never ends by itself. */
async function takeAllPlaces(): Promise<() => Promise<void>> {
  const holders = Array.from({ length: PLACES }, (_, at) => ({ vault: VAULT, job: `stuck-${at}`, part: "transfer" }));
  for (const holder of holders) expect(await takeSlot(service.deps, "transfers", holder)).toBe(true);
  return async () => {
    for (const holder of holders) await freeSlot(service.deps, "transfers", holder);
  };
}

describe("Transfers take turns", () => {
  it("so many at a time, while every machine has its recovery point, and all come to their end", async () => {
    const items: ItemBody[] = [];
    for (let number = 1; number <= PLACES + 3; number++) items.push(await protectMachine(`vm-${number}`));
    const goOn = service.holdUp((call) => call === "archive.create");
    for (const item of items) await startBackup(service, item);
    await service.until(async () => (await service.jobs()).filter(hasBegunTransfer).length === PLACES);
    const allHavePoints = async () =>
      (await Promise.all(items.map((item) => service.points(item)))).every((points) => points.length === 1);
    await service.until(allHavePoints);
    await service.pass(30_000);
    expect((await service.jobs()).filter(hasBegunTransfer)).toHaveLength(PLACES);
    goOn();
    const ended = await service.untilAllEnded();
    expect(ended.map(({ status }) => status)).toEqual(items.map(() => "Completed"));
    expect(await brokenPromises(service, cloud)).toEqual([]);
  });

  it("after hours of waiting as well, in one execution after another", async () => {
    const item = await protectMachine("vm-1");
    const leave = await takeAllPlaces();
    const id = await startBackup(service, item);
    await service.pass(3 * HOUR_MS);
    expect(statusesOf(await service.job(id))).toEqual(["Completed", "InProgress"]);
    expect(hasBegunTransfer(await service.job(id))).toBe(false);
    await leave();
    const itsTurnMs = service.now().getTime();
    const { status, progress } = await service.end(id);
    expect(status).toBe("Completed");
    // What it tells of its pace leaves the waiting out.
    expect(Date.parse(progress["0"]?.moving?.since ?? "")).toBeGreaterThanOrEqual(itsTurnMs);
    expect(await brokenPromises(service, cloud)).toEqual([]);
  });

  it("and one that is cancelled while it waits ends with its snapshot, and takes no place", async () => {
    const item = await protectMachine("vm-1");
    const leave = await takeAllPlaces();
    const id = await startBackup(service, item);
    await service.pass(60_000);
    await cancelJob(service.deps, { vault: VAULT, job: id });
    const { status, tasks } = await service.end(id);
    expect([status, ...tasks.map((task) => task.status)]).toEqual(["CompletedWithWarnings", "Completed", "Cancelled"]);
    expect((await service.points(item)).map(({ snapshot }) => snapshot.state)).toEqual(["valid"]);
    await leave();
    expect(await brokenPromises(service, cloud)).toEqual([]);
  });

  it("and one whose archive is away for hours, so that it cannot even be given up, keeps no place from others", async () => {
    const item = await protectMachine("vm-1");
    let isAway = false;
    service.onCall = async (name, perform) => {
      isAway ||= name === "archive.create";
      if (isAway && /^(?:archive|state)\./.test(name)) throw new HoldfastFailure("unavailable", "Away", "It is away");
      return perform();
    };
    const id = await startBackup(service, item);
    await service.pass(2 * HOUR_MS);
    expect(await service.job(id)).toMatchObject({ endedAt: null });
    const holders = (service.tables.bodiesOf("slots") as SlotBody[]).map(({ holder }) => holder);
    expect(holders).toEqual(holders.map(() => null));
    expect(holders).not.toEqual([]);
    service.onCall = (_name, perform) => perform();
    await service.untilAllEnded();
    expect(await brokenPromises(service, cloud)).toEqual([]);
  });

  it("and a place whose job is over, or never was, is freed by the reconciler", async () => {
    const item = await protectMachine("vm-1");
    await takeAllPlaces();
    const id = await startBackup(service, item);
    await service.untilAllEnded();
    expect((await service.job(id)).status).toBe("Completed");
    expect(await brokenPromises(service, cloud)).toEqual([]);
  });
});
