// Rows, archives and the platform fail, and lose answers to what took effect: jobs come to an end all the same, nothing that
// was promised is lost, and nothing is left behind.

import { describe, expect, it, vi } from "vitest";
import { sequence } from "../../localhost/azure/disks/generated-content.ts";
import { HoldfastFailure } from "../../src/base/failure.ts";
import { retainVault } from "../../src/control/retention.ts";
import type { Gate } from "../support/gate.ts";
import { VAULT } from "../support/service.ts";
import { beginBackup, faultsOf, liveADay, startSmallWorld, write } from "../support/small-world.ts";

vi.setConfig({ testTimeout: 60_000 });

const unavailable = (call: string): HoldfastFailure =>
  new HoldfastFailure("unavailable", "HoldfastTestUnavailable", `${call} is not to be had`);

/** Of the calls that fit one in so many fails: half of them before they take effect, half after. */
function failing(calls: RegExp, oneIn: number, seed: number): Gate & { readonly count: () => number } {
  const draw = sequence(seed);
  let count = 0;
  const gate: Gate = async (call, perform) => {
    if (!calls.test(call) || draw() % oneIn !== 0) return perform();
    count++;
    if (draw() % 2 === 0) throw unavailable(call);
    await perform();
    throw unavailable(call);
  };
  return Object.assign(gate, { count: () => count });
}

async function liveWith(gate: Gate) {
  const world = await startSmallWorld();
  const { service } = world;
  service.onCall = gate;
  try {
    await liveADay(world);
    service.onCall = (_call, perform) => perform();
    await service.untilAllEnded();
    const jobs = await service.jobs();
    const failures = jobs.flatMap(({ operation, status, failure, tasks }) =>
      status === "Completed" ? [] : [`${operation} ${status}: ${JSON.stringify(failure ?? tasks)}`],
    );
    return { faults: await faultsOf(world), failures };
  } finally {
    await service.close();
  }
}

describe("A day of backups and restores", () => {
  it.each([
    ["rows", /^tables\./, 25],
    ["archives", /^(archive|state)\./, 12],
    ["the platform", /^(machines|snapshots|targets|staging)\.(?!.*allocatedRanges)/, 12],
    ["everything", /^(?!.*allocatedRanges)/, 30],
  ] as const)("comes to a good end when calls to %s fail or lose their answers", async (_what, calls, oneIn) => {
    for (const seed of [1, 2]) {
      const gate = failing(calls, oneIn, seed);
      const { faults, failures } = await liveWith(gate);
      expect(faults).toEqual([]);
      expect(gate.count()).toBeGreaterThan(5);
      // Ten attempts at each step are more than enough at these rates.
      expect(failures).toEqual([]);
    }
  });

  it.each([
    ["rows", /^tables\.(insert|replace)/],
    ["archives", /^(archive|state)\.create/],
  ])("comes to an end when %s are gone for half an hour in the middle of it", async (_what, calls) => {
    const world = await startSmallWorld();
    const { service } = world;
    let calmAtMs = 0;
    let count = 0;
    service.onCall = async (call, perform) => {
      if (!calls.test(call)) return perform();
      if (++count === 20) calmAtMs = service.now().getTime() + 30 * 60_000;
      if (service.now().getTime() < calmAtMs) throw unavailable(call);
      return perform();
    };
    try {
      await liveADay(world);
      service.onCall = (_call, perform) => perform();
      await service.untilAllEnded();
      expect(await faultsOf(world)).toEqual([]);
    } finally {
      await service.close();
    }
  });
});

describe("What cannot be done keeps nobody else from their turn", () => {
  it("a snapshot that is locked does not keep later backups from ending, and goes when the lock is gone", async () => {
    const world = await startSmallWorld();
    const { service, item, cloud } = world;
    let isLocked = true;
    service.onCall = async (call, perform) => {
      if (isLocked && call === "snapshots.remove") {
        throw new HoldfastFailure("conflict", "ScopeLocked", "The scope is locked");
      }
      return perform();
    };
    try {
      for (const seed of [1, 2]) {
        write(world, seed);
        await service.end(await beginBackup(world));
        await service.pass(3 * 24 * 3_600_000);
      }
      expect((await service.jobs()).map(({ status }) => status)).toEqual(["Completed", "Completed"]);
      expect((await service.points(item)).map(({ snapshot }) => snapshot.state)).toEqual(["valid", "leaving"]);
      await expect(retainVault(service.deps, VAULT)).rejects.toMatchObject({ code: "ScopeLocked" });
      isLocked = false;
      await retainVault(service.deps, VAULT);
      await service.pass(10_000);
      await retainVault(service.deps, VAULT);
      expect((await service.points(item)).map(({ snapshot }) => snapshot.state)).toEqual(["valid", "deleted"]);
      expect(cloud.snapshots.size).toBe(1);
      expect(await faultsOf(world)).toEqual([]);
    } finally {
      await service.close();
    }
  });
});
