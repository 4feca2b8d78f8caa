// The life of a recovery point's snapshot, as a table that every change of it goes through. The other copy, in the vault, has
// a life of its own there: a manifest that stands until a collector removes it (src/vault/point-states.ts). The row of a point
// goes when its snapshot is deleted and the vault has no copy for anybody any more.

import { assert } from "../base/assert.ts";

/** "leaving": nobody chooses it any more, and the platform is told to remove it, again and again until it is gone. */
export const SNAPSHOT_STATES = ["valid", "leaving", "deleted"] as const;
export type SnapshotState = (typeof SNAPSHOT_STATES)[number];

export const SNAPSHOT_EVENTS = [
  /** Its time is over, or its item is removed. */
  "released",
  /** The platform has it no more. */
  "gone",
] as const;
export type SnapshotEvent = (typeof SNAPSHOT_EVENTS)[number];

/** `undefined`: a bug. Events come more than once and late, so what is done already stays done; and nothing leads back. */
const TRANSITIONS: Readonly<Record<SnapshotState, Readonly<Record<SnapshotEvent, SnapshotState | undefined>>>> = {
  // Removing is asked of one that is leaving: before that, a restore may choose it at any moment.
  valid: { released: "leaving", gone: undefined },
  leaving: { released: "leaving", gone: "deleted" },
  deleted: { released: "deleted", gone: "deleted" },
};

export function nextSnapshotState(state: SnapshotState, event: SnapshotEvent): SnapshotState {
  const next = TRANSITIONS[state][event];
  assert(next !== undefined, `a snapshot that is ${state} is ${event}`);
  return next;
}
