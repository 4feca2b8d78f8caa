// The task hub's way to the app's functions: payload in, outcome out, through the same invoker as every other trigger.
// This file knows how the Node library encodes values and failures; the hub does not.

import type { Action } from "../task-hub/engine/actions.ts";
import type { EntityOutcome } from "../task-hub/engine/entity.ts";
import type { FunctionOutcome } from "../task-hub/engine/episode.ts";
import type { FailureDetails } from "../task-hub/engine/history.ts";
import type { HttpCall } from "../task-hub/engine/instance.ts";
import type { TaskAnswer } from "../task-hub/engine/messages.ts";
import type { DurableFunctions, DurableKind } from "../task-hub/functions-port.ts";
import type { FunctionEntry, InvocationResponse, Invoker } from "./function-entry.ts";
import type { RpcTypedData } from "./rpc.ts";
import { thrownText } from "./thrown-text.ts";

/** Between the message and the JSON state in the error that a failed orchestrator call rejects with. */
const STATE_LABEL = "\n\n$OutOfProcData$:";

interface OrchestratorState {
  readonly isDone: boolean;
  readonly actions: readonly (readonly Action[])[];
  readonly output?: unknown;
  readonly error?: string;
  readonly customStatus?: unknown;
}

export class AppDurableFunctions implements DurableFunctions {
  readonly #invoker: Invoker;
  readonly #entries = new Map<string, FunctionEntry>();
  readonly #checksSequence: boolean;

  constructor(invoker: Invoker, entries: readonly FunctionEntry[], checksSequence: boolean) {
    this.#invoker = invoker;
    this.#checksSequence = checksSequence;
    for (const entry of entries) this.#entries.set(keyOf(entry.kind, entry.name), entry);
  }

  nameOf(kind: DurableKind, name: string): string | undefined {
    return this.#entries.get(keyOf(kind, name))?.name;
  }

  namesOf(kind: DurableKind): readonly string[] {
    return [...this.#entries.values()].filter((entry) => entry.kind === kind).map((entry) => entry.name);
  }

  async runOrchestrator(name: string, payload: string, instanceId: string): Promise<FunctionOutcome> {
    const outcome = await this.#invoker.invoke({
      entry: this.#entry("orchestration", name),
      trigger: { string: payload },
      reason: `orchestration ${instanceId}`,
      rawResult: true,
      quiet: true,
    });
    if (!outcome.ok) return failedOrchestrator(outcome.error, outcome.context);
    const state = outcome.result as OrchestratorState;
    const sequenceNumber = this.#checksSequence ? sequenceNumberOf(outcome.context) : undefined;
    return {
      ok: true,
      isDone: state.isDone,
      actions: state.actions[0] ?? [],
      output: state.output,
      customStatus: state.customStatus,
      ...(sequenceNumber !== undefined && { sequenceNumber }),
    };
  }

  async runActivity(name: string, input: string | null, instanceId: string): Promise<TaskAnswer> {
    const outcome = await this.#invoker.invoke({
      entry: this.#entry("activity", name),
      // The real extension passes a JSON boolean through a .NET string, which no longer parses. Here it arrives whole.
      trigger: input === null ? {} : { string: input },
      triggerMetadata: { instanceId: { string: instanceId } },
      reason: `orchestration ${instanceId}`,
    });
    if (outcome.ok) return { ok: true, result: resultText(outcome.response) };
    return failedActivity(name, outcome.error);
  }

  async runEntity(name: string, payload: string, instanceId: string): Promise<EntityOutcome> {
    const outcome = await this.#invoker.invoke({
      entry: this.#entry("entity", name),
      trigger: { string: payload },
      reason: `entity ${instanceId}`,
      rawResult: true,
    });
    if (!outcome.ok) throw outcome.error;
    return outcome.result as EntityOutcome;
  }

  async callHttp(request: HttpCall): Promise<TaskAnswer> {
    const failed = (message: string): TaskAnswer => ({
      ok: false,
      reason: `The HTTP call to ${request.uri} failed: ${message}`,
      details: JSON.stringify({ Message: message }),
    });
    if (request.tokenSource !== undefined) return failed("a local host has no managed identity to take a token from.");
    try {
      const response = await fetch(request.uri, {
        method: request.method,
        redirect: "manual",
        ...(request.headers && { headers: request.headers }),
        ...(request.content !== undefined && { body: request.content }),
      });
      const body = {
        statusCode: response.status,
        headers: Object.fromEntries(response.headers),
        content: await response.text(),
      };
      return { ok: true, result: JSON.stringify(body) };
    } catch (error) {
      return failed(rootMessage(error));
    }
  }

  #entry(kind: DurableKind, name: string): FunctionEntry {
    const entry = this.#entries.get(keyOf(kind, name));
    if (entry === undefined) throw new Error(`The app has no ${kind} '${name}'.`);
    return entry;
  }
}

