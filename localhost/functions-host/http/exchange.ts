// One request and its answer on the wire. Every answer of the host is sent from here, so that cross-origin headers,
// closing connections and bodies that nobody reads are treated alike wherever the answer comes from.

import type { IncomingMessage, ServerResponse } from "node:http";
import type { BodyLimits, BodyReading } from "./request-body.ts";
import { announcesBody, announcesTooMuch, readBody } from "./request-body.ts";
import type { RequestTarget } from "./request-target.ts";
import type { Answer } from "./rpc-http.ts";

export interface Exchange {
  readonly request: IncomingMessage;
  readonly response: ServerResponse;
  readonly method: string;
  /** The authority the client used: `localhost:7071`. */
  readonly host: string;
  readonly target: RequestTarget;
  readonly limits: BodyLimits;
  /** Goes with every answer; names and values in turn. */
  readonly corsHeaders: readonly string[];
  /** The client sends its body only after a `100 Continue`. */
  awaitsContinue: boolean;
  readonly isClosing: () => boolean;
}

/** A client may go on sending a body that was refused so long, and pause so long, so that it gets to read the refusal. */
const LINGER_MS = 5_000;
const LINGER_IDLE_MS = 500;

export function originOf(exchange: Exchange): string {
  return `http://${exchange.host}`;
}

export function send(exchange: Exchange, answer: Answer): void {
  const { response } = exchange;
  if (response.destroyed || response.headersSent) return;
  response.writeHead(answer.status, headersToSend(exchange, answer.headers));
  response.end(answer.body);
}

export function sendEmpty(exchange: Exchange, status: number): void {
  send(exchange, emptyAnswer(status));
}

export function emptyAnswer(status: number): Answer {
  return { status, headers: status === 204 ? [] : ["content-length", "0"], body: undefined };
}

export function jsonAnswer(status: number, value: unknown): Answer {
  const body = Buffer.from(JSON.stringify(value));
  const headers = ["content-type", "application/json; charset=utf-8", "content-length", String(body.length)];
  return { status, headers, body };
}

/** The headers of an answer that the function or the durable API made, and those that are the server's to add. */
export function headersToSend(exchange: Exchange, headers: readonly string[]): string[] {
  const { corsHeaders } = exchange;
  const all = corsHeaders.length === 0 ? [...headers] : [...withoutCors(headers), ...corsHeaders];
  if (exchange.isClosing()) all.push("connection", "close");
  return all;
}

export function acceptBody(exchange: Exchange): void {
  if (!exchange.awaitsContinue) return;
  exchange.awaitsContinue = false;
  exchange.response.writeContinue();
}

/** The whole body, if there is one; otherwise the client has been answered already (or is gone). */
export async function receiveBody(exchange: Exchange): Promise<{ body: Uint8Array | undefined } | undefined> {
  const { request, limits } = exchange;
  if (!announcesBody(request)) return { body: undefined };
  if (announcesTooMuch(request, limits)) return refuseBody(exchange, "too-large");
  acceptBody(exchange);
  const reading = await readBody(request, limits);
  return reading.kind === "read" ? reading : refuseBody(exchange, reading.kind);
}

export function refuseBody(exchange: Exchange, why: Exclude<BodyReading["kind"], "read">): undefined {
  const { request, response } = exchange;
  if (why === "aborted" || response.headersSent || response.destroyed) return;
  const headers = [...exchange.corsHeaders, "content-length", "0", "connection", "close"];
  response.writeHead(why === "too-large" ? 413 : 408, headers);
  response.flushHeaders();
  const hangUp = (): void => {
    clearTimeout(patience);
    response.end();
  };
  const isSending = why === "too-large" && !exchange.awaitsContinue;
  const patience = setTimeout(hangUp, isSending ? LINGER_IDLE_MS : 0);
  const deadline = Date.now() + LINGER_MS;
  request.on("data", () => {
    if (Date.now() < deadline) patience.refresh();
  });
  request.once("end", hangUp).once("close", hangUp).resume();
}

function withoutCors(headers: readonly string[]): string[] {
  const kept: string[] = [];
  for (let index = 0; index < headers.length; index += 2) {
    const [name = "", value = ""] = headers.slice(index, index + 2);
    if (!/^access-control-allow-(?:origin|credentials)$/i.test(name)) kept.push(name, value);
  }
  return kept;
}
