// Points go when their time is over and not before, copy by copy, and whatever was cut off is brought to its end by the next
// pass.

import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { purgeDueItems } from "../../src/control/purge.ts";
import { retainVault } from "../../src/control/retention.ts";
import type { PointBody } from "../../src/control/rows/point-row.ts";
import type { Policy } from "../../src/domain/policy.ts";
import { recordDamage } from "../../src/vault/damage.ts";
import { parseTransferId } from "../../src/vault/format/names.ts";
import { readPointPacks } from "../../src/vault/points.ts";
import { DAILY, VAULT } from "../support/service.ts";
import { backUp, manifestOf, openArchive } from "../support/service-work.ts";
import { faultsOf, type SmallWorld, startSmallWorld, write } from "../support/small-world.ts";

const DAY_MS = 24 * 3_600_000;
let world: SmallWorld;

beforeEach(async () => {
  world = await startSmallWorld();
});

afterEach(async () => {
  await world.service.close();
});

let seed = 0;

/** A scheduled backup of the present day, with these tags. */
async function backUpDay(tags: PointBody["tags"] = ["Daily"], more: object = {}): Promise<void> {
  const { service, item, cloud, taken } = world;
  write(world, ++seed);
  const scheduledAt = service.now().toISOString();
  const job = await backUp(service, item, { scheduledAt, policy: "Daily", retainUntil: null, tags, ...more });
  expect(job.status).toBe("Completed");
  taken.set(
    job.id,
    cloud.disksOf(item.machineId).map(({ bytes }) => Buffer.from(bytes)),
  );
}

/** So many days, a backup each. */
async function backUpDays(count: number): Promise<void> {
  for (let day = 0; day < count; day++) {
    await backUpDay();
    await world.service.pass(DAY_MS - 60_000);
  }
}

async function retain(): Promise<void> {
  const { service } = world;
  await retainVault(service.deps, VAULT);
  await service.pass(10_000);
  await retainVault(service.deps, VAULT);
}

const points = (): Promise<PointBody[]> => world.service.points(world.item);
const states = async (): Promise<string[]> =>
  (await points()).map(({ snapshot, archive }) => `${snapshot.state}/${archive ? "vault" : "-"}`);
const policy = (more: Partial<Policy>): Promise<void> => world.service.writePolicy("Daily", { ...DAILY, ...more });

describe("Snapshots", () => {
  it("go after the policy's days of instant restore, but for the newest, which the next backup is compared with", async () => {
    await backUpDays(4);
    await world.service.pass(DAY_MS);
    await retain();
    expect(await states()).toEqual(["valid/vault", "deleted/vault", "deleted/vault", "deleted/vault"]);
    expect(world.cloud.snapshots.size).toBe(1);
  });

  it("that are the diff base stay until their successor is in the vault", async () => {
    await backUpDay();
    await world.service.pass(5 * DAY_MS);
    // The next one stays in the snapshot tier: what is in the vault builds on the first.
    await backUpDay([], { goesToVault: false });
    await retain();
    expect(await states()).toEqual(["valid/-", "valid/vault"]);
    await world.service.pass(DAY_MS);
    await backUpDay();
    await world.service.pass(3 * DAY_MS);
    await retain();
    // The point that lived in its snapshot alone is gone with it.
    expect(await states()).toEqual(["valid/vault", "deleted/vault"]);
    const [newest] = await points();
    const { manifest } = await manifestOf(world.service, world.item, newest as PointBody);
    expect(manifest.disks[0]?.stats.readBytes).toBeLessThan(512 * 1024);
  });
});