function keyOf(kind: string, name: string): string {
  return `${kind}:${name.toLowerCase()}`;
}

function failedOrchestrator(error: unknown, context: unknown): FunctionOutcome {
  const text = error instanceof Error ? error.message : String(error);
  const label = text.indexOf(STATE_LABEL);
  if (label < 0) return { ok: false, message: text, actions: [] };
  const state = JSON.parse(text.slice(label + STATE_LABEL.length)) as OrchestratorState;
  return {
    ok: false,
    message: readableError(state.error),
    ...thrownStack(context),
    actions: state.actions[0] ?? [],
    customStatus: state.customStatus,
  };
}

function readableError(message: string | undefined): string {
  // Absent for errors without a message and for thrown values that are no errors; Azure would hang on those.
  if (message === undefined) return "it threw a value that is not an Error, or an Error without a message.";
  if (YIELDED_UNDEFINED.test(message)) {
    return `${message} An orchestrator must be a \`function*\`: what an \`async function*\` yields arrives as undefined, too.`;
  }
  if (!NOT_A_GENERATOR.test(message)) return message;
  return "an orchestrator must be a generator: write `function*` (not `function`, `async function` or an arrow) and `yield` tasks.";
}

const YIELDED_UNDEFINED = /^Durable Functions programming constraint violation: .* data of type undefined\./;

/** What the library runs into when it is given a plain function. */
const NOT_A_GENERATOR =
  /^(this\.generator\.next is not a function|Cannot read properties of undefined \(reading 'next'\))$/;

function failedActivity(name: string, error: unknown): TaskAnswer {
  const message = error instanceof Error ? error.message : String(error);
  const failure = failureDetails(message);
  const answer = {
    ok: false,
    reason: `Activity function '${name}' failed: ${failure?.ErrorMessage ?? message}`,
    details: JSON.stringify({ Message: message, Type: error instanceof Error ? error.name : typeof error }),
  } as const;
  return failure === undefined ? answer : { ...answer, failure };
}

/** Apps with an exception-properties provider throw JSON; all others throw ordinary messages. */
function failureDetails(message: string): FailureDetails | undefined {
  if (!message.startsWith("{")) return undefined;
  try {
    return pascalFailure(JSON.parse(message));
  } catch {
    return undefined;
  }
}

function pascalFailure(raw: unknown): FailureDetails | undefined {
  if (typeof raw !== "object" || raw === null) return undefined;
  const { errorType, errorMessage, stackTrace, isNonRetriable, properties, innerFailure } = raw as Record<
    string,
    unknown
  >;
  if (typeof errorType !== "string" || typeof errorMessage !== "string") return undefined;
  const inner = pascalFailure(innerFailure);
  return {
    ErrorType: errorType,
    ErrorMessage: errorMessage,
    ...(typeof stackTrace === "string" && { StackTrace: stackTrace }),
    ...(typeof isNonRetriable === "boolean" && { IsNonRetriable: isNonRetriable }),
    ...(typeof properties === "object" && properties !== null && { Properties: properties as Record<string, unknown> }),
    ...(inner !== undefined && { InnerFailure: inner }),
  };
}

function resultText(response: InvocationResponse | undefined): string | null {
  const value: RpcTypedData | null | undefined = response?.returnValue;
  if (value === null || value === undefined) return null;
  if (value.string !== undefined) return JSON.stringify(value.string);
  if (value.json !== undefined) return value.json;
  if (value.int !== undefined) return String(value.int);
  // JSON has no NaN or infinities.
  if (value.double !== undefined) return Number.isFinite(value.double) ? String(value.double) : null;
  if (value.bytes !== undefined) return JSON.stringify(Buffer.from(value.bytes).toString("base64"));
  return null;
}

/** A look into the library, for what it does not hand out: missing parts cost a check or a line of the log, no more. */
function executorOf(context: unknown): { readonly sequenceNumber?: unknown; readonly exception?: unknown } {
  const { df } = (context ?? {}) as { df?: { taskOrchestratorExecutor?: object } };
  return df?.taskOrchestratorExecutor ?? {};
}

function sequenceNumberOf(context: unknown): number | undefined {
  const { sequenceNumber } = executorOf(context);
  return typeof sequenceNumber === "number" ? sequenceNumber : undefined;
}

function thrownStack(context: unknown): { readonly stack?: string } {
  const { exception } = executorOf(context);
  return exception === undefined ? {} : { stack: thrownText(exception) };
}

function rootMessage(error: unknown): string {
  if (!(error instanceof Error)) return String(error);
  return error.cause instanceof Error ? error.cause.message : error.message;
}
