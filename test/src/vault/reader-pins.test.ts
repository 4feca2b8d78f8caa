import { describe, expect, it } from "vitest";
import type { HoldfastFailure } from "../../../src/base/failure.ts";
import type { Timer } from "../../../src/ports/clock.ts";
import { collect } from "../../../src/vault/collect.ts";
import { voidStaleTransfers } from "../../../src/vault/leftovers.ts";
import type { Vault } from "../../../src/vault/open-vault.ts";
import { deletePoint } from "../../../src/vault/point-states.ts";
import { pinFor, whilePinned } from "../../../src/vault/reader-pins.ts";
import { newTransferId } from "../../../src/vault/transfer.ts";
import { MemoryDisk } from "../../support/memory-disk.ts";
import { CHUNK, pointOf, restoreFrom, TestVault } from "../../support/vault-fixture.ts";

const HOUR_MS = 3_600_000;
const DAY_MS = 24 * HOUR_MS;

/** A timer that rings when the stores' clock is moved, and a vault that has it. */
async function withTimer() {
  const fixture = await TestVault.create({ softDeleteDays: 1 });
  const calls = new Map<() => void, { periodMs: number; dueMs: number }>();
  const timer: Timer = {
    every(periodMs, call) {
      calls.set(call, { periodMs, dueMs: fixture.state.now().getTime() + periodMs });
      return () => calls.delete(call);
    },
  };
  const disk = new MemoryDisk(20 * CHUNK);
  disk.fill(0, 9 * CHUNK, 1);
  const first = await fixture.backUp(disk.snapshot());
  const bytes = Buffer.from(disk.bytes);
  disk.fill(0, 9 * CHUNK, 2);
  await fixture.backUp(disk.snapshot());
  const vault: Vault = { ...fixture.vault, timer };
  return {
    ...{ fixture, vault, first, bytes, calls },
    /** Hour by hour; whoever is due rings, and is given time to finish. `asleep`: the machine was, and nothing rang. */
    async pass(ms: number, { asleep = false, daily = async () => {} } = {}): Promise<void> {
      for (let hours = 1; hours <= ms / HOUR_MS; hours++) {
        fixture.advance(HOUR_MS);
        for (const [call, alarm] of asleep ? [] : calls) {
          if (alarm.dueMs > fixture.state.now().getTime()) continue;
          alarm.dueMs += alarm.periodMs;
          call();
          for (let turn = 0; turn < 20; turn++) await new Promise((resolve) => setImmediate(resolve));
        }
        if (hours % 24 === 0) await daily();
      }
    },
    gc: async () => {
      await voidStaleTransfers(fixture.vault);
      await collect(fixture.vault, { force: true });
    },
  };
}

type World = Awaited<ReturnType<typeof withTimer>>;
const pinOf = ({ vault, first }: World) =>
  pinFor(vault, "read", newTransferId(vault), null, [pointOf(first)], "mounted");

describe("The pin of a reader", () => {
  it("keeps its point for as long as the reader lives, through a deletion and thirty days of collections", async () => {
    const world = await withTimer();
    const { fixture, vault, first, bytes } = world;
    await whilePinned(vault, pinOf(world), async () => {
      await deletePoint(vault, pointOf(first), { reason: "expired" });
      await world.pass(30 * DAY_MS, { daily: world.gc });
      expect(fixture.state.names("pins/")).toHaveLength(1);
      expect((await restoreFrom(vault, first)).equals(bytes)).toBe(true);
    });
    expect(fixture.state.names("pins/")).toEqual([]);
    expect(world.calls.size).toBe(0);
    await world.pass(DAY_MS);
    await world.gc();
    await expect(restoreFrom(vault, first)).rejects.toMatchObject({ kind: "corrupt" });
  });

  it("dies a week after its reader was killed, and not before", async () => {
    const world = await withTimer();
    const { fixture, vault, first } = world;
    void whilePinned({ ...vault, timer: undefined }, pinOf(world), () => new Promise(() => undefined));
    await expect.poll(() => fixture.state.names("pins/")).toHaveLength(1);
    await deletePoint(vault, pointOf(first), { reason: "expired" });
    await world.pass(6 * DAY_MS, { daily: world.gc });
    expect(fixture.state.names("pins/")).toHaveLength(1);
    expect(fixture.archive.names(`points/vm-1/${first.transfer}`)).toHaveLength(2);
    await world.pass(2 * DAY_MS, { daily: world.gc });
    expect(fixture.state.names("pins/")).toEqual([]);
    expect(fixture.archive.names(`points/vm-1/${first.transfer}`)).not.toContain(`points/vm-1/${first.transfer}`);
  });

  it("that was taken from a machine asleep is written again when it wakes, if the point still stands", async () => {
    const world = await withTimer();
    const { fixture, vault, bytes, first } = world;
    const troubles: HoldfastFailure[] = [];
    const read = async () => {
      await world.pass(10 * DAY_MS, { asleep: true, daily: world.gc });
      expect(fixture.state.names("pins/")).toEqual([]);
      await world.pass(DAY_MS);
      expect(fixture.state.names("pins/")).toHaveLength(1);
      expect((await restoreFrom(vault, first)).equals(bytes)).toBe(true);
    };
    await whilePinned(vault, pinOf(world), read, (failure) => troubles.push(failure));
    expect(troubles).toEqual([]);
    const sleepThrough = async () => {
      await deletePoint(vault, pointOf(first), { reason: "expired" });
      await world.pass(10 * DAY_MS, { asleep: true, daily: world.gc });
      await world.pass(DAY_MS);
    };
    await whilePinned(vault, pinOf(world), sleepThrough, (failure) => troubles.push(failure));
    expect(new Set(troubles.map(({ code }) => code))).toEqual(new Set(["HoldfastPinNotRenewed"]));
    expect(fixture.state.names("pins/")).toEqual([]);
  });

  it("outlives a store that is away for days, and tells of it", async () => {
    const world = await withTimer();
    const { fixture, vault } = world;
    const troubles: string[] = [];
    let isAway = false;
    const state = new Proxy(fixture.state, {
      get(target, name: keyof typeof fixture.state) {
        const value = target[name];
        if (typeof value !== "function") return value;
        if (isAway && name === "replace") return () => Promise.reject(new Error("the store is away"));
        return value.bind(target);
      },
    });
    const read = async () => {
      isAway = true;
      await world.pass(3 * DAY_MS);
      isAway = false;
      await world.pass(30 * DAY_MS, { daily: world.gc });
      expect(fixture.state.names("pins/")).toHaveLength(1);
    };
    await whilePinned({ ...vault, state }, pinOf(world), read, ({ message }) => troubles.push(message));
    expect(troubles).toHaveLength(12);
    expect(troubles[0]).toBe("The pin (mounted) cannot be renewed: the store is away");
  });

  it("is gone when its reader has ended, also when it ends in the midst of a renewal", async () => {
    const world = await withTimer();
    const { fixture, vault, calls } = world;
    await whilePinned(vault, pinOf(world), async () => {
      for (const call of calls.keys()) call();
    });
    for (let turn = 0; turn < 50; turn++) await new Promise((resolve) => setImmediate(resolve));
    expect(fixture.state.names("pins/")).toEqual([]);
  });

  it("is not left behind by a reader whose point is deleted", async () => {
    const world = await withTimer();
    await deletePoint(world.vault, pointOf(world.first), { reason: "expired" });
    await expect(whilePinned(world.vault, pinOf(world), async () => "read")).rejects.toMatchObject({
      code: "HoldfastPointDeleted",
    });
    expect(world.fixture.state.names("pins/")).toEqual([]);
  });
});