describe("Points in the vault", () => {
  it("go when the last rule they fall under is over, and the newest stays however old it is", async () => {
    await policy({ retention: { daily: { keepDays: 7 }, weekly: { weekdays: ["Sunday"], keepWeeks: 3 } } });
    // 2026-03-01 is a Sunday.
    await backUpDay(["Daily", "Weekly"]);
    await world.service.pass(DAY_MS);
    await backUpDay();
    await world.service.pass(7 * DAY_MS);
    await backUpDay();
    await retain();
    // The newest has taken the tag of the Sunday in between, which was missed.
    expect((await points()).map(({ tags }) => tags)).toEqual([
      ["Daily", "Weekly"],
      ["Daily", "Weekly"],
    ]);
    await world.service.pass(400 * DAY_MS);
    await retain();
    expect(await states()).toEqual(["valid/vault"]);
    expect(await faultsOf(world)).toEqual([]);
  });

  it("that somebody asked for stay until the date that was given, whatever the policy says", async () => {
    const { service, item } = world;
    const until = new Date(service.now().getTime() + 3 * DAY_MS).toISOString();
    await backUp(service, item, { retainUntil: until });
    await backUpDay();
    await service.pass(2 * DAY_MS);
    await policy({ retention: { daily: { keepDays: 7 } }, instantRestoreDays: 1 });
    await retain();
    expect(await points()).toHaveLength(2);
    await service.pass(2 * DAY_MS);
    await retain();
    expect((await points()).map(({ retainUntil }) => retainUntil)).toEqual([null]);
  });

  it("take the tag of a day that was missed, and stay for it", async () => {
    await policy({ retention: { daily: { keepDays: 7 }, weekly: { weekdays: ["Sunday"], keepWeeks: 50 } } });
    // Sunday the 8th is missed.
    await world.service.pass(DAY_MS);
    for (let day = 2; day <= 20; day++) {
      if (day !== 8) await backUpDay(day === 15 ? ["Daily", "Weekly"] : ["Daily"]);
      await world.service.pass(DAY_MS - 60_000);
      await retain();
    }
    const weekly = (await points()).filter(({ tags }) => tags.includes("Weekly"));
    expect(weekly.map(({ isPromoted }) => isPromoted)).toEqual([false, true]);
    await world.service.pass(30 * DAY_MS);
    await backUpDay();
    await retain();
    const left = (await points()).map(({ pointId }) => pointId);
    expect(weekly.every(({ pointId }) => left.includes(pointId))).toBe(true);
    // And Friday the 20th, the last before Sunday the 22nd, which was missed too.
    expect(left).toHaveLength(4);
  });

  it("live on under the weekly rule that an earlier policy left behind", async () => {
    await backUpDay(["Weekly"]);
    await world.service.pass(DAY_MS);
    await backUpDay();
    await world.service.changeItem(world.item, { formerWeeklyRule: { weekdays: ["Sunday"], keepWeeks: 4 } });
    await world.service.pass(20 * DAY_MS);
    await retain();
    expect(await points()).toHaveLength(2);
    await world.service.pass(9 * DAY_MS);
    await retain();
    expect(await points()).toHaveLength(1);
  });

  it("do not count as the last one when they are damaged", async () => {
    await policy({ retention: { daily: { keepDays: 7 } } });
    await backUpDays(2);
    const vault = await openArchive(world.service);
    const [newest] = await points();
    const { manifest } = await manifestOf(world.service, world.item, newest as PointBody);
    const point = { item: manifest.item, transfer: parseTransferId(newest?.archive?.transfer ?? "") };
    for (const packs of await readPointPacks(vault, point)) {
      for (const { pack } of packs.list())
        if (pack.transfer === point.transfer) await recordDamage(vault, pack, true, []);
    }
    await world.service.pass(20 * DAY_MS);
    await retain();
    const left = await points();
    expect(left.map(({ archive }) => archive?.transfer)).not.toContain(undefined);
    expect(left.at(-1)?.pointId).not.toBe(newest?.pointId);
  });
});

describe("An item", () => {
  it("that is stopped keeps every point; one whose backups are suspended loses them but for the last", async () => {
    await policy({ retention: { daily: { keepDays: 7 } } });
    await backUpDays(3);
    await world.service.changeItem(world.item, { state: "ProtectionStopped", policy: null });
    await world.service.pass(50 * DAY_MS);
    await retain();
    expect(await points()).toHaveLength(3);
    await world.service.changeItem(world.item, { state: "BackupsSuspended", policy: "Daily" });
    await retain();
    expect(await points()).toHaveLength(1);
  });

  it("that is soft-deleted keeps its points until its days are over, and then nothing of it is left", async () => {
    const { service, item, cloud } = world;
    await policy({ retention: { daily: { keepDays: 7 } } });
    await backUpDays(2);
    const deletedAt = service.now().toISOString();
    const purgeAt = new Date(service.now().getTime() + 14 * DAY_MS).toISOString();
    await service.changeItem(item, { state: "ProtectionStopped", deletedAt, purgeAt });
    await service.pass(13 * DAY_MS);
    await retain();
    await purgeDueItems(service.deps, VAULT);
    expect(await points()).toHaveLength(2);
    await service.pass(2 * DAY_MS);
    for (let pass = 0; pass < 3; pass++) {
      await purgeDueItems(service.deps, VAULT);
      await service.pass(10_000);
    }
    expect(await service.item(item)).toBeUndefined();
    expect(service.tables.bodiesOf("points")).toEqual([]);
    expect(service.tables.bodiesOf("captures")).toEqual([]);
    expect(cloud.snapshots.size).toBe(0);
  });
});

describe("A retention pass", () => {
  it("that dies at any of its calls is finished by the next one", async () => {
    const { service } = world;
    await policy({ retention: { daily: { keepDays: 7 } } });
    await backUpDays(3);
    await service.pass(20 * DAY_MS);
    for (let call = 0; (await points()).length > 1 && call < 200; call += 3) {
      let left = call;
      service.onCall = async (_call, perform) => {
        if (left-- === 0) service.kill();
        return perform();
      };
      await service.whileAlive(() => retainVault(service.deps, VAULT));
      service.onCall = (_call, perform) => perform();
      await service.pass(10_000);
    }
    await retain();
    expect(await states()).toEqual(["valid/vault"]);
    expect(service.tables.bodiesOf("captures")).toHaveLength(1);
    expect(await faultsOf(world)).toEqual([]);
  });
});
