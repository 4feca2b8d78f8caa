import { describe, expect, it, vi } from "vitest";
import { findGarbage, listPins, markDropping, markLive, removeDropped, sweep } from "../../../src/vault/collect.ts";
import type { ListedPins } from "../../../src/vault/collection-margins.ts";
import { pinName } from "../../../src/vault/format/names.ts";
import type { Vault } from "../../../src/vault/open-vault.ts";
import type { PackSet } from "../../../src/vault/pack-set.ts";
import { deletePoint } from "../../../src/vault/point-states.ts";
import { abandonTransfer, beginTransfer } from "../../../src/vault/points.ts";
import { type Outcome, Violation } from "../../support/exploration.ts";
import { type Actor, explore, type World } from "../../support/interleavings.ts";
import {
  A,
  abandon,
  aPointRemains,
  collector,
  collectorAgain,
  deleteA,
  deleteB,
  HOUR_MS,
  holdA,
  makeWorld,
  nothingIsLost,
  R,
  relativeGoesOn,
  relativeTransfer,
  standingPoints,
  T,
  transfer,
  transferAgain,
  undeleteA,
} from "./protocol-model.ts";

// Thousands of runs each: seconds on a machine of one's own, more on a busy one.
vi.setConfig({ testTimeout: 300_000 });

/** Whatever was stored before a collector lists the pins is old enough to be swept. */
const jump = { text: "list pins/", ms: 2 * HOUR_MS };
const isIn = (world: World, point: { transfer: string }) =>
  standingPoints(world).some((standing) => standing.point.transfer === point.transfer);

/** A world in which A was deleted before anybody began. */
async function worldWithADeleted(): Promise<World> {
  const world = await makeWorld();
  await deletePoint(world.vault, A, { reason: "expired" });
  world.archive.advance(HOUR_MS);
  world.state.advance(HOUR_MS);
  return world;
}

/** The relative's transfer has begun, then A was deleted and is dropping, but a pin still keeps it. */
async function worldWhereAIsDroppingWhilePinned(): Promise<World> {
  const world = await makeWorld(1);
  await beginTransfer(world.vault, R, [A]);
  await deletePoint(world.vault, A, { reason: "expired" });
  await markDropping(world.vault, true);
  return world;
}

const nobody: ListedPins = { transfers: new Set(), points: new Map(), storeDate: new Date() };

async function sweepUnmarked(vault: Vault, pins: ListedPins, marked: PackSet): Promise<void> {
  await sweep(vault, { ...(await findGarbage(vault, pins, { marked, voids: [] })), remains: [] });
}

/** The same steps, with manifests listed before pins: it looks as harmless as the right order. */
const wrongCollector: Actor = {
  name: "wrong collector",
  async run(vault: Vault) {
    const dropping = await markDropping(vault, true);
    const live = await markLive(vault, dropping, nobody, new Set());
    const pins = await listPins(vault);
    await removeDropped(vault, dropping, pins, true);
    await sweepUnmarked(vault, pins, live.marked);
  },
};

/** A retention that deletes A, and what a collector does to it up to the moment when it is gone. */
const deleteAndDropA: Actor = {
  name: "another collector",
  async run(vault: Vault) {
    await deletePoint(vault, A, { reason: "expired" });
    const dropping = await markDropping(vault, true);
    await removeDropped(vault, dropping, await listPins(vault), true);
  },
};

/** Deletes manifests before it has listed pins. */
const hastyCollector: Actor = {
  name: "hasty collector",
  async run(vault: Vault) {
    const dropping = await markDropping(vault, true);
    await removeDropped(vault, dropping, nobody, true);
    const pins = await listPins(vault);
    const live = await markLive(vault, dropping, { ...pins, points: new Map() }, new Set());
    await sweepUnmarked(vault, pins, live.marked);
  },
};

