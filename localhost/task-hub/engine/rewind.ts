// Rewinding a failed orchestration: every step that failed, or never got its answer, is taken out of its history
// together with the failed end, so that the next replay asks for it again, under the same id. Children that failed are
// rewound in place and answer their parent anew, under the id they were started with.

import { EventType, type HistoryEvent } from "./history.ts";
import type { Instance } from "./instance.ts";
import { replayTexts } from "./snapshot.ts";

/** Why a failed instance cannot be rewound, or undefined when it can. */
export function refusesRewind(history: readonly HistoryEvent[]): string | undefined {
  const refuse = (what: string): string =>
    `${what} Taking failed steps out of its history would shift the ids of later ones. Start a new instance instead.`;
  if (history.some(isTimerOfEngine)) return refuse("A call in its history was retried or polled.");
  const firstFailure = history.findIndex(isFailure);
  const wentOn = firstFailure >= 0 && history.slice(firstFailure).some((event) => event.id !== undefined);
  if (wentOn) return refuse("Its code went on after a step had failed.");
  if (isInCriticalSection(history))
    return "It failed while it held entity locks, which are gone. Start a new instance.";
  return undefined;
}

function isTimerOfEngine(event: HistoryEvent): boolean {
  return event.type === EventType.TimerCreated && event.name !== undefined;
}

function isInCriticalSection(history: readonly HistoryEvent[]): boolean {
  const sent = (kind: string): string[] =>
    history.flatMap((event) =>
      event.type === EventType.EventSent && event.name === kind ? [sentRequest(event).id] : [],
    );
  const released = new Set(sent("release"));
  return sent("lock").some((id) => !released.has(id));
}

function sentRequest(event: HistoryEvent): { readonly id: string; readonly signal?: boolean } {
  return JSON.parse(event.input ?? "{}");
}

/** The children that have not answered, or with a failure: those that have failed are rewound with it. */
export function unansweredChildren(history: readonly HistoryEvent[]): string[] {
  const isAnswered = answersIn(history);
  return history.flatMap((event) => (isStartOfChild(event) && !isAnswered(event) ? [event.instance] : []));
}

/** Changes the instance in place. `willAnswer` says whether the child that a step started will still answer it. */
export function rewindInstance(
  instance: Instance,
  atMs: number,
  reason: string,
  willAnswer: (child: string, task: number) => boolean,
): void {
  const isAnswered = answersIn(instance.history);
  const history: HistoryEvent[] = [];
  for (const event of instance.history) {
    if (isFailure(event) || event.type === EventType.ExecutionCompleted) continue;
    if (event.id !== undefined && !isAnswered(event)) {
      if (!isStartOfChild(event) || !willAnswer(event.instance, event.id)) continue;
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

/** A step without an answer is asked for again: it failed, or its answer came when nobody listened any more. */
function answersIn(history: readonly HistoryEvent[]): (event: HistoryEvent) => boolean {
  const succeeded = new Set(history.flatMap((event) => (isFailure(event) ? [] : [event.task])));
  const replies = new Set(history.flatMap((event) => (event.reply === true ? [event.name] : [])));
  return (event) => {
    if (event.type !== EventType.EventSent) return succeeded.has(event.id);
    const { id, signal } = sentRequest(event);
    return event.name !== "operation" || signal === true || replies.has(id);
  };
}

interface StartOfChild extends HistoryEvent {
  readonly id: number;
  readonly instance: string;
}

function isStartOfChild(event: HistoryEvent): event is StartOfChild {
  return event.type === EventType.SubOrchestrationInstanceCreated && event.instance !== undefined;
}

function reopenChild(instance: Instance, { id, name = "", input = null, instance: child }: StartOfChild): void {
  instance.open.set(id, { kind: "call", call: { kind: "child", name, input }, child });
}

function isFailure(event: HistoryEvent): boolean {
  return event.type === EventType.TaskFailed || event.type === EventType.SubOrchestrationInstanceFailed;
}
