// Durable timers that are due one day: a binary heap with one clock timer for the earliest. A timer never fires early;
// whether it is still wanted is for the receiver to say, so cancelling costs nothing. Those that are not wanted any more
// are dropped each time the heap has doubled: most time-outs are long and never come.

import type { Clock } from "./clock.ts";

export interface DueTimer {
  readonly fireAtMs: number;
  readonly id: string;
  readonly execution: string;
  readonly task: number;
}

const LEAST_SWEEP_LENGTH = 1024;

export class TimerQueue {
  readonly #clock: Clock;
  readonly #fire: (timer: DueTimer) => void;
  readonly #isWanted: (timer: DueTimer) => boolean;
  #heap: DueTimer[] = [];
  #sweepAtLength = LEAST_SWEEP_LENGTH;
  #cancel: (() => void) | undefined;
  #armedForMs = Number.POSITIVE_INFINITY;
  #stopped = false;

  constructor(clock: Clock, fire: (timer: DueTimer) => void, isWanted: (timer: DueTimer) => boolean) {
    this.#clock = clock;
    this.#fire = fire;
    this.#isWanted = isWanted;
  }

  get length(): number {
    return this.#heap.length;
  }

  add(timer: DueTimer): void {
    if (this.#heap.length >= this.#sweepAtLength) this.#sweep();
    this.#push(timer);
    if (timer.fireAtMs < this.#armedForMs) this.#arm();
  }

  stop(): void {
    this.#stopped = true;
    this.#cancel?.();
  }

  #arm(): void {
    this.#cancel?.();
    this.#cancel = undefined;
    const next = this.#heap[0];
    this.#armedForMs = next?.fireAtMs ?? Number.POSITIVE_INFINITY;
    if (next === undefined || this.#stopped) return;
    this.#cancel = this.#clock.after(next.fireAtMs - this.#clock.nowMs(), () => this.#fireDue());
  }

  #fireDue(): void {
    // The clock may have been set back, or the wait cut short: only what is due now fires.
    const nowMs = this.#clock.nowMs();
    for (let next = this.#heap[0]; next !== undefined && next.fireAtMs <= nowMs; next = this.#heap[0]) {
      this.#pop();
      this.#fire(next);
    }
    this.#arm();
  }

  /** An array in order of time is a heap. */
  #sweep(): void {
    this.#heap = this.#heap.filter(this.#isWanted).sort((a, b) => a.fireAtMs - b.fireAtMs);
    this.#sweepAtLength = Math.max(LEAST_SWEEP_LENGTH, 2 * this.#heap.length);
  }

  #push(timer: DueTimer): void {
    const heap = this.#heap;
    let index = heap.length;
    heap.push(timer);
    while (index > 0) {
      const parent = (index - 1) >> 1;
      const above = heap[parent] as DueTimer;
      if (above.fireAtMs <= timer.fireAtMs) break;
      heap[index] = above;
      index = parent;
    }
    heap[index] = timer;
  }

  #pop(): void {
    const heap = this.#heap;
    const last = heap.pop();
    if (last === undefined || heap.length === 0) return;
    let index = 0;
    for (;;) {
      const left = 2 * index + 1;
      if (left >= heap.length) break;
      const right = left + 1;
      const smaller =
        right < heap.length && (heap[right] as DueTimer).fireAtMs < (heap[left] as DueTimer).fireAtMs ? right : left;
      const below = heap[smaller] as DueTimer;
      if (below.fireAtMs >= last.fireAtMs) break;
      heap[index] = below;
      index = smaller;
    }
    heap[index] = last;
  }
}
