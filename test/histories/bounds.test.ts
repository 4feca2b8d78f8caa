// Histories stay short and payloads small, whatever the disk: what grows is the number of executions.

import { describe, expect, it, vi } from "vitest";
import * as contracts from "../../orchestrations/contracts.ts";
import { LIMITS } from "../../src/domain/limits.ts";
import type { Episode } from "../support/library-functions.ts";
import { play } from "../support/recorded-histories.ts";

vi.setConfig({ testTimeout: 60_000 });

const JOB = { vault: `${"s".repeat(36)}/${"v".repeat(50)}`, job: "fe63594e-23ff-8f2a-a078-cb83f2b0ca2b" };

interface Measured {
  events: number;
  payloadBytes: number;
  executions: number;
}

async function measure(start: string, input: unknown, script: Parameters<typeof play>[2]): Promise<Measured> {
  const measured: Measured = { events: 0, payloadBytes: 0, executions: 0 };
  await play(start, input, script, ({ payload, outcome }: Episode) => {
    const { history } = JSON.parse(payload) as { history: { Input?: unknown; Result?: unknown }[] };
    measured.events = Math.max(measured.events, history.length);
    if (history.length <= 2) measured.executions++;
    const texts = [...history.flatMap(({ Input, Result }) => [Input, Result]), ...outcome.actions];
    for (const text of texts)
      measured.payloadBytes = Math.max(measured.payloadBytes, Buffer.byteLength(JSON.stringify(text) ?? ""));
  });
  return measured;
}

function expectWithin({ events, payloadBytes }: Measured): void {
  expect(events).toBeLessThan(LIMITS.historyEvents);
  expect(payloadBytes).toBeLessThan(LIMITS.payloadBytes);
}

const DISK = { ...JOB, disk: 0, progress: null };
const seal = { [contracts.SEAL_DISK.name]: () => ({}) };

describe("The history of a disk's transfer", () => {
  it("is as long for a thousand slices as for a hundred: a full disk of 32 TiB has more executions, not longer ones", async () => {
    const measured: Measured[] = [];
    for (const sliceCount of [100, 1_000]) {
      const script = {
        [contracts.PLAN_DISK.name]: () => ({ sliceCount }),
        [contracts.WRITE_SLICE.name]: () => ({ state: "done" }),
        ...seal,
      };
      measured.push(await measure(contracts.TRANSFER_DISK.name, DISK, script));
    }
    const [short, long] = measured as [Measured, Measured];
    expectWithin(long);
    expect(long.events).toBeLessThanOrEqual(short.events + 8);
    expect(long.executions).toBeGreaterThanOrEqual(9);
  });

  it("is one execution for a sparse disk, however large", async () => {
    const script = {
      [contracts.PLAN_DISK.name]: () => ({ sliceCount: 1 }),
      [contracts.WRITE_SLICE.name]: () => ({ state: "done" }),
      ...seal,
    };
    const measured = await measure(contracts.TRANSFER_DISK.name, DISK, script);
    expectWithin(measured);
    expect(measured.executions).toBe(1);
  });

  it("stays short while every place is taken, while the platform throttles, and when every slice takes two attempts", async () => {
    const answers = [{ state: "busy" }, { retryAfterMs: 5_000 }, { state: "done" }];
    const script = {
      [contracts.PLAN_DISK.name]: () => ({ sliceCount: 60 }),
      [contracts.WRITE_SLICE.name]: (_input: object, call: number) => {
        if (call % 2 === 0) throw new Error("once more");
        return answers[(call >> 2) % 3];
      },
      ...seal,
    };
    expectWithin(await measure(contracts.TRANSFER_DISK.name, DISK, script));
  });
});

