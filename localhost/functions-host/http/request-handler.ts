// The way of one request, once the app is loaded: cross-origin rules, then the host's own addresses (admin, durable
// management), then the functions, then the home page. Decides where a request goes; the work is in the files around.

import { HoldfastFailure, messageOf } from "../../../src/base/failure.ts";
import { DURABLE_API_PATH, type DurableApi } from "../../task-hub/hub-api.ts";
import type { FunctionEntry, Invoker } from "../function-entry.ts";
import type { HostLog } from "../host-log.ts";
import { type AdminAction, type AdminApi, answerAdmin, findAdminAction } from "./admin-api.ts";
import { refusedAsForeign } from "./browser-guard.ts";
import { type Cors, preflightHeaders } from "./cors.ts";
import { type Exchange, emptyAnswer, jsonAnswer, originOf, receiveBody, send, sendEmpty } from "./exchange.ts";
import { HOME_PAGE } from "./home-page.ts";
import { type HostKeys, opensAdmin, opensDurable, opensFunction } from "./host-keys.ts";
import { parseQuery } from "./request-target.ts";
import { splitPath } from "./route-match.ts";
import { findRoute, type Route, type RouteMatch } from "./router.ts";
import { type Answer, joinHeaders, toAnswer, toRpcRequest } from "./rpc-http.ts";
import { type StreamingProxy, streamInvocation } from "./streaming.ts";

export interface RequestRules {
  readonly log: HostLog;
  readonly cors: Cors | undefined;
  /** Undefined: everyone may call everything, as with `func start`. */
  readonly keys: HostKeys | undefined;
}

export interface LoadedApp {
  readonly entries: readonly FunctionEntry[];
  readonly routes: readonly Route[];
  readonly invoker: Invoker;
  readonly durableApi: DurableApi | undefined;
  readonly admin: AdminApi | undefined;
  readonly streamingProxy: StreamingProxy | undefined;
}

type OwnAddress =
  | { readonly kind: "admin"; readonly action: AdminAction; readonly admin: AdminApi }
  | { readonly kind: "durable"; readonly api: DurableApi; readonly path: string; readonly key: string | undefined };

export async function handleRequest(exchange: Exchange, app: LoadedApp, rules: RequestRules): Promise<void> {
  const { method, request, target } = exchange;
  const requestedMethod = request.headers["access-control-request-method"];
  if (rules.cors && method === "OPTIONS" && request.headers.origin && requestedMethod) {
    const headers = preflightHeaders(
      rules.cors,
      request.headers.origin,
      requestedMethod,
      request.headers["access-control-request-headers"],
    );
    return send({ ...exchange, corsHeaders: [] }, { status: 204, headers, body: undefined });
  }
  const path = splitPath(target.path);
  const own = findAdmin(exchange, app, path) ?? findDurable(exchange, app);
  if (own !== undefined) return answerOwnAddress(exchange, own, app, rules);
  const match = findRoute(app.routes, method, path);
  if (match !== undefined) return answerByFunction(exchange, match, app, rules);
  send(exchange, target.path === "/" ? HOME_PAGE : emptyAnswer(404));
}

function findAdmin(exchange: Exchange, app: LoadedApp, path: ReturnType<typeof splitPath>): OwnAddress | undefined {
  if (app.admin === undefined) return undefined;
  const action = findAdminAction(exchange.method, path);
  return action && { kind: "admin", action, admin: app.admin };
}

/**
 * The path goes on as it came, still encoded: instance ids may contain what decoding would turn into structure. The
 * durable library puts no key into calls to its `rpcBaseUrl`, so a base of that sort can carry it: `…/code/<key>/`.
 */
