// What the steps of a collection hand to each other, and every waiting period they keep.

import type { PointId, TransferId } from "./format/names.ts";
import type { StateRecord } from "./format/records.ts";

/** Every waiting period that stands between a concurrent writer and the collector. */
export const COLLECTION_MARGINS = {
  /** A pack younger than the listing of pins may be of a transfer that began after it. The margin is for slow requests. */
  packMs: 15 * 60 * 1000,
  /** Voids, and the sidecars of dropped points, outlive any executor that could still try to commit there. */
  graveMs: 30 * 24 * 3600 * 1000,
} as const;

export const DAY_MS = 24 * 3600 * 1000;
export interface DroppingPoint {
  readonly point: PointId;
  readonly state: StateRecord;
}

export interface ListedPins {
  readonly transfers: ReadonlySet<TransferId>;
  /** By name. */
  readonly points: ReadonlyMap<string, PointId>;
  readonly storeDate: Date;
}
