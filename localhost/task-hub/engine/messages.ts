// What can arrive in the inbox of an instance, and the history event that each arrival becomes. Messages are the only
// way in: clients, finished activities, timers, children and entities all speak through them.

import { EventType, type FailureDetails, type HistoryEvent } from "./history.ts";

/** How an activity, a child or an HTTP call ended; results are JSON text. */
export type TaskAnswer =
  | { readonly ok: true; readonly result: string | null }
  | { readonly ok: false; readonly reason: string; readonly details: string; readonly failure?: FailureDetails };

export type OrchestrationMessage =
  | { readonly kind: "task"; readonly execution: string; readonly task: number; readonly answer: TaskAnswer }
  | { readonly kind: "child"; readonly execution: string; readonly task: number; readonly answer: TaskAnswer }
  | { readonly kind: "timer"; readonly execution: string; readonly task: number; readonly fireAtMs: number }
  | { readonly kind: "event"; readonly name: string; readonly input: string | null }
  | { readonly kind: "reply"; readonly execution: string; readonly name: string; readonly input: string }
  | { readonly kind: "terminate"; readonly reason: string }
  | { readonly kind: "suspend"; readonly reason: string }
  | { readonly kind: "resume"; readonly reason: string };

export interface Sender {
  readonly instance: string;
  readonly execution: string;
}

export type EntityMessage =
  | {
      readonly kind: "operation";
      readonly id: string;
      readonly name: string;
      readonly input: string | null;
      /** Absent for signals: nobody waits for the answer. */
      readonly caller?: Sender;
      /** Who sent it, orchestrations only: an entity under lock serves its owner alone. */
      readonly sender?: Sender;
    }
  | {
      readonly kind: "lock";
      readonly id: string;
      readonly owner: Sender;
      readonly lockSet: readonly string[];
      readonly position: number;
    }
  | { readonly kind: "release"; readonly id: string };

export type Message = OrchestrationMessage | EntityMessage;

/** A message in an inbox; `seq` numbers the arrivals of one instance and never repeats. */
export interface Arrival {
  readonly seq: number;
  readonly atMs: number;
  readonly message: Message;
}

export interface Delivery {
  readonly to: string;
  readonly message: Message;
}

/** The execution a message is meant for, or undefined when it speaks to whichever is current. */
export function executionOf(message: Message): string | undefined {
  switch (message.kind) {
    case "task":
    case "child":
    case "timer":
    case "reply":
      return message.execution;
    default:
      return undefined;
  }
}

export function eventOf(arrival: Arrival): HistoryEvent | undefined {
  const { message, atMs } = arrival;
  switch (message.kind) {
    case "task":
      return answerEvent(message, atMs, EventType.TaskCompleted, EventType.TaskFailed);
    case "child":
      return answerEvent(
        message,
        atMs,
        EventType.SubOrchestrationInstanceCompleted,
        EventType.SubOrchestrationInstanceFailed,
      );
    case "timer":
      return { type: EventType.TimerFired, atMs, task: message.task, fireAtMs: message.fireAtMs };
    case "event":
      return { type: EventType.EventRaised, atMs, name: message.name, input: message.input };
    case "reply":
      return { type: EventType.EventRaised, atMs, name: message.name, input: message.input, reply: true };
    case "suspend":
      return { type: EventType.ExecutionSuspended, atMs, reason: message.reason };
    case "resume":
      return { type: EventType.ExecutionResumed, atMs, reason: message.reason };
    case "terminate":
      return { type: EventType.ExecutionTerminated, atMs, reason: message.reason };
    default:
      return undefined;
  }
}

function answerEvent(
  message: { readonly task: number; readonly answer: TaskAnswer },
  atMs: number,
  completed: HistoryEvent["type"],
  failed: HistoryEvent["type"],
): HistoryEvent {
  const { task, answer } = message;
  if (answer.ok) return { type: completed, atMs, task, result: answer.result };
  const event = { type: failed, atMs, task, reason: answer.reason, details: answer.details };
  return answer.failure === undefined ? event : { ...event, failure: answer.failure };
}
