// Places for slices: so many at once and no more, none lost to an execution that died.

import { expect, it } from "vitest";
import { inSlot } from "../../../src/activities/slots.ts";
import type { ControlDeps } from "../../../src/control/control-deps.ts";
import { MemoryTableStore } from "../../support/memory-table-store.ts";

const step = (slice: number) => ({ vault: "sub/vault1", job: "job-1", disk: 0, slice });

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
const die = (deps: ControlDeps, slice: number) =>
  new Promise<void>((resolve) => {
    void inSlot(deps, step(slice), () => {
      resolve();
      return new Promise(() => {});
    });
  });

it("lets so many slices work at once, and tells the next one to come again", async () => {
  const { deps, holders } = world(2);
  await die(deps, 0);
  await die(deps, 1);
  expect(await inSlot(deps, step(2), async () => "worked")).toBeUndefined();
  expect(holders()).toHaveLength(2);
});

it("gives a slice that died its own place again, also when a lower one is free by then", async () => {
  const { deps, holders } = world(2);
  let leave = (): void => {};
  const first = inSlot(
    deps,
    step(0),
    () =>
      new Promise<void>((resolve) => {
        leave = resolve;
      }),
  );
  await new Promise((resolve) => setImmediate(resolve));
  await die(deps, 1);
  leave();
  await first;
  expect(await inSlot(deps, step(1), async () => "worked")).toBe("worked");
  expect(holders()).toEqual([null, null]);
});

it("takes a dead slice's place only when its job is over, and never for its age", async () => {
  const { deps, pass, end } = world(1);
  await die(deps, 0);
  pass(10 * 24 * 3_600_000);
  expect(await inSlot(deps, step(1), async () => "worked")).toBeUndefined();
  end();
  expect(await inSlot(deps, step(1), async () => "worked")).toBe("worked");
});
