// The HTTP API: a request in, a response out, whatever the host. What every call goes through is here, in order: ids,
// the token, the api-version, the route, the audit, the role; then the route's own work; then its answer or its failure.

import { type Context, Hono } from "hono";
import { HoldfastFailure } from "../base/failure.ts";
import { type AuditedCall, recordAnswer, recordCall } from "../control/audit.ts";
import type { ControlDeps } from "../control/control-deps.ts";
import { vaultKeyOf } from "../control/rows/vault-row.ts";
import type { Answer, ApiCall, Route } from "./api-call.ts";
import type { ApiPorts, ApiSettings } from "./api-settings.ts";
import { parseApiVersion } from "./api-version.ts";
import { type Authenticate, type Caller, createAuthenticate } from "./authenticate.ts";
import { requireOperation, requireReach } from "./authorize.ts";
import { errorAnswer, isInternal } from "./errors.ts";
import { parseFilter } from "./filter.ts";
import { linksFor, publicBase } from "./links.ts";
import { readJson } from "./request-body.ts";
import { type RequestIds, requestIdsOf } from "./request-ids.ts";
import { matchedPath, parseTarget, type RequestTarget } from "./request-target.ts";
import { namesIn, type RoutePattern, routePatternOf, scopeOf } from "./route-pattern.ts";
import { ROUTES } from "./routes/routes.ts";

export interface Api {
  fetch(request: Request): Promise<Response>;
}

interface Environment {
  readonly Bindings: { readonly ids: RequestIds };
  readonly Variables: { target: RequestTarget; caller: Caller; apiVersion: string };
}

type ApiContext = Context<Environment>;

interface Service {
  readonly deps: ControlDeps;
  readonly ports: ApiPorts;
  readonly settings: ApiSettings;
  readonly authenticate: Authenticate;
}

export function createApi(
  deps: ControlDeps,
  ports: ApiPorts,
  settings: ApiSettings,
  routes: readonly Route[] = ROUTES,
): Api {
  const { issuers } = settings;
  const { tenantId } = deps.settings;
  const authenticate = createAuthenticate({ issuers, tenantId, keySets: ports.keySets, clock: deps.clock });
  const app = createApp({ deps, ports, settings, authenticate }, routes);
  return {
    fetch: async (request) => app.fetch(request, { ids: requestIdsOf(request.headers, deps.random) }),
  };
}

function createApp(service: Service, routes: readonly Route[]): Hono<Environment> {
  const app = new Hono<Environment>({ getPath: pathToMatch });
  app.use(async (context, next) => {
    context.set("target", parseTarget(new URL(context.req.url)));
    context.set("caller", await service.authenticate(context.req.header("authorization") ?? null));
    context.set("apiVersion", parseApiVersion(context.get("target").query.get("api-version")));
    checkSubscription(service.deps, context.get("target"));
    await next();
  });
  for (const route of routes) {
    const pattern = routePatternOf(route.path);
    app.on(route.method, pattern.matched, async (context) =>
      respond(context, await carryOut(service, context, route, pattern)),
    );
  }
  for (const [matched, methods] of methodsByPath(routes)) app.all(matched, (context) => refuseMethod(context, methods));
  app.notFound((context) => {
    throw new HoldfastFailure("not-found", "OperationNotSupported", `There is no operation at ${context.req.path}`);
  });
  app.onError((thrown, context) => {
    const { requestId } = context.env.ids;
    if (isInternal(thrown)) service.ports.onInternalError(thrown, requestId);
    return respond(context, errorAnswer(thrown, requestId, service.settings.authorityUrl));
  });
  return app;
}

/** A path that cannot be read matches nothing, and is refused by name further on. */
function pathToMatch(request: Request): string {
  try {
    return matchedPath(parseTarget(new URL(request.url)).segments);
  } catch (cause) {
    if (cause instanceof HoldfastFailure) return "/";
    throw cause;
  }
}

function checkSubscription(deps: ControlDeps, { segments: [root, subscription] }: RequestTarget): void {
  if (root?.toLowerCase() !== "subscriptions" || subscription === undefined) return;
  const known = deps.settings.subscriptionIds.map((id) => id.toLowerCase());
  if (known.includes(subscription.toLowerCase())) return;
  throw new HoldfastFailure(
    "not-found",
    "SubscriptionNotFound",
    `The subscription '${subscription}' could not be found`,
    {
      hint: "This service looks after the subscriptions it was deployed for.",
    },
  );
}

