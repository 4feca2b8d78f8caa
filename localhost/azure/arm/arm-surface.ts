// Azure Resource Manager: who calls, what for, may they, is it locked or throttled, and then the provider's handler.
// Requests for Microsoft.RecoveryServices go on to the configured upstream, as ARM does with its resource providers.
import { AzureError } from "../http/azure-error.ts";
import { type Answer, type Call, json, jsonBody } from "../http/call.ts";
import type { Route, Surface } from "../http/pipeline.ts";
import { mayDo, type Principal } from "../identity/principals.ts";
import type { Tokens } from "../identity/tokens.ts";
import { CORE_PROVIDER, checkVersion, typesOf, UPSTREAM_PROVIDER } from "./api-versions.ts";
import { GROUPS, groupOrRefuse, refuseIfLocked, subscriptionOrRefuse } from "./groups-and-locks.ts";
import { canonicalId, type Target, targetOf } from "./target.ts";
import type { Throttle } from "./throttle.ts";
import { forward } from "./upstream.ts";
import type { ArmHandler, ArmRequest, ArmRoutes, World } from "./world.ts";

export interface ArmParts {
  readonly world: World;
  readonly tokens: Tokens;
  readonly routes: ArmRoutes;
  readonly throttle: Throttle;
  /** Scheme and host of the provider of Microsoft.RecoveryServices, if there is one. */
  readonly upstream: () => string | undefined;
}

export function armSurface(parts: ArmParts): Surface<Principal> {
  return {
    name: "arm",
    claims: (call) => ["subscriptions", "providers", "tenants"].includes(call.segments[0]?.toLowerCase() ?? ""),
    authenticate: (call) => parts.tokens.check(call, audiences(parts, call)),
    route: (call) => routeOf(parts, call),
    refusal: armError,
  };
}

export function armError(_call: Call, error: AzureError): Answer {
  const target = error.extras.target;
  const body = { error: { code: error.code, message: error.message, ...(target === undefined ? {} : { target }) } };
  return json(error.status, body, {
    ...error.extras.headers,
    ...(error.status === 404 ? { "x-ms-failure-cause": "gateway" } : {}),
  });
}

function audiences({ world }: ArmParts, call: Call): string[] {
  return ["https://management.azure.com/", "https://management.core.windows.net/", call.origin, world.dataOrigin()];
}

function routeOf(parts: ArmParts, call: Call): Route<Principal> {
  const target = targetOf(call.segments);
  const [type] = target.parts[0] ?? [];
  const isUpstream =
    target.provider?.toLowerCase() === UPSTREAM_PROVIDER && type !== undefined && type.toLowerCase() !== "register";
  if (!isUpstream) refuseUnknownType(parts.routes, call, target);
  const apiVersion = checkVersion(target, call.query.get("api-version"), () => locationsOf(parts.world));
  if (isUpstream)
    return {
      operation: `${call.method} ${target.key}`,
      handle: (_call, caller) => passOn(parts, call, caller, target),
    };
  const operation = /\/locations\/\{\}\/\w*operation\w*\/\{\}$/.exec(target.key);
  if (call.method === "GET" && operation !== null)
    return {
      operation: "GET operation",
      handle: async (_call, caller) =>
        parts.world.operations.answer(target.parts.at(-1)?.[1] ?? "", call.query.get("monitor") === "true", (id) =>
          showResource(parts, call, caller, id, apiVersion),
        ),
    };
  const handler = parts.routes[`${call.method} ${target.key}`] ?? registration(call.method, target);
  if (handler === undefined) throw unknownRoute(parts.routes, call, target);
  return {
    operation: `${call.method} ${target.key.replaceAll("/{}", "")}`,
    handle: (_call, caller) => handle(parts, call, caller, target, apiVersion, handler),
  };
}

async function handle(
  parts: ArmParts,
  call: Call,
  caller: Principal,
  target: Target,
  apiVersion: string,
  handler: ArmHandler,
): Promise<Answer> {
  const { world } = parts;
  const id = canonicalId(target);
  const action = actionOf(call.method, target);
  if (id !== "/" && !mayDo(caller, action, id))
    throw new AzureError(
      403,
      "AuthorizationFailed",
      `The client '${caller.clientId}' with object id '${caller.objectId}' does not have authorization to perform action '${action}' over scope '${id}' or the scope is invalid. If access was recently granted, please refresh your credentials.`,
    );
  const remaining = parts.throttle.take(`${caller.clientId} ${target.subscription ?? ""}`, world.now());
  const body = call.method === "GET" || call.method === "HEAD" ? {} : await jsonBody(call);
  if (target.subscription !== undefined) subscriptionOrRefuse(world, target.subscription);
  if (target.group !== undefined && target.provider !== undefined)
    groupOrRefuse(world, target.subscription ?? "", target.group);
  if (call.method !== "GET" && call.method !== "HEAD" && target.provider?.toLowerCase() !== "microsoft.authorization")
    refuseIfLocked(world, id, call.method);
  const request: ArmRequest = {
    call,
    caller,
    target,
    apiVersion,
    id,
    subscription: target.subscription ?? "",
    group: target.group ?? "",
    body,
  };
  const answer = await handler(world, request);
  return {
    ...answer,
    headers: {
      ...answer.headers,
      "x-ms-ratelimit-remaining-subscription-reads": remaining,
      "x-ms-correlation-request-id": call.requestId,
    },
  };
}

