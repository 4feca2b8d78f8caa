// What becomes of a vault's data when nobody needs it any more.

import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { collectVaults } from "../../src/control/care.ts";
import { purgeDueItems } from "../../src/control/purge.ts";
import { VAULT } from "../support/service.ts";
import { backUp } from "../support/service-work.ts";
import { type SmallWorld, startSmallWorld, write } from "../support/small-world.ts";

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

async function backUpOnce(): Promise<void> {
  write(world, 1);
  const job = await backUp(world.service, world.item);
  expect(job.status).toBe("Completed");
}

describe("Collecting", () => {
  it("removes all that an item had once it is removed for good and the vault's own grace is over", async () => {
    const { service, item } = world;
    await backUpOnce();
    const now = service.now().toISOString();
    await service.changeItem(item, { state: "ProtectionStopped", deletedAt: now, purgeAt: now });
    for (let look = 0; look < 5 && (await service.points(item)).length > 0; look++) {
      await purgeDueItems(service.deps, VAULT);
      await service.pass(60_000);
    }
    await purgeDueItems(service.deps, VAULT);
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
