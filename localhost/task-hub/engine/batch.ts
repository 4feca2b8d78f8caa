// Which messages the next episode of an orchestration takes. The library hands out sequence ids in the order of the
// events it reads, so the batch must keep the one order in which our numbering and its numbering agree: first
// completions that may resume user code, then (as a tail) those for which the engine itself allocates ids.

import type { Instance, OpenTask } from "./instance.ts";
import { type Arrival, executionOf, type TaskAnswer } from "./messages.ts";

export interface Batch {
  readonly arrivals: readonly Arrival[];
  /** False when the function need not run: it has returned, or the message is the engine's own business. */
  readonly callsFunction: boolean;
}

/** Undefined when there is nothing to do now. */
export function nextBatch(instance: Instance): Batch | undefined {
  if (instance.entity !== undefined) return undefined;
  const terminate = instance.inbox.find((arrival) => arrival.message.kind === "terminate");
  if (terminate !== undefined) return { arrivals: [terminate], callsFunction: false };
  if (instance.status === "Suspended") return nextWhileSuspended(instance);
  if (!instance.started || instance.rewound) return { arrivals: [], callsFunction: true };
  const head = nextHead(instance);
  if (head === undefined) return undefined;
  switch (head.message.kind) {
    case "suspend":
    case "resume":
      return { arrivals: [head], callsFunction: false };
    case "event":
    case "reply":
      return { arrivals: [head], callsFunction: instance.ending === undefined };
    default:
      return { arrivals: completions(instance), callsFunction: instance.ending === undefined };
  }
}

// Everything else waits. A second suspend is taken too, lest it outlasts the resume that comes after it.
function nextWhileSuspended(instance: Instance): Batch | undefined {
  const found = instance.inbox.find(({ message }) => message.kind === "resume" || message.kind === "suspend");
  return found === undefined ? undefined : { arrivals: [found], callsFunction: false };
}

// Once the function has called continueAsNew, events wait for the next generation.
function nextHead(instance: Instance): Arrival | undefined {
  if (instance.ending?.kind !== "continued") return instance.inbox[0];
  return instance.inbox.find((arrival) => arrival.message.kind !== "event");
}

function completions(instance: Instance): Arrival[] {
  const taken: Arrival[] = [];
  const skipEvents = instance.ending?.kind === "continued";
  let inTail = false;
  for (const arrival of instance.inbox) {
    const { kind } = arrival.message;
    if (kind === "event" && skipEvents) continue;
    if (kind !== "task" && kind !== "child" && kind !== "timer") break;
    const allocates = allocatesIds(instance, arrival);
    if (inTail && !allocates) break;
    inTail = allocates;
    taken.push(arrival);
  }
  return taken;
}

/** True for answers after which the engine, not user code, creates the next timer or attempt. */
function allocatesIds(instance: Instance, { message }: Arrival): boolean {
  if (executionOf(message) !== instance.execution) return false;
  switch (message.kind) {
    case "task":
    case "child": {
      const open = instance.open.get(message.task);
      if (open?.kind !== "call") return false;
      if (open.call.kind === "http") return pollDelayMs(open, message.answer) !== undefined;
      return open.retry !== undefined && !message.answer.ok;
    }
    case "timer": {
      const open = instance.open.get(message.task);
      return open?.kind === "timer" && open.next?.kind === "retry";
    }
    default:
      return false;
  }
}

/** How long to wait before polling again, when an HTTP call was answered with 202 and a place to look. */
export function pollDelayMs(open: OpenTask, answer: TaskAnswer): number | undefined {
  if (open.kind !== "call" || open.call.kind !== "http" || !open.call.request.followsAsyncPattern) return undefined;
  const response = httpAnswer(answer);
  if (response === undefined || response.statusCode !== 202 || response.location === undefined) return undefined;
  return response.retryAfterMs ?? DEFAULT_HTTP_POLL_MS;
}

/** What the host tells the library as `defaultHttpAsyncRequestSleepTimeMillseconds`. */
export const DEFAULT_HTTP_POLL_MS = 30_000;

export interface HttpAnswer {
  readonly statusCode: number;
  readonly location: string | undefined;
  readonly retryAfterMs: number | undefined;
}

export function httpAnswer(answer: TaskAnswer): HttpAnswer | undefined {
  if (!answer.ok || answer.result === null) return undefined;
  const { statusCode, headers } = JSON.parse(answer.result) as {
    statusCode: number;
    headers?: Record<string, string>;
  };
  const header = (name: string): string | undefined => {
    const key = Object.keys(headers ?? {}).find((candidate) => candidate.toLowerCase() === name);
    // The library takes an empty Location or Retry-After for an absent one.
    return key === undefined ? undefined : headers?.[key] || undefined;
  };
  const retryAfter = header("retry-after");
  const seconds = retryAfter === undefined ? Number.NaN : Number(retryAfter);
  return {
    statusCode,
    location: header("location"),
    retryAfterMs: Number.isNaN(seconds) ? undefined : Math.min(Math.max(0, seconds * 1000), LONGEST_HTTP_POLL_MS),
  };
}

/** Whatever a server says, the time to ask again must be one that a date can hold. */
const LONGEST_HTTP_POLL_MS = 365 * 86_400_000;

/** The arrivals of a batch that mean something: for this execution, still open, and not twice. */
export function acceptedArrivals(instance: Instance, arrivals: readonly Arrival[]): Arrival[] {
  const answered = new Set<number>();
  return arrivals.filter(({ message }) => {
    const execution = executionOf(message);
    if (execution !== undefined && execution !== instance.execution) return false;
    if (message.kind !== "task" && message.kind !== "child" && message.kind !== "timer") return true;
    if (!instance.open.has(message.task) || answered.has(message.task)) return false;
    answered.add(message.task);
    return true;
  });
}