/** The resource at the end of an operation, as a GET of it would show it. */
function showResource(
  parts: ArmParts,
  call: Call,
  caller: Principal,
  id: string,
  apiVersion: string,
): Promise<Answer> | Answer {
  const target = targetOf(id.split("/").filter(Boolean));
  const handler = parts.routes[`GET ${target.key}`];
  if (handler === undefined) return { status: 200 };
  return handler(parts.world, {
    call,
    caller,
    target,
    apiVersion,
    id,
    subscription: target.subscription ?? "",
    group: target.group ?? "",
    body: {},
  });
}

/** The provider decides who may do what to a vault; that there is a place for it, and that no lock forbids it, is ARM's. */
async function passOn(
  { upstream, throttle, world }: ArmParts,
  call: Call,
  caller: Principal,
  target: Target,
): Promise<Answer> {
  const { subscription, group } = target;
  throttle.take(`${caller.clientId} ${subscription ?? ""}`, world.now());
  if (subscription !== undefined) subscriptionOrRefuse(world, subscription);
  if (subscription !== undefined && group !== undefined) groupOrRefuse(world, subscription, group);
  if (call.method !== "GET" && call.method !== "HEAD") refuseIfLocked(world, canonicalId(target), call.method);
  const to = upstream();
  if (to === undefined)
    throw new AzureError(
      409,
      "MissingSubscriptionRegistration",
      "The subscription is not registered to use namespace 'Microsoft.RecoveryServices'. See https://aka.ms/rps-not-found for how to register subscriptions.",
    );
  return forward(call, to);
}

/** Every provider is registered, whoever asks. */
function registration(method: string, target: Target): ArmHandler | undefined {
  const [first, ...more] = target.parts;
  const asks = first === undefined && method === "GET";
  const registers =
    first?.[0].toLowerCase() === "register" && first[1] === undefined && more.length === 0 && method === "POST";
  if (target.provider === undefined || target.group !== undefined || !(asks || registers)) return undefined;
  const { provider: namespace, subscription } = target;
  return () =>
    json(200, {
      id: `/subscriptions/${subscription}/providers/${namespace}`,
      namespace,
      registrationState: "Registered",
      resourceTypes: typesOf(namespace).map((type) => ({ ...type, locations: [] })),
    });
}

/** A namespace or a type that does not exist has no versions either: that is said first, once there is a version at all. */
function refuseUnknownType(routes: ArmRoutes, call: Call, target: Target): void {
  const version = call.query.get("api-version") ?? "";
  const [type] = target.parts[0] ?? [];
  if (version === "" || target.provider === undefined || type === undefined) return;
  const prefix = ` ${target.provider.toLowerCase()}/`;
  const known = Object.keys(routes).filter((route) => route.includes(prefix));
  if (known.length === 0 && ![CORE_PROVIDER, UPSTREAM_PROVIDER].includes(target.provider.toLowerCase()))
    throw new AzureError(404, "InvalidResourceNamespace", `The resource namespace '${target.provider}' is invalid.`);
  const isShared = ["locations", "register"].includes(type.toLowerCase());
  if (isShared || known.some((route) => `${route}/`.includes(`${prefix}${type.toLowerCase()}/`))) return;
  throw noSuchType(target, version);
}

function unknownRoute(routes: ArmRoutes, call: Call, target: Target): AzureError {
  const path = call.url.split("?")[0];
  const others = Object.keys(routes).filter((route) => route.slice(route.indexOf(" ") + 1) === target.key);
  if (others.length > 0)
    return new AzureError(
      405,
      "MethodNotAllowed",
      `The HTTP method '${call.method}' is not supported at scope '${path}'.`,
    );
  if (target.provider === undefined) return new AzureError(404, "NotFound", `The path '${path}' is not known.`);
  return noSuchType(target, call.query.get("api-version") ?? "");
}

function noSuchType(target: Target, version: string): AzureError {
  const type = target.parts.map(([one]) => one).join("/");
  const supported = typesOf(target.provider ?? "").find(({ resourceType }) => resourceType === type.toLowerCase());
  return new AzureError(
    404,
    "InvalidResourceType",
    `The resource type '${type}' could not be found in the namespace '${target.provider}' for api version '${version}'. The supported api-versions are '${supported?.apiVersions.join(",") ?? ""}'.`,
  );
}

function locationsOf(world: World): string[] {
  return [...new Set(world.resources.ofType(GROUPS).map(({ location }) => location))].sort();
}

function actionOf(method: string, target: Target): string {
  const types = target.parts.map(([type]) => type).join("/");
  const base =
    target.provider === undefined ? "Microsoft.Resources/subscriptions/resourceGroups" : `${target.provider}/${types}`;
  if (method === "GET" || method === "HEAD") return `${base}/read`;
  if (method === "POST") return `${base}/action`;
  return method === "DELETE" ? `${base}/delete` : `${base}/write`;
}
