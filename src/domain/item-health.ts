// How an item fares, from how its last backups ended: a first failure may be a passing one, the same again is not.

import { catalogEntryOf } from "./failure-catalog.ts";

export type ItemHealth =
  | "Healthy"
  | "TransientDegraded"
  | "PersistentDegraded"
  | "TransientUnhealthy"
  | "PersistentUnhealthy";

/** `ends`: newest first; the code of a failure, or undefined for a backup that succeeded. */
export function healthOf(ends: readonly (string | undefined)[]): ItemHealth {
  const [newest, before] = ends;
  if (newest === undefined) return "Healthy";
  const lasts = newest === before ? "Persistent" : "Transient";
  // What the owner of the machine can mend degrades it; what the service has to mend makes it unhealthy.
  return catalogEntryOf(newest).fault === "User" ? `${lasts}Degraded` : `${lasts}Unhealthy`;
}