/** Does not look whether somebody else dropped a point meanwhile. */
const blindCollector: Actor = {
  name: "blind collector",
  async run(vault: Vault) {
    const dropping = await markDropping(vault, true);
    const pins = await listPins(vault);
    await removeDropped(vault, dropping, pins, true);
    const live = await markLive(vault, dropping, pins, new Set());
    await sweepUnmarked(vault, pins, live.marked);
  },
};

/** Does not mark what listed pins name. */
const forgetfulCollector: Actor = {
  name: "forgetful collector",
  async run(vault: Vault) {
    const dropping = await markDropping(vault, true);
    const pins = await listPins(vault);
    await removeDropped(vault, dropping, pins, true);
    const live = await markLive(vault, dropping, { ...pins, points: new Map() }, new Set());
    await sweepUnmarked(vault, pins, live.marked);
  },
};

describe("The protocol of points and the collector, in every interleaving", () => {
  it("keeps what a committing transfer needs, whatever a collector sees of it", async () => {
    const world = await makeWorld();
    const actors = [transfer, collector];
    const explored = await explore({ world, actors, jumpBefore: jump, check: nothingIsLost, checkEnd: mustCommit });
    expect(explored.states).toBeGreaterThan(300);

    function mustCommit(end: World, outcomes: ReadonlyMap<string, Outcome>) {
      if (outcomes.get("transfer")?.kind !== "done" || !isIn(end, T)) throw new Error("the transfer did not commit");
    }
  });

  it("loses data when manifests are listed before pins", async () => {
    const actors = [transfer, wrongCollector];
    const attempt = explore({ world: await makeWorld(), actors, jumpBefore: jump, check: nothingIsLost });
    await expect(attempt).rejects.toBeInstanceOf(Violation);
  });

  it("loses data when dropping manifests are deleted before pins are listed", async () => {
    const world = await makeWorld();
    const actors = [transfer, deleteA, hastyCollector];
    const attempt = explore({ world, actors, jumpBefore: jump, maxPreemptions: 2, check: nothingIsLost });
    await expect(attempt).rejects.toThrow(/has lost pack/);
  });

  it("loses data when a collector does not look again for what another one dropped", async () => {
    const world = await makeWorld(1);
    const actors = [relativeTransfer, deleteAndDropA, blindCollector];
    const attempt = explore({ world, actors, jumpBefore: jump, maxPreemptions: 1, check: nothingIsLost });
    await expect(attempt).rejects.toThrow(/has lost pack/);
  });

  it("loses data when a collector does not mark what pinned transfers borrow", async () => {
    const world = await worldWhereAIsDroppingWhilePinned();
    const actors = [relativeGoesOn, collector, forgetfulCollector];
    const attempt = explore({ world, actors, jumpBefore: jump, maxPreemptions: 1, check: nothingIsLost });
    await expect(attempt).rejects.toThrow(/has lost pack/);
  });

  it("loses nothing while it lists page by page, a relative borrows, and another collector drops", async () => {
    const world = await makeWorld(1);
    const actors = [relativeTransfer, deleteAndDropA, collector];
    await explore({ world, actors, jumpBefore: jump, maxPreemptions: 1, check: nothingIsLost });
  });

  it("loses nothing to two collectors while a pinned transfer still borrows from a dropping point", async () => {
    const world = await worldWhereAIsDroppingWhilePinned();
    const actors = [relativeGoesOn, collector, collectorAgain];
    await explore({ world, actors, jumpBefore: jump, maxPreemptions: 1, check: nothingIsLost });
  });

  it("settles a race of commit and abandonment on one outcome that all agree on", async () => {
    const world = await makeWorld();
    const actors = [transfer, transferAgain, abandon];
    const maxPreemptions = 2;
    await explore({
      maxPreemptions,
      world,
      actors,
      check: nothingIsLost,
      checkEnd(end, outcomes) {
        const voided = outcomes.get("abandon")?.kind === "done" && !isIn(end, T);
        for (const name of ["transfer", "transfer again"]) {
          if (outcomes.get(name)?.kind === "done" && voided) throw new Error(`${name} committed what was voided`);
        }
        if (end.state.bodyOf(pinName(T.transfer)) && isIn(end, T))
          throw new Error("a committed transfer is still pinned");
      },
    });
  });

  it("keeps what a transfer borrows while the lender is deleted and collected", async () => {
    const actors = [transfer, deleteA, collector];
    const maxPreemptions = 2;
    await explore({
      maxPreemptions,
      world: await makeWorld(),
      actors,
      jumpBefore: jump,
      check: nothingIsLost,
      checkEnd: aPointRemains,
    });
  });

  it("keeps what a transfer borrows while the lender is already deleted, undeleted and collected", async () => {
    const actors = [transfer, undeleteA, collector];
    const maxPreemptions = 2;
    await explore({
      maxPreemptions,
      world: await worldWithADeleted(),
      actors,
      jumpBefore: jump,
      check: nothingIsLost,
      checkEnd: aPointRemains,
    });
  });

  it("undeletes a point wholly, or not at all", async () => {
    const world = await worldWithADeleted();
    await explore({
      world,
      actors: [undeleteA, collector, collectorAgain],
      maxPreemptions: 2,
      check: nothingIsLost,
      checkEnd(end, outcomes) {
        const undeleted = outcomes.get("undelete A")?.kind === "done";
        if (undeleted !== isIn(end, A))
          throw new Error(`undelete ${undeleted ? "succeeded" : "failed"}, yet A is ${isIn(end, A)}`);
      },
    });
  });

  it("never deletes the last point, however deletions race", async () => {
    const world = await makeWorld();
    const actors = [deleteA, deleteB, undeleteA];
    await explore({ world, actors, crashes: 1, lostAnswers: 1, check: aPointRemains });
  });

  it("never drops a point that was held before it was dropping", async () => {
    const world = await makeWorld();
    await explore({
      world,
      actors: [holdA, deleteA, collector],
      check: nothingIsLost,
      checkEnd(end, outcomes) {
        if (outcomes.get("hold A")?.kind === "done" && !isIn(end, A)) throw new Error("a held point is gone");
      },
    });
  });

  it("survives a crash anywhere, and whoever comes next finishes the work", async () => {
    const world = await makeWorld();
    await explore({
      world,
      actors: [transfer, collector],
      crashes: 1,
      check: nothingIsLost,
      async checkEnd(end) {
        const after = { ...end, archive: end.archive.copy(), state: end.state.copy() };
        const vault = { ...end.vault, archive: after.archive, state: after.state };
        const outcome = await abandonTransfer(vault, T, "crashed");
        await collector.run(vault, after);
        nothingIsLost({ ...after, vault });
        if ((outcome === "committed") !== isIn({ ...after, vault }, T))
          throw new Error("the outcome is not what stands");
      },
    });
  });

  it("survives a lost answer anywhere", async () => {
    const world = await makeWorld();
    const actors = [transfer, abandon, collector];
    const maxPreemptions = 2;
    await explore({ maxPreemptions, world, actors, lostAnswers: 1, check: nothingIsLost });
  });

  it("survives all of it at once: transfer, deletion, undeletion, collection and abandonment", async () => {
    const world = await makeWorld();
    const actors = [transfer, deleteA, undeleteA, collector, abandon];
    const check = (now: World) => {
      nothingIsLost(now);
      aPointRemains(now);
    };
    await explore({ world, actors, jumpBefore: jump, maxPreemptions: 1, check });
  });

  it("lets two executions of one transfer and a collector meet anywhere", async () => {
    const world = await makeWorld();
    const actors = [transfer, transferAgain, collector];
    const maxPreemptions = 2;
    await explore({ maxPreemptions, world, actors, jumpBefore: jump, check: nothingIsLost });
  });
});
