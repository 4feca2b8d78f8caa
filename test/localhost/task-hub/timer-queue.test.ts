import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { type DueTimer, TimerQueue } from "../../../localhost/task-hub/timer-queue.ts";
import { VirtualClock } from "../../support/virtual-clock.ts";

function timer(fireAtMs: number, id = "x"): DueTimer {
  return { fireAtMs, id, execution: "e", task: 0 };
}

const always = (): boolean => true;

describe("a queue of timers", () => {
  it("fires every timer once, in the order of their times, and never early", () => {
    fc.assert(
      fc.property(
        fc.array(fc.integer({ min: 0, max: 5000 }), { maxLength: 200 }),
        fc.array(fc.integer({ min: 0, max: 700 }), { minLength: 1, maxLength: 40 }),
        (delays, steps) => {
          const clock = new VirtualClock(0);
          const fired: { fireAtMs: number; atMs: number }[] = [];
          const queue = new TimerQueue(clock, ({ fireAtMs }) => fired.push({ fireAtMs, atMs: clock.nowMs() }), always);
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
    const queue = new TimerQueue(clock, ({ id }) => fired.push(id), always);
    queue.add(timer(500, "second"));
    queue.add(timer(400, "first"));
    clock.advance(0);
    expect(fired).toEqual(["first", "second"]);
  });

  it("stays silent once it is stopped", () => {
    const clock = new VirtualClock(0);
    const fired: string[] = [];
    const queue = new TimerQueue(clock, ({ id }) => fired.push(id), always);
    queue.add(timer(100));
    queue.stop();
    clock.advance(1000);
    expect(fired).toEqual([]);
  });

  it("forgets timers that nobody waits for, however far away they are", () => {
    const clock = new VirtualClock(0);
    const fired: string[] = [];
    const wanted = new Set<string>();
    const isWanted = ({ id }: { id: string }): boolean => wanted.has(id);
    const queue = new TimerQueue(clock, ({ id }) => fired.push(id), isWanted);
    for (let n = 0; n < 100_000; n++) {
      const id = `timer-${n}`;
      if (n % 1000 === 0) wanted.add(id);
      // Added while it is wanted, as all are.
      queue.add(timer(1_000_000 - (n % 777), id));
    }
    expect(queue.length).toBeLessThan(3000);
    clock.advance(1_000_000);
    expect(fired.filter((id) => wanted.has(id))).toHaveLength(100);
  });
});
