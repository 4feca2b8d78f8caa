// Subscriptions, resource groups and locks: the parts of ARM that stand above all providers.
import { z } from "zod";
import { collectGroup } from "../compute/collect-group.ts";
import { AzureError } from "../http/azure-error.ts";
import { type Answer, json } from "../http/call.ts";
import { hasRoleIn } from "../identity/principals.ts";
import { locationSchema } from "./location.ts";
import { drop, keep, type Resource, render } from "./resources.ts";
import { groupId, nameOf, subscriptionOf } from "./target.ts";
import { type ArmHandler, type ArmRoutes, accepted, begin, bodyOf, listOf, page, type World } from "./world.ts";

export const GROUPS = "Microsoft.Resources/resourceGroups";
export const LOCKS = "Microsoft.Authorization/locks";
const SUBSCRIPTION_KEY = "subscription/";

const groupSchema = z.looseObject({
  location: locationSchema.optional(),
  tags: z.record(z.string(), z.string()).optional(),
  managedBy: z.string().optional(),
});
const lockSchema = z.looseObject({
  properties: z.looseObject({ level: z.enum(["CanNotDelete", "ReadOnly"]), notes: z.string().optional() }),
});

export interface Subscription {
  readonly id: string;
  readonly name: string;
}

export function subscriptionKey(id: string): string {
  return SUBSCRIPTION_KEY + id.toLowerCase();
}

export const scopeRoutes: ArmRoutes = {
  "GET /subscriptions": (world, request) =>
    page(
      world,
      request,
      subscriptions(world).filter(({ id }) => hasRoleIn(request.caller, `/subscriptions/${id}`)),
      (one) => showSubscription(world, one),
    ),
  "GET /subscriptions/{}": (world, request) =>
    json(200, showSubscription(world, subscriptionOrRefuse(world, request.subscription))),
  "GET /subscriptions/{}/locations": (world) =>
    json(200, {
      value: [...new Set([...world.resources.all()].map(({ location }) => location))]
        .sort()
        .map((name) => ({ name, displayName: name })),
    }),
  "GET /tenants": (world) =>
    json(200, { value: [{ id: `/tenants/${world.tenant}`, tenantId: world.tenant, displayName: "Simulated Azure" }] }),
  "GET /subscriptions/{}/resources": (world, request) => listResources(world, request, ""),
  "GET /subscriptions/{}/resourcegroups": (world, request) =>
    page(world, request, groupsOf(world, request.subscription), (group) => showGroup(world, group)),
  "GET /subscriptions/{}/resourcegroups/{}": (world, request) =>
    json(200, showGroup(world, groupOrRefuse(world, request.subscription, request.group))),
  "HEAD /subscriptions/{}/resourcegroups/{}": (world, request) => ({
    status: findGroup(world, request.subscription, request.group) === undefined ? 404 : 204,
  }),
  "PUT /subscriptions/{}/resourcegroups/{}": (world, request) => putGroup(world, request),
  "PATCH /subscriptions/{}/resourcegroups/{}": (world, request) => putGroup(world, request),
  "DELETE /subscriptions/{}/resourcegroups/{}": async (world, request) => {
    const group = groupOrRefuse(world, request.subscription, request.group);
    const entries = collectGroup(world, world.resources.inGroup(request.subscription, request.group));
    return accepted(
      world,
      [...entries, drop(groupKey(request.subscription, request.group))],
      begin(world, request, group.location, "operationresults"),
    );
  },
  "GET /subscriptions/{}/resourcegroups/{}/resources": (world, request) => {
    groupOrRefuse(world, request.subscription, request.group);
    return listResources(world, request, `${groupId(request.subscription, request.group)}/`.toLowerCase());
  },
  "GET microsoft.authorization/locks": listOf(LOCKS),
  "GET microsoft.authorization/locks/{}": (world, request) =>
    json(200, render(world.resources.get(request.id), world.now())),
  "PUT microsoft.authorization/locks/{}": async (world, request) => {
    const body = bodyOf(request, lockSchema);
    const isNew = world.resources.find(request.id) === undefined;
    await world.state.commit([keep({ id: request.id, location: "global", properties: body.properties, inner: {} })]);
    return json(isNew ? 201 : 200, render(world.resources.get(request.id), world.now()));
  },
  "DELETE microsoft.authorization/locks/{}": async (world, request) => {
    const lock = world.resources.find(request.id);
    if (lock === undefined) return { status: 204 };
    await world.state.commit([drop(lock.id)]);
    return { status: 200 };
  },
};

export function subscriptionOrRefuse(world: World, id: string): Subscription {
  const found = world.state.document(subscriptionKey(id)) as Subscription | undefined;
  if (found === undefined)
    throw new AzureError(404, "SubscriptionNotFound", `The subscription '${id}' could not be found.`);
  return found;
}

