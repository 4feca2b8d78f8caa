// From a request on the wire to what an HTTP-triggered function receives, and from what it returned to the bytes of
// the answer (the shapes of rpc.ts). Buffered both ways; streaming.ts is the other road. Everything that is the
// connection's own business (hop-by-hop headers, lengths) is dropped on the way out and made anew by the server.

import type { IncomingHttpHeaders } from "node:http";
import type { InvocationResponse } from "../function-entry.ts";
import type { RpcHttpRequest, RpcHttpResponse, RpcTypedData } from "../rpc.ts";
import { parseQuery, type RequestTarget } from "./request-target.ts";
import type { RouteValues } from "./route-match.ts";
import { renderSetCookie } from "./set-cookie.ts";

/** An answer ready to be written: header names and values in turn, as `writeHead` takes them. */
export interface Answer {
  readonly status: number;
  readonly headers: readonly string[];
  readonly body: Uint8Array | string | undefined;
}

export const HOP_BY_HOP: ReadonlySet<string> = new Set([
  "connection",
  "keep-alive",
  "proxy-authenticate",
  "proxy-authorization",
  "proxy-connection",
  "te",
  "trailer",
  "transfer-encoding",
  "upgrade",
]);

export function toRpcRequest(
  method: string,
  origin: string,
  target: RequestTarget,
  headers: IncomingHttpHeaders,
  values: RouteValues,
  body: Uint8Array | undefined,
): RpcHttpRequest {
  return {
    method,
    url: origin + target.raw,
    headers: joinHeaders(headers),
    query: parseQuery(target.rawQuery),
    // A plain object: functions may call its inherited methods.
    params: { ...values },
    ...(body === undefined ? {} : { body: { bytes: body } }),
  };
}

/** Node has joined repeated headers already; only `set-cookie`, which no client should send, is left as a list. */
export function joinHeaders(headers: IncomingHttpHeaders): Record<string, string> {
  const joined: Record<string, string> = {};
  for (const name in headers) {
    const value = headers[name];
    if (value !== undefined) joined[name] = typeof value === "string" ? value : value.join(", ");
  }
  return joined;
}

/** The function's answer is its `$return`, or any other output of type http; without one it is an empty 204. */
export function toAnswer(method: string, response: InvocationResponse | undefined): Answer {
  const http = response?.returnValue?.http ?? response?.outputData.find(({ data }) => data.http)?.data.http;
  if (http === undefined) return { status: 204, headers: [], body: undefined };
  return renderHttp(method, http as RpcHttpResponse);
}

export function mayHaveBody(status: number): boolean {
  return status !== 204 && status !== 304;
}

function renderHttp(method: string, http: RpcHttpResponse): Answer {
  const status = Number(http.statusCode ?? "200");
  if (!Number.isInteger(status) || status < 200 || status > 599) {
    throw new RangeError(`The function answered with status "${http.statusCode}", which is none`);
  }
  const body = mayHaveBody(status) ? bytesOf(http.body) : undefined;
  const headers: string[] = [];
  let promisedLength: string | undefined;
  for (const name in http.headers) {
    const value = http.headers[name];
    const lowerName = name.toLowerCase();
    if (value === undefined || HOP_BY_HOP.has(lowerName)) continue;
    if (lowerName === "content-length") promisedLength = value;
    else headers.push(name, value);
  }
  for (const cookie of http.cookies ?? []) headers.push("set-cookie", renderSetCookie(cookie));
  if (mayHaveBody(status)) headers.push("content-length", lengthFor(method, body, promisedLength));
  return { status, headers, body };
}

/** A HEAD answer has no body but tells the length that GET would have, if the function knows it. */
function lengthFor(method: string, body: Uint8Array | string | undefined, promised: string | undefined): string {
  const length = body === undefined ? 0 : Buffer.byteLength(body);
  return method === "HEAD" && length === 0 && promised !== undefined && /^\d+$/.test(promised)
    ? promised
    : String(length);
}

function bytesOf(data: RpcTypedData | undefined): Uint8Array | string | undefined {
  if (data === undefined) return undefined;
  return data.bytes ?? data.string ?? data.json ?? data.int?.toString() ?? data.double?.toString();
}
