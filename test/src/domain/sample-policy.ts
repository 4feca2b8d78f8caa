// A policy with a rule of each kind, as Azure's page of 2016 showed it: the golden test of retention.

import type { Policy } from "../../../src/domain/policy.ts";

/** Daily 30 days, Sundays 104 weeks, last Sundays 120 months, January's first Sunday 99 years. */
export const SAMPLE_POLICY: Policy = {
  type: "V1",
  timeZone: "UTC",
  schedule: { frequency: "Daily", time: { hour: 2, minute: 0 } },
  retention: {
    daily: { keepDays: 30 },
    weekly: { weekdays: ["Sunday"], keepWeeks: 104 },
    monthly: { on: { format: "Weekly", weekdays: ["Sunday"], weeks: ["Last"] }, keepMonths: 120 },
    yearly: { months: ["January"], on: { format: "Weekly", weekdays: ["Sunday"], weeks: ["First"] }, keepYears: 99 },
  },
  instantRestoreDays: 2,
  snapshotGroup: { prefix: "", suffix: "" },
};
