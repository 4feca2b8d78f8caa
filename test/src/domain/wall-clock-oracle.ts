// An oracle for schedules that shares nothing with the code under test: it looks at a wall clock once a minute, through
// Intl, and writes down what it sees. No zone arithmetic, no Temporal.

import type { LocalTime } from "../../../src/domain/calendar.ts";
import type { Schedule } from "../../../src/domain/policy.ts";

const MINUTE_MS = 60_000;
const DAY_MS = 24 * 60 * MINUTE_MS;

export interface WatchedRun {
  readonly scheduledAt: Date;
  readonly day: string;
  readonly isLastOfDay: boolean;
}

/** What the clock showed in the days around a moment. */
export class WatchedClock {
  readonly days: readonly string[];
  readonly #fromMs: number;
  /** The latest that was shown until then: a clock that is set back shows no later time for a while. */
  readonly #latestShown: string[] = [];

  constructor(zone: string, around: Date, days: number) {
    const format = new Intl.DateTimeFormat("sv-SE", { timeZone: zone, dateStyle: "short", timeStyle: "short" });
    this.#fromMs = around.getTime() - days * DAY_MS;
    let latest = "";
    for (let ms = this.#fromMs; ms <= around.getTime() + days * DAY_MS; ms += MINUTE_MS) {
      const shown = format.format(ms);
      if (shown > latest) latest = shown;
      this.#latestShown.push(latest);
    }
    this.days = [...new Set(this.#latestShown.map((shown) => shown.slice(0, 10)))];
  }

  /** When the clock first showed this time of that day, or anything later. */
  firstAt(day: string, { hour, minute }: LocalTime): Date {
    const wanted = `${day} ${String(hour).padStart(2, "0")}:${String(minute).padStart(2, "0")}`;
    let [low, high] = [0, this.#latestShown.length];
    while (low < high) {
      const middle = (low + high) >> 1;
      if ((this.#latestShown[middle] as string) >= wanted) high = middle;
      else low = middle + 1;
    }
    return new Date(this.#fromMs + low * MINUTE_MS);
  }

  /** The runs of the days that were watched from beginning to end. */
  runs(schedule: Schedule, everyMinutes?: number): WatchedRun[] {
    return this.days.slice(1, -2).flatMap((day) => {
      const instants =
        everyMinutes === undefined ? this.#instants(day, schedule) : this.#everyMinutes(day, everyMinutes);
      return instants.map((scheduledAt, at) => ({ scheduledAt, day, isLastOfDay: at === instants.length - 1 }));
    });
  }

  #instants(day: string, schedule: Schedule): Date[] {
    if (schedule.frequency === "Weekly") {
      const name = new Intl.DateTimeFormat("en-US", { weekday: "long", timeZone: "UTC" }).format(new Date(day));
      return schedule.days.some((weekday) => weekday === name) ? [this.firstAt(day, schedule.time)] : [];
    }
    if (schedule.frequency === "Daily") return [this.firstAt(day, schedule.time)];
    const start = this.firstAt(day, schedule.windowStart).getTime();
    const instants: Date[] = [];
    for (let hours = 0; hours + schedule.intervalHours <= schedule.windowHours; hours += schedule.intervalHours) {
      instants.push(new Date(start + hours * 60 * MINUTE_MS));
    }
    return instants;
  }

  /** By counting the minutes of a day as they pass. */
  #everyMinutes(day: string, step: number): Date[] {
    const nextDay = this.days[this.days.indexOf(day) + 1] as string;
    const end = this.firstAt(nextDay, { hour: 0, minute: 0 }).getTime();
    const instants: Date[] = [];
    for (let ms = this.firstAt(day, { hour: 0, minute: 0 }).getTime(); ms < end; ms += step * MINUTE_MS) {
      instants.push(new Date(ms));
    }
    return instants;
  }
}
