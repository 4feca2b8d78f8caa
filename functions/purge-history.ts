// Keeping the hub small: orchestrations that have ended are forgotten, for what they came to is in rows. What one of them did
// is of use while somebody may still ask why, so the last week's stay.

import { type DurableClient, OrchestrationRuntimeStatus, type PurgeHistoryResult } from "durable-functions";

const HISTORY_DAYS = 7;
const DAY_MS = 24 * 3_600_000;

/** By the time of their start, for the client knows no other: one that ran for a week goes soon after its end. */
export function purgeHistory(client: DurableClient, now: Date): Promise<PurgeHistoryResult> {
  const { Completed, Failed, Terminated } = OrchestrationRuntimeStatus;
  return client.purgeInstanceHistoryBy({
    createdTimeFrom: new Date(0),
    createdTimeTo: new Date(now.getTime() - HISTORY_DAYS * DAY_MS),
    runtimeStatus: [Completed, Failed, Terminated],
  });
}
