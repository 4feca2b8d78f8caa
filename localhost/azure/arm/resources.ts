// The resources of the simulated Azure: kept as documents, found by id (any case) or by type. What a client sees of one is
// computed here from what is stored and the time: a change that takes a while is decided when it is accepted, and time
// only reveals it, so nothing needs to run for it to finish, and a restart in between loses nothing.
import { createHash } from "node:crypto";
import { AzureError } from "../http/azure-error.ts";
import type { AzureState } from "../state/azure-state.ts";
import type { Entry } from "../state/entry.ts";
import { groupOf, nameOf, subscriptionOf, typeOf } from "./target.ts";

export interface Resource<Properties = Record<string, unknown>, Inner = Record<string, unknown>> {
  readonly id: string;
  readonly location: string;
  readonly tags?: Readonly<Record<string, string>> | undefined;
  readonly zones?: readonly string[] | undefined;
  readonly sku?: Readonly<Record<string, unknown>> | undefined;
  readonly kind?: string | undefined;
  readonly identity?: unknown;
  readonly managedBy?: string | undefined;
  /** Everything under `properties` on the wire but provisioningState. */
  readonly properties: Properties;
  /** What only the simulator knows: volumes, workloads, agents. */
  readonly inner: Inner;
  /** Until then the resource shows `busyAs` as its provisioning state. */
  readonly busyUntil?: number | undefined;
  readonly busyAs?: string | undefined;
  /** Its last change failed. */
  readonly failed?: boolean | undefined;
  readonly revision?: number | undefined;
}

const KEY = "resource/";

export class Resources {
  readonly #byType = new Map<string, Map<string, Resource>>();
  readonly #byId = new Map<string, Resource>();

  constructor(state: AzureState) {
    state.watch((key, value) => {
      if (key.startsWith(KEY)) this.#index(key.slice(KEY.length), value as Resource | undefined);
    });
  }

  find(id: string): Resource | undefined {
    return this.#byId.get(id.toLowerCase());
  }

  /** The resource, or Azure's 404. */
  get(id: string): Resource {
    const found = this.find(id);
    if (found === undefined) throw notFound(id);
    return found;
  }

  /** Resources of a type, in the order of their ids. */
  ofType(type: string): Resource[] {
    return [...(this.#byType.get(type.toLowerCase())?.values() ?? [])];
  }

  inGroup(subscription: string, group: string): Resource[] {
    const prefix = `/subscriptions/${subscription}/resourcegroups/${group}/`.toLowerCase();
    return [...this.#byId].filter(([id]) => id.startsWith(prefix)).map(([, resource]) => resource);
  }

  all(): IterableIterator<Resource> {
    return this.#byId.values();
  }

  /** Nested resources of a type below `id`. */
  below(id: string, type: string): Resource[] {
    const prefix = `${id.toLowerCase()}/`;
    const found: Resource[] = [];
    for (const [key, resource] of this.#byType.get(type.toLowerCase()) ?? [])
      if (key.startsWith(prefix)) found.push(resource);
    return found;
  }

  #index(id: string, resource: Resource | undefined): void {
    const type = typeOf(id).toLowerCase();
    const ofType = this.#byType.get(type) ?? new Map<string, Resource>();
    this.#byType.set(type, ofType);
    if (resource === undefined) {
      ofType.delete(id);
      this.#byId.delete(id);
    } else {
      ofType.set(id, resource);
      this.#byId.set(id, resource);
    }
  }
}

export function keep(resource: Resource): Entry {
  const value = { ...resource, revision: (resource.revision ?? 0) + 1 };
  return { kind: "document", key: KEY + resource.id.toLowerCase(), value };
}

export function drop(id: string): Entry {
  return { kind: "document-removed", key: KEY + id.toLowerCase() };
}

export function etagOf(resource: Resource): string {
  return `"${createHash("sha1")
    .update(`${resource.id.toLowerCase()}:${resource.revision ?? 1}`)
    .digest("hex")
    .slice(0, 16)}"`;
}

export function provisioningState(resource: Resource, now: number): string {
  if ((resource.busyUntil ?? 0) > now) return resource.busyAs ?? "Updating";
  return resource.failed === true ? "Failed" : "Succeeded";
}

/** The resource as a client sees it. */
export function render(resource: Resource, now: number, extra: Record<string, unknown> = {}): Record<string, unknown> {
  const { id, location, tags, zones, sku, kind, identity, managedBy, properties } = resource;
  return {
    id,
    name: nameOf(id),
    type: typeOf(id),
    location,
    ...(tags === undefined ? {} : { tags }),
    ...(zones === undefined ? {} : { zones }),
    ...(sku === undefined ? {} : { sku }),
    ...(kind === undefined ? {} : { kind }),
    ...(identity === undefined ? {} : { identity }),
    ...(managedBy === undefined ? {} : { managedBy }),
    etag: etagOf(resource),
    properties: { ...properties, provisioningState: provisioningState(resource, now), ...extra },
  };
}

export function notFound(id: string): AzureError {
  const name = id
    .split("/")
    .slice(8)
    .filter((_, index) => index % 2 === 1)
    .join("/");
  return new AzureError(
    404,
    "ResourceNotFound",
    `The Resource '${typeOf(id)}/${name === "" ? nameOf(id) : name}' under resource group '${groupOf(id)}' was not found. For more details please go to https://aka.ms/ARMResourceNotFoundFix`,
  );
}

export function inSubscription(resource: Resource, subscription: string): boolean {
  return subscriptionOf(resource.id).toLowerCase() === subscription.toLowerCase();
}
