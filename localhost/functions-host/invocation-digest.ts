// Keeps a fan-out of thousands of runs a second from drowning the log, and from costing more than the runs: of each
// function so many ends a second are told one by one, the rest are counted and told as one line each second. A function
// that was too busy in one second is counted from its first run in the next, until it calms down.

import type { Clock } from "../task-hub/clock.ts";

const PERIOD_MS = 1000;

export interface InvocationSummary {
  readonly name: string;
  readonly count: number;
  readonly averageMs: number;
  readonly longestMs: number;
  /** Since the first of them could have ended. */
  readonly periodMs: number;
  /** What the last of them had to say. */
  readonly lastMessage: string;
}

interface Period {
  readonly name: string;
  startMs: number;
  /** All ends in this period. */
  seen: number;
  /** Those not told one by one. */
  counted: number;
  countsAll: boolean;
  totalMs: number;
  longestMs: number;
  lastMessage: string;
}

export class InvocationDigest {
  readonly #clock: Clock;
  readonly #mostEachSecond: number;
  readonly #tell: (summary: InvocationSummary) => void;
  readonly #periods = new Map<string, Period>();
  #cancelTick: (() => void) | undefined;

  constructor(clock: Clock, mostEachSecond: number, tell: (summary: InvocationSummary) => void) {
    this.#clock = clock;
    this.#mostEachSecond = mostEachSecond;
    this.#tell = tell;
  }

  /** True: tell of this one by itself. False: it has been counted. */
  admit(name: string, durationMs: number, message: string): boolean {
    const nowMs = this.#clock.nowMs();
    const period = this.#periodOf(name, nowMs);
    period.seen += 1;
    if (!period.countsAll && period.seen <= this.#mostEachSecond) return true;
    period.counted += 1;
    period.totalMs += durationMs;
    period.lastMessage = message;
    if (durationMs > period.longestMs) period.longestMs = durationMs;
    this.#cancelTick ??= this.#clock.after(PERIOD_MS, () => this.#tick());
    return false;
  }

  /** Tells of all that has been counted so far. */
  flush(): void {
    this.#cancelTick?.();
    this.#cancelTick = undefined;
    const nowMs = this.#clock.nowMs();
    for (const period of this.#periods.values()) this.#close(period, nowMs);
  }

  #periodOf(name: string, nowMs: number): Period {
    const period = this.#periods.get(name);
    if (period === undefined) {
      const first = { name, startMs: nowMs, countsAll: false, ...NOTHING_YET };
      this.#periods.set(name, first);
      return first;
    }
    // The clock may also have been set back.
    if (nowMs - period.startMs >= PERIOD_MS || nowMs < period.startMs) this.#close(period, nowMs);
    return period;
  }

  #tick(): void {
    this.#cancelTick = undefined;
    const nowMs = this.#clock.nowMs();
    let isCounting = false;
    for (const period of this.#periods.values()) {
      if (period.counted > 0 && nowMs - period.startMs >= PERIOD_MS) this.#close(period, nowMs);
      if (period.counted > 0) isCounting = true;
    }
    if (isCounting) this.#cancelTick ??= this.#clock.after(PERIOD_MS, () => this.#tick());
  }

  #close(period: Period, nowMs: number): void {
    const { name, counted, totalMs, longestMs, lastMessage, seen } = period;
    const periodMs = Math.max(1, nowMs - period.startMs);
    Object.assign(period, NOTHING_YET, { startMs: nowMs, countsAll: seen > this.#mostEachSecond });
    if (counted === 0) return;
    this.#tell({
      name,
      count: counted,
      averageMs: Math.round((totalMs / counted) * 10) / 10,
      longestMs,
      periodMs,
      lastMessage,
    });
  }
}

const NOTHING_YET = { seen: 0, counted: 0, totalMs: 0, longestMs: 0, lastMessage: "" };
