// What becomes of a vault's data when nobody needs it any more.

import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { collectVaults } from "../../src/control/care.ts";
import { purgeDueItems } from "../../src/control/purge.ts";
import type { JobBody } from "../../src/control/rows/job-row.ts";
import { parseItemId, pinName, type TransferId } from "../../src/vault/format/names.ts";
import { beginTransfer, readPoint } from "../../src/vault/points.ts";
import { newTransferId } from "../../src/vault/transfer.ts";
import { VAULT } from "../support/service.ts";
import { backUp, openArchive } from "../support/service-work.ts";
import { beginBackup, faultsOf, type SmallWorld, startSmallWorld, write } from "../support/small-world.ts";

const DAY_MS = 24 * 3_600_000;
let world: SmallWorld;

beforeEach(async () => {
  world = await startSmallWorld();
});

afterEach(async () => {
  await world.service.close();
});

const packNames = (): readonly string[] =>
  [...world.service.archive.stores.values()].flatMap(({ archive }) => archive.names("packs/"));

const pinNames = (): readonly string[] =>
  [...world.service.archive.stores.values()].flatMap(({ state }) => state.names("pins/"));

const transferOf = ({ backup }: JobBody): TransferId => backup?.transfer as TransferId;

async function backUpOnce(seed = 1): Promise<void> {
  write(world, seed);
  const job = await backUp(world.service, world.item);
  expect(job.status).toBe("Completed");
}

/** The item is removed for good, as the purge does whose time has come. */
async function purge(): Promise<void> {
  const { service, item } = world;
  const now = service.now().toISOString();
  await service.changeItem(item, { state: "ProtectionStopped", deletedAt: now, purgeAt: now });
  for (let look = 0; look < 5 && (await service.points(item)).length > 0; look++) {
    await purgeDueItems(service.deps, VAULT);
    await service.pass(60_000);
  }
  await purgeDueItems(service.deps, VAULT);
  expect(await service.item(item)).toBeUndefined();
}

/** Ends its orchestration at a call, and lets what runs of it go on, at once or when the answer is called. */
async function loseAt(job: string, isThere: (call: string) => boolean, isHeldUp = false): Promise<() => void> {
  const { service } = world;
  const { promise: mayGoOn, resolve: goOn } = Promise.withResolvers<void>();
  let isLost = false;
  service.onCall = async (name, perform) => {
    if (isLost || !isThere(name)) return perform();
    isLost = true;
    await service.hub.hub.client.send(job, { kind: "terminate", reason: "an operator ended it" });
    if (isHeldUp) await mayGoOn;
    return perform();
  };
  await service.until(async () => isLost);
  await service.settle();
  return goOn;
}

describe("Collecting", () => {
  it("removes all that an item had once it is removed for good and the vault's own grace is over", async () => {
    const { service } = world;
    await backUpOnce();
    await purge();
    await collectVaults(service.deps);
    expect(packNames()).not.toEqual([]);
    await service.pass(15 * DAY_MS);
    await collectVaults(service.deps);
    expect(packNames()).toEqual([]);
  });

  it("never takes the last point of an item that is still there", async () => {
    const { service } = world;
    await backUpOnce();
    await service.pass(400 * DAY_MS);
    const before = packNames();
    await collectVaults(service.deps);
    expect(packNames()).toEqual(before);
    expect(before).not.toEqual([]);
  });
});

describe("A job that lost its orchestration, and is taken up when its item is removed for good", () => {
  it("in the midst of its transfer leaves nothing for good", async () => {
    const { service } = world;
    await backUpOnce();
    write(world, 2);
    const job = await beginBackup(world);
    await loseAt(job, (call) => call === "archive.create");
    expect(pinNames()).toEqual([pinName(transferOf(await service.job(job)))]);
    await purge();
    await service.untilAllEnded();
    expect(pinNames()).toEqual([]);
    await service.pass(15 * DAY_MS);
    await collectVaults(service.deps);
    expect(packNames()).toEqual([]);
  });

  it("and then commits a point of which no row tells, takes the point away as well", async () => {
    const { service, item } = world;
    await backUpOnce();
    write(world, 2);
    const before = packNames().length;
    const job = await beginBackup(world);
    // With its packs there, it lists them to commit.
    const goOn = await loseAt(job, (call) => call === "archive.list" && packNames().length > before, true);
    const point = { item: parseItemId(item.archiveItem), transfer: transferOf(await service.job(job)) };
    await purge();
    goOn();
    await service.settle();
    const vault = await openArchive(service);
    expect((await readPoint(vault, point))?.kind).toBe("manifest");
    await service.untilAllEnded();
    expect(pinNames()).toEqual([]);
    await service.pass(15 * DAY_MS);
    await collectVaults(service.deps);
    expect(packNames()).toEqual([]);
  });
});

describe("A transfer without progress", () => {
  it("is given up a week later when no job works on it, and not before", async () => {
    const { service, item } = world;
    for (const seed of [1, 2, 3]) await backUpOnce(seed);
    const vault = await openArchive(service);
    const point = { item: parseItemId(item.archiveItem), transfer: newTransferId(vault) };
    await beginTransfer(vault, point, []);
    await service.pass(6 * DAY_MS);
    await collectVaults(service.deps);
    expect(pinNames()).toEqual([pinName(point.transfer)]);
    await service.pass(2 * DAY_MS);
    await collectVaults(service.deps);
    expect(pinNames()).toEqual([]);
    expect((await readPoint(vault, point))?.kind).toBe("void");
  });

  it("of a job that is open goes on after weeks, and is committed", async () => {
    const { service } = world;
    write(world, 1);
    await beginBackup(world);
    await service.untilAllEnded();
    write(world, 2);
    const job = await beginBackup(world);
    const { promise: isHeldUp, resolve: goOn } = Promise.withResolvers<void>();
    service.onCall = async (name, perform) => {
      if (name === "archive.create") await isHeldUp;
      return perform();
    };
    await service.until(async () => pinNames().length > 0);
    for (let weeks = 0; weeks < 3; weeks++) {
      service.hub.clock.advance(7 * DAY_MS);
      await collectVaults({ ...service.deps, archives: service.archive });
    }
    expect(pinNames()).toEqual([pinName(transferOf(await service.job(job)))]);
    goOn();
    await service.untilAllEnded();
    expect((await service.job(job)).status).toBe("Completed");
    expect(await faultsOf(world)).toEqual([]);
  });
});
