// The policies that every new vault has. Their names are Azure's: clients ask for them.

import type { Policy } from "./policy.ts";

const NO_AFFIXES = { prefix: "", suffix: "" };

/** Once a day, kept for 30 days, snapshots for 2. */
const DEFAULT_POLICY: Policy = {
  type: "V1",
  timeZone: "UTC",
  schedule: { frequency: "Daily", time: { hour: 2, minute: 0 } },
  retention: { daily: { keepDays: 30 } },
  instantRestoreDays: 2,
  snapshotGroup: NO_AFFIXES,
};

/** Every four hours from 08:00 on until the next morning, kept for 30 days, snapshots for 7. */
const ENHANCED_POLICY: Policy = {
  type: "V2",
  timeZone: "UTC",
  schedule: { frequency: "Hourly", windowStart: { hour: 8, minute: 0 }, intervalHours: 4, windowHours: 24 },
  retention: { daily: { keepDays: 30 } },
  instantRestoreDays: 7,
  snapshotGroup: NO_AFFIXES,
};

export const DEFAULT_POLICIES: Readonly<Record<string, Policy>> = {
  DefaultPolicy: DEFAULT_POLICY,
  EnhancedPolicy: ENHANCED_POLICY,
};
