// One instance of the hub while it is held in memory: an orchestration or an entity, with everything that is needed to
// go on after a crash. Plain data: it is written to the journal as it is (checkpoint.ts) except for `replay`, which is
// derived from the history.

import { type FailureDetails, type HistoryEvent, replayText } from "./history.ts";
import type { Arrival } from "./messages.ts";

export type RuntimeStatus = "Pending" | "Running" | "Suspended" | "Completed" | "Failed" | "Terminated";

export interface Parent {
  readonly instance: string;
  readonly execution: string;
  readonly task: number;
}

export interface RetryOptions {
  readonly firstRetryIntervalInMilliseconds: number;
  readonly maxNumberOfAttempts: number;
  readonly backoffCoefficient?: number;
  readonly maxRetryIntervalInMilliseconds?: number;
  readonly retryTimeoutInMilliseconds?: number;
}

export interface Retry {
  readonly options: RetryOptions;
  readonly attempt: number;
  readonly firstAtMs: number;
}

export interface HttpCall {
  readonly method: string;
  readonly uri: string;
  readonly content?: string;
  readonly headers?: Record<string, string>;
  readonly tokenSource?: unknown;
  readonly followsAsyncPattern: boolean;
}

/** What an orchestration asked to be run elsewhere. */
export type Call =
  | { readonly kind: "activity"; readonly name: string; readonly input: string | null }
  | {
      readonly kind: "child";
      readonly name: string;
      readonly input: string | null;
      readonly version?: string;
      /** The id that the orchestrator chose; absent when the engine names the child. */
      readonly chosenId?: string;
    }
  | { readonly kind: "http"; readonly request: HttpCall };

/** A durable task that has not been answered: it keeps its instance from ending (as in the real engine). */
export type OpenTask =
  | { readonly kind: "call"; readonly call: Call; readonly child?: string; readonly retry?: Retry }
  | {
      readonly kind: "timer";
      readonly fireAtMs: number;
      /** Where the action stands in the action tree; absent for timers that the engine itself created. */
      readonly leaf?: readonly number[];
      /** What happens when it fires, for timers of the engine: the next attempt, or the next poll. */
      readonly next?: TimerContinuation;
    };

export type TimerContinuation =
  | { readonly kind: "retry"; readonly call: Call; readonly retry: Retry; readonly settled?: RetrySettled }
  | { readonly kind: "give-up" }
  | { readonly kind: "poll"; readonly task: number; readonly request: HttpCall };

/** Further attempts are answered with this at once: the retry time-out passed, or the failure cannot be retried. */
export interface RetrySettled {
  readonly reason: string;
  readonly details: string;
  readonly failure?: FailureDetails;
}

export type Ending =
  | { readonly kind: "completed"; readonly output: string | null }
  | { readonly kind: "failed"; readonly message: string }
  | { readonly kind: "terminated"; readonly reason: string }
  | {
      readonly kind: "continued";
      readonly input: string | null;
      readonly carried: readonly { readonly name: string; readonly input: string | null }[];
    };

export interface EntityFields {
  exists: boolean;
  state: string | null;
  lockedBy: { readonly id: string; readonly owner: string } | undefined;
}

export interface Instance {
  readonly id: string;
  readonly name: string;
  readonly version: string | undefined;
  readonly createdAtMs: number;
  readonly parent: Parent | undefined;
  execution: string;
  status: RuntimeStatus;
  updatedAtMs: number;
  /** JSON texts. */
  input: string | null;
  output: string | null;
  customStatus: string | null;
  started: boolean;
  history: HistoryEvent[];
  /** Reduced JSON of `history`, event by event: what the next replay is made of. */
  replay: string[];
  inbox: Arrival[];
  nextSeq: number;
  open: Map<number, OpenTask>;
  nextId: number;
  /** How many top-level actions of the current execution have been acted on, and what each of their leaves was. */
  processedActions: number;
  shape: string[];
  /** Set when the function has returned; the instance ends when nothing is open any more. */
  ending: Ending | undefined;
  /** The critical section the orchestration is in, to be released whatever way it ends. */
  lock: { readonly id: string; readonly lockSet: readonly string[] } | undefined;
  /** True between a rewind and the first episode after it: actions are numbered again from the start. */
  rewound: boolean;
  readonly entity: EntityFields | undefined;
}

export interface Birth {
  readonly id: string;
  readonly name: string;
  readonly version?: string;
  readonly input: string | null;
  readonly execution: string;
  readonly parent?: Parent;
}

export function newInstance(birth: Birth, atMs: number, entity?: EntityFields): Instance {
  return {
    id: birth.id,
    name: birth.name,
    version: birth.version,
    createdAtMs: atMs,
    parent: birth.parent,
    execution: birth.execution,
    status: entity === undefined ? "Pending" : "Running",
    updatedAtMs: atMs,
    input: birth.input,
    output: null,
    customStatus: null,
    started: false,
    history: [],
    replay: [],
    inbox: [],
    nextSeq: 0,
    open: new Map(),
    nextId: 0,
    processedActions: 0,
    shape: [],
    ending: undefined,
    lock: undefined,
    rewound: false,
    entity,
  };
}

export function remember(instance: Instance, event: HistoryEvent): void {
  instance.history.push(event);
  const text = replayText(event);
  if (text !== undefined) instance.replay.push(text);
}

export function isTerminal(status: RuntimeStatus): boolean {
  return status === "Completed" || status === "Failed" || status === "Terminated";
}
