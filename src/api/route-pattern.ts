// Paths of routes: `/subscriptions/{subscription}/…`, keywords in Azure's casing, names in braces. Matching is done on one
// lower-case spelling; names are taken from the request by their place, in the client's casing.

export interface RoutePattern {
  /** For the router: lower case, parameters after a colon. */
  readonly matched: string;
  readonly parts: readonly string[];
}

export function routePatternOf(path: string): RoutePattern {
  const parts = path.split("/").filter((part) => part !== "");
  const matched = parts.map((part) => (isParameter(part) ? `:${part.slice(1, -1)}` : part.toLowerCase()));
  return { matched: `/${matched.join("/")}`, parts };
}

export function namesIn(
  { parts }: RoutePattern,
  segments: readonly string[],
): { names: ReadonlyMap<string, string>; path: string } {
  const names = new Map<string, string>();
  const spelled = parts.map((part, index) => {
    if (!isParameter(part)) return part;
    const name = segments[index] as string;
    names.set(part.slice(1, -1), name);
    return name;
  });
  return { names, path: `/${spelled.join("/")}` };
}

/** Where a role must hold for a path: its vault, else its group, its subscription, or everything. */
export function scopeOf(path: string): string {
  const vault = /^\/subscriptions\/[^/]+\/resourceGroups\/[^/]+\/providers\/[^/]+\/vaults\/[^/]+/.exec(path);
  const above = /^\/subscriptions\/[^/]+(\/resourceGroups\/[^/]+)?/.exec(path);
  return vault?.[0] ?? above?.[0] ?? "/";
}

const isParameter = (part: string): boolean => part.startsWith("{");
