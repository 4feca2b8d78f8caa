// The occurrences of a schedule: at which instants a policy runs, and to which day of its calendar a run belongs.
// Daylight saving: a wall time that is skipped becomes the first instant after the gap, one that comes twice is the first
// of the two; hours and minutes between runs are elapsed time, and each day begins anew from its wall time.

import type { LocalDay } from "./calendar.ts";
import type { Policy } from "./policy.ts";

export type PolicySchedule = Pick<Policy, "schedule" | "timeZone" | "everyMinutes">;

export interface Occurrence {
  /** The instant. With the item, it is the key of a run. */
  readonly scheduledAt: Date;
  /** The day it counts for: of an hourly window, the day the window began. */
  readonly day: LocalDay;
  readonly isLastOfDay: boolean;
}
