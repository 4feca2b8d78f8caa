// The small part of the real host's admin addresses that helps on a laptop: is it up, what is in it, run this now.
// Anything else under /admin is not ours: the request goes on to the functions, as it does in the real host. Pure.

import type { FunctionEntry } from "../function-entry.ts";
import { emptyAnswer, jsonAnswer } from "./exchange.ts";
import type { RoutePath } from "./route-match.ts";
import type { Answer } from "./rpc-http.ts";

export interface AdminApi {
  /** What GET /admin/host/status tells as `version`. */
  readonly hostVersion: string;
  /** Starts one run, and does not wait for its end; false: a function of this kind cannot be run by hand. */
  run(entry: FunctionEntry, input: unknown): boolean;
}

export type AdminAction =
  | { readonly kind: "ping" }
  | { readonly kind: "host-status" }
  | { readonly kind: "list" }
  | { readonly kind: "describe" | "function-status" | "run"; readonly name: string };

export interface AdminCall {
  readonly action: AdminAction;
  readonly origin: string;
  readonly contentType: string | undefined;
  readonly body: Uint8Array | undefined;
}

export function findAdminAction(method: string, path: RoutePath): AdminAction | undefined {
  const [first, area, third, fourth] = path.folded;
  const depth = path.segments.length;
  const reads = method === "GET";
  if (first !== "admin") return undefined;
  if (area === "host" && depth === 3) {
    if (third === "ping" && (reads || method === "POST")) return { kind: "ping" };
    return third === "status" && reads ? { kind: "host-status" } : undefined;
  }
  if (area !== "functions") return undefined;
  const name = path.segments[2] ?? "";
  if (depth === 2) return reads ? { kind: "list" } : undefined;
  if (depth === 4) return fourth === "status" && reads ? { kind: "function-status", name } : undefined;
  if (depth !== 3) return undefined;
  if (method === "POST") return { kind: "run", name };
  return reads ? { kind: "describe", name } : undefined;
}

export function answerAdmin(call: AdminCall, admin: AdminApi, entries: readonly FunctionEntry[]): Answer {
  const { action, origin } = call;
  if (action.kind === "ping") return emptyAnswer(200);
  if (action.kind === "host-status") return jsonAnswer(200, describeHost(admin));
  if (action.kind === "list") {
    const descriptions = entries.map((entry) => describeFunction(entry, origin));
    return jsonAnswer(200, descriptions);
  }
  const entry = entries.find(({ name }) => name.toLowerCase() === action.name.toLowerCase());
  if (entry === undefined) return jsonAnswer(404, { message: `There is no function "${action.name}"` });
  if (action.kind === "describe") return jsonAnswer(200, describeFunction(entry, origin));
  if (action.kind === "function-status") return jsonAnswer(200, {});
  return runByHand(entry, call, admin);
}

function runByHand(entry: FunctionEntry, call: AdminCall, admin: AdminApi): Answer {
  if (!/^application\/(?:json|[^;]*\+json)\s*(?:;|$)/i.test(call.contentType ?? "")) {
    return jsonAnswer(415, { message: 'Send "Content-Type: application/json" with a body such as {"input":""}' });
  }
  const request = parseRunRequest(call.body);
  if (request === undefined) return jsonAnswer(400, { message: 'The body is no JSON object such as {"input":""}' });
  if (!admin.run(entry, request.input)) {
    const hint = entry.kind === "http" ? "call its own address" : "it is started by orchestrations only";
    return jsonAnswer(400, { message: `The function "${entry.name}" cannot be run by hand: ${hint}` });
  }
  return emptyAnswer(202);
}

function parseRunRequest(body: Uint8Array | undefined): { input: unknown } | undefined {
  try {
    const value: unknown = JSON.parse(Buffer.from(body ?? []).toString("utf8"));
    if (typeof value !== "object" || value === null || Array.isArray(value)) return undefined;
    return { input: "input" in value ? value.input : undefined };
  } catch {
    return undefined;
  }
}

function describeHost({ hostVersion }: AdminApi): unknown {
  const processUptime = Math.round(process.uptime() * 1000);
  return { state: "Running", version: hostVersion, versionDetails: hostVersion, processUptime };
}

function describeFunction(entry: FunctionEntry, origin: string): unknown {
  const bindings = Object.entries(entry.metadata.bindings).map(([name, binding]) => ({ name, ...binding }));
  return {
    name: entry.name,
    language: "node",
    isDisabled: false,
    href: `${origin}/admin/functions/${encodeURIComponent(entry.name)}`,
    config: { name: entry.name, bindings },
  };
}
