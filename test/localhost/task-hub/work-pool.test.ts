import { describe, expect, it } from "vitest";
import { WorkPool } from "../../../localhost/task-hub/work-pool.ts";

function noFault(fault: unknown): void {
  throw fault;
}

describe("a pool of work", () => {
  it("runs everything, in order of arrival, never more at once than allowed", async () => {
    const started: number[] = [];
    let running = 0;
    let mostRunning = 0;
    const all = Promise.withResolvers<void>();
    const pool = new WorkPool<number>(
      3,
      async (item) => {
        started.push(item);
        running++;
        mostRunning = Math.max(mostRunning, running);
        await new Promise((resolve) => setImmediate(resolve));
        running--;
        if (started.length === 10_000 && running === 0) all.resolve();
      },
      noFault,
    );
    for (let item = 0; item < 10_000; item++) pool.add(item);
    await all.promise;
    expect(mostRunning).toBe(3);
    expect(started).toEqual(Array.from({ length: 10_000 }, (_, item) => item));
  });

  it("lets the event loop turn while work that never waits is queued up", async () => {
    let turns = 0;
    let done = 0;
    const finished = Promise.withResolvers<void>();
    const spin = (): void => {
      const until = performance.now() + 0.2;
      while (performance.now() < until);
    };
    const pool = new WorkPool<number>(
      10,
      async () => {
        spin();
        if (++done === 500) finished.resolve();
      },
      noFault,
    );
    for (let item = 0; item < 500; item++) pool.add(item);
    let counting = true;
    const count = (): void => {
      turns++;
      if (counting) setImmediate(count);
    };
    setImmediate(count);
    await finished.promise;
    counting = false;
    // 100 ms of work in slices of 8 ms.
    expect(turns).toBeGreaterThan(5);
  });

  it("reports a fault and goes on with the rest", async () => {
    const faults: unknown[] = [];
    const finished = Promise.withResolvers<void>();
    const pool = new WorkPool<string>(
      1,
      async (item) => {
        if (item === "bad") throw new Error("bad");
        finished.resolve();
      },
      (fault) => faults.push(fault),
    );
    pool.add("bad");
    pool.add("good");
    await finished.promise;
    expect(faults).toEqual([new Error("bad")]);
  });

  it("starts nothing after it was stopped", async () => {
    const started: number[] = [];
    const pool = new WorkPool<number>(
      1,
      async (item) => {
        started.push(item);
        pool.stop();
      },
      noFault,
    );
    for (let item = 0; item < 3; item++) pool.add(item);
    await new Promise((resolve) => setImmediate(() => setImmediate(resolve)));
    expect(started).toEqual([0]);
  });
});
