import { describe, expect, it, vi } from "vitest";
import { listPins, markDropping, removeDropped } from "../../../src/vault/collect.ts";
import { executeCompaction, planCompaction, planPacks } from "../../../src/vault/compact.ts";
import { packName, pointName } from "../../../src/vault/format/names.ts";
import { isKind, readIfPresent } from "../../../src/vault/objects.ts";
import type { Vault } from "../../../src/vault/open-vault.ts";
import { deletePoint } from "../../../src/vault/point-states.ts";
import { type Outcome, Violation } from "../../support/exploration.ts";
import { type Actor, explore, type World } from "../../support/interleavings.ts";
import {
  A,
  abandon,
  backup,
  collector,
  commit,
  compactor,
  deleteA,
  type GenerationWorld,
  generationsOf,
  isHealed,
  lostParts,
  makeGenerationWorld,
  makeUnfinishedWorld,
  makeWorldWithTPinned,
  nothingElseIsLost,
  nothingIsLost,
  reader,
  repairer,
  undeleteA,
  verifier,
} from "./generation-model.ts";

/** Whatever was stored before a collector lists the pins is old enough to be swept. */
const jump = { text: "list pins/", ms: 2 * 3_600_000 };

const operations = [
  ...[backup, commit, abandon, deleteA, undeleteA, collector, compactor, repairer, reader, verifier],
] as const;

/** Reading and verifying must succeed whatever happens beside them; the others may give way, but for known reasons. */
const MAY_GIVE_WAY = [
  ...["HoldfastCollectionOverlaps", "HoldfastPointDeleted", "HoldfastPointDropping", "HoldfastPointNotFound"],
  ...["HoldfastTransferOver", "HoldfastLastPoint", "HoldfastPacksMissing"],
];

function mustSucceedOrGiveWay(outcomes: ReadonlyMap<string, Outcome>): void {
  for (const [name, outcome] of outcomes) {
    if (outcome.kind !== "failed") continue;
    const mustSucceed = name.startsWith("read") || name.startsWith("verify");
    if (mustSucceed || !MAY_GIVE_WAY.includes(outcome.code)) throw new Error(`${name} failed: ${outcome.code}`);
  }
}

async function worldFor(actors: readonly Actor[]): Promise<GenerationWorld> {
  const has = (actor: Actor) => actors.some(({ name }) => name.startsWith(actor.name));
  const world = await (has(commit) || has(abandon) ? makeWorldWithTPinned() : makeGenerationWorld());
  if (has(undeleteA)) await deletePoint(world.vault, A, { reason: "expired" });
  return world;
}

const again = (actor: Actor): Actor => ({ ...actor, name: `${actor.name} again` });

// Thousands of runs each: seconds on a machine of one's own, more on a busy one.
vi.setConfig({ testTimeout: 300_000 });

describe("Every two operations of a vault, in every interleaving with at most two preemptions", () => {
  const pairs = operations.flatMap((left, index) =>
    operations.slice(index).map((right) => [left, left === right ? again(right) : right] as const),
  );
  it.each(pairs.map(([left, right]) => ({ pair: `${left.name} and ${right.name}`, actors: [left, right] })))(
    "$pair lose nothing, and nobody reads anything else",
    async ({ actors }) => {
      const world = await worldFor(actors);
      await explore({
        ...{ world, actors, jumpBefore: jump, maxPreemptions: 2, check: nothingIsLost },
        checkEnd: (_, outcomes) => mustSucceedOrGiveWay(outcomes),
      });
    },
  );
});

