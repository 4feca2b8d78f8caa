// Long-running operations. The outcome is decided when the request is accepted and written with it; until `doneAt` clients
// are told to wait. Status documents and results stay readable for a day, also after a restart.
import { randomUUID } from "node:crypto";
import { AzureError } from "../http/azure-error.ts";
import { type Answer, json } from "../http/call.ts";
import type { AzureState } from "../state/azure-state.ts";
import type { Entry } from "../state/entry.ts";

export interface OperationFailure {
  readonly status: number;
  readonly code: string;
  readonly message: string;
}

interface StoredOperation {
  readonly id: string;
  readonly startedAt: number;
  readonly doneAt: number;
  readonly failure?: OperationFailure | undefined;
  /** What the Location URL answers in the end. */
  readonly result?: unknown;
  /** Or the resource it shows then. */
  readonly resource?: string | undefined;
}

export interface PlannedOperation {
  readonly doneAt: number;
  readonly entries: Entry[];
  /** The headers that lead a client to it. */
  readonly headers: Record<string, string>;
}

export interface OperationRequest {
  readonly origin: string;
  readonly subscription: string;
  readonly location: string;
  readonly apiVersion: string;
  /** `Microsoft.Compute` and the like. */
  readonly provider: string;
  /** Last type of the operation's URL, for example `DiskOperations` or `operations`. */
  readonly kind: string;
  readonly failure?: OperationFailure | undefined;
  readonly result?: unknown;
  readonly resource?: string | undefined;
}

const KEY = "operation/";
const KEPT_MS = 24 * 3600 * 1000;

export class Operations {
  readonly #state: AzureState;
  readonly #durationMs: number;
  readonly #now: () => number;
  readonly #byAge: { key: string; doneAt: number }[] = [];

  constructor(state: AzureState, durationMs: number, now: () => number) {
    this.#state = state;
    this.#durationMs = durationMs;
    this.#now = now;
    state.watch((key, value) => {
      if (key.startsWith(KEY) && value !== undefined)
        this.#byAge.push({ key, doneAt: (value as StoredOperation).doneAt });
    });
  }

  plan(request: OperationRequest): PlannedOperation {
    const id = randomUUID();
    const startedAt = this.#now();
    const doneAt = startedAt + this.#durationMs;
    const stored: StoredOperation = {
      id,
      startedAt,
      doneAt,
      failure: request.failure,
      result: request.result,
      resource: request.resource,
    };
    const base = `${request.origin}/subscriptions/${request.subscription}/providers/${request.provider}/locations/${request.location}/${request.kind}/${id}`;
    const query = `api-version=${request.apiVersion}`;
    return {
      doneAt,
      entries: [...this.#forget(startedAt), { kind: "document", key: KEY + id, value: stored }],
      headers: {
        "Azure-AsyncOperation": `${base}?${query}`,
        Location: `${base}?${query}&monitor=true`,
        "Retry-After": this.#retryAfter(),
      },
    };
  }

  /** The answer of an operation's URL: its status document, or with `monitor` its result, shown by `show` if a resource. */
  async answer(id: string, monitor: boolean, show: (resource: string) => Promise<Answer> | Answer): Promise<Answer> {
    const operation = this.#state.document(KEY + id.toLowerCase()) as StoredOperation | undefined;
    if (operation === undefined) throw new AzureError(404, "NotFound", `The operation '${id}' was not found.`);
    const done = this.#now() >= operation.doneAt;
    const wait = { "Retry-After": this.#retryAfter() };
    if (!monitor) return json(200, statusOf(operation, done), done ? {} : wait);
    if (!done) return { status: 202, headers: wait };
    if (operation.failure !== undefined)
      throw new AzureError(operation.failure.status, operation.failure.code, operation.failure.message);
    if (operation.resource !== undefined) return show(operation.resource);
    return operation.result === undefined ? { status: 200 } : json(200, operation.result);
  }

  #retryAfter(): string {
    return String(Math.ceil(this.#durationMs / 1000));
  }

  #forget(now: number): Entry[] {
    const entries: Entry[] = [];
    while ((this.#byAge[0]?.doneAt ?? now) < now - KEPT_MS) {
      const old = this.#byAge.shift();
      if (old !== undefined) entries.push({ kind: "document-removed", key: old.key });
    }
    return entries;
  }
}

function statusOf({ id, startedAt, doneAt, failure, result }: StoredOperation, done: boolean) {
  const startTime = new Date(startedAt).toISOString();
  if (!done) return { name: id, startTime, status: "InProgress" };
  const endTime = new Date(doneAt).toISOString();
  if (failure !== undefined)
    return { name: id, startTime, endTime, status: "Failed", error: { code: failure.code, message: failure.message } };
  const output = result === undefined ? {} : { properties: { output: result } };
  return { name: id, startTime, endTime, status: "Succeeded", ...output };
}
