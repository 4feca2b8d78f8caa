// The steps that the engine itself adds after failed or unfinished calls: the timer between two attempts, the next
// attempt, the next poll of an HTTP call. The library only counts along, so ids are given in the order of the events.

import { acceptedArrivals, type Batch, httpAnswer, pollDelayMs } from "./batch.ts";
import type { EpisodeContext } from "./episode.ts";
import type { Call, HttpCall, Instance, Retry, RetryOptions } from "./instance.ts";
import type { TaskAnswer } from "./messages.ts";
import type { Op } from "./records.ts";
import { callOp, type NumberedOps } from "./user-ops.ts";

/** The timers, attempts and polls that the engine itself adds after failed or unfinished calls. */
export function tailOps(instance: Instance, batch: Batch, context: EpisodeContext, firstId: number): NumberedOps {
  const ops: Op[] = [];
  let nextId = firstId;
  for (const { message } of acceptedArrivals(instance, batch.arrivals)) {
    if (message.kind === "timer") {
      const open = instance.open.get(message.task);
      if (open?.kind !== "timer" || open.next?.kind !== "retry") continue;
      const { call, retry, settled } = open.next;
      ops.push(callOp(instance, call, nextId++, retry, context, settled));
    } else if (message.kind === "task" || message.kind === "child") {
      const open = instance.open.get(message.task);
      if (open?.kind !== "call") continue;
      const pollMs = pollDelayMs(open, message.answer);
      if (pollMs !== undefined && open.call.kind === "http") {
        const request = pollRequest(open.call.request, message.answer);
        ops.push({
          op: "timer",
          id: nextId,
          fireAtMs: context.atMs + pollMs,
          next: { kind: "poll", task: nextId + 1, request },
        });
        nextId += 2;
      } else if (open.retry !== undefined && !message.answer.ok) {
        ops.push(retryTimer(open.call, open.retry, message.answer, nextId++, context.atMs));
      }
    }
  }
  return { ops, nextId };
}

function retryTimer(
  call: Call,
  retry: Retry,
  failure: Extract<TaskAnswer, { ok: false }>,
  id: number,
  atMs: number,
): Op {
  const { options, attempt, firstAtMs } = retry;
  // The library surfaces the error only when the timer after the last attempt fires, so there always is one.
  if (attempt >= options.maxNumberOfAttempts) return { op: "timer", id, fireAtMs: atMs, next: { kind: "give-up" } };
  const next = { options, attempt: attempt + 1, firstAtMs };
  const delayMs = retryDelayMs(options, attempt);
  const timedOut =
    options.retryTimeoutInMilliseconds !== undefined && atMs + delayMs - firstAtMs > options.retryTimeoutInMilliseconds;
  if (timedOut || failure.failure?.IsNonRetriable === true) {
    const settled = { reason: failure.reason, details: failure.details };
    return { op: "timer", id, fireAtMs: atMs, next: { kind: "retry", call, retry: next, settled } };
  }
  return { op: "timer", id, fireAtMs: atMs + delayMs, next: { kind: "retry", call, retry: next } };
}

const DEFAULT_MAX_RETRY_INTERVAL_MS = 6 * 24 * 3600 * 1000;

export function retryDelayMs(options: RetryOptions, attempt: number): number {
  const grown = options.firstRetryIntervalInMilliseconds * (options.backoffCoefficient ?? 1) ** (attempt - 1);
  return Math.min(grown, options.maxRetryIntervalInMilliseconds ?? DEFAULT_MAX_RETRY_INTERVAL_MS);
}

function pollRequest(request: HttpCall, answer: TaskAnswer): HttpCall {
  const location = httpAnswer(answer)?.location ?? request.uri;
  const { content: _, ...rest } = request;
  return { ...rest, method: "GET", uri: new URL(location, request.uri).href };
}