describe("Compaction, in every interleaving", () => {
  it("drops what is dead and keeps the rest", async () => {
    const world = await makeGenerationWorld();
    const sizeBefore = world.archive.bodyOf(packName(world.half))?.length ?? 0;
    await explore({
      ...{ world, actors: [compactor, reader], crashes: 1, lostAnswers: 1, maxPreemptions: 1, check: nothingIsLost },
      async checkEnd(end) {
        const after = copyOf(end);
        await compactor.run(after.vault, after);
        expect(generationsOf(after, world.half)).toEqual([1]);
        expect(after.archive.bodyOf(packName(world.half, 1))?.length).toBeLessThan(sizeBefore * 0.7);
        nothingIsLost(after);
      },
    });
  });

  it("keeps what a transfer borrows meanwhile, exhaustively", async () => {
    const world = await makeGenerationWorld();
    const explored = await explore({ world, actors: [backup, compactor], check: nothingIsLost });
    expect(explored.states).toBeGreaterThan(500);
  });

  it("keeps what a transfer borrows from a point that another collector removes meanwhile", async () => {
    const world = await makeGenerationWorld({ pageSize: 1 });
    const actors = [backup, deleteAndDropA, compactor];
    await explore({ world, actors, maxPreemptions: 1, check: nothingIsLost });
  });

  it("keeps what a running transfer borrowed from a point that is dropping", async () => {
    const world = await worldWhereAIsDroppingWhilePinned();
    const actors = [commit, collector, compactor];
    await explore({ world, actors, jumpBefore: jump, maxPreemptions: 1, check: nothingIsLost });
  });

  it("twice at once, with a collection beside it, loses nothing", async () => {
    const world = await worldFor([undeleteA]);
    const actors = [compactor, again(compactor), collector];
    await explore({ world, actors, jumpBefore: jump, maxPreemptions: 1, check: nothingIsLost });
  });

  it("beside an undeletion and a collection keeps what is undeleted", async () => {
    const world = await worldFor([undeleteA]);
    const actors = [compactor, undeleteA, collector];
    await explore({ world, actors, jumpBefore: jump, maxPreemptions: 1, check: nothingIsLost });
  });

  it("that stops anywhere is finished by the next one", async () => {
    const world = await makeUnfinishedWorld();
    for (const finisher of [compactor, repairer]) {
      await explore({
        ...{ world, actors: [finisher, reader], check: nothingIsLost },
        checkEnd: (end) => expect(generationsOf(end, world.half)).toHaveLength(1),
      });
    }
  });

  it("loses data when it does not look whether a collector removed a point meanwhile", async () => {
    const world = await makeGenerationWorld({ pageSize: 1 });
    const blind = variant(async (vault) => {
      await executeCompaction(vault, await planPacks(vault, await inUse(vault)));
    });
    const attempt = explore({
      world,
      actors: [backup, deleteAndDropA, blind],
      maxPreemptions: 1,
      check: nothingIsLost,
    });
    await expect(attempt).rejects.toThrow(/lost y of 0/);
  });

  it("loses data when it takes packs that a pin may use", async () => {
    const world = await worldWhereAIsDroppingWhilePinned();
    const deaf = variant(async (vault) => {
      const nobody = { transfers: new Set<never>(), packs: new Set<string>() };
      await executeCompaction(vault, await planPacks(vault, nobody));
    });
    const actors = [commit, collector, deaf];
    const attempt = explore({ world, actors, jumpBefore: jump, maxPreemptions: 1, check: nothingIsLost });
    await expect(attempt).rejects.toThrow(/lost y of 0/);
  });

  it("loses data when it goes on without a point that has gone since it was listed", async () => {
    const world = await makeGenerationWorld();
    const forgiving = variant(async (vault) => {
      const plan = await planCompaction(vault);
      const isThere = await Promise.all(plan.points.map((point) => readIfPresent(vault.archive, pointName(point))));
      await executeCompaction(vault, { ...plan, points: plan.points.filter((_, index) => isThere[index]) });
    });
    const actors = [backup, deleteAndDropA, forgiving];
    const attempt = explore({ world, actors, maxPreemptions: 1, check: nothingIsLost });
    await expect(attempt).rejects.toBeInstanceOf(Violation);
  });
});

