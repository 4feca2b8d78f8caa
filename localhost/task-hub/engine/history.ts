// The history of an orchestration as the engine keeps it, and its two renderings: the reduced JSON text that a replay
// reads (only what the library looks at, which halves the payload) and the full events of the status API.

export const EventType = {
  ExecutionStarted: 0,
  ExecutionCompleted: 1,
  ExecutionTerminated: 3,
  TaskScheduled: 4,
  TaskCompleted: 5,
  TaskFailed: 6,
  SubOrchestrationInstanceCreated: 7,
  SubOrchestrationInstanceCompleted: 8,
  SubOrchestrationInstanceFailed: 9,
  TimerCreated: 10,
  TimerFired: 11,
  OrchestratorStarted: 12,
  OrchestratorCompleted: 13,
  EventSent: 14,
  EventRaised: 15,
  GenericEvent: 17,
  ExecutionSuspended: 19,
  ExecutionResumed: 20,
} as const;

export type EventTypeNumber = (typeof EventType)[keyof typeof EventType];

/** Failure details as schema-3 extensions send them (PascalCase is the wire's). */
export interface FailureDetails {
  readonly ErrorType: string;
  readonly ErrorMessage: string;
  readonly StackTrace?: string;
  readonly IsNonRetriable?: boolean;
  readonly Properties?: Record<string, unknown>;
  readonly InnerFailure?: FailureDetails;
}

export interface HistoryEvent {
  readonly type: EventTypeNumber;
  readonly atMs: number;
  /** The sequence id this event allocates (scheduled tasks, timers, sent events). */
  readonly id?: number;
  /** The sequence id this event answers (completions, fired timers). */
  readonly task?: number;
  readonly name?: string;
  /** JSON text, as are `result` and `details`. */
  readonly input?: string | null;
  readonly result?: string | null;
  readonly reason?: string;
  readonly details?: string;
  readonly failure?: FailureDetails;
  readonly fireAtMs?: number;
  readonly instance?: string;
  readonly version?: string;
  readonly status?: string;
  /** An EventRaised that answers an entity call or a lock: never carried into a new generation. */
  readonly reply?: boolean;
}

export function isoTime(atMs: number): string {
  return new Date(atMs).toISOString();
}

/** The reduced event for a replay, or undefined when the library does not read events of this type. */
export function replayText(event: HistoryEvent): string | undefined {
  switch (event.type) {
    case EventType.OrchestratorStarted:
      return `{"EventType":12,"EventId":-1,"IsPlayed":false,"Timestamp":"${isoTime(event.atMs)}"}`;
    case EventType.ExecutionStarted: {
      const version = event.version === undefined ? "" : `,"Version":${JSON.stringify(event.version)}`;
      return `{"EventType":0,"EventId":-1,"IsPlayed":false,"Name":${JSON.stringify(event.name)}${version}}`;
    }
    case EventType.TaskCompleted:
    case EventType.SubOrchestrationInstanceCompleted:
      return `{"EventType":${event.type},"EventId":-1,"IsPlayed":false,"TaskScheduledId":${event.task},"Result":${resultText(event.result)}}`;
    case EventType.TaskFailed:
    case EventType.SubOrchestrationInstanceFailed:
      return `{"EventType":${event.type},"EventId":-1,"IsPlayed":false,"TaskScheduledId":${event.task},${failureText(event)}}`;
    case EventType.TimerFired:
      return `{"EventType":11,"EventId":-1,"IsPlayed":false,"TimerId":${event.task}}`;
    case EventType.EventSent:
      return `{"EventType":14,"EventId":${event.id},"IsPlayed":false,"Input":${JSON.stringify(event.input)}}`;
    case EventType.EventRaised:
      return `{"EventType":15,"EventId":-1,"IsPlayed":false,"Name":${JSON.stringify(event.name)},"Input":${JSON.stringify(event.input ?? null)}}`;
    default:
      return undefined;
  }
}

// A result is JSON text inside JSON text. The library parses it, so null must be the text "null".
function resultText(result: string | null | undefined): string {
  return JSON.stringify(result ?? "null");
}

function failureText(event: HistoryEvent): string {
  if (event.failure !== undefined) return `"FailureDetails":${JSON.stringify(event.failure)}`;
  return `"Reason":${JSON.stringify(event.reason ?? "")},"Details":${JSON.stringify(event.details ?? "")}`;
}
