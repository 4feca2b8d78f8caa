// From the actions that user code asked for to numbered steps: ids are given in the order of the action list, which is
// the order in which the library gave them.

import { assert } from "../../../src/base/assert.ts";
import { type Action, ActionType, fireAtMsOf, inputText, type Leaf } from "./actions.ts";
import type { EpisodeContext } from "./episode.ts";
import { invalidInstanceId, newExecution } from "./ids.ts";
import type { Call, HttpCall, Instance, Retry, RetryOptions, RetrySettled } from "./instance.ts";
import type { EpisodeRecord, Op } from "./records.ts";

export interface NumberedOps {
  readonly ops: readonly Op[];
  readonly nextId: number;
  readonly lock?: EpisodeRecord["lock"];
}

/** The steps that user code asked for, numbered in the order of the action list. A string is a reason to fail. */
export function userOps(instance: Instance, leaves: readonly Leaf[], context: EpisodeContext): NumberedOps | string {
  const ops: Op[] = [];
  let nextId = instance.nextId;
  let lock = instance.lock;
  for (const { action, path } of leaves) {
    switch (action.actionType) {
      case ActionType.WaitForExternalEvent:
      case ActionType.ContinueAsNew:
        break;
      case ActionType.CreateTimer: {
        const fireAtMs = fireAtMsOf(action);
        if (Number.isNaN(fireAtMs)) return "it created a timer with an invalid date.";
        ops.push({ op: "timer", id: nextId++, fireAtMs, leaf: path });
        break;
      }
      case ActionType.CallEntity:
      case ActionType.SignalEntity:
        ops.push(entityOp(instance, action, nextId++, context));
        break;
      case ActionType.LockEntities:
        lock = { id: action.lockRequestId ?? "", lockSet: (action.lockSet ?? []).map(entityInstanceId) };
        ops.push(lockOp(instance, lock, nextId++));
        break;
      case ActionType.ReleaseEntities:
        for (const to of lock?.lockSet ?? []) {
          ops.push({ op: "send", id: nextId++, to, message: { kind: "release", id: lock?.id ?? "" } });
        }
        lock = undefined;
        break;
      default: {
        const call = callOf(action);
        if (call === undefined) return `it returned an action of unknown type ${action.actionType}.`;
        const refused = refusedChild(instance, call);
        if (refused !== undefined) return refused;
        ops.push(callOp(instance, call, nextId++, retryOf(action, context.atMs), context));
      }
    }
  }
  return lock === instance.lock ? { ops, nextId } : { ops, nextId, lock: lock ?? null };
}

/**
 * After a rewind every action is numbered again from the start; what the history already schedules or answers keeps
 * its id, and only what the rewind took out is asked for anew.
 */
export function renumberedOps(
  instance: Instance,
  leaves: readonly Leaf[],
  context: EpisodeContext,
): NumberedOps | string {
  const fromStart = userOps({ ...instance, nextId: 0, lock: undefined }, leaves, context);
  if (typeof fromStart === "string") return fromStart;
  const known = new Set(instance.history.flatMap((event) => (event.id === undefined ? [] : [event.id])));
  return { ...fromStart, ops: fromStart.ops.filter((op) => !known.has(op.id)) };
}

function callOf(action: Action): Call | undefined {
  const name = action.functionName ?? "";
  switch (action.actionType) {
    case ActionType.CallActivity:
    case ActionType.CallActivityWithRetry:
      return { kind: "activity", name, input: inputText(action) };
    case ActionType.CallSubOrchestrator:
    case ActionType.CallSubOrchestratorWithRetry:
      return {
        kind: "child",
        name,
        input: inputText(action),
        ...(action.version !== undefined && { version: action.version }),
        ...(action.instanceId && { chosenId: action.instanceId }),
      };
    case ActionType.CallHttp:
      return { kind: "http", request: httpCallOf(action) };
    default:
      return undefined;
  }
}

