// The life of a recovery point by its two copies: the snapshot beside the machine's disks, and what is in the vault.

import { assert } from "../base/assert.ts";

export const POINT_STATES = ["Snapshot", "Transferring", "SnapshotAndVault", "Vault", "Gone"] as const;
export type PointState = (typeof POINT_STATES)[number];

export const POINT_EVENTS = [
  /** A transfer holds the snapshot. */
  "transfer-begins",
  /** The manifest is committed: that is the backup. */
  "transfer-committed",
  /** Failed, cancelled or skipped: the snapshot stays as it is. */
  "transfer-abandoned",
  "snapshot-released",
  /** Found to be gone from Azure, without us. */
  "snapshot-lost",
  "vault-copy-deleted",
  /** Within its soft deletion. */
  "vault-copy-undeleted",
] as const;
export type PointEvent = (typeof POINT_EVENTS)[number];

/** `undefined`: a bug. Events come more than once and late, so what is done already stays done. */
export const POINT_TRANSITIONS: Readonly<Record<PointState, Readonly<Record<PointEvent, PointState | undefined>>>> = {
  Snapshot: {
    "transfer-begins": "Transferring",
    // Whatever this row missed: a committed manifest stands.
    "transfer-committed": "SnapshotAndVault",
    "transfer-abandoned": "Snapshot",
    "snapshot-released": "Gone",
    "snapshot-lost": "Gone",
    "vault-copy-deleted": "Snapshot",
    "vault-copy-undeleted": "SnapshotAndVault",
  },
  Transferring: {
    "transfer-begins": "Transferring",
    "transfer-committed": "SnapshotAndVault",
    "transfer-abandoned": "Snapshot",
    // The transfer reads from it.
    "snapshot-released": undefined,
    "snapshot-lost": "Gone",
    "vault-copy-deleted": undefined,
    "vault-copy-undeleted": undefined,
  },
  SnapshotAndVault: {
    "transfer-begins": "SnapshotAndVault",
    "transfer-committed": "SnapshotAndVault",
    "transfer-abandoned": "SnapshotAndVault",
    "snapshot-released": "Vault",
    "snapshot-lost": "Vault",
    "vault-copy-deleted": "Snapshot",
    "vault-copy-undeleted": "SnapshotAndVault",
  },
  Vault: {
    "transfer-begins": "Vault",
    "transfer-committed": "Vault",
    "transfer-abandoned": "Vault",
    "snapshot-released": "Vault",
    "snapshot-lost": "Vault",
    "vault-copy-deleted": "Gone",
    "vault-copy-undeleted": "Vault",
  },
  Gone: {
    "transfer-begins": "Gone",
    // The snapshot was lost after the last byte was read: the manifest stands all the same.
    "transfer-committed": "Vault",
    "transfer-abandoned": "Gone",
    "snapshot-released": "Gone",
    "snapshot-lost": "Gone",
    "vault-copy-deleted": "Gone",
    "vault-copy-undeleted": "Vault",
  },
};

export function nextPointState(state: PointState, event: PointEvent): PointState {
  const next = POINT_TRANSITIONS[state][event];
  assert(next !== undefined, `a recovery point in state ${state} meets ${event}`);
  return next;
}

export interface TierDetail {
  readonly type: "InstantRP" | "HardenedRP";
  readonly status: "Valid" | "Deleted";
}

/** As clients read where a point lies. */
export function tiersOf(state: PointState): readonly TierDetail[] {
  switch (state) {
    case "Snapshot":
    case "Transferring":
      return [{ type: "InstantRP", status: "Valid" }];
    case "SnapshotAndVault":
      return [
        { type: "InstantRP", status: "Valid" },
        { type: "HardenedRP", status: "Valid" },
      ];
    case "Vault":
      return [
        { type: "InstantRP", status: "Deleted" },
        { type: "HardenedRP", status: "Valid" },
      ];
    case "Gone":
      return [];
  }
}

/** A snapshot is at hand at once; the vault has to be read. */
export function restoreSourceOf(state: PointState): "Snapshot" | "Vault" | undefined {
  if (state === "Gone") return undefined;
  return state === "Vault" ? "Vault" : "Snapshot";
}
