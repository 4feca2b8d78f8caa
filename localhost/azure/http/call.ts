// One request as the surfaces see it, and the answer they give. Paths are decoded and without empty segments, query names
// are lower case: Azure compares both without case, and clients spell them in several ways.
import { randomUUID } from "node:crypto";
import type { IncomingMessage } from "node:http";
import { AzureError } from "./azure-error.ts";

export interface Call {
  readonly method: string;
  /** Path and query as sent. */
  readonly url: string;
  readonly segments: readonly string[];
  readonly query: ReadonlyMap<string, string>;
  readonly headers: IncomingMessage["headers"];
  readonly requestId: string;
  /** Scheme and host as the client sees them; links are made from it. */
  readonly origin: string;
  /** The body's chunks; a longer body than the limit is refused. */
  body(limitBytes: number): Promise<readonly Buffer[]>;
  /** The request itself, for a surface that hands it on. */
  readonly raw: IncomingMessage;
}

export interface Answer {
  readonly status: number;
  readonly headers?: Readonly<Record<string, string | number>>;
  readonly body?: Buffer | string | AsyncIterable<Buffer> | undefined;
}

export function callOf(request: IncomingMessage): Call {
  const url = request.url ?? "/";
  const cut = url.indexOf("?");
  const path = cut < 0 ? url : url.slice(0, cut);
  return {
    method: request.method ?? "GET",
    url,
    segments: path.split("/").filter(Boolean).map(decode),
    query: queryOf(cut < 0 ? "" : url.slice(cut + 1)),
    headers: request.headers,
    requestId: randomUUID(),
    origin: originOf(request),
    body: (limitBytes) => readBody(request, limitBytes),
    raw: request,
  };
}

export function headerOf(call: Call, name: string): string | undefined {
  const value = call.headers[name];
  return Array.isArray(value) ? value.join(",") : value;
}

export function json(status: number, value: unknown, headers: Record<string, string | number> = {}): Answer {
  return {
    status,
    headers: { "Content-Type": "application/json; charset=utf-8", ...headers },
    body: JSON.stringify(value),
  };
}

/** The body as JSON; an absent one is an empty object. */
export async function jsonBody(call: Call, limitBytes = 4 * 1024 * 1024): Promise<unknown> {
  const text = Buffer.concat([...(await call.body(limitBytes))]).toString("utf8");
  if (text.trim() === "") return {};
  try {
    return JSON.parse(text);
  } catch {
    throw new AzureError(
      400,
      "InvalidRequestContent",
      "The request content was invalid and could not be deserialized.",
    );
  }
}

function decode(segment: string): string {
  try {
    return decodeURIComponent(segment);
  } catch {
    return segment;
  }
}

function queryOf(text: string): ReadonlyMap<string, string> {
  const query = new Map<string, string>();
  for (const [name, value] of new URLSearchParams(text))
    if (!query.has(name.toLowerCase())) query.set(name.toLowerCase(), value);
  return query;
}

function originOf(request: IncomingMessage): string {
  const forwarded = (name: string) => {
    const value = request.headers[name];
    return (Array.isArray(value) ? value[0] : value)?.split(",")[0]?.trim();
  };
  const host = forwarded("x-forwarded-host") ?? request.headers.host ?? "127.0.0.1";
  return `${forwarded("x-forwarded-proto") ?? "http"}://${host}`;
}

async function readBody(request: IncomingMessage, limitBytes: number): Promise<readonly Buffer[]> {
  const tooLarge = () =>
    new AzureError(
      413,
      "RequestBodyTooLarge",
      "The request body is too large and exceeds the maximum permissible limit.",
    );
  if (Number(request.headers["content-length"] ?? 0) > limitBytes) throw tooLarge();
  const chunks: Buffer[] = [];
  let length = 0;
  for await (const chunk of request) {
    length += (chunk as Buffer).length;
    if (length > limitBytes) throw tooLarge();
    chunks.push(chunk as Buffer);
  }
  return chunks;
}
