// Between instants and the calendar of a zone. The only file that computes with zones; everything else asks it.

import { Temporal } from "temporal-polyfill";
import type { LocalDay, LocalTime } from "./calendar.ts";
import type { IanaZone } from "./time-zones.ts";

/**
 * The instant at which the wall shows this; in a gap the first instant after it, in an overlap the first of the two.
 * Undefined when the zone skipped the whole day: Samoa had no 30 December 2011.
 */
export function instantAt(day: LocalDay, { hour, minute }: LocalTime, zone: IanaZone): Date | undefined {
  const wall = Temporal.PlainDate.from(day).toPlainDateTime({ hour, minute });
  const instant = instantOf(wall, zone);
  const isGap = !zoned(instant, zone).toPlainDateTime().equals(wall);
  return isGap && startOfDay(day, zone) === undefined ? undefined : instant;
}

/** The first instant of a day, unless the zone skipped it. */
export function startOfDay(day: LocalDay, zone: IanaZone): Date | undefined {
  const start = Temporal.PlainDate.from(day).toZonedDateTime(zone);
  return start.toPlainDate().toString() === day ? new Date(start.epochMilliseconds) : undefined;
}

export function localDayOf(instant: Date, zone: IanaZone): LocalDay {
  return zoned(instant, zone).toPlainDate().toString() as LocalDay;
}

/** "2026-03-29T03:00": what the wall shows at an instant. */
export function wallTimeOf(instant: Date, zone: IanaZone): string {
  return zoned(instant, zone).toPlainDateTime().toString({ smallestUnit: "minute" });
}

/** By the calendar: 31 January and a month is the last day of February, at the same time of day. */
export function addMonths(instant: Date, months: number, zone: IanaZone): Date {
  return instantOf(zoned(instant, zone).toPlainDateTime().add({ months }), zone);
}

function zoned(instant: Date, zone: IanaZone): Temporal.ZonedDateTime {
  return Temporal.Instant.fromEpochMilliseconds(instant.getTime()).toZonedDateTimeISO(zone);
}

function instantOf(wall: Temporal.PlainDateTime, zone: IanaZone): Date {
  // "compatible" takes the first of two, and moves a skipped time by the length of the gap: past the gap's end.
  const moved = wall.toZonedDateTime(zone, { disambiguation: "compatible" });
  if (moved.toPlainDateTime().equals(wall)) return new Date(moved.epochMilliseconds);
  // Asking from a little later, because a transition is not previous to itself.
  const gapEnd = moved.add({ milliseconds: 1 }).getTimeZoneTransition("previous") ?? moved;
  return new Date(gapEnd.epochMilliseconds);
}