function findDurable({ target }: Exchange, app: LoadedApp): OwnAddress | undefined {
  if (app.durableApi === undefined || target.rawPath.length < DURABLE_API_PATH.length) return undefined;
  if (target.rawPath.slice(0, DURABLE_API_PATH.length).toLowerCase() !== DURABLE_API_PATH) return undefined;
  const rest = target.rawPath.slice(DURABLE_API_PATH.length);
  const [withKey, key] = /^code\/([^/]*)\//.exec(rest) ?? [""];
  return { kind: "durable", api: app.durableApi, path: rest.slice(withKey.length), key };
}

async function answerOwnAddress(
  exchange: Exchange,
  own: OwnAddress,
  app: LoadedApp,
  rules: RequestRules,
): Promise<void> {
  const foreign = refusedAsForeign(exchange.host, exchange.request.headers.origin, rules.cors);
  if (foreign !== undefined) return send(exchange, jsonAnswer(403, { message: foreign }));
  if (rules.keys !== undefined && !isOpen(own, rules.keys, exchange)) return sendEmpty(exchange, 401);
  const received = await receiveBody(exchange);
  if (received === undefined) return;
  if (own.kind === "durable") return send(exchange, await askDurable(exchange, own.api, own.path, received.body));
  const contentType = exchange.request.headers["content-type"];
  const call = { action: own.action, origin: originOf(exchange), contentType, body: received.body };
  send(exchange, answerAdmin(call, own.admin, app.entries));
}

function isOpen(own: OwnAddress, keys: HostKeys, exchange: Exchange): boolean {
  if (own.kind === "durable") return opensDurable(keys, own.key ?? presentedKey(exchange));
  return own.action.kind === "ping" || opensAdmin(keys, presentedKey(exchange));
}

async function askDurable(
  exchange: Exchange,
  api: DurableApi,
  path: string,
  body: Uint8Array | undefined,
): Promise<Answer> {
  const response = await api.handle({
    method: exchange.method,
    path,
    query: new URLSearchParams(exchange.target.rawQuery),
    headers: joinHeaders(exchange.request.headers),
    body: body ?? new Uint8Array(),
    origin: originOf(exchange),
  });
  const headers = Object.entries(response.headers).flat();
  if (response.status === 204) return { status: 204, headers, body: undefined };
  headers.push("content-length", String(Buffer.byteLength(response.body)));
  return { status: response.status, headers, body: response.body };
}

async function answerByFunction(
  exchange: Exchange,
  match: RouteMatch,
  app: LoadedApp,
  rules: RequestRules,
): Promise<void> {
  const { entry } = match.route;
  if (
    rules.keys !== undefined &&
    !opensFunction(rules.keys, entry.trigger.authLevel, entry.name, presentedKey(exchange))
  ) {
    return sendEmpty(exchange, 401);
  }
  if (app.streamingProxy) return streamInvocation(exchange, match, app.invoker, app.streamingProxy, rules.log);
  const received = await receiveBody(exchange);
  if (received === undefined) return;
  const { method, target, request } = exchange;
  const outcome = await app.invoker.invoke({
    entry,
    trigger: { http: toRpcRequest(method, originOf(exchange), target, request.headers, match.values, received.body) },
    reason: `${method} ${target.rawPath}`,
  });
  // The invoker has told the log what the function threw; the caller gets no word of it, as in the real host.
  if (!outcome.ok) return sendEmpty(exchange, 500);
  try {
    send(exchange, toAnswer(method, outcome.response));
  } catch (thrown) {
    rules.log.write(
      "error",
      `Function.${entry.name}`,
      `The answer of "${entry.name}" cannot be sent: ${explain(thrown)}`,
    );
    sendEmpty(exchange, 500);
  }
}

function explain(thrown: unknown): string {
  return thrown instanceof HoldfastFailure && thrown.hint ? `${thrown.message}. ${thrown.hint}` : messageOf(thrown);
}

/** The header wins over the query, as in the real host. */
function presentedKey({ request, target }: Exchange): string | undefined {
  const header = request.headers["x-functions-key"];
  if (typeof header === "string") return header;
  return Object.entries(parseQuery(target.rawQuery)).find(([name]) => name.toLowerCase() === "code")?.[1];
}
