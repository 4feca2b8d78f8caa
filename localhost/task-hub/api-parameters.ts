// What the durable API reads from a request: the parts of its path, its body, filters, pages and times. Whatever is not
// of the form it should be is refused with a sentence that says which form that is.

import { HoldfastFailure } from "../../src/base/failure.ts";
import type { RuntimeStatus } from "./engine/instance.ts";
import type { ApiRequest } from "./hub-api.ts";
import type { InstanceFilter } from "./instance-index.ts";
import type { StatusOptions } from "./status-view.ts";

const DEFAULT_PAGE = 100;
const LARGEST_PAGE = 1000;
const DEFAULT_WAIT_MS = 10_000;
const LONGEST_WAIT_MS = 230_000;

const RUNTIME_STATUSES: readonly RuntimeStatus[] = [
  "Pending",
  "Running",
  "Suspended",
  "Completed",
  "Failed",
  "Terminated",
];

export function invalid(code: string, message: string): HoldfastFailure {
  return new HoldfastFailure("invalid", code, message);
}

export function decodedParts(path: string): string[] {
  const parts = path.split("/");
  if (parts.at(-1) === "") parts.pop();
  try {
    return parts.map(decodeURIComponent);
  } catch {
    throw invalid("InvalidPath", `The path '${path}' is not properly percent-encoded.`);
  }
}

const utf8 = new TextDecoder("utf-8", { fatal: true });

/** The body as JSON text on one line, or null when there is none and that is fine. */
export function jsonBody({ body }: ApiRequest, whenEmpty: "allowEmpty" | "refuseEmpty"): string | null {
  if (body.length === 0) {
    if (whenEmpty === "allowEmpty") return null;
    throw invalid("InvalidJson", "The request has no body. Send JSON: null is fine, an empty body is not.");
  }
  if (isNestedTooDeep(body)) {
    throw invalid("InvalidJson", `The request body is nested more than ${MOST_LEVELS} levels deep. Send flatter JSON.`);
  }
  try {
    const text = utf8.decode(body);
    // Parsed and written again: the journal wants one line, and lone surrogates or duplicate keys end here.
    return JSON.stringify(JSON.parse(text));
  } catch {
    throw invalid("InvalidJson", "The request body is not valid JSON in UTF-8.");
  }
}

/** Far more than anyone needs, and far less than what overflows the stack of whoever writes it out again. */
const MOST_LEVELS = 1000;
const QUOTE = 0x22;
const BACKSLASH = 0x5c;

function isNestedTooDeep(body: Uint8Array): boolean {
  if (body.length < 2 * MOST_LEVELS) return false;
  let level = 0;
  let isInText = false;
  for (let at = 0; at < body.length; at++) {
    const byte = body[at] as number;
    if (isInText) {
      if (byte === BACKSLASH) at += 1;
      else if (byte === QUOTE) isInText = false;
    } else if (byte === QUOTE) isInText = true;
    else if (byte === 0x5b || byte === 0x7b) level += 1;
    else if (byte === 0x5d || byte === 0x7d) level -= 1;
    if (level > MOST_LEVELS) return true;
  }
  return false;
}

export function flag(query: URLSearchParams, name: string, fallback: boolean): boolean {
  const value = query.get(name);
  return value === null ? fallback : value.toLowerCase() === "true";
}

export function statusOptions(query: URLSearchParams): StatusOptions {
  return {
    showInput: flag(query, "showInput", true),
    showHistory: flag(query, "showHistory", false),
    showHistoryOutput: flag(query, "showHistoryOutput", false),
  };
}

export function filterOf(query: URLSearchParams): InstanceFilter {
  const createdFromMs = timeOf(query, "createdTimeFrom");
  const createdToMs = timeOf(query, "createdTimeTo");
  const idPrefix = query.get("instanceIdPrefix");
  const statuses = query.get("runtimeStatus");
  return {
    ...(createdFromMs !== undefined && { createdFromMs }),
    ...(createdToMs !== undefined && { createdToMs }),
    ...(idPrefix && { idPrefix }),
    ...(statuses && { statuses: new Set(statuses.split(",").map(runtimeStatusOf)) }),
  };
}

function timeOf(query: URLSearchParams, name: string): number | undefined {
  const text = query.get(name);
  if (text === null || text === "") return undefined;
  const atMs = Date.parse(text);
  if (Number.isNaN(atMs))
    throw invalid("InvalidTime", `'${name}' is not a time: '${text}'. Use ISO 8601, as 2026-01-31T00:00:00Z.`);
  return atMs;
}

function runtimeStatusOf(text: string): RuntimeStatus {
  const wanted = text.trim().toLowerCase();
  // These exist in the API but no instance stays in them here.
  if (wanted === "continuedasnew" || wanted === "canceled") return wanted as RuntimeStatus;
  const found = RUNTIME_STATUSES.find((status) => status.toLowerCase() === wanted);
  if (found === undefined) {
    throw invalid("InvalidStatus", `'${text}' is not a runtime status. They are ${RUNTIME_STATUSES.join(", ")}.`);
  }
  return found;
}

export function pageSize(top: string | null): number {
  if (top === null || top === "") return DEFAULT_PAGE;
  const size = Number(top);
  if (!Number.isInteger(size) || size < 1)
    throw invalid("InvalidTop", `'top' is a whole number from 1 on, not '${top}'.`);
  return Math.min(size, LARGEST_PAGE);
}

export function waitOf(query: URLSearchParams): number | undefined {
  if (!query.has("timeout") && !query.has("pollingInterval")) return undefined;
  const seconds = Number(query.get("timeout") ?? DEFAULT_WAIT_MS / 1000);
  if (!Number.isFinite(seconds) || seconds < 0) throw invalid("InvalidTimeout", "'timeout' is a number of seconds.");
  return Math.min(seconds * 1000, LONGEST_WAIT_MS);
}

export function encodeToken(place: string): string {
  return Buffer.from(place, "utf8").toString("base64url");
}

export function decodeToken(token: string): string {
  const place = Buffer.from(token, "base64url").toString("utf8");
  if (!/^\d+:./s.test(place)) throw invalid("InvalidToken", "The continuation token is not one of this host.");
  return place;
}