describe("The history of a backup", () => {
  const steps = {
    [contracts.OPEN_JOB.name]: () => ({ isOver: false }),
    [contracts.CLAIM_PHASE.name]: () => ({ state: "granted" }),
    [contracts.BEGIN_SNAPSHOT.name]: () => ({}),
    [contracts.GIVE_UP_PHASE.name]: () => ({ state: "done" }),
    [contracts.CLOSE_JOB.name]: () => ({ status: "Failed" }),
  };
  /** The steps of one slice a disk, once its snapshot is taken. */
  const transferring = {
    [contracts.ADD_POINT.name]: () => ({}),
    [contracts.PLAN_DISK.name]: () => ({ sliceCount: 1 }),
    [contracts.WRITE_SLICE.name]: () => ({ state: "done" }),
    [contracts.COMMIT_TRANSFER.name]: () => ({}),
    [contracts.END_TRANSFER.name]: () => ({ state: "done" }),
    ...seal,
  };
  /** Each execution claims both phases; all but the first find the snapshot taken. */
  const claimAgain = (_input: object, call: number) => ({ state: call > 1 && call % 2 === 0 ? "done" : "granted" });

  it("has room for a snapshot that is waited for all day", async () => {
    const script = { ...steps, [contracts.CHECK_SNAPSHOT.name]: () => ({ state: "pending" }) };
    expectWithin(await measure(contracts.BACKUP.name, JOB, script));
  });

  it("has room for hours of throttling that asks for a second each time", async () => {
    const script = { ...steps, [contracts.BEGIN_SNAPSHOT.name]: () => ({ retryAfterMs: 1_000 }) };
    expectWithin(await measure(contracts.BACKUP.name, JOB, script));
  });

  it("is one execution more for each half hour that a place among the transfers is waited for, also when each look takes two attempts", async () => {
    const script = {
      ...steps,
      [contracts.CLAIM_PHASE.name]: claimAgain,
      [contracts.CHECK_SNAPSHOT.name]: () => ({ state: "done" }),
      [contracts.BEGIN_TRANSFER.name]: (_input: object, call: number) => {
        if (call % 2 === 0) throw new Error("once more");
        return call < 700 ? { state: "busy" } : { state: "begun", diskCount: 1 };
      },
      ...transferring,
    };
    const measured = await measure(contracts.BACKUP.name, JOB, script);
    expectWithin(measured);
    // One that finds no place, then 349 looks in vain, thirty an execution; and the disk's own.
    expect(measured.executions).toBe(14);
  });

  it("has room for a machine of 64 disks", async () => {
    const script = {
      ...steps,
      [contracts.CHECK_SNAPSHOT.name]: () => ({ state: "done" }),
      [contracts.BEGIN_TRANSFER.name]: () => ({ state: "begun", diskCount: 64 }),
      ...transferring,
    };
    expectWithin(await measure(contracts.BACKUP.name, JOB, script));
  });

  it("has room for a slow snapshot, a wait for a place and 64 disks, one after the other", async () => {
    const script = {
      ...steps,
      [contracts.CLAIM_PHASE.name]: claimAgain,
      // Nearly half a day, at the pace at which it is looked at.
      [contracts.CHECK_SNAPSHOT.name]: (_input: object, call: number) => ({ state: call < 62 ? "pending" : "done" }),
      [contracts.BEGIN_TRANSFER.name]: (_input: object, call: number) =>
        call < 30 ? { state: "busy" } : { state: "begun", diskCount: 64 },
      ...transferring,
    };
    const measured = await measure(contracts.BACKUP.name, JOB, script);
    expectWithin(measured);
    // Two of the backup, and one of each disk.
    expect(measured.executions).toBe(66);
  });

  it("has room for a disk of a restore that is copied all day, and for a failure with a long story", async () => {
    const script = {
      [contracts.BEGIN_TARGET_DISK.name]: () => ({}),
      [contracts.CHECK_TARGET_DISK.name]: () => ({ state: "pending" }),
    };
    expectWithin(await measure(contracts.RESTORE_DISK.name, DISK, script));
    const story = { ...steps, [contracts.BEGIN_SNAPSHOT.name]: () => Promise.reject(new Error("x".repeat(3_000))) };
    expectWithin(await measure(contracts.BACKUP.name, JOB, story));
  });
});

describe("The history", () => {
  const ends = {
    [contracts.OPEN_JOB.name]: () => ({ isOver: false }),
    [contracts.CLOSE_JOB.name]: () => ({ status: "" }),
  };

  it("of a restore has room for 64 disks, and for hours of cleaning up", async () => {
    const script = {
      ...ends,
      [contracts.BEGIN_RESTORE.name]: () => ({ diskCount: 64 }),
      [contracts.BEGIN_TARGET_DISK.name]: () => ({}),
      [contracts.CHECK_TARGET_DISK.name]: () => ({ state: "ready" }),
      [contracts.WRITE_RESTORE_FILES.name]: () => ({ failure: { code: "Away", message: "It is away" } }),
      [contracts.CLEAN_RESTORE.name]: () => ({ state: "pending" }),
    };
    expectWithin(await measure(contracts.RESTORE.name, JOB, script));
  });

  it("of a policy's run has room for as many items as a vault may have", async () => {
    const batches = LIMITS.itemsPerVault / LIMITS.startsPerBatch;
    const script = {
      [contracts.START_BACKUPS.name]: (_input: object, call: number) => ({
        next: call + 1 < batches ? "i".repeat(200) : null,
        startedCount: LIMITS.startsPerBatch,
      }),
    };
    const { vault } = JOB;
    const run = { vault, policy: "p".repeat(150), scheduledAt: "2026-03-01T00:01:00.000Z", isCatchUp: false };
    expectWithin(await measure(contracts.POLICY_RUN.name, run, script));
  });

  it("of a short job on an item has room for one that never comes to an end", async () => {
    const script = { ...ends, [contracts.RUN_ITEM_JOB.name]: () => ({ state: "pending" }) };
    expectWithin(await measure(contracts.ITEM_JOB.name, JOB, script));
  });
});
