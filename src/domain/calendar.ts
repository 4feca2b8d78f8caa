// The words of the calendar that policies are written in, spelled as they are on the wire, and a wall clock's reading.

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
