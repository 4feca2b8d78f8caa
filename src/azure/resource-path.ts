// Resource ids of Azure taken apart: subscription, group, type and the names along the way.

import { HoldfastFailure } from "../base/failure.ts";

export interface ResourcePath {
  readonly subscriptionId: string;
  readonly resourceGroup: string;
  /** Provider and types, lower case: `microsoft.compute/restorepointcollections/restorepoints`. */
  readonly type: string;
  /** One name for each type. */
  readonly names: readonly string[];
}

export function parseResourceId(id: string): ResourcePath {
  const [empty, subscriptions, subscriptionId, groups, resourceGroup, providers, provider, ...rest] = id
    .replaceAll(/\/{2,}/g, "/")
    .replace(/\/$/, "")
    .split("/");
  const isWhole =
    empty === "" &&
    [subscriptions, groups, providers].join("/").toLowerCase() === "subscriptions/resourcegroups/providers" &&
    rest.length > 0 &&
    rest.length % 2 === 0 &&
    rest.every((part) => part !== "");
  if (!isWhole || !subscriptionId || !resourceGroup || !provider)
    throw new HoldfastFailure("invalid", "LinkedInvalidPropertyId", `"${id}" is not the id of a resource of Azure`);
  const types = rest.filter((_, index) => index % 2 === 0);
  const names = rest.filter((_, index) => index % 2 === 1);
  return { subscriptionId, resourceGroup, type: [provider, ...types].join("/").toLowerCase(), names };
}

/** The names of a resource of exactly this type. */
export function parseTyped(id: string, type: string): ResourcePath & { readonly name: string } {
  const path = parseResourceId(id);
  if (path.type !== type.toLowerCase())
    throw new HoldfastFailure("invalid", "LinkedInvalidPropertyId", `"${id}" is not the id of a ${type}`);
  return { ...path, name: path.names.at(-1) as string };
}
