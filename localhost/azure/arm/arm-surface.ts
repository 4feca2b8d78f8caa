// Azure Resource Manager: who calls, what for, may they, is it locked or throttled, and then the provider's handler.
// Requests for Microsoft.RecoveryServices go on to the configured upstream, as ARM does with its resource providers.
import { AzureError } from "../http/azure-error.ts";
import { type Answer, type Call, headerOf, json } from "../http/call.ts";
import type { Route, Surface } from "../http/pipeline.ts";
import { mayDo, type Principal } from "../identity/principals.ts";
import type { Tokens } from "../identity/tokens.ts";
import { groupOrRefuse, refuseIfLocked, subscriptionOrRefuse } from "./groups-and-locks.ts";
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

const UPSTREAM_PROVIDER = "microsoft.recoveryservices";
const OLDEST_VERSION = "2014-04-01";
const NEWEST_VERSION = "2027-12-31";

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
  const apiVersion = checkedVersion(call);
  if (target.provider?.toLowerCase() === UPSTREAM_PROVIDER)
    return { operation: `${call.method} ${target.key}`, handle: () => passOn(parts, call) };
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
  if (!mayDo(caller, action, id))
    throw new AzureError(
      403,
      "AuthorizationFailed",
      `The client '${caller.clientId}' with object id '${caller.objectId}' does not have authorization to perform action '${action}' over scope '${id}' or the scope is invalid. If access was recently granted, please refresh your credentials.`,
    );
  const remaining = parts.throttle.take(`${caller.clientId} ${target.subscription ?? ""}`, world.now());
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
  });
}

function passOn({ upstream }: ArmParts, call: Call): Promise<Answer> {
  const to = upstream();
  if (to === undefined)
    throw new AzureError(
      409,
      "MissingSubscriptionRegistration",
      "The subscription is not registered to use namespace 'Microsoft.RecoveryServices'. See https://aka.ms/rps-not-found for how to register subscriptions.",
    );
  return forward(call, to);
}

function checkedVersion(call: Call): string {
  const version = call.query.get("api-version");
  if (version === undefined || version === "")
    throw new AzureError(
      400,
      "MissingApiVersionParameter",
      "The api-version query parameter (?api-version=) is required for all requests.",
    );
  if (
    !/^\d{4}-\d{2}-\d{2}(-preview|-alpha|-beta|-privatepreview)?$/.test(version) ||
    Number.isNaN(Date.parse(version.slice(0, 10)))
  )
    throw new AzureError(
      400,
      "InvalidApiVersionParameter",
      `The api-version '${version}' is invalid. The supported versions are dates of the form YYYY-MM-DD[-preview].`,
    );
  if (version.slice(0, 10) < OLDEST_VERSION || version.slice(0, 10) > NEWEST_VERSION)
    throw new AzureError(
      400,
      "NoRegisteredProviderFound",
      `No registered resource provider found for API version '${version}'. The supported api-versions lie between '${OLDEST_VERSION}' and '${NEWEST_VERSION}'.`,
    );
  return version;
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
      resourceTypes: [],
    });
}

function unknownRoute(routes: ArmRoutes, call: Call, target: Target): AzureError {
  const others = Object.keys(routes).filter((route) => route.slice(route.indexOf(" ") + 1) === target.key);
  if (others.length > 0)
    return new AzureError(
      405,
      "MethodNotAllowed",
      `The HTTP method '${call.method}' is not supported at scope '${call.url.split("?")[0]}'.`,
    );
  if (target.provider === undefined)
    return new AzureError(404, "NotFound", `The path '${call.url.split("?")[0]}' is not known.`);
  const known = Object.keys(routes).some((route) => route.includes(` ${target.provider?.toLowerCase()}/`));
  if (!known)
    return new AzureError(404, "InvalidResourceNamespace", `The resource namespace '${target.provider}' is invalid.`);
  return new AzureError(
    404,
    "InvalidResourceType",
    `The resource type could not be found in the namespace '${target.provider}' for api version '${headerOf(call, "api-version") ?? call.query.get("api-version") ?? ""}'.`,
  );
}

function actionOf(method: string, target: Target): string {
  const types = target.parts.map(([type]) => type).join("/");
  const base =
    target.provider === undefined ? "Microsoft.Resources/subscriptions/resourceGroups" : `${target.provider}/${types}`;
  if (method === "GET" || method === "HEAD") return `${base}/read`;
  if (method === "POST") return `${base}/action`;
  return method === "DELETE" ? `${base}/delete` : `${base}/write`;
}
