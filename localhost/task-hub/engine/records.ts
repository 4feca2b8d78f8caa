// What the hub writes to its journal. Applying the same records in the same order gives the same state, live and after
// a crash: there is no other way to change the state of the hub (hub-state.ts).

import type { Birth, Call, Ending, Retry, RetrySettled, RuntimeStatus, TimerContinuation } from "./instance.ts";
import type { Delivery, EntityMessage } from "./messages.ts";

/** First and last sequence number of a run of messages. */
export type SeqRange = readonly [number, number];

/** One step that an episode adds: it takes `id` (and appends an event) unless said otherwise. */
export type Op =
  | {
      readonly op: "call";
      readonly id: number;
      readonly call: Call;
      readonly retry?: Retry;
      readonly settled?: RetrySettled;
      readonly child?: { readonly id: string; readonly execution: string };
    }
  | {
      readonly op: "timer";
      readonly id: number;
      readonly fireAtMs: number;
      readonly leaf?: readonly number[];
      readonly next?: TimerContinuation;
    }
  | { readonly op: "send"; readonly id: number; readonly to: string; readonly message: EntityMessage };

export interface EpisodeRecord {
  readonly r: "episode";
  readonly id: string;
  readonly atMs: number;
  readonly took: readonly SeqRange[];
  /** True when the function ran: the history then has an OrchestratorStarted to replay from. */
  readonly ran: boolean;
  readonly ops?: readonly Op[];
  readonly nextId?: number;
  readonly processedActions?: number;
  /** What the new leaves are, run-length encoded. */
  readonly shape?: readonly (readonly [string, number])[];
  readonly cancelled?: readonly number[];
  readonly customStatus?: string;
  readonly lock?: { readonly id: string; readonly lockSet: readonly string[] } | null;
  readonly ending?: Ending;
  /** Ends now, whatever is still open: the instance broke a rule and cannot go on. */
  readonly abandons?: boolean;
}

export interface EntityRecord {
  readonly r: "entity";
  readonly id: string;
  readonly atMs: number;
  readonly took: readonly SeqRange[];
  readonly state?: { readonly exists: boolean; readonly text: string | null };
  readonly lockedBy?: { readonly id: string; readonly owner: string } | null;
  readonly sends?: readonly Delivery[];
}

/** Where the document of a finished instance lies in the archive; opaque to the engine. */
export type ArchivePointer = unknown;

/** What stays in memory of a finished instance. */
export interface FinishedEntry {
  readonly id: string;
  readonly name: string;
  readonly status: RuntimeStatus;
  readonly createdAtMs: number;
  readonly updatedAtMs: number;
  readonly pointer: ArchivePointer;
}

/** An instance as a checkpoint restates it: see snapshot.ts. */
export type InstanceSnapshot = Readonly<Record<string, unknown>>;

/** A document has been copied within the archive. `updatedAtMs` says of which finish it is. */
export interface Move {
  readonly id: string;
  readonly updatedAtMs: number;
  readonly pointer: ArchivePointer;
}

export type HubRecord =
  | { readonly r: "created"; readonly atMs: number; readonly birth: Birth }
  | { readonly r: "arrived"; readonly atMs: number; readonly deliveries: readonly Delivery[] }
  | EpisodeRecord
  | EntityRecord
  | { readonly r: "rewound"; readonly id: string; readonly atMs: number; readonly reason: string }
  | { readonly r: "revived"; readonly snapshot: InstanceSnapshot }
  | { readonly r: "purged"; readonly ids: readonly string[] }
  | { readonly r: "archived"; readonly entries: readonly (FinishedEntry & { readonly execution: string })[] }
  | { readonly r: "moved"; readonly moves: readonly Move[] }
  | { readonly r: "snapshot"; readonly instance: InstanceSnapshot }
  | { readonly r: "index"; readonly entries: readonly FinishedEntry[] };
