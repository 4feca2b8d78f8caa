// What an ARM path names: the scope, the provider, the types and names of a resource, a collection or an action on it.
// Names keep their spelling, types are compared without case. Pure.

export interface Target {
  readonly subscription: string | undefined;
  readonly group: string | undefined;
  /** Path of the resource that this one extends (locks and the like), or nothing. */
  readonly scope: string;
  readonly provider: string | undefined;
  /** For example [["disks", "d1"]]; the last pair has no name when the path ends in a collection or an action. */
  readonly parts: readonly (readonly [type: string, name: string | undefined])[];
  /** Canonical form for the route table: names are `{}`, all is lower case. */
  readonly key: string;
}

export function targetOf(segments: readonly string[]): Target {
  const lower = segments.map((segment) => segment.toLowerCase());
  const providersAt = lower.lastIndexOf("providers");
  const subscription = lower[0] === "subscriptions" ? segments[1] : undefined;
  const group = lower[2] === "resourcegroups" ? segments[3] : undefined;
  if (providersAt < 0) return { subscription, group, scope: "", provider: undefined, parts: [], key: scopeKey(lower) };
  const provider = segments[providersAt + 1];
  const rest = segments.slice(providersAt + 2);
  const parts: [string, string | undefined][] = [];
  for (let index = 0; index < rest.length; index += 2) parts.push([rest[index] as string, rest[index + 1]]);
  const key = [
    provider?.toLowerCase() ?? "",
    ...parts.flatMap(([type, name]) => [type.toLowerCase(), ...(name === undefined ? [] : ["{}"])]),
  ];
  return {
    subscription,
    group,
    scope: `/${segments.slice(0, providersAt).join("/")}`,
    provider,
    parts,
    key: key.join("/"),
  };
}

/** The id of a resource in its usual spelling. */
export function resourceId(subscription: string, group: string, provider: string, ...typesAndNames: string[]): string {
  return `${groupId(subscription, group)}/providers/${provider}/${typesAndNames.join("/")}`;
}

export function groupId(subscription: string, group: string): string {
  return `/subscriptions/${subscription}/resourceGroups/${group}`;
}

export function nameOf(id: string): string {
  return id.split("/").at(-1) ?? "";
}

export function groupOf(id: string): string {
  return id.split("/")[4] ?? "";
}

export function subscriptionOf(id: string): string {
  return id.split("/")[2] ?? "";
}

/** Full type of the resource with this id, for example `Microsoft.Compute/disks`. */
export function typeOf(id: string): string {
  const segments = id.split("/");
  const at = segments.findLastIndex((segment) => segment.toLowerCase() === "providers");
  return [segments[at + 1], ...segments.slice(at + 2).filter((_, index) => index % 2 === 0)].join("/");
}

/** The id of the resource that holds this one, when it is nested. */
export function parentId(id: string): string {
  return id.split("/").slice(0, -2).join("/");
}

const SPELLINGS = new Map(
  [
    "Microsoft.Compute virtualMachines disks snapshots restorePointCollections restorePoints diskRestorePoints extensions",
    "Microsoft.Storage storageAccounts blobServices Microsoft.Authorization locks roleAssignments",
    "Microsoft.Network virtualNetworks networkInterfaces networkSecurityGroups publicIPAddresses subnets",
    "Microsoft.ClassicCompute domainNames Microsoft.ClassicStorage locations",
  ]
    .join(" ")
    .split(" ")
    .map((word) => [word.toLowerCase(), word]),
);

/** The id of the resource a target names, types spelled as Azure does, whatever the client wrote; without an action. */
export function canonicalId(target: Target): string {
  const spelled = (word: string) => SPELLINGS.get(word.toLowerCase()) ?? word;
  const own = target.parts.flatMap(([type, name]) => (name === undefined ? [] : [spelled(type), name]));
  const scope = target.scope
    .split("/")
    .slice(1)
    .map((word, index, all) => {
      if (index === 0) return "subscriptions";
      if (index === 2) return "resourceGroups";
      return index > 3 && (index % 2 === 0 || all[index - 1]?.toLowerCase() === "providers") ? spelled(word) : word;
    });
  if (target.provider !== undefined) return `/${[...scope, "providers", spelled(target.provider), ...own].join("/")}`;
  if (target.subscription === undefined) return "/";
  return target.group === undefined
    ? `/subscriptions/${target.subscription}`
    : groupId(target.subscription, target.group);
}

function scopeKey(lower: readonly string[]): string {
  return `/${lower.map((segment, index) => (index % 2 === 0 ? segment : "{}")).join("/")}`;
}
