// A timer's schedule: an NCRONTAB expression in a time zone, or a time span. Says when it is due next. Daylight saving
// as in the real host: a time of day that does not exist today is due when the clock has jumped over it; one that
// exists twice is due once for schedules of given times of day, and twice for intervals.

import { HoldfastFailure } from "../../../src/base/failure.ts";
import { type Ncrontab, parseNcrontab } from "./ncrontab.ts";
import { parseTimeSpan } from "./time-span.ts";
import { nextOffsetChange, type TimeZone } from "./time-zone.ts";

export interface Schedule {
  readonly text: string;
  /** Strictly after the instant; NEVER_MS when it is not due any more. */
  nextMs(afterMs: number): number;
  /** True if it may be due more than once a minute: too often to be worth remembering when. */
  readonly isSubMinute: boolean;
  readonly adjustsForDaylightSaving: boolean;
}

export const NEVER_MS = Date.UTC(9999, 11, 31, 23, 59, 59);
const MINUTE_MS = 60_000;
/** More than any clock is ever set back. */
const LOOK_BACK_MS = 3 * 3_600_000;

export function parseSchedule(text: string, zone: TimeZone): Schedule {
  const cron = parseNcrontab(text);
  if (cron !== undefined) return new CronSchedule(text, cron, zone);
  const periodMs = parseTimeSpan(text);
  if (periodMs !== undefined && periodMs > 0) return new ConstantSchedule(text, periodMs);
  throw new HoldfastFailure(
    "invalid",
    "ScheduleInvalid",
    `'${text}' is neither an NCRONTAB expression nor a time span.`,
    {
      hint: "Expressions are '{second} {minute} {hour} {day} {month} {day-of-week}' ('0 */5 * * * *'), time spans '00:05:00'.",
    },
  );
}

class ConstantSchedule implements Schedule {
  readonly text: string;
  readonly adjustsForDaylightSaving = false;
  readonly isSubMinute: boolean;
  readonly #periodMs: number;

  constructor(text: string, periodMs: number) {
    this.text = text;
    this.isSubMinute = periodMs < MINUTE_MS;
    this.#periodMs = periodMs;
  }

  nextMs(afterMs: number): number {
    return Math.min(afterMs + this.#periodMs, NEVER_MS);
  }
}

class CronSchedule implements Schedule {
  readonly text: string;
  readonly adjustsForDaylightSaving = true;
  readonly isSubMinute: boolean;
  readonly #cron: Ncrontab;
  readonly #zone: TimeZone;

  constructor(text: string, cron: Ncrontab, zone: TimeZone) {
    this.text = text;
    this.isSubMinute = cron.isSubMinute;
    this.#cron = cron;
    this.#zone = zone;
  }

  nextMs(afterMs: number): number {
    // From one change of the clocks to the next, since between them local time runs as it should.
    let fromMs = afterMs;
    let fromWallMs = fromMs + this.#zone.offsetMs(fromMs);
    for (;;) {
      const offsetMs = this.#zone.offsetMs(fromMs);
      const wallMs = this.#cron.nextWallMs(fromWallMs);
      if (wallMs === undefined) return NEVER_MS;
      const dueMs = wallMs - offsetMs;
      const changeMs = nextOffsetChange(this.#zone, fromMs, dueMs);
      if (changeMs === undefined) {
        if (this.#cron.isInterval || !this.#isRepeated(dueMs, offsetMs)) return dueMs;
        fromWallMs = wallMs;
        continue;
      }
      const offsetAfterMs = this.#zone.offsetMs(changeMs);
      const isSkipped = wallMs < changeMs + offsetAfterMs;
      if (isSkipped) return dueMs;
      fromMs = changeMs;
      fromWallMs = changeMs + offsetAfterMs - 1;
    }
  }

  /** True if the clock has shown the same local time shortly before, when it was set back since. */
  #isRepeated(atMs: number, offsetMs: number): boolean {
    const earlierOffsetMs = this.#zone.offsetMs(atMs - LOOK_BACK_MS);
    const earlierMs = atMs + offsetMs - earlierOffsetMs;
    return earlierOffsetMs > offsetMs && this.#zone.offsetMs(earlierMs) === earlierOffsetMs;
  }
}
