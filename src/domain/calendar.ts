// The calendar that policies are written in: its words, spelled as on the wire, days, and what a clock on the wall shows.
// Nothing here knows a time zone.

/** In the order of Azure's own lists, and of `Date.getUTCDay`: weeks begin on Sunday. */
export const WEEKDAYS = ["Sunday", "Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday"] as const;
export type Weekday = (typeof WEEKDAYS)[number];

export const WEEKS_OF_MONTH = ["First", "Second", "Third", "Fourth", "Last"] as const;
export type WeekOfMonth = (typeof WEEKS_OF_MONTH)[number];

export const MONTHS = [
  "January",
  "February",
  "March",
  "April",
  "May",
  "June",
  "July",
  "August",
  "September",
  "October",
  "November",
  "December",
] as const;
export type Month = (typeof MONTHS)[number];

/** A day on the calendar of the policy's zone: "2026-03-29". Sorts as text. */
export type LocalDay = string & { readonly brand: "LocalDay" };

/** What a clock on the wall shows. */
export interface LocalTime {
  readonly hour: number;
  readonly minute: number;
}

export const sameLocalTime = (one: LocalTime, other: LocalTime) =>
  one.hour === other.hour && one.minute === other.minute;

/** "02:00" */
export function renderLocalTime({ hour, minute }: LocalTime): string {
  return `${String(hour).padStart(2, "0")}:${String(minute).padStart(2, "0")}`;
}

export function dayOf(year: number, month: number, date: number): LocalDay {
  return new Date(Date.UTC(year, month - 1, date)).toISOString().slice(0, 10) as LocalDay;
}

export function partsOf(day: LocalDay): { readonly year: number; readonly month: number; readonly date: number } {
  return { year: Number(day.slice(0, 4)), month: Number(day.slice(5, 7)), date: Number(day.slice(8)) };
}

export function addDays(day: LocalDay, days: number): LocalDay {
  const { year, month, date } = partsOf(day);
  return dayOf(year, month, date + days);
}

export function weekdayOf(day: LocalDay): Weekday {
  return WEEKDAYS[new Date(`${day}T00:00:00Z`).getUTCDay()] as Weekday;
}

export function monthOf(day: LocalDay): Month {
  return MONTHS[partsOf(day).month - 1] as Month;
}

export function lastDayOfMonth(day: LocalDay): LocalDay {
  const { year, month } = partsOf(day);
  return dayOf(year, month + 1, 0);
}

/** From the first of these days to the last, both included. */
export function daysBetween(first: LocalDay, last: LocalDay): LocalDay[] {
  const days: LocalDay[] = [];
  for (let day = first; day <= last; day = addDays(day, 1)) days.push(day);
  return days;
}
