// The actions that an orchestrator call returns, flattened to their leaves in the order in which the library numbered
// them, and the checks that catch code the real engine would silently break on.

import type { RetryOptions } from "./instance.ts";
import { jsonText } from "./json-text.ts";

export const ActionType = {
  CallActivity: 0,
  CallActivityWithRetry: 1,
  CallSubOrchestrator: 2,
  CallSubOrchestratorWithRetry: 3,
  ContinueAsNew: 4,
  CreateTimer: 5,
  WaitForExternalEvent: 6,
  CallEntity: 7,
  CallHttp: 8,
  SignalEntity: 9,
  WhenAny: 11,
  WhenAll: 12,
  LockEntities: 13,
  ReleaseEntities: 14,
} as const;

/** The union of the fields of all action types; which are there depends on `actionType`. */
export interface Action {
  readonly actionType: number;
  readonly functionName?: string;
  readonly input?: unknown;
  readonly retryOptions?: RetryOptions;
  readonly instanceId?: string;
  readonly version?: string;
  readonly fireAt?: Date | string;
  readonly isCanceled?: boolean;
  readonly externalEventName?: string;
  readonly operation?: string;
  readonly httpRequest?: RawHttpRequest;
  readonly compoundActions?: readonly Action[];
  readonly lockSet?: readonly { readonly name: string; readonly key: string }[];
  readonly lockRequestId?: string;
}

export interface RawHttpRequest {
  readonly method: string;
  readonly uri: string;
  readonly content?: unknown;
  readonly headers?: Record<string, string>;
  readonly tokenSource?: unknown;
  readonly asynchronousPatternEnabled?: boolean;
}

export interface Leaf {
  readonly action: Action;
  /** Indexes from the top-level list down to the leaf. */
  readonly path: readonly number[];
}

export function leavesOf(actions: readonly Action[], from = 0): Leaf[] {
  const leaves: Leaf[] = [];
  const visit = (action: Action, path: readonly number[]): void => {
    if (action.compoundActions === undefined) {
      leaves.push({ action, path });
      return;
    }
    action.compoundActions.forEach((child, index) => {
      visit(child, [...path, index]);
    });
  };
  for (let index = from; index < actions.length; index++) visit(actions[index] as Action, [index]);
  return leaves;
}

export function leafAt(actions: readonly Action[], path: readonly number[]): Action | undefined {
  let action = actions[path[0] ?? -1];
  for (let depth = 1; depth < path.length; depth++) action = action?.compoundActions?.[path[depth] ?? -1];
  return action;
}

/** What a leaf asks for, in words short enough to keep for every leaf and to print. */
export function describeLeaf(action: Action): string {
  switch (action.actionType) {
    case ActionType.CallActivity:
    case ActionType.CallActivityWithRetry:
      return `activity '${action.functionName}'`;
    case ActionType.CallSubOrchestrator:
    case ActionType.CallSubOrchestratorWithRetry:
      return `sub-orchestration '${action.functionName}'`;
    case ActionType.CreateTimer:
      return "a timer";
    case ActionType.WaitForExternalEvent:
      return `event '${action.externalEventName}'`;
    case ActionType.CallEntity:
      return `entity operation '${action.operation}'`;
    case ActionType.SignalEntity:
      return `entity signal '${action.operation}'`;
    case ActionType.CallHttp:
      return "an HTTP call";
    case ActionType.LockEntities:
      return "an entity lock";
    case ActionType.ReleaseEntities:
      return "an entity release";
    case ActionType.ContinueAsNew:
      return "continueAsNew";
    default:
      return `action type ${action.actionType}`;
  }
}

/**
 * A task that was yielded once must not stand in a later Task.all or Task.any: the real engine schedules it a second
 * time and every later id shifts (durable-js issue 574). Seen by object identity of the leaves.
 */
export function findReusedTask(leaves: readonly Leaf[]): string | undefined {
  const seen = new Set<Action>();
  for (const { action } of leaves) {
    if (seen.has(action)) {
      return (
        `the task for ${describeLeaf(action)} was put into a Task.all or Task.any after it had already been yielded ` +
        "(or twice into the same one). Azure would schedule it again and mix up the results. Create each task once, " +
        "yield it once: keep the first compound task and yield that again, or start a new task."
      );
    }
    seen.add(action);
  }
  return undefined;
}

/** Compares what a replay asks for with what the execution asked for before. */
export function findDivergence(shape: readonly string[], leaves: readonly Leaf[]): string | undefined {
  const advice =
    "An orchestrator must do the same each time it is replayed: take time from context.df.currentUtcDateTime and ids " +
    "from context.df.newGuid, move I/O, random values and environment reads into activities, and do not change the " +
    "order of steps while instances are running.";
  for (let index = 0; index < shape.length; index++) {
    const leaf = leaves[index];
    const before = shape[index];
    if (leaf === undefined) {
      return `on replay it no longer asked for ${before} (step ${index + 1} of ${shape.length}). ${advice}`;
    }
    const now = describeLeaf(leaf.action);
    if (now !== before) {
      return `on replay it asked for ${now} where it had asked for ${before} before (step ${index + 1}). ${advice}`;
    }
  }
  return undefined;
}

export function fireAtMsOf(action: Action): number {
  const { fireAt } = action;
  const atMs = fireAt instanceof Date ? fireAt.getTime() : Date.parse(String(fireAt));
  return atMs;
}

/** Inputs travel as JSON text; the library has already turned string inputs of activities into JSON text. */
export function inputText(action: Action): string | null {
  const { input } = action;
  if (isActivityCall(action) && typeof input === "string") return input;
  return jsonText(input, `the input of ${describeLeaf(action)}`);
}

function isActivityCall({ actionType }: Action): boolean {
  return actionType === ActionType.CallActivity || actionType === ActionType.CallActivityWithRetry;
}
