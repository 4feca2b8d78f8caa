// One episode of an orchestration, as three pure steps: take a batch (batch.ts), build what the function replays
// (`replayPayload`), and turn what it answered into a record (`interpret`). Nothing here changes the instance: only
// applying the record does (hub-state.ts), so an episode that a crash cuts off simply happens again.

import { assert } from "../../../src/base/assert.ts";
import {
  type Action,
  ActionType,
  describeLeaf,
  findDivergence,
  findReusedTask,
  inputText,
  type Leaf,
  leafAt,
  leavesOf,
} from "./actions.ts";
import { acceptedArrivals, type Batch, DEFAULT_HTTP_POLL_MS } from "./batch.ts";
import { EventType, type HistoryEvent, replayText } from "./history.ts";
import type { Ending, Instance } from "./instance.ts";
import { isNotJson, jsonText } from "./json-text.ts";
import { type Arrival, eventOf } from "./messages.ts";
import type { EpisodeRecord, Op, SeqRange } from "./records.ts";
import { tailOps } from "./tail-ops.ts";
import { renumberedOps, userOps } from "./user-ops.ts";

/** What the function answered; `actions` are cumulative for the execution. */
export type FunctionOutcome =
  | {
      readonly ok: true;
      readonly isDone: boolean;
      readonly actions: readonly Action[];
      readonly output: unknown;
      readonly customStatus?: unknown;
      /** The library's own count of ids, when the caller wants our numbering checked against it. */
      readonly sequenceNumber?: number;
    }
  | {
      readonly ok: false;
      readonly message: string;
      readonly actions: readonly Action[];
      readonly customStatus?: unknown;
      /** Where it was thrown, for the log. */
      readonly stack?: string;
    };

export interface EpisodeLimits {
  readonly maxActions: number;
}

export interface EpisodeContext {
  readonly atMs: number;
  /** 32 random hex digits. */
  readonly newId: () => string;
  readonly limits: EpisodeLimits;
}

const MAX_CUSTOM_STATUS_BYTES = 16 * 1024;

export function startedEvent(instance: Instance, atMs: number): HistoryEvent {
  const event = { type: EventType.ExecutionStarted, atMs, name: instance.name, input: instance.input };
  return instance.version === undefined ? event : { ...event, version: instance.version };
}

/** JSON text for the orchestration trigger: the whole history of this execution, with the batch at its end. */
export function replayPayload(instance: Instance, batch: Batch, atMs: number): string {
  const texts = instance.replay.slice();
  const add = (event: HistoryEvent | undefined): void => {
    const text = event === undefined ? undefined : replayText(event);
    if (text !== undefined) texts.push(text);
  };
  add({ type: EventType.OrchestratorStarted, atMs });
  if (!instance.started) add(startedEvent(instance, atMs));
  for (const arrival of acceptedArrivals(instance, batch.arrivals)) add(eventOf(arrival));
  const parent = instance.parent === undefined ? "null" : JSON.stringify(instance.parent.instance);
  return (
    `{"history":[${texts.join(",")}],"input":${instance.input ?? "null"},"instanceId":${JSON.stringify(instance.id)},` +
    `"isReplaying":false,"parentInstanceId":${parent},"upperSchemaVersion":1,"upperSchemaVersionNew":3,` +
    // A local engine has no limit on the length of a timer, so the library never needs to chain short ones.
    `"longRunningTimerIntervalDuration":"3.00:00:00","maximumShortTimerDuration":"1000000.00:00:00",` +
    `"defaultHttpAsyncRequestSleepTimeMillseconds":${DEFAULT_HTTP_POLL_MS}}`
  );
}

export function seqRanges(arrivals: readonly Arrival[]): SeqRange[] {
  const ranges: [number, number][] = [];
  for (const { seq } of arrivals) {
    const last = ranges.at(-1);
    if (last !== undefined && last[1] + 1 === seq) last[1] = seq;
    else ranges.push([seq, seq]);
  }
  return ranges;
}

/** The record of an episode in which the function did not run. */
export function quietRecord(instance: Instance, batch: Batch, context: EpisodeContext): EpisodeRecord {
  assert(!batch.callsFunction, "an episode whose function runs needs its outcome");
  const tail = tailOps(instance, batch, context, instance.nextId);
  assert(typeof tail !== "string", "nothing fails once the function has returned");
  return {
    r: "episode",
    id: instance.id,
    atMs: context.atMs,
    took: seqRanges(batch.arrivals),
    ran: false,
    ...(tail.ops.length > 0 && { ops: tail.ops, nextId: tail.nextId }),
  };
}

/** The record of an episode in which the function ran. */
export function interpret(
  instance: Instance,
  batch: Batch,
  outcome: FunctionOutcome,
  context: EpisodeContext,
): EpisodeRecord {
  const base = {
    r: "episode",
    id: instance.id,
    atMs: context.atMs,
    took: seqRanges(batch.arrivals),
    ran: true,
  } as const;
  const fail = (problem: string): EpisodeRecord => ({
    ...base,
    ending: { kind: "failed", message: failureMessage(instance, problem) },
    abandons: true,
  });
  try {
    const record = interpretOutcome(base, instance, batch, outcome, context);
    return typeof record === "string" ? fail(record) : record;
  } catch (error) {
    if (!isNotJson(error)) throw error;
    return fail(error.message);
  }
}

