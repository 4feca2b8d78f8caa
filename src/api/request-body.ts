// Bodies from outside: read up to a limit, parsed as JSON of bounded depth, checked against a schema.

import type { z } from "zod";
import { HoldfastFailure } from "../base/failure.ts";

/** No request has ten levels; what is deeper would only exhaust the stack of whoever walks it. */
const MAX_DEPTH = 32;

/** Undefined: there is no body. */
export async function readJson(request: Request, maxBytes: number): Promise<unknown> {
  const text = await readText(request, maxBytes);
  if (text.trim() === "") return undefined;
  try {
    const value: unknown = JSON.parse(text);
    checkNesting(value);
    return value;
  } catch (cause) {
    if (!(cause instanceof SyntaxError)) throw cause;
    throw badContent("it is not JSON");
  }
}

/** The body as the schema reads it. The message names the first property that is wrong, and how. */
export function parseBody<Body>(schema: z.ZodType<Body>, value: unknown, code = "InvalidRequestContent"): Body {
  const parsed = schema.safeParse(value ?? {});
  if (parsed.success) return parsed.data;
  const issue = parsed.error.issues[0];
  const place = issue?.path.map(String).join(".") || "the body";
  throw new HoldfastFailure("invalid", code, `The request is not valid at ${place}: ${issue?.message ?? "unreadable"}`);
}

async function readText(request: Request, maxBytes: number): Promise<string> {
  if (Number(request.headers.get("content-length") ?? 0) > maxBytes) throw tooLarge(maxBytes);
  if (request.body === null) return "";
  const parts: Uint8Array[] = [];
  let sizeBytes = 0;
  for await (const part of request.body as unknown as AsyncIterable<Uint8Array>) {
    sizeBytes += part.byteLength;
    if (sizeBytes > maxBytes) throw tooLarge(maxBytes);
    parts.push(part);
  }
  return decode(Buffer.concat(parts));
}

function decode(bytes: Uint8Array): string {
  try {
    return new TextDecoder("utf-8", { fatal: true }).decode(bytes);
  } catch (cause) {
    if (!(cause instanceof TypeError)) throw cause;
    throw badContent("it is not UTF-8");
  }
}

function checkNesting(value: unknown): void {
  let level: unknown[] = [value];
  for (let depth = 0; level.length > 0; depth++) {
    if (depth > MAX_DEPTH) throw badContent("it is nested too deeply");
    // Half a surrogate pair cannot be stored, and would come back as something else.
    if (level.some((one) => typeof one === "string" && !one.isWellFormed())) throw badContent("a text in it is broken");
    level = level.flatMap((one) => (typeof one === "object" && one !== null ? Object.values(one) : []));
  }
}

function badContent(reason: string): HoldfastFailure {
  return new HoldfastFailure("invalid", "InvalidRequestContent", `The body of the request cannot be read: ${reason}`);
}

function tooLarge(maxBytes: number): HoldfastFailure {
  return new HoldfastFailure("invalid", "RequestEntityTooLarge", `The body is larger than ${maxBytes} bytes`);
}
