// The way of every request, for every surface: authenticate → route → inject faults → handle → settle → write the answer or
// error. Nothing of an answer is sent before all that it may have seen survives SIGKILL (`settled`).
// A surface (ARM, the data of disks, tokens, keys, the control endpoint) says how it does its steps; the order is here only.
import type { IncomingMessage, ServerResponse } from "node:http";
import { Readable } from "node:stream";
import { pipeline } from "node:stream/promises";
import { HoldfastFailure } from "../../../src/base/failure.ts";
import type { Fault } from "../faults/fault-plan.ts";
import { AzureError } from "./azure-error.ts";
import { type Answer, type Call, callOf } from "./call.ts";

export interface Surface<Caller = unknown> {
  readonly name: string;
  /** Whether this request is for this surface; the first that says so has it. */
  claims(call: Call): boolean;
  authenticate(call: Call): Promise<Caller>;
  /** Finds what is to be done: a name for faults and counters, and the work itself. */
  route(call: Call): Route<Caller>;
  /** The error in this surface's format. */
  refusal(call: Call, error: AzureError): Answer;
}

export interface Route<Caller> {
  /** For example `Microsoft.Compute/disks/beginGetAccess` or `pagelist`. */
  readonly operation: string;
  handle(call: Call, caller: Caller): Promise<Answer>;
}

export interface FaultSource {
  /** What is to go wrong with this request, if anything. */
  faultsFor(surface: string, operation: string, call: Call): readonly Fault[];
  /** Changes the world before the request is handled (a snapshot vanishes). */
  strike(fault: Fault, call: Call): Promise<void>;
}

export interface PipelineLog {
  /** A defect of the simulator itself. */
  defect(message: string): void;
}

export interface PipelineParts {
  readonly faults: FaultSource;
  readonly log: PipelineLog;
  /** Resolves when everything committed so far is durable. */
  readonly settled: () => Promise<void>;
}

export function requestListener(surfaces: readonly Surface[], { faults, log, settled }: PipelineParts) {
  return async (request: IncomingMessage, response: ServerResponse): Promise<void> => {
    const call = callOf(request);
    const surface = surfaces.find((one) => one.claims(call)) ?? (surfaces.at(-1) as Surface);
    const injected: Fault[] = [];
    let answer: Answer;
    try {
      answer = await process(surface, call, faults, injected);
    } catch (thrown) {
      answer = surface.refusal(call, asAzureError(thrown, call, log));
    }
    await settled().catch((thrown: unknown) => {
      answer = surface.refusal(call, asAzureError(thrown, call, log));
    });
    await send(call, response, { ...answer, body: settledPieces(answer.body, settled) }, injected).catch(
      (thrown: unknown) => {
        if (!isHangUp(thrown)) log.defect(defectOf(call, thrown));
        response.destroy();
      },
    );
  };
}

async function process(surface: Surface, call: Call, faults: FaultSource, injected: Fault[]): Promise<Answer> {
  const caller = await surface.authenticate(call);
  const route = surface.route(call);
  injected.push(...faults.faultsFor(surface.name, route.operation, call));
  for (const fault of injected) await before(fault, call, faults);
  if (injected.some(({ kind }) => kind === "drop")) return { status: 0 };
  return route.handle(call, caller);
}

async function before(fault: Fault, call: Call, faults: FaultSource): Promise<void> {
  switch (fault.kind) {
    case "latency":
      await new Promise((resolve) => setTimeout(resolve, fault.latencyMs));
      return;
    case "throttle":
      throw new AzureError(429, "TooManyRequests", "The request was throttled.", {
        headers: { "Retry-After": String(fault.retryAfterSeconds) },
      });
    case "error":
      throw new AzureError(
        fault.status,
        fault.status === 503 ? "ServerBusy" : "InternalServerError",
        fault.status === 503 ? "The server is busy." : "An internal error occurred.",
      );
    default:
      await faults.strike(fault, call);
  }
}

function asAzureError(thrown: unknown, call: Call, log: PipelineLog): AzureError {
  if (thrown instanceof AzureError) return thrown;
  if (!call.raw.complete && call.raw.destroyed) return new AzureError(400, "RequestAborted", "The client went away.");
  if (thrown instanceof HoldfastFailure && thrown.kind === "conflict")
    return new AzureError(409, "OperationNotAllowed", thrown.message);
  log.defect(defectOf(call, thrown));
  return new AzureError(500, "InternalServerError", "The simulated Azure met an internal error; see its log.");
}

/** Whoever reads or feeds the body went away, or what it is made of was deleted meanwhile. */
function isHangUp(thrown: unknown): boolean {
  const code = (thrown as NodeJS.ErrnoException).code ?? "";
  return thrown instanceof AzureError || ["ERR_STREAM_PREMATURE_CLOSE", "ECONNRESET", "EPIPE"].includes(code);
}

/** Without the query: it may hold a signature. */
function defectOf(call: Call, thrown: unknown): string {
  return `${call.method} ${call.url.split("?")[0]}: ${thrown instanceof Error ? thrown.stack : String(thrown)}`;
}

async function send(call: Call, response: ServerResponse, answer: Answer, injected: readonly Fault[]): Promise<void> {
  if (answer.status === 0 || injected.some(({ kind }) => kind === "lost-answer")) {
    response.destroy();
    return;
  }
  if (call.headers["x-ms-client-request-id"] !== undefined)
    response.setHeader("x-ms-client-request-id", call.headers["x-ms-client-request-id"]);
  response.setHeader("x-ms-request-id", call.requestId);
  const { body } = answer;
  const isWhole = body === undefined || typeof body === "string" || Buffer.isBuffer(body);
  const lengthHeader =
    isWhole && body !== undefined && answer.status !== 204 ? { "Content-Length": Buffer.byteLength(body) } : {};
  const headers = { ...lengthHeader, ...answer.headers };
  response.writeHead(answer.status, headers);
  if (injected.some(({ kind }) => kind === "truncate")) return truncate(response, answer, lengthIn(headers));
  if (call.method === "HEAD") response.end();
  else if (isWhole) response.end(body);
  else {
    response.flushHeaders();
    await pipeline(Readable.from(body, { objectMode: true }), response);
  }
}

function lengthIn(headers: Answer["headers"]): number | undefined {
  const [, length] = Object.entries(headers ?? {}).find(([name]) => name.toLowerCase() === "content-length") ?? [];
  return length === undefined ? undefined : Number(length);
}

/** A streamed body is read from the state as it goes, so each piece has to settle before it is sent. */
function settledPieces(body: Answer["body"], settled: () => Promise<void>): Answer["body"] {
  if (body === undefined || typeof body === "string" || Buffer.isBuffer(body)) return body;
  return (async function* () {
    for await (const piece of body) {
      await settled();
      yield piece;
    }
  })();
}

/** Sends half of the body (of a stream of unknown length, half of its first piece) and hangs up. */
async function truncate(response: ServerResponse, { body }: Answer, length: number | undefined): Promise<void> {
  response.flushHeaders();
  let left = length === undefined ? undefined : Math.floor(length / 2);
  for await (const piece of piecesOf(body)) {
    const part = piece.subarray(0, left ?? Math.floor(piece.length / 2));
    await new Promise<void>((resolve) => response.write(part, () => resolve()));
    left = left === undefined ? 0 : left - part.length;
    if (left === 0 || response.destroyed) break;
  }
  response.destroy();
}

async function* piecesOf(body: Answer["body"]): AsyncGenerator<Buffer> {
  if (typeof body === "string") yield Buffer.from(body);
  else if (Buffer.isBuffer(body)) yield body;
  else if (body !== undefined) yield* body;
}
