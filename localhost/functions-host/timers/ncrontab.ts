// NCRONTAB expressions, the schedules of timer triggers: "{second} {minute} {hour} {day} {month} {day-of-week}", where
// five fields mean second 0. Read as the real host's library reads them, oddities included, because a schedule that
// means something else in Azure is worse than one that is refused. Pure, and without time zones: a moment here is what
// a clock on the wall shows, as the milliseconds `Date.UTC` would give for it.

import { HoldfastFailure } from "../../../src/base/failure.ts";

export interface Ncrontab {
  /** The first moment after the given one, or undefined when there is none (February 30th). */
  nextWallMs(afterWallMs: number): number | undefined;
  /**
   * Runs again and again within a day ("every 30 minutes") rather than at given times of day. Only that differs when
   * the clocks go back: the former run through both of the equal hours, the latter run once.
   */
  readonly isInterval: boolean;
  /** Several seconds of every minute of every day. */
  readonly isSubMinute: boolean;
}

interface FieldRange {
  readonly name: string;
  readonly least: number;
  readonly most: number;
  readonly names?: readonly string[];
}

const MONTHS = "January February March April May June July August September October November December".split(" ");
const DAYS_OF_WEEK = "Sunday Monday Tuesday Wednesday Thursday Friday Saturday".split(" ");

const RANGES: readonly FieldRange[] = [
  { name: "second", least: 0, most: 59 },
  { name: "minute", least: 0, most: 59 },
  { name: "hour", least: 0, most: 23 },
  { name: "day", least: 1, most: 31 },
  { name: "month", least: 1, most: 12, names: MONTHS },
  { name: "day-of-week", least: 0, most: 6, names: DAYS_OF_WEEK },
];

const SECOND_MS = 1000;
const DAY_MS = 86_400_000;
/** February 29th falls on each day of the week within this time, around years like 2100 too. */
const LONGEST_GAP_DAYS = 41 * 366;

/** Undefined when the text is not in the form of an expression; a failure when it is, and a field of it is wrong. */
export function parseNcrontab(text: string): Ncrontab | undefined {
  const parts = text.split(" ").filter((part) => part !== "");
  if (parts.length !== 5 && parts.length !== 6) return undefined;
  if (parts.length === 5) parts.unshift("0");
  return new ParsedNcrontab(RANGES.map((range, index) => parseField(parts[index] as string, range, text)));
}

class ParsedNcrontab implements Ncrontab {
  readonly isInterval: boolean;
  readonly isSubMinute: boolean;
  readonly #fields: readonly (readonly number[])[];

  /** The allowed values of each field, ascending. */
  constructor(fields: readonly (readonly number[])[]) {
    this.#fields = fields;
    this.isInterval = fields.slice(0, 3).some(hasNeighbours);
    this.isSubMinute = fields.every((values, index) =>
      index === 0 ? values.length > 1 : values.length === countOf(RANGES[index]),
    );
  }

  nextWallMs(afterWallMs: number): number | undefined {
    const earliest = new Date((Math.floor(afterWallMs / SECOND_MS) + 1) * SECOND_MS);
    const firstDayMs = Math.floor(earliest.getTime() / DAY_MS) * DAY_MS;
    for (let day = 0; day <= LONGEST_GAP_DAYS; day++) {
      const dayMs = firstDayMs + day * DAY_MS;
      if (!this.#includesDay(new Date(dayMs))) continue;
      const timeMs = day === 0 ? this.#firstTimeFrom(earliest) : this.#firstTimeFrom(new Date(dayMs));
      if (timeMs !== undefined) return dayMs + timeMs;
    }
    return undefined;
  }

  /** Day and day of week must both match; classic cron takes either. */
  #includesDay(date: Date): boolean {
    const [, , , days = [], months = [], daysOfWeek = []] = this.#fields;
    return (
      months.includes(date.getUTCMonth() + 1) &&
      days.includes(date.getUTCDate()) &&
      daysOfWeek.includes(date.getUTCDay())
    );
  }

  /** The first time of day from that of `date` on, as an odometer turns: from seconds to hours. */
  #firstTimeFrom(date: Date): number | undefined {
    const [seconds = [], minutes = [], hours = []] = this.#fields;
    let second = seconds.find((value) => value >= date.getUTCSeconds());
    const fromMinute = date.getUTCMinutes() + (second === undefined ? 1 : 0);
    let minute = minutes.find((value) => value >= fromMinute);
    const fromHour = date.getUTCHours() + (minute === undefined ? 1 : 0);
    const hour = hours.find((value) => value >= fromHour);
    if (hour === undefined) return undefined;
    if (hour !== date.getUTCHours()) minute = minutes[0];
    if (hour !== date.getUTCHours() || minute !== date.getUTCMinutes()) second = seconds[0];
    return ((hour * 60 + (minute ?? 0)) * 60 + (second ?? 0)) * SECOND_MS;
  }
}

function hasNeighbours(values: readonly number[]): boolean {
  return values.some((value, index) => values[index + 1] === value + 1);
}

function countOf(range: FieldRange | undefined): number {
  return range === undefined ? 0 : range.most - range.least + 1;
}

/** "*", "5", "1-5", "9-17/2", "10/15", names for months and days of the week, and lists of these. */
function parseField(text: string, range: FieldRange, expression: string): readonly number[] {
  const allowed = new Set<number>();
  for (const item of text.split(",")) {
    const { from, to, step } = parseItem(item, range, expression);
    for (let value = from; value <= to; value += step) allowed.add(value);
  }
  return [...allowed].toSorted((a, b) => a - b);
}

function parseItem(item: string, range: FieldRange, expression: string): { from: number; to: number; step: number } {
  const [, span = "", stepText] = /^([^/]+)(?:\/(\d{1,4}))?$/.exec(item) ?? refuse(item, range, expression);
  // The real parser takes a step of 0 for 1.
  const step = Math.max(1, Number(stepText ?? 1));
  if (span === "*") return { from: range.least, to: range.most, step };
  const [first = "", last, ...rest] = span.split("-");
  const from = parseValue(first, range) ?? refuse(item, range, expression);
  if (last === undefined) return { from, to: stepText === undefined ? from : range.most, step };
  const to = (rest.length === 0 ? parseValue(last, range) : undefined) ?? refuse(item, range, expression);
  // The real parser swaps the ends of a range that runs backwards: FRI-MON means MON-FRI.
  return { from: Math.min(from, to), to: Math.max(from, to), step };
}

function parseValue(text: string, { least, most, names = [] }: FieldRange): number | undefined {
  if (/^\d{1,4}$/.test(text)) {
    const value = Number(text);
    return value >= least && value <= most ? value : undefined;
  }
  // The beginning of a name is enough: "Mo", "MON" and "monday" are one; "J" is January.
  const index = names.findIndex((name) => text !== "" && name.toLowerCase().startsWith(text.toLowerCase()));
  return index < 0 ? undefined : index + least;
}

function refuse(item: string, { name, least, most, names }: FieldRange, expression: string): never {
  const named = names === undefined ? "" : ` or names such as '${names[0]?.slice(0, 3)}'`;
  throw new HoldfastFailure(
    "invalid",
    "ScheduleInvalid",
    `'${item}' is no valid ${name} in the schedule '${expression}'.`,
    {
      hint: `A ${name} is '*', a number from ${least} to ${most}${named}, a range 'a-b', a step '*/n', or a list of these.`,
    },
  );
}
