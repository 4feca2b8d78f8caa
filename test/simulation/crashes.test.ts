// The process is killed at any call it makes, with the call taking effect or not, and another one goes on: every job comes
// to the end that its sub-tasks say, nothing is left behind, and every byte is there.

import { describe, expect, it, vi } from "vitest";
import { sequence } from "../../localhost/azure/disks/generated-content.ts";
import { faultsOf, liveADay, startSmallWorld } from "../support/small-world.ts";

vi.setConfig({ testTimeout: 60_000 });

/** Says at each call whether the process dies there, and whether that call still takes effect. */
type Fate = (call: string) => "goes on" | "dies before" | "dies after";

async function liveWith(fate: Fate) {
  const world = await startSmallWorld();
  const { service } = world;
  const killed: string[] = [];
  const passOn: typeof service.onCall = (_call, perform) => perform();
  service.onCall = async (call, perform) => {
    const end = fate(call);
    if (end !== "goes on") killed.push(`${end} ${call}`);
    if (end === "dies before") service.kill();
    const answer = end === "dies before" ? (undefined as never) : await perform();
    if (end === "dies after") service.kill();
    return answer;
  };
  try {
    await liveADay(world);
    service.onCall = passOn;
    const faults = await faultsOf(world);
    const statuses = (await service.jobs()).map(({ status }) => status);
    return { faults, statuses, killed, crashes: service.crashes };
  } finally {
    await service.close();
  }
}

/** At one call in so many, drawn from the seed. */
function random(seed: number, oneIn: number): Fate {
  const draw = sequence(seed);
  return () => {
    if (draw() % oneIn !== 0) return "goes on";
    return draw() % 2 === 0 ? "dies before" : "dies after";
  };
}

/** The first time that a call is made, and never again. */
function once(name: RegExp, end: "dies before" | "dies after", skip = 0): Fate {
  let left = skip;
  let isOver = false;
  return (call) => {
    if (isOver || !name.test(call) || left-- > 0) return "goes on";
    isOver = true;
    return end;
  };
}

describe("A day of backups and restores", () => {
  it("keeps every promise and completes every job", async () => {
    const { faults, statuses } = await liveWith(() => "goes on");
    expect(faults).toEqual([]);
    expect(statuses).toEqual(["Completed", "Completed", "Completed", "Completed", "Completed"]);
  });

  it.each([1, 2, 3])(
    "is the same when the process is killed at one call in forty, drawn from seed %i",
    async (seed) => {
      const { faults, statuses, killed, crashes } = await liveWith(random(seed, 40));
      expect({ faults, killed: faults.length === 0 ? [] : killed }).toEqual({ faults: [], killed: [] });
      // A kill before its job had a row loses no more than that job.
      expect(statuses.filter((status) => status !== "Completed")).toEqual([]);
      expect(crashes).toBeGreaterThan(15);
    },
  );

  it.each([
    ["the snapshot is asked for", once(/snapshots\.begin/, "dies after")],
    ["the second transfer is pinned", once(/state\.create/, "dies after", 12)],
    ["a pack is written", once(/archive\.create/, "dies after")],
    ["a disk is made", once(/targets\.beginFromSnapshot/, "dies after")],
    ["an upload has begun", once(/targets\.beginUpload/, "dies after")],
    ["bytes are being written", once(/openForWriting\.write/, "dies before", 1)],
    ["the upload is finished", once(/targets\.finishUpload/, "dies after")],
    ["the files are written", once(/staging\.write/, "dies after")],
    ["a snapshot is being removed", once(/snapshots\.remove/, "dies after")],
  ])("is the same when the process is killed when %s", async (_when, fate) => {
    const { faults, killed, crashes } = await liveWith(fate);
    expect(faults).toEqual([]);
    expect(killed).toHaveLength(1);
    expect(crashes).toBe(1);
  });
});
