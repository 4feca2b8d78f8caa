// Places for slices and transfers: so many at once and no more, none lost to an execution that died.

import { expect, it } from "vitest";
import type { ControlDeps } from "../../../src/control/control-deps.ts";
import { freeAbandonedSlots, freeSlot, inSlot, takeSlot } from "../../../src/control/slots.ts";
import { LIMITS } from "../../../src/domain/limits.ts";
import { MemoryTableStore } from "../../support/memory-table-store.ts";

const slice = (number: number) => ({ vault: "sub/vault1", job: "job-1", part: `0/${number}` });
const transfer = (number: number) => ({ vault: "sub/vault1", job: `job-${number}`, part: "transfer" });

function world(sliceSlots: number) {
  const tables = new MemoryTableStore();
  let nowMs = 0;
  let state: "running" | "over" = "running";
  const deps = {
    tables,
    clock: { now: () => new Date(nowMs) },
    settings: { sliceSlots },
    workflow: { stateOf: async () => state },
  } as unknown as ControlDeps;
  const holders = () => (tables.bodiesOf("slots") as { holder: string | null }[]).map(({ holder }) => holder);
  return {
    ...{ deps, holders },
    pass: (ms: number) => {
      nowMs += ms;
    },
    end: () => {
      state = "over";
    },
  };
}

/** Takes its place, and is never heard of again. */
const die = (deps: ControlDeps, number: number) =>
  new Promise<void>((resolve) => {
    void inSlot(deps, "slices", slice(number), () => {
      resolve();
      return new Promise(() => {});
    });
  });

it("lets so many slices work at once, and tells the next one to come again", async () => {
  const { deps, holders } = world(2);
  await die(deps, 0);
  await die(deps, 1);
  expect(await inSlot(deps, "slices", slice(2), async () => "worked")).toBeUndefined();
  expect(holders()).toHaveLength(2);
});

it("gives a slice that died its own place again, also when a lower one is free by then", async () => {
  const { deps, holders } = world(2);
  let leave = (): void => {};
  const first = inSlot(
    deps,
    "slices",
    slice(0),
    () =>
      new Promise<void>((resolve) => {
        leave = resolve;
      }),
  );
  await new Promise((resolve) => setImmediate(resolve));
  await die(deps, 1);
  leave();
  await first;
  expect(await inSlot(deps, "slices", slice(1), async () => "worked")).toBe("worked");
  expect(holders()).toEqual([null, null]);
});

it("frees a dead slice's place only when its job is over, and never for its age", async () => {
  const { deps, pass, end } = world(1);
  await die(deps, 0);
  pass(10 * 24 * 3_600_000);
  expect(await inSlot(deps, "slices", slice(1), async () => "worked")).toBeUndefined();
  await freeAbandonedSlots(deps);
  expect(await inSlot(deps, "slices", slice(1), async () => "worked")).toBeUndefined();
  end();
  await freeAbandonedSlots(deps);
  expect(await inSlot(deps, "slices", slice(1), async () => "worked")).toBe("worked");
});

it("lets several transfers for each slice be under way, each until it says that it is over", async () => {
  const { deps } = world(2);
  const places = 2 * LIMITS.transfersPerSliceSlot;
  for (let number = 0; number < places; number++)
    expect(await takeSlot(deps, "transfers", transfer(number))).toBe(true);
  expect(await takeSlot(deps, "transfers", transfer(0))).toBe(true);
  expect(await takeSlot(deps, "transfers", transfer(places))).toBe(false);
  await freeSlot(deps, "transfers", transfer(0));
  expect(await takeSlot(deps, "transfers", transfer(places))).toBe(true);
  expect(await inSlot(deps, "slices", slice(0), async () => "worked")).toBe("worked");
});

it("gives a place to one of those that ask for it at once", async () => {
  const { deps } = world(1);
  const answers = await Promise.all(
    Array.from({ length: 12 }, (_, number) => takeSlot(deps, "transfers", transfer(number))),
  );
  expect(answers.filter((isTaken) => isTaken)).toHaveLength(LIMITS.transfersPerSliceSlot);
});
