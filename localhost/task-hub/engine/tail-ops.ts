// The steps that the engine itself adds after failed or unfinished calls: the timer between two attempts, the next
// attempt, the next poll of an HTTP call. The library only counts along, so ids are given in the order of the events.

import { acceptedArrivals, type Batch, httpAnswer, pollDelayMs } from "./batch.ts";
import type { EpisodeContext } from "./episode.ts";
import type { Call, HttpCall, Instance, Retry, RetryOptions } from "./instance.ts";
import type { TaskAnswer } from "./messages.ts";
import type { Op } from "./records.ts";
import { callOp, type NumberedOps } from "./user-ops.ts";

/**
 * Attempts that come too late are answered by the engine, one by one, because the library counts them one by one. With
 * more of them left than this the orchestration would be busy with nothing else.
 */
const MOST_ATTEMPTS_TOO_LATE = 200;

/**
 * The timers, attempts and polls that the engine itself adds after failed or unfinished calls. A string is a reason to
 * fail; there is none once the function has returned.
 */
export function tailOps(
  instance: Instance,
  batch: Batch,
  context: EpisodeContext,
  firstId: number,
): NumberedOps | string {
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
        const attemptsTooLate = countAttemptsTooLate(open.retry, message.answer, context.atMs);
        if (attemptsTooLate > 0 && instance.ending !== undefined) continue;
        if (attemptsTooLate > MOST_ATTEMPTS_TOO_LATE) return tooManyAttemptsTooLate(open.call, attemptsTooLate);
        ops.push(retryTimer(open.call, open.retry, message.answer, nextId++, context.atMs, attemptsTooLate > 0));
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
  isTooLate: boolean,
): Op {
  const { options, attempt, firstAtMs } = retry;
  // The library surfaces the error only when the timer after the last attempt fires, so there always is one.
  if (attempt >= options.maxNumberOfAttempts) return { op: "timer", id, fireAtMs: atMs, next: { kind: "give-up" } };
  const next = { options, attempt: attempt + 1, firstAtMs };
  if (isTooLate) {
    const { ok: _, ...settled } = failure;
    return { op: "timer", id, fireAtMs: atMs, next: { kind: "retry", call, retry: next, settled } };
  }
  const fireAtMs = atMs + retryDelayMs(options, attempt);
  return { op: "timer", id, fireAtMs, next: { kind: "retry", call, retry: next } };
}

/** How many attempts are left that must not be made any more. */
function countAttemptsTooLate(
  { options, attempt, firstAtMs }: Retry,
  { failure }: Extract<TaskAnswer, { ok: false }>,
  atMs: number,
): number {
  const { maxNumberOfAttempts, retryTimeoutInMilliseconds: limitMs = Number.POSITIVE_INFINITY } = options;
  const isTimedOut = atMs + retryDelayMs(options, attempt) - firstAtMs > limitMs;
  return isTimedOut || failure?.IsNonRetriable === true ? Math.max(0, maxNumberOfAttempts - attempt) : 0;
}

function tooManyAttemptsTooLate(call: Call, attemptsLeft: number): string {
  const what = call.kind === "http" ? "an HTTP call" : `'${call.name}'`;
  return (
    `${what} failed and must not be tried again (its retryTimeoutInMilliseconds has passed, or its failure cannot be ` +
    `retried), but ${attemptsLeft} of its maxNumberOfAttempts are left. On Azure the orchestration would wait for ` +
    "ever. Set maxNumberOfAttempts to what fits into the time-out, or handle the failure without retries."
  );
}

const DEFAULT_MAX_RETRY_INTERVAL_MS = 6 * 24 * 3600 * 1000;

function retryDelayMs(options: RetryOptions, attempt: number): number {
  const grown = options.firstRetryIntervalInMilliseconds * (options.backoffCoefficient ?? 1) ** (attempt - 1);
  return Math.min(grown, options.maxRetryIntervalInMilliseconds ?? DEFAULT_MAX_RETRY_INTERVAL_MS);
}

function pollRequest(request: HttpCall, answer: TaskAnswer): HttpCall {
  const location = httpAnswer(answer)?.location ?? request.uri;
  const { content: _, ...rest } = request;
  // One that is no URL fails in the call, where it can be told.
  return { ...rest, method: "GET", uri: URL.parse(location, request.uri)?.href ?? location };
}
