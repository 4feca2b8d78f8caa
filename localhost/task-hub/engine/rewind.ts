// Rewinding a failed orchestration: every failed step is taken out of its history together with the failed end, so
// that the next replay asks for it again, under the same id. Children that failed are rewound in place and answer
// their parent anew, under the id they were started with.

import { EventType, type HistoryEvent } from "./history.ts";
import type { Instance } from "./instance.ts";
import { replayTexts } from "./snapshot.ts";

/** Marks the timers that the engine makes between attempts. */
export const RETRY_TIMER = "retry";

/** Why a failed instance cannot be rewound, or undefined when it can. */
export function refusesRewind(history: readonly HistoryEvent[]): string | undefined {
  if (!history.some((event) => event.name === RETRY_TIMER && event.type === EventType.TimerCreated)) return undefined;
  return (
    "A call in its history was retried. Taking its failed attempts out would shift the ids of all later steps. " +
    "Start a new instance instead."
  );
}

/** The children whose failure the instance has seen: they are rewound with it. */
export function failedChildren(history: readonly HistoryEvent[]): string[] {
  const failed = failedTasks(history);
  return history.flatMap((event) => {
    const isChild = event.type === EventType.SubOrchestrationInstanceCreated && failed.has(event.id);
    return isChild && event.instance !== undefined ? [event.instance] : [];
  });
}

/** Changes the instance in place. `rewindsChild` says whether a failed child will answer again. */
export function rewindInstance(
  instance: Instance,
  atMs: number,
  reason: string,
  rewindsChild: (id: string) => boolean,
): void {
  const failed = failedTasks(instance.history);
  const history: HistoryEvent[] = [];
  for (const event of instance.history) {
    if (isFailure(event) || event.type === EventType.ExecutionCompleted) continue;
    if (isScheduling(event) && failed.has(event.id)) {
      if (event.instance === undefined || !rewindsChild(event.instance)) continue;
      reopenChild(instance, event);
    }
    history.push(event);
  }
  history.push({ type: EventType.GenericEvent, atMs, reason: `Rewound: ${reason}` });
  instance.history = history;
  instance.replay = replayTexts(history);
  instance.status = "Running";
  instance.output = null;
  instance.ending = undefined;
  instance.rewound = true;
  instance.updatedAtMs = atMs;
}

function reopenChild(instance: Instance, event: HistoryEvent): void {
  const call = { kind: "child", name: event.name ?? "", input: event.input ?? null } as const;
  instance.open.set(event.id as number, { kind: "call", call, child: event.instance as string });
}

function failedTasks(history: readonly HistoryEvent[]): Set<number | undefined> {
  return new Set(history.filter(isFailure).map((event) => event.task));
}

function isFailure(event: HistoryEvent): boolean {
  return event.type === EventType.TaskFailed || event.type === EventType.SubOrchestrationInstanceFailed;
}

function isScheduling(event: HistoryEvent): boolean {
  return event.type === EventType.TaskScheduled || event.type === EventType.SubOrchestrationInstanceCreated;
}
