// The time zone in which schedules are read, as its offset from UTC at any instant. The machine's own unless
// WEBSITE_TIME_ZONE names another one. Changes of the offset (daylight saving) are found by looking, not by rules.

import { HoldfastFailure } from "../../../src/base/failure.ts";

export interface TimeZone {
  readonly name: string;
  /** Local time minus UTC at the instant. */
  offsetMs(atMs: number): number;
}

/** `name` is an IANA name ("Europe/Berlin"); undefined: the machine's zone. */
export function openTimeZone(name: string | undefined): TimeZone {
  try {
    return new IntlTimeZone(name === "" ? undefined : name);
  } catch (cause) {
    const message = `WEBSITE_TIME_ZONE is '${name}', which is no IANA time zone such as 'Europe/Berlin'.`;
    throw new HoldfastFailure("invalid", "TimeZoneUnknown", message, { cause });
  }
}

class IntlTimeZone implements TimeZone {
  readonly name: string;
  readonly #format: Intl.DateTimeFormat;

  constructor(name: string | undefined) {
    this.#format = new Intl.DateTimeFormat("en-US", {
      timeZone: name,
      calendar: "gregory",
      numberingSystem: "latn",
      hourCycle: "h23",
      year: "numeric",
      month: "numeric",
      day: "numeric",
      hour: "numeric",
      minute: "numeric",
      second: "numeric",
    });
    this.name = this.#format.resolvedOptions().timeZone;
  }

  offsetMs(atMs: number): number {
    const parts: Record<string, number> = {};
    for (const { type, value } of this.#format.formatToParts(atMs)) parts[type] = Number(value);
    const { year = 0, month = 1, day = 1, hour = 0, minute = 0, second = 0 } = parts;
    const wallMs = Date.UTC(year, month - 1, day, hour, minute, second);
    return wallMs - Math.floor(atMs / 1000) * 1000;
  }
}

/** The furthest that looking goes in one step: no zone changes its offset twice within this time. */
const LOOK_MS = 5 * 86_400_000;

/** The first instant in (fromMs, untilMs] with another offset than at `fromMs`; undefined: the offset stays. */
export function nextOffsetChange(zone: TimeZone, fromMs: number, untilMs: number): number | undefined {
  const offsetMs = zone.offsetMs(fromMs);
  for (let sameMs = fromMs; sameMs < untilMs; sameMs += LOOK_MS) {
    let otherMs = Math.min(sameMs + LOOK_MS, untilMs);
    if (zone.offsetMs(otherMs) === offsetMs) continue;
    while (otherMs - sameMs > 1) {
      const middleMs = Math.floor((sameMs + otherMs) / 2);
      if (zone.offsetMs(middleMs) === offsetMs) sameMs = middleMs;
      else otherMs = middleMs;
    }
    return otherMs;
  }
  return undefined;
}
