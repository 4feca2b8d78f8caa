// The second road into a function, taken when the app enabled HTTP streaming (capability `HttpUri`): the raw request
// is forwarded to the library's own small server, the invocation itself carries only an id and metadata, and the
// answer flows back while the function still runs. Both bodies flow at the speed of the slower side. The library
// never answers a forwarded request whose handler throws or returns nothing: then it is dropped and answered here.

import { randomUUID } from "node:crypto";
import { Agent, type ClientRequest, request as httpRequest, type IncomingMessage } from "node:http";
import { messageOf } from "../../../src/base/failure.ts";
import type { InvocationOutcome, Invoker } from "../function-entry.ts";
import type { HostLog } from "../host-log.ts";
import type { RpcTypedData } from "../rpc.ts";
import { acceptBody, type Exchange, headersToSend, refuseBody, sendEmpty } from "./exchange.ts";
import { announcesBody, announcesTooMuch } from "./request-body.ts";
import { parseQuery } from "./request-target.ts";
import type { RouteMatch } from "./router.ts";
import { HOP_BY_HOP, joinHeaders } from "./rpc-http.ts";

export interface StreamingProxy {
  readonly hostname: string;
  readonly port: string;
  readonly agent: Agent;
}

const INVOCATION_ID = "x-ms-invocation-id";
const NOT_FORWARDED: ReadonlySet<string> = new Set([
  ...HOP_BY_HOP,
  "expect",
  INVOCATION_ID,
  "x-forwarded-host",
  "x-forwarded-proto",
]);

/** An invocation that succeeded has written its whole answer; it only has to cross the loopback. */
const ANSWER_GRACE_MS = 5_000;

export function openStreamingProxy(httpUri: string): StreamingProxy {
  const { hostname, port } = new URL(httpUri);
  return { hostname, port, agent: new Agent({ keepAlive: true }) };
}

export async function streamInvocation(
  exchange: Exchange,
  match: RouteMatch,
  invoker: Invoker,
  proxy: StreamingProxy,
  log: HostLog,
): Promise<void> {
  if (announcesTooMuch(exchange.request, exchange.limits)) return refuseBody(exchange, "too-large");
  const invocationId = randomUUID();
  const forwarded = forwardRequest(exchange, proxy, invocationId);
  let answer: IncomingMessage | undefined;
  forwarded.on("response", (message) => {
    answer = message;
    relayAnswer(exchange, message);
  });
  forwarded.on("error", (error) => {
    if (answer === undefined && !exchange.response.headersSent && !exchange.response.destroyed) {
      log.write("error", "Host", `The app's streaming server did not answer: ${messageOf(error)}`);
      sendEmpty(exchange, 502);
    }
  });
  exchange.response.on("close", () => {
    if (answer?.complete !== true) forwarded.destroy();
  });

  const outcome = await invoker.invoke({
    entry: match.route.entry,
    trigger: { http: {} },
    triggerMetadata: triggerMetadataOf(exchange, match),
    invocationId,
    reason: `${exchange.method} ${exchange.target.rawPath}`,
  });
  // Destroyed: the client is gone or has its answer already, be it that its body was too large.
  if (answer?.complete !== true && !forwarded.destroyed) settle(exchange, outcome, answer, forwarded, log);
}

function settle(
  exchange: Exchange,
  outcome: InvocationOutcome,
  answer: IncomingMessage | undefined,
  forwarded: ClientRequest,
  log: HostLog,
): void {
  const { response } = exchange;
  const nothingReturned = outcome.ok && (outcome.result === undefined || outcome.result === null);
  if (outcome.ok && !nothingReturned) {
    if (answer !== undefined) return;
    const grace = setTimeout(() => {
      log.write("error", "Host", "A streaming function succeeded, but its answer never came");
      forwarded.destroy();
      sendEmpty(exchange, 500);
    }, ANSWER_GRACE_MS);
    response.once("close", () => clearTimeout(grace));
    forwarded.once("response", () => clearTimeout(grace));
    return;
  }
  // Answered before the forwarded request is dropped, so that dropping it is no second failure.
  if (response.headersSent) response.destroy();
  else sendEmpty(exchange, nothingReturned ? 204 : 500);
  forwarded.destroy();
}

function forwardRequest(exchange: Exchange, proxy: StreamingProxy, invocationId: string): ClientRequest {
  const { request, method, target, host } = exchange;
  const hasBody = announcesBody(request) && method !== "GET" && method !== "HEAD";
  const headers = keepHeaders(
    request.rawHeaders,
    hasBody ? NOT_FORWARDED : new Set([...NOT_FORWARDED, "content-length"]),
  );
  headers.push(INVOCATION_ID, invocationId, "x-forwarded-host", host, "x-forwarded-proto", "http");
  if (hasBody && request.headers["content-length"] === undefined) headers.push("transfer-encoding", "chunked");
  const { hostname, port, agent } = proxy;
  const forwarded = httpRequest({ hostname, port, agent, method, path: target.raw, headers, setHost: false });
  if (hasBody) forwardBody(exchange, forwarded);
  else forwarded.end();
  return forwarded;
}

function forwardBody(exchange: Exchange, forwarded: ClientRequest): void {
  const { request, limits } = exchange;
  let sizeBytes = 0;
  acceptBody(exchange);
  request.on("data", (chunk: Buffer) => {
    sizeBytes += chunk.length;
    if (sizeBytes <= limits.maxBodyBytes) return;
    refuseBody(exchange, "too-large");
    forwarded.destroy();
  });
  request.pipe(forwarded);
  // When the function does not read its body to the end, the rest is let go, and the connection stays usable.
  forwarded.on("close", () => request.unpipe(forwarded).resume());
}

function relayAnswer(exchange: Exchange, message: IncomingMessage): void {
  const { response } = exchange;
  if (response.headersSent || response.destroyed) return void message.destroy();
  const headers = keepHeaders(message.rawHeaders, new Set([...HOP_BY_HOP, INVOCATION_ID]));
  response.writeHead(message.statusCode ?? 500, headersToSend(exchange, headers));
  message.pipe(response);
  // Cut short: the client must see that, instead of taking the part for the whole.
  message.on("close", () => {
    if (!message.complete) response.destroy();
  });
}

function keepHeaders(rawHeaders: readonly string[], dropped: ReadonlySet<string>): string[] {
  const kept: string[] = [];
  const connectionNames = namedByConnection(rawHeaders);
  for (let index = 0; index < rawHeaders.length; index += 2) {
    const [name = "", value = ""] = rawHeaders.slice(index, index + 2);
    const lowerName = name.toLowerCase();
    if (!dropped.has(lowerName) && !connectionNames.has(lowerName)) kept.push(name, value);
  }
  return kept;
}

function namedByConnection(rawHeaders: readonly string[]): Set<string> {
  const names = new Set<string>();
  rawHeaders.forEach((name, index) => {
    if (index % 2 === 1 || name.toLowerCase() !== "connection") return;
    for (const part of (rawHeaders[index + 1] ?? "").split(",")) names.add(part.trim().toLowerCase());
  });
  return names;
}

/** The names are those the library looks for; a route parameter cannot take their place. */
function triggerMetadataOf(exchange: Exchange, match: RouteMatch): Record<string, RpcTypedData> {
  const parameters = Object.entries(match.values).map(([name, string]) => [name, { string }] as const);
  return {
    ...Object.fromEntries(parameters),
    Headers: { json: JSON.stringify(joinHeaders(exchange.request.headers)) },
    Query: { json: JSON.stringify(parseQuery(exchange.target.rawQuery)) },
  };
}