export function groupOrRefuse(world: World, subscription: string, name: string): Resource {
  const found = findGroup(world, subscription, name);
  if (found === undefined)
    throw new AzureError(404, "ResourceGroupNotFound", `Resource group '${name}' could not be found.`);
  return found;
}

/** Refuses what a lock on the resource, on what holds it, or on its group forbids. */
export function refuseIfLocked(world: World, id: string, method: string): void {
  const target = id.toLowerCase();
  for (const lock of world.resources.ofType(LOCKS)) {
    const scope = lock.id.slice(0, lock.id.toLowerCase().lastIndexOf("/providers/microsoft.authorization/"));
    const covers = target === scope.toLowerCase() || target.startsWith(`${scope.toLowerCase()}/`);
    const deletesLocked = method === "DELETE" && scope.toLowerCase().startsWith(`${target}/`);
    if (!covers && !deletesLocked) continue;
    if (method !== "DELETE" && lock.properties.level !== "ReadOnly") continue;
    const doing = method === "DELETE" ? "delete" : "write";
    throw new AzureError(
      409,
      "ScopeLocked",
      `The scope '${id}' cannot perform ${doing} operation because following scope(s) are locked: '${scope}'. Please remove the lock and try again.`,
    );
  }
}

export function groupResource(
  subscription: string,
  name: string,
  location: string,
  tags?: Record<string, string>,
): Resource {
  return {
    id: groupKey(subscription, name),
    location,
    ...(tags === undefined ? {} : { tags }),
    properties: {},
    inner: {},
  };
}

const putGroup: ArmHandler = async (world, request) => {
  const body = bodyOf(request, groupSchema);
  subscriptionOrRefuse(world, request.subscription);
  const existing = findGroup(world, request.subscription, request.group);
  if (existing === undefined && request.call.method === "PATCH")
    groupOrRefuse(world, request.subscription, request.group);
  const location = existing?.location ?? body.location;
  if (location === undefined)
    throw new AzureError(400, "LocationRequired", "The location property is required for this definition.");
  if (body.location !== undefined && body.location.toLowerCase() !== location.toLowerCase())
    throw new AzureError(
      409,
      "InvalidResourceGroupLocation",
      `Invalid resource group location '${body.location}'. The Resource group already exists in location '${location}'.`,
    );
  const group = {
    ...(existing ?? groupResource(request.subscription, request.group, location)),
    tags: body.tags ?? existing?.tags,
    managedBy: body.managedBy ?? existing?.managedBy,
  };
  await world.state.commit([keep(group)]);
  return json(existing === undefined ? 201 : 200, showGroup(world, group));
};

function listResources(world: World, request: Parameters<ArmHandler>[1], prefix: string): Answer {
  const type = /resourceType eq '([^']+)'/i.exec(request.call.query.get("$filter") ?? "")?.[1]?.toLowerCase();
  const subscription = `/subscriptions/${request.subscription}/`.toLowerCase();
  const found = [...world.resources.all()].filter(({ id }) => {
    const lower = id.toLowerCase();
    const isTopLevel = lower.split("/").length === 9 && !lower.includes("/microsoft.resources/");
    return (
      isTopLevel &&
      lower.startsWith(prefix === "" ? subscription : prefix) &&
      (type === undefined || lower.includes(`/providers/${type}/`))
    );
  });
  return page(world, request, found, (resource) => {
    const { properties: _properties, etag: _etag, ...shown } = render(resource, world.now());
    return shown;
  });
}

function subscriptions(world: World): Subscription[] {
  return [...world.state.documents()]
    .filter(([key]) => key.startsWith(SUBSCRIPTION_KEY))
    .map(([, value]) => value as Subscription);
}

function showSubscription(world: World, { id, name }: Subscription): unknown {
  return {
    id: `/subscriptions/${id}`,
    subscriptionId: id,
    tenantId: world.tenant,
    displayName: name,
    state: "Enabled",
    subscriptionPolicies: {},
    authorizationSource: "RoleBased",
  };
}

/** Groups are kept like resources of a provider, so that they have tags, revisions and a list. */
function groupKey(subscription: string, name: string): string {
  return `/subscriptions/${subscription}/providers/Microsoft.Resources/resourceGroups/${name}`;
}

function findGroup(world: World, subscription: string, name: string): Resource | undefined {
  return world.resources.find(groupKey(subscription, name));
}

function groupsOf(world: World, subscription: string): Resource[] {
  return world.resources
    .ofType(GROUPS)
    .filter(({ id }) => subscriptionOf(id).toLowerCase() === subscription.toLowerCase());
}

function showGroup(world: World, group: Resource): unknown {
  const name = nameOf(group.id);
  const { etag: _etag, ...shown } = render(group, world.now());
  return { ...shown, id: groupId(subscriptionOf(group.id), name), name, type: GROUPS };
}
