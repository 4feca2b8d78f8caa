// Entities: which messages an entity takes next, what its function is given, and what its answer becomes. One batch at
// a time; while an orchestration holds the lock, only its own operations are served and all others wait.

import { seqRanges } from "./episode.ts";
import type { Instance } from "./instance.ts";
import type { Arrival, Delivery, EntityMessage } from "./messages.ts";
import type { EntityRecord } from "./records.ts";

type Operation = Extract<EntityMessage, { kind: "operation" }>;

export type EntityStep =
  | { readonly step: "run"; readonly arrivals: readonly Arrival[]; readonly operations: readonly Operation[] }
  /** Locks and releases: no function runs. */
  | { readonly step: "record"; readonly record: EntityRecord };

/** Operations of one batch: bounds the time and the size of one record. */
const MAX_BATCH_OPERATIONS = 200;

export interface EntityOperationResult {
  readonly isError: boolean;
  readonly result?: string;
}

export interface EntityOutcome {
  readonly entityExists: boolean;
  readonly entityState?: string;
  readonly results: readonly EntityOperationResult[];
  readonly signals: readonly {
    readonly target: { readonly name: string; readonly key: string };
    readonly name: string;
    readonly input: string;
  }[];
}

/** `holdsLock` tells whether an orchestration still wants the lock it asked for. */
export function nextEntityStep(
  instance: Instance,
  atMs: number,
  holdsLock: (owner: string, lockId: string) => boolean,
): EntityStep | undefined {
  const lockedBy = instance.entity?.lockedBy;
  const release = instance.inbox.find(({ message }) => message.kind === "release");
  if (release !== undefined) return { step: "record", record: releaseRecord(instance, release, atMs) };
  if (lockedBy !== undefined) {
    const owned = instance.inbox.filter(
      ({ message }) => message.kind === "operation" && message.sender?.instance === lockedBy.owner,
    );
    return runStep(owned);
  }
  const head = instance.inbox[0];
  if (head === undefined) return undefined;
  if (head.message.kind === "lock") {
    return { step: "record", record: lockRecord(instance, head, head.message, atMs, holdsLock) };
  }
  const firstLock = instance.inbox.findIndex(({ message }) => message.kind === "lock");
  return runStep(firstLock < 0 ? instance.inbox : instance.inbox.slice(0, firstLock));
}

function runStep(candidates: readonly Arrival[]): EntityStep | undefined {
  const arrivals = candidates.slice(0, MAX_BATCH_OPERATIONS);
  if (arrivals.length === 0) return undefined;
  const operations = arrivals.flatMap(({ message }) => (message.kind === "operation" ? [message] : []));
  return { step: "run", arrivals, operations };
}

function releaseRecord(instance: Instance, release: Arrival, atMs: number): EntityRecord {
  const id = release.message.kind === "release" ? release.message.id : "";
  // A request for the lock that is still queued here is withdrawn with it.
  const withdrawn = instance.inbox.filter(
    (arrival) => arrival === release || (arrival.message.kind === "lock" && arrival.message.id === id),
  );
  const base = { r: "entity", id: instance.id, atMs, took: seqRanges(withdrawn) } as const;
  return instance.entity?.lockedBy?.id === id ? { ...base, lockedBy: null } : base;
}

function lockRecord(
  instance: Instance,
  arrival: Arrival,
  lock: Extract<EntityMessage, { kind: "lock" }>,
  atMs: number,
  holdsLock: (owner: string, lockId: string) => boolean,
): EntityRecord {
  const base = { r: "entity", id: instance.id, atMs, took: seqRanges([arrival]) } as const;
  if (!holdsLock(lock.owner.instance, lock.id)) return base;
  const next = lock.lockSet[lock.position + 1];
  const send: Delivery =
    next === undefined
      ? {
          to: lock.owner.instance,
          message: { kind: "reply", execution: lock.owner.execution, name: lock.id, input: "{}" },
        }
      : { to: next, message: { ...lock, position: lock.position + 1 } };
  return { ...base, lockedBy: { id: lock.id, owner: lock.owner.instance }, sends: [send] };
}

export function entityParts(instanceId: string): { name: string; key: string } {
  const separator = instanceId.indexOf("@", 1);
  return { name: instanceId.slice(1, separator), key: instanceId.slice(separator + 1) };
}

/** JSON text for the entity trigger. */
export function entityPayload(instance: Instance, operations: readonly Operation[]): string {
  const { exists = false, state = null } = instance.entity ?? {};
  return JSON.stringify({
    self: entityParts(instance.id),
    exists,
    ...(state !== null && { state }),
    batch: operations.map(({ id, name, input, caller }) => ({
      id,
      name,
      ...(input !== null && { input }),
      isSignal: caller === undefined,
    })),
  });
}

export function entityRecord(
  instance: Instance,
  arrivals: readonly Arrival[],
  outcome: EntityOutcome,
  atMs: number,
): EntityRecord {
  const operations = arrivals.flatMap(({ message }) => (message.kind === "operation" ? [message] : []));
  const replies = operations.flatMap((operation, index): Delivery[] => {
    if (operation.caller === undefined) return [];
    const result = outcome.results[index] ?? { isError: true, result: '"The operation gave no result."' };
    const body = { result: result.result ?? "null", ...(result.isError && { exceptionType: "Error" }) };
    const { instance: to, execution } = operation.caller;
    return [{ to, message: { kind: "reply", execution, name: operation.id, input: JSON.stringify(body) } }];
  });
  const signals = outcome.signals.map(
    (signal, index): Delivery => ({
      to: `@${signal.target.name.toLowerCase()}@${signal.target.key}`,
      message: {
        kind: "operation",
        id: `${arrivals[0]?.seq}-${index}-${instance.id}`,
        name: signal.name,
        input: signal.input === "" ? null : signal.input,
      },
    }),
  );
  return {
    r: "entity",
    id: instance.id,
    atMs,
    took: seqRanges(arrivals),
    state: { exists: outcome.entityExists, text: outcome.entityExists ? (outcome.entityState ?? null) : null },
    sends: [...replies, ...signals],
  };
}

/** The record of a batch whose function broke as a whole: the state stays, every caller hears why. */
export function failedEntityRecord(
  instance: Instance,
  arrivals: readonly Arrival[],
  reason: string,
  atMs: number,
): EntityRecord {
  const failed = { isError: true, result: JSON.stringify(reason) };
  const { exists = false, state } = instance.entity ?? {};
  return entityRecord(
    instance,
    arrivals,
    { entityExists: exists, ...(state && { entityState: state }), results: arrivals.map(() => failed), signals: [] },
    atMs,
  );
}
