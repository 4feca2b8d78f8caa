import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { type DueTimer, TimerQueue } from "../../../localhost/task-hub/timer-queue.ts";
import { VirtualClock } from "../../support/virtual-clock.ts";

function timer(fireAtMs: number, id = "x"): DueTimer {
  return { fireAtMs, id, execution: "e", task: 0 };
}

describe("a queue of timers", () => {
  it("fires every timer once, in the order of their times, and never early", () => {
    fc.assert(
      fc.property(
        fc.array(fc.integer({ min: 0, max: 5000 }), { maxLength: 200 }),
        fc.array(fc.integer({ min: 0, max: 700 }), { minLength: 1, maxLength: 40 }),
        (delays, steps) => {
          const clock = new VirtualClock(0);
          const fired: { fireAtMs: number; atMs: number }[] = [];
          const queue = new TimerQueue(clock, ({ fireAtMs }) => fired.push({ fireAtMs, atMs: clock.nowMs() }));
          // Half are there from the start, the others come while time goes on.
          const [early, late] = [delays.slice(0, delays.length / 2), delays.slice(delays.length / 2)];
          for (const delay of early) queue.add(timer(delay));
          for (const step of steps) {
            const next = late.pop();
            if (next !== undefined) queue.add(timer(clock.nowMs() + next));
            clock.advance(step);
          }
          for (const delay of late.splice(0)) queue.add(timer(clock.nowMs() + delay));
          clock.advance(10_000);
          expect(fired).toHaveLength(delays.length);
          expect(fired.every(({ fireAtMs, atMs }) => atMs >= fireAtMs)).toBe(true);
        },
      ),
    );
  });

  it("fires overdue timers at the next turn of the clock, oldest first", () => {
    const clock = new VirtualClock(1_000_000);
    const fired: string[] = [];
    const queue = new TimerQueue(clock, ({ id }) => fired.push(id));
    queue.add(timer(500, "second"));
    queue.add(timer(400, "first"));
    clock.advance(0);
    expect(fired).toEqual(["first", "second"]);
  });

  it("stays silent once it is stopped", () => {
    const clock = new VirtualClock(0);
    const fired: string[] = [];
    const queue = new TimerQueue(clock, ({ id }) => fired.push(id));
    queue.add(timer(100));
    queue.stop();
    clock.advance(1000);
    expect(fired).toEqual([]);
  });
});
