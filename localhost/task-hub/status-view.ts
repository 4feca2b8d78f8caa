// How an instance is shown to clients: the status object and the history, in the shape and words of the real API.

import { EventType, type HistoryEvent, isoTime } from "./engine/history.ts";
import type { Instance } from "./engine/instance.ts";

export interface StatusOptions {
  readonly showInput: boolean;
  readonly showHistory: boolean;
  readonly showHistoryOutput: boolean;
}

export interface StatusView {
  readonly name: string;
  readonly instanceId: string;
  readonly runtimeStatus: string;
  readonly input: unknown;
  readonly customStatus: unknown;
  readonly output: unknown;
  readonly createdTime: string;
  readonly lastUpdatedTime: string;
  readonly historyEvents?: readonly Record<string, unknown>[];
}

export function statusView(instance: Instance, options: StatusOptions): StatusView {
  return {
    name: instance.name,
    instanceId: instance.id,
    runtimeStatus: instance.status,
    input: options.showInput ? parsedOrRaw(instance.input) : null,
    customStatus: parsedOrRaw(instance.customStatus),
    output: parsedOrRaw(instance.output),
    createdTime: secondsTime(instance.createdAtMs),
    lastUpdatedTime: secondsTime(instance.updatedAtMs),
    ...(options.showHistory && { historyEvents: historyView(instance.history, options) }),
  };
}

/** JSON when it parses (results are JSON text), else the text itself (failure messages, reasons). */
export function parsedOrRaw(text: string | null): unknown {
  if (text === null) return null;
  try {
    return JSON.parse(text);
  } catch {
    return text;
  }
}

function secondsTime(atMs: number): string {
  return `${isoTime(atMs).slice(0, 19)}Z`;
}

const EVENT_NAMES = new Map<number, string>(Object.entries(EventType).map(([name, number]) => [number, name]));

/** Scheduling events are folded into the events that answer them, as the real API does. */
function historyView(history: readonly HistoryEvent[], options: StatusOptions): Record<string, unknown>[] {
  const scheduled = new Map<number, HistoryEvent>();
  for (const event of history) if (event.id !== undefined) scheduled.set(event.id, event);
  const answered = new Set(history.map((event) => event.task));
  return history.flatMap((event) => {
    if (event.type === EventType.OrchestratorStarted || event.type === EventType.OrchestratorCompleted) return [];
    const isFolded = event.type === EventType.TaskScheduled || event.type === EventType.SubOrchestrationInstanceCreated;
    if (isFolded && answered.has(event.id)) return [];
    const asked = event.task === undefined ? undefined : scheduled.get(event.task);
    return [eventView(event, asked, options)];
  });
}

function eventView(
  event: HistoryEvent,
  asked: HistoryEvent | undefined,
  options: StatusOptions,
): Record<string, unknown> {
  const view: Record<string, unknown> = {
    EventType: EVENT_NAMES.get(event.type) ?? String(event.type),
    Timestamp: isoTime(event.atMs),
  };
  if (asked !== undefined && event.type !== EventType.TimerFired) {
    view.ScheduledTime = isoTime(asked.atMs);
    view.FunctionName = asked.name;
    if (asked.instance !== undefined) view.InstanceId = asked.instance;
    if (options.showInput) view.Input = inputView(asked);
  }
  const isNamedByFunction =
    event.type === EventType.ExecutionStarted ||
    event.type === EventType.TaskScheduled ||
    event.type === EventType.SubOrchestrationInstanceCreated;
  if (event.name !== undefined && event.type !== EventType.TimerCreated) {
    view[isNamedByFunction ? "FunctionName" : "Name"] = event.name;
  }
  if (event.instance !== undefined) view.InstanceId = event.instance;
  if (event.input !== undefined && options.showInput) view.Input = inputView(event);
  if (event.fireAtMs !== undefined) view.FireAt = isoTime(event.fireAtMs);
  if (event.reason !== undefined) view.Reason = event.reason;
  if (event.details !== undefined) view.Details = event.details;
  if (event.failure !== undefined) view.FailureDetails = event.failure;
  if (event.status !== undefined) view.OrchestrationStatus = event.status;
  if (options.showHistoryOutput && event.result !== undefined) view.Result = parsedOrRaw(event.result);
  return view;
}

/** Inputs are shown as the JSON text they are; that of an activity is the list of its arguments. */
function inputView({ type, input }: HistoryEvent): string | null {
  return type === EventType.TaskScheduled ? `[${input ?? "null"}]` : (input ?? null);
}
