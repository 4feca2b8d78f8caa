// How orchestrations do things: call an activity, look at something until it is done, run a part whose failure is a value.
// Everything here is replayed: no clock but the context's, no loop without a bound.

import { type OrchestrationContext, RetryOptions, type Task } from "durable-functions";
import type { ActivityContract, OrchestrationContract, StepFailure, Throttled } from "./contracts.ts";

// biome-ignore lint/suspicious/noExplicitAny: the engine hands back what the yielded task came to.
export type Steps<Answer> = Generator<Task, Answer, any>;

/** About six minutes of attempts: what lasts longer is a failure of the step, and the job says so. */
const ATTEMPTS = 10;
const FIRST_RETRY_MS = 1_000;
const LONGEST_RETRY_MS = 60_000;
const LONGEST_MESSAGE = 1_000;
const THROTTLED_PATIENCE_MS = 2 * 3_600_000;

const FIRST_LOOK_MS = 250;
const LONGEST_LOOK_MS = 30 * 60_000;
/**
 * Waiting grows with what was waited already: a long wait is looked at rarely, and never noticed late by more. So a day of
 * waiting is some ninety looks, which leaves room in the history.
 */
const LOOK_SHARE = 0.25;

export function* call<Input, Output>(
  context: OrchestrationContext,
  activity: ActivityContract<Input, Output>,
  input: Input,
): Steps<Output> {
  const startMs = nowMs(context);
  for (;;) {
    const answer: Output | Throttled = yield beginCall(context, activity, input);
    if (!isThrottled(answer)) return answer;
    const waitedMs = nowMs(context) - startMs;
    if (waitedMs >= THROTTLED_PATIENCE_MS) throw new Error(`${activity.name} was throttled for too long`);
    // A platform that goes on asking for short waits is asked more and more rarely all the same.
    yield* wait(context, Math.max(answer.retryAfterMs, waitedMs * LOOK_SHARE));
  }
}

/** For fan-out; who awaits it deals with answers that ask for patience. */
export function beginCall<Input, Output>(
  context: OrchestrationContext,
  activity: ActivityContract<Input, Output>,
  input: Input,
): Task {
  const retry = new RetryOptions(FIRST_RETRY_MS, ATTEMPTS);
  retry.backoffCoefficient = 2;
  retry.maxRetryIntervalInMilliseconds = LONGEST_RETRY_MS;
  return context.df.callActivityWithRetry(activity.name, retry, input);
}

/**
 * Under an id of the engine's choice: children of an execution that was terminated live on, and an id that one of them
 * still has would be refused to the next execution's.
 */
export function beginChild<Input, Output>(
  context: OrchestrationContext,
  child: OrchestrationContract<Input, Output>,
  input: Input,
): Task {
  return context.df.callSubOrchestrator(child.name, input);
}

export function isThrottled(answer: unknown): answer is Throttled {
  return typeof answer === "object" && answer !== null && "retryAfterMs" in answer;
}

export function* wait(context: OrchestrationContext, ms: number): Steps<void> {
  yield context.df.createTimer(new Date(context.df.currentUtcDateTime.getTime() + ms));
}

/** Looks until `isDone`, soon at first and then less and less often; undefined when patience ends. */
export function* lookUntil<Answer>(
  context: OrchestrationContext,
  look: () => Steps<Answer>,
  isDone: (answer: Answer) => boolean,
  patienceMs: number,
): Steps<Answer | undefined> {
  const startMs = nowMs(context);
  for (;;) {
    const answer = yield* look();
    if (isDone(answer)) return answer;
    const waitedMs = nowMs(context) - startMs;
    if (waitedMs >= patienceMs) return undefined;
    yield* wait(context, Math.min(LONGEST_LOOK_MS, Math.max(FIRST_LOOK_MS, waitedMs * LOOK_SHARE)));
  }
}

function nowMs(context: OrchestrationContext): number {
  return context.df.currentUtcDateTime.getTime();
}

/** What the steps come to, or the failure that no retry cured. */
export function* attempt<Answer>(steps: Steps<Answer>): Steps<Answer | { readonly failure: StepFailure }> {
  try {
    return yield* steps;
  } catch (cause) {
    return { failure: { code: "HoldfastStepFailed", message: sentenceOf(cause) } };
  }
}

/** After it the engine tells the same again, for programs; and a history has no room for long stories. */
function sentenceOf(cause: unknown): string {
  const text = cause instanceof Error ? cause.message : String(cause);
  return (text.split("\n")[0] ?? "").trim().slice(0, LONGEST_MESSAGE);
}

export function failureOf(answer: object): StepFailure | undefined {
  return "failure" in answer ? (answer.failure as StepFailure | undefined) : undefined;
}