async function carryOut(service: Service, context: ApiContext, route: Route, pattern: RoutePattern): Promise<Answer> {
  const call = await callOf(service, context, pattern);
  if (!route.isChange) return authorizedAnswer(call, route);
  return audited(service, context, route, call, () => authorizedAnswer(call, route));
}

/** Names are looked up only after the caller may: who may not learns nothing of what is there. */
async function authorizedAnswer(call: ApiCall, { operation, handle }: Route): Promise<Answer> {
  if (operation !== "anyone") await call.requireOperation(typeof operation === "string" ? operation : operation(call));
  return handle(call);
}

async function callOf(
  { deps, ports, settings }: Service,
  context: ApiContext,
  pattern: RoutePattern,
): Promise<ApiCall> {
  const { caller, target, apiVersion } = context.var;
  const { names, path } = namesIn(pattern, target.segments);
  const request = context.req.raw;
  const held = () => ports.roleAssignments.of(caller.principalIds);
  const links = linksFor(publicBase(settings, new URL(request.url), request.headers), apiVersion);
  return {
    deps,
    caller,
    path,
    query: target.query,
    filter: parseFilter(target.query.get("$filter")),
    links,
    page: { path, query: target.query, links, pageSize: settings.pageSize },
    body: await readJson(request, settings.maxBodyBytes),
    name: (parameter) => nameOf(names, parameter),
    requireOperation: async (operation) => requireOperation(await held(), operation, scopeOf(path)),
    requireReach: async (reach, id) => requireReach(await held(), reach, id),
  };
}

function nameOf(names: ReadonlyMap<string, string>, parameter: string): string {
  const name = names.get(parameter);
  if (name !== undefined) return name;
  throw new HoldfastFailure("not-found", "OperationNotSupported", `The path of this operation names no ${parameter}`);
}

/** Nothing is carried out unless the trace of its being asked for is kept. */
async function audited(
  { deps, ports }: Service,
  context: ApiContext,
  route: Route,
  call: ApiCall,
  work: () => Promise<Answer>,
): Promise<Answer> {
  const { requestId } = context.env.ids;
  const { objectId: callerId, displayName: callerName } = call.caller;
  const entry: AuditedCall = {
    callerId,
    callerName,
    method: route.method,
    path: call.path,
    requestId,
  };
  const book = bookOf(context.var.target);
  // The answer stands whether or not its row can be written; that the call was made is on record.
  const keep = (status: number, code: string | null) =>
    recordAnswer(deps, book, entry, { status, code }).catch((cause) => ports.onInternalError(cause, requestId));
  await recordCall(deps, book, entry);
  try {
    const answer = await work();
    await keep(answer.status, null);
    return answer;
  } catch (thrown) {
    const { status, body } = errorAnswer(thrown, requestId, "");
    await keep(status, body.error.code);
    throw thrown;
  }
}

function bookOf({ segments }: RequestTarget): string {
  const [, subscription = "", , , , , type = "", vault = ""] = segments;
  return type.toLowerCase() === "vaults" ? vaultKeyOf(subscription, vault) : subscription.toLowerCase();
}

function methodsByPath(routes: readonly Route[]): ReadonlyMap<string, readonly string[]> {
  const grouped = Map.groupBy(routes, ({ path }) => routePatternOf(path).matched);
  return new Map([...grouped].map(([matched, those]) => [matched, those.map(({ method }) => method)]));
}

function refuseMethod(context: ApiContext, methods: readonly string[]): never {
  context.header("Allow", methods.join(", "));
  throw new HoldfastFailure("invalid", "MethodNotAllowed", `${context.req.method} is not possible here`, {
    hint: `Possible are: ${methods.join(", ")}.`,
  });
}

function respond(context: ApiContext, { status, body, headers }: Answer): Response {
  const all = new Headers({ ...headers, ...context.env.ids.headers });
  all.set("Cache-Control", "no-store");
  all.set("X-Content-Type-Options", "nosniff");
  const allow = context.res.headers.get("Allow");
  if (allow !== null) all.set("Allow", allow);
  if (body === undefined) return new Response(null, { status, headers: all });
  all.set("Content-Type", "application/json; charset=utf-8");
  return new Response(JSON.stringify(body), { status, headers: all });
}
