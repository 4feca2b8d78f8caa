// Networks as far as virtual machines need them: resources that keep what they are given, and stay while they are used.
// Nothing is routed.
import { z } from "zod";
import { locationSchema } from "../arm/location.ts";
import { drop, keep, type Resource, render } from "../arm/resources.ts";
import { nameOf, parentId } from "../arm/target.ts";
import {
  type ArmHandler,
  type ArmRoutes,
  accepted,
  begin,
  bodyOf,
  checkEtag,
  listOf,
  page,
  type World,
} from "../arm/world.ts";
import { json } from "../http/call.ts";
import {
  ADDRESSES,
  INTERFACES,
  NETWORKS,
  refuseDanglingReferences,
  refuseLostSubnets,
  refuseWhileUsed,
  SECURITY_GROUPS,
} from "./references.ts";

const KEPT_AS_GIVEN = [NETWORKS, INTERFACES, SECURITY_GROUPS, ADDRESSES];

const schema = z.looseObject({
  location: locationSchema,
  tags: z.record(z.string(), z.string()).optional(),
  sku: z.looseObject({}).optional(),
  zones: z.array(z.string()).optional(),
  properties: z
    .looseObject({
      subnets: z
        .array(z.looseObject({ name: z.string().min(1), properties: z.looseObject({}).default({}) }))
        .optional(),
    })
    .default({}),
});

export const networkRoutes: ArmRoutes = Object.assign({}, ...KEPT_AS_GIVEN.map(routesOf), {
  "GET microsoft.network/virtualnetworks/{}/subnets": (world, request) => {
    const network = world.resources.get(request.id);
    return page(world, request, subnetsOf(world, network), (subnet) => subnet);
  },
  "GET microsoft.network/virtualnetworks/{}/subnets/{}": (world, request) => {
    const network = world.resources.get(parentId(request.id));
    const found = subnetsOf(world, network).find(({ name }) => name.toLowerCase() === nameOf(request.id).toLowerCase());
    return found === undefined
      ? json(404, { error: { code: "NotFound", message: `Subnet ${request.id} is not found.` } })
      : json(200, found);
  },
} satisfies ArmRoutes);

function routesOf(type: string): ArmRoutes {
  const key = type.toLowerCase();
  return {
    [`GET ${key}`]: listOf(type, show),
    [`GET ${key}/{}`]: (world, request) => json(200, show(world, world.resources.get(request.id))),
    [`PUT ${key}/{}`]: (world, request) => put(world, request),
    [`DELETE ${key}/{}`]: async (world, request) => {
      const found = world.resources.find(request.id);
      if (found === undefined) return { status: 204 };
      refuseWhileUsed(world, found);
      return accepted(world, [drop(found.id)], begin(world, request, found.location, "operations"));
    },
  };
}

const put: ArmHandler = async (world, request) => {
  const body = bodyOf(request, schema);
  const existing = world.resources.find(request.id);
  checkEtag(request, existing);
  const { virtualMachine: _notTheirs, ...properties } = body.properties;
  refuseDanglingReferences(world, request.id, properties);
  if (existing !== undefined && properties.subnets !== undefined)
    refuseLostSubnets(
      world,
      existing,
      properties.subnets.map(({ name }) => name),
    );
  // Whose interface it is only machines decide.
  const owner = existing?.properties.virtualMachine;
  const operation = begin(world, request, body.location, "operations");
  const resource: Resource = {
    ...existing,
    ...body,
    id: existing?.id ?? request.id,
    properties: { ...properties, ...(owner === undefined ? {} : { virtualMachine: owner }) },
    inner: {},
    busyUntil: operation.doneAt,
  };
  await world.state.commit([keep(resource), ...operation.entries]);
  return json(existing === undefined ? 201 : 200, show(world, resource), operation.headers);
};

function show(world: World, resource: Resource): unknown {
  const isNetwork = resource.id.toLowerCase().includes("/virtualnetworks/");
  return render(resource, world.now(), isNetwork ? { subnets: subnetsOf(world, resource) } : {});
}

function subnetsOf(_world: World, network: Resource): { id: string; name: string; properties: unknown }[] {
  const subnets = (network.properties.subnets as { name?: string; properties?: unknown }[] | undefined) ?? [];
  return subnets.map(({ name = "default", properties }) => ({
    id: `${network.id}/subnets/${name}`,
    name,
    properties: { provisioningState: "Succeeded", ...(properties as object) },
  }));
}