/** A string is a reason to fail. */
function interpretOutcome(
  base: EpisodeRecord,
  instance: Instance,
  batch: Batch,
  outcome: FunctionOutcome,
  context: EpisodeContext,
): EpisodeRecord | string {
  const customStatus = jsonText(outcome.customStatus, "the custom status") ?? undefined;
  if (customStatus !== undefined && customStatus.length * 2 > MAX_CUSTOM_STATUS_BYTES) {
    return "the custom status is larger than 16 KB of UTF-16 text. Store the data elsewhere and set a short status.";
  }
  const leaves = leavesOf(outcome.actions);
  const problem = findProblem(instance, outcome, leaves, context.limits);
  if (problem !== undefined) return problem;

  const newLeaves = leaves.filter((leaf) => (leaf.path[0] as number) >= instance.processedActions);
  const user = instance.rewound ? renumberedOps(instance, leaves, context) : userOps(instance, newLeaves, context);
  if (typeof user === "string") return user;
  const tail = tailOps(instance, batch, context, user.nextId);
  if (typeof tail === "string") return tail;
  // The library stops reading where the function returns: it does not count what comes after.
  const countedIds = outcome.ok && outcome.isDone ? user.nextId : tail.nextId;
  if (outcome.ok && outcome.sequenceNumber !== undefined && outcome.sequenceNumber !== countedIds) {
    return (
      `the library has handed out ${outcome.sequenceNumber} ids where its actions account for ${countedIds}. ` +
      "Results would reach the wrong tasks. Look for tasks that are yielded twice or shared between compound tasks."
    );
  }
  const ending = endingOf(instance, batch, outcome, leaves);
  return {
    ...base,
    ops: [...user.ops, ...tail.ops],
    nextId: tail.nextId,
    processedActions: outcome.actions.length,
    shape: runLengths((instance.rewound ? leaves : newLeaves).map((leaf) => describeLeaf(leaf.action))),
    cancelled: cancelledTimers(instance, user.ops, outcome.actions),
    ...(customStatus !== undefined && { customStatus }),
    ...(user.lock !== undefined && { lock: user.lock }),
    ...(ending !== undefined && { ending }),
  };
}

export function failureMessage(instance: Instance, problem: string): string {
  return `Orchestrator function '${instance.name}' failed: ${problem}`;
}

function findProblem(
  instance: Instance,
  outcome: FunctionOutcome,
  leaves: readonly Leaf[],
  limits: EpisodeLimits,
): string | undefined {
  if (leaves.length > limits.maxActions) {
    return (
      `it has scheduled ${leaves.length} actions, more than maxOrchestrationActions (${limits.maxActions}). ` +
      "Split the work with sub-orchestrations, or use continueAsNew."
    );
  }
  // One that threw may have asked for less than before; what it threw says more than that it did.
  const isComparable = outcome.ok && !instance.rewound;
  const diverged = isComparable ? findDivergence(instance.shape, leaves) : undefined;
  if (diverged !== undefined) return diverged;
  return outcome.actions.length > instance.processedActions ? findReusedTask(leaves) : undefined;
}

// A timer may be cancelled in the episode that creates it: it takes its id all the same.
function cancelledTimers(instance: Instance, ops: readonly Op[], actions: readonly Action[]): number[] {
  const timers: (readonly [number, readonly number[] | undefined])[] = [];
  for (const [id, open] of instance.open) if (open.kind === "timer") timers.push([id, open.leaf]);
  for (const op of ops) if (op.op === "timer") timers.push([op.id, op.leaf]);
  return timers.flatMap(([id, leaf]) => (leaf !== undefined && leafAt(actions, leaf)?.isCanceled === true ? [id] : []));
}

function endingOf(
  instance: Instance,
  batch: Batch,
  outcome: FunctionOutcome,
  leaves: readonly Leaf[],
): Ending | undefined {
  if (!outcome.ok) return { kind: "failed", message: failureMessage(instance, outcome.message) };
  if (!outcome.isDone) return undefined;
  const again = leaves.find((leaf) => leaf.action.actionType === ActionType.ContinueAsNew);
  if (again !== undefined) {
    return {
      kind: "continued",
      input: inputText(again.action),
      carried: unheardEvents(instance, batch, leaves),
    };
  }
  return { kind: "completed", output: jsonText(outcome.output, "its result") };
}

/** Events that were raised but never waited for: they go with the next generation (Azure would lose them). */
function unheardEvents(
  instance: Instance,
  batch: Batch,
  leaves: readonly Leaf[],
): { name: string; input: string | null }[] {
  const waits = new Map<string, number>();
  for (const { action } of leaves) {
    if (action.actionType !== ActionType.WaitForExternalEvent) continue;
    const name = action.externalEventName ?? "";
    waits.set(name, (waits.get(name) ?? 0) + 1);
  }
  const unheard: { name: string; input: string | null }[] = [];
  const batchEvents = acceptedArrivals(instance, batch.arrivals).map(eventOf);
  for (const event of [...instance.history, ...batchEvents]) {
    if (event?.type !== EventType.EventRaised || event.reply === true) continue;
    const name = event.name ?? "";
    const left = waits.get(name) ?? 0;
    if (left > 0) waits.set(name, left - 1);
    else unheard.push({ name, input: event.input ?? null });
  }
  return unheard;
}

function runLengths(texts: readonly string[]): (readonly [string, number])[] {
  const runs: [string, number][] = [];
  for (const text of texts) {
    const last = runs.at(-1);
    if (last !== undefined && last[0] === text) last[1] += 1;
    else runs.push([text, 1]);
  }
  return runs;
}