function httpCallOf(action: Action): HttpCall {
  const { httpRequest } = action;
  assert(httpRequest !== undefined, "an HTTP action carries its request");
  const { method, uri, content, headers, tokenSource, asynchronousPatternEnabled } = httpRequest;
  return {
    method,
    uri,
    ...(content !== undefined && content !== null && { content: String(content) }),
    ...(headers && { headers }),
    ...(tokenSource !== undefined && { tokenSource }),
    followsAsyncPattern: asynchronousPatternEnabled !== false,
  };
}

function retryOf(action: Action, atMs: number): Retry | undefined {
  return action.retryOptions === undefined
    ? undefined
    : { options: plainRetryOptions(action.retryOptions), attempt: 1, firstAtMs: atMs };
}

function plainRetryOptions(options: RetryOptions): RetryOptions {
  // A copy by fields: the library's object is a class instance and may carry more than belongs into the journal. JSON
  // would turn infinity into null: without limit is said by a number that is never reached, or by no number.
  const { maxNumberOfAttempts, backoffCoefficient, maxRetryIntervalInMilliseconds, retryTimeoutInMilliseconds } =
    options;
  return {
    firstRetryIntervalInMilliseconds: options.firstRetryIntervalInMilliseconds,
    maxNumberOfAttempts: Number.isFinite(maxNumberOfAttempts) ? maxNumberOfAttempts : Number.MAX_SAFE_INTEGER,
    ...(isLimit(backoffCoefficient) && { backoffCoefficient }),
    ...(isLimit(maxRetryIntervalInMilliseconds) && { maxRetryIntervalInMilliseconds }),
    ...(isLimit(retryTimeoutInMilliseconds) && { retryTimeoutInMilliseconds }),
  };
}

function isLimit(value: number | undefined): value is number {
  return Number.isFinite(value);
}

export function callOp(
  instance: Instance,
  call: Call,
  id: number,
  retry: Retry | undefined,
  context: EpisodeContext,
  settled?: RetrySettled,
): Op {
  return {
    op: "call",
    id,
    call,
    ...(retry !== undefined && { retry }),
    ...(settled !== undefined && { settled }),
    ...(call.kind === "child" &&
      settled === undefined && {
        child: { id: call.chosenId ?? `${instance.execution}:${id}`, execution: newExecution(context.newId) },
      }),
  };
}

function refusedChild(instance: Instance, call: Call): string | undefined {
  if (call.kind !== "child" || call.chosenId === undefined) return undefined;
  const invalid = invalidInstanceId(call.chosenId);
  if (invalid !== undefined) return `it chose an invalid instance id for sub-orchestration '${call.name}'. ${invalid}`;
  if (call.chosenId === instance.id || call.chosenId === instance.parent?.instance) {
    return `it started sub-orchestration '${call.name}' with its own or its parent's instance id '${call.chosenId}'. Choose another id.`;
  }
  return undefined;
}

function entityInstanceId(entity: { readonly name: string; readonly key: string }): string {
  return `@${entity.name.toLowerCase()}@${entity.key}`;
}

function entityOp(instance: Instance, action: Action, id: number, context: EpisodeContext): Op {
  const sender = { instance: instance.id, execution: instance.execution };
  return {
    op: "send",
    id,
    to: action.instanceId ?? "",
    message: {
      kind: "operation",
      id: context.newId(),
      name: action.operation ?? "",
      input: inputText(action),
      sender,
      ...(action.actionType === ActionType.CallEntity && { caller: sender }),
    },
  };
}

function lockOp(
  instance: Instance,
  lock: { readonly id: string; readonly lockSet: readonly string[] },
  id: number,
): Op {
  const owner = { instance: instance.id, execution: instance.execution };
  return {
    op: "send",
    id,
    to: lock.lockSet[0] ?? "",
    message: { kind: "lock", id: lock.id, owner, lockSet: lock.lockSet, position: 0 },
  };
}
