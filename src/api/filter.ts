// `$filter` as clients of Azure Backup write it: `key eq 'value' and key eq 'value'`. Despite `eq`, two keys that bound a
// time mean a window. Keys that a collection does not know are ignored, as Azure does; what cannot be read is refused.

import { HoldfastFailure } from "../base/failure.ts";

export interface Filter {
  /** The value of a key, whatever its case; undefined: no condition. */
  value(key: string): string | undefined;
  /** Whether what is asked for under a key, if anything, is this; without regard to case. */
  admits(key: string, actual: string | null | undefined): boolean;
  /** Whether an instant lies in the window that two keys bound, both ends included. */
  admitsTime(fromKey: string, untilKey: string, time: Date): boolean;
}

const CONDITION = /\s*([a-z][a-z0-9_./]*)\s+eq\s+(?:'((?:[^']|'')*)'|([^\s'()]+))\s*(and\s|$)/iy;
const MAX_LENGTH = 4096;

export function parseFilter(text: string | undefined): Filter {
  const values = conditionsOf(text ?? "");
  const value = (key: string) => values.get(key.toLowerCase());
  const times = new Map(
    [...values].map(([key, raw]) => [key, /(time|date)$/.test(key) ? parseFilterTime(raw) : undefined]),
  );
  return {
    value,
    admits: (key, actual) => value(key) === undefined || value(key)?.toLowerCase() === actual?.toLowerCase(),
    admitsTime(fromKey, untilKey, time) {
      const [from, until] = [times.get(fromKey.toLowerCase()), times.get(untilKey.toLowerCase())];
      return (from === undefined || from <= time) && (until === undefined || time <= until);
    },
  };
}

function conditionsOf(text: string): Map<string, string> {
  const values = new Map<string, string>();
  if (text.trim() === "") return values;
  if (text.length > MAX_LENGTH) throw badFilter("it is too long");
  const scanner = new RegExp(CONDITION);
  let isOpen = true;
  while (isOpen) {
    const match = scanner.exec(text);
    if (match === null) throw badFilter("only conditions of the form key eq 'value', joined by and, are understood");
    const [, key = "", quoted, bare, joint = ""] = match;
    values.set(key.toLowerCase(), quoted?.replaceAll("''", "'") ?? bare ?? "");
    isOpen = joint !== "";
  }
  return values;
}

const TIME =
  /^(\d{4})-(\d\d)-(\d\d)(?:[T ](\d\d):(\d\d)(?::(\d\d)(?:\.(\d{1,7}))?)?)?\s*(AM|PM)?\s*(Z|[+-]\d\d:?\d\d)?$/i;

/** `yyyy-MM-dd hh:mm:ss tt`, in UTC, as the clients write it; also 24 hours, no seconds, no time at all, and ISO 8601. */
export function parseFilterTime(text: string): Date {
  const match = TIME.exec(text.trim());
  if (match === null) throw badFilter(`"${text}" is no time of the form 2026-01-31 04:00:15 PM`);
  const [, year, month, day, hourText = "0", minute = "0", second = "0", fraction = "", half, zone = "Z"] = match;
  const hour = half === undefined ? Number(hourText) : hourOf(Number(hourText), half);
  const ms = Number(fraction.padEnd(3, "0").slice(0, 3));
  const parts = [Number(month) - 1, Number(day), hour, Number(minute), Number(second), ms] as const;
  const time = new Date(Date.UTC(Number(year), ...parts));
  const isReal = time.getUTCMonth() === parts[0] && time.getUTCDate() === parts[1];
  if (!isReal || hour > 23 || parts[3] > 59 || parts[4] > 59) throw badFilter(`"${text}" is not on the calendar`);
  return new Date(time.getTime() - offsetMs(zone));
}

/** 12 AM is midnight; an hour beyond 12 beside AM or PM was meant as it is. */
function hourOf(hour: number, half: string): number {
  if (half.toUpperCase() === "AM") return hour === 12 ? 0 : hour;
  return hour < 12 ? hour + 12 : hour;
}

function offsetMs(zone: string): number {
  if (zone.toUpperCase() === "Z") return 0;
  const minutes = Number(zone.slice(1, 3)) * 60 + Number(zone.slice(-2));
  return (zone.startsWith("-") ? -minutes : minutes) * 60_000;
}

function badFilter(reason: string): HoldfastFailure {
  return new HoldfastFailure("invalid", "InvalidFilterInRequestUri", `The $filter cannot be read: ${reason}`);
}
