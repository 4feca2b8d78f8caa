// A clock that tests move. Callbacks run in the order of their time when `advance` passes them.

import type { Clock } from "../../localhost/task-hub/clock.ts";

interface Alarm {
  readonly atMs: number;
  readonly callback: () => void;
}

export class VirtualClock implements Clock {
  #nowMs: number;
  #alarms = new Set<Alarm>();

  constructor(startMs: number = Date.parse("2026-03-01T00:00:00Z")) {
    this.#nowMs = startMs;
  }

  nowMs(): number {
    return this.#nowMs;
  }

  after(delayMs: number, callback: () => void): () => void {
    const alarm = { atMs: this.#nowMs + Math.max(0, delayMs), callback };
    this.#alarms.add(alarm);
    return () => this.#alarms.delete(alarm);
  }

  /** The time of the next alarm, or undefined when nothing waits. */
  nextMs(): number | undefined {
    const times = [...this.#alarms].map((alarm) => alarm.atMs);
    return times.length === 0 ? undefined : Math.min(...times);
  }

  advance(byMs: number): void {
    const untilMs = this.#nowMs + byMs;
    for (let next = this.#earliest(untilMs); next !== undefined; next = this.#earliest(untilMs)) {
      this.#alarms.delete(next);
      this.#nowMs = Math.max(this.#nowMs, next.atMs);
      next.callback();
    }
    this.#nowMs = untilMs;
  }

  #earliest(untilMs: number): Alarm | undefined {
    let earliest: Alarm | undefined;
    for (const alarm of this.#alarms) {
      if (alarm.atMs <= untilMs && (earliest === undefined || alarm.atMs < earliest.atMs)) earliest = alarm;
    }
    return earliest;
  }
}