describe("Repair, in every interleaving", () => {
  const besides = [
    ...[reader, collector, deleteA].map((beside) => ({ beside, maxPreemptions: 2 })),
    ...[verifier, compactor, backup].map((beside) => ({ beside, maxPreemptions: 1 })),
  ].map(({ beside, maxPreemptions }) => ({ name: beside.name, beside, maxPreemptions }));
  it.each(besides)("heals every point, also beside $name", async ({ beside, maxPreemptions }) => {
    const world = await makeGenerationWorld({ damaged: true });
    await explore({
      ...{ world, actors: [repairer, tolerant(beside)], jumpBefore: jump, maxPreemptions, check: nothingElseIsLost },
      async checkEnd(end, outcomes) {
        if (outcomes.get("repair")?.kind !== "done") throw new Error(`repair failed beside ${beside.name}`);
        expect(lostParts(end)).toEqual([]);
      },
    });
  });

  it("by two at once ends in one sound generation and an empty record", async () => {
    const world = await makeGenerationWorld({ damaged: true });
    await explore({
      ...{ world, actors: [repairer, again(repairer)], maxPreemptions: 2, check: nothingElseIsLost },
      async checkEnd(end) {
        expect(lostParts(end)).toEqual([]);
        expect(generationsOf(end, world.half)).toHaveLength(1);
        expect(await isHealed({ ...world, ...end })).toBe(true);
      },
    });
  });

  it.each([
    { what: "dies anywhere", faults: { crashes: 1, maxPreemptions: 1 } },
    { what: "loses an answer anywhere", faults: { lostAnswers: 1, maxPreemptions: 1 } },
  ])("that $what is finished by the next one", async ({ faults }) => {
    const world = await makeGenerationWorld({ damaged: true });
    await explore({
      ...{ world, actors: [repairer, again(repairer)], ...faults },
      check: nothingElseIsLost,
      async checkEnd(end) {
        const after = copyOf(end);
        await repairer.run(after.vault, after);
        expect(lostParts(after)).toEqual([]);
        expect(generationsOf(after, world.half)).toHaveLength(1);
        expect(await isHealed({ ...world, ...after })).toBe(true);
      },
    });
  });

  it("beside a compaction and a reader keeps what both want", async () => {
    const world = await makeGenerationWorld({ damaged: true });
    const actors = [repairer, compactor, tolerant(reader)];
    await explore({ world, actors, maxPreemptions: 1, check: nothingElseIsLost });
  });
});

/** A retention that deletes A, and what a collector does to it up to the moment when it is gone. */
const deleteAndDropA: Actor = {
  name: "another collector",
  async run(vault: Vault) {
    await deletePoint(vault, A, { reason: "expired" });
    const dropping = await markDropping(vault, true);
    await removeDropped(vault, dropping, await listPins(vault), true);
  },
};

async function worldWhereAIsDroppingWhilePinned(): Promise<GenerationWorld> {
  const world = await makeWorldWithTPinned(1);
  await deletePoint(world.vault, A, { reason: "expired" });
  await markDropping(world.vault, true);
  return world;
}

function variant(run: (vault: Vault) => Promise<void>): Actor {
  return { name: "compact wrongly", run };
}

async function inUse(vault: Vault) {
  const { transfers } = await listPins(vault);
  return { transfers, packs: new Set<string>() };
}

/** Meets the damage while it is not healed: that is what it should do then. */
function tolerant(actor: Actor): Actor {
  return {
    ...actor,
    run: (vault, world) =>
      actor.run(vault, world).catch((cause) => {
        if (isKind(cause, "corrupt") || /^found |read something else/.test(String(cause?.message))) return undefined;
        throw cause;
      }),
  };
}

function copyOf(world: World): World {
  const [archive, state] = [world.archive.copy(), world.state.copy()];
  return { archive, state, vault: { ...world.vault, archive, state } };
}
