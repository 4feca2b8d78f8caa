// Lists in pages. The cursor is the key of the last entry shown, so that pages stay right while entries come and go: none
// that was there all the time is left out or shown twice.

import { HoldfastFailure } from "../base/failure.ts";
import type { Links } from "./links.ts";

export interface PageRequest {
  readonly path: string;
  readonly query: ReadonlyMap<string, string>;
  readonly links: Links;
  readonly pageSize: number;
}

export interface PageSource<Entry> {
  /** Entries in a fixed order, those after the cursor's. */
  after(key: string | undefined): AsyncIterable<Entry>;
  /** What the next page begins after. */
  keyOf(entry: Entry): string;
  admits?(entry: Entry): boolean;
}

export interface Page {
  readonly value: readonly unknown[];
  readonly nextLink?: string;
}

export async function pageOf<Entry>(
  request: PageRequest,
  source: PageSource<Entry>,
  render: (entry: Entry) => unknown,
): Promise<Page> {
  const shown: Entry[] = [];
  for await (const entry of source.after(parseCursor(request.query.get("$skiptoken")))) {
    if (source.admits?.(entry) === false) continue;
    // One more than fits tells that there is a next page, and that it is not empty.
    if (shown.length === request.pageSize)
      return { value: shown.map(render), nextLink: nextLink(request, source, shown) };
    shown.push(entry);
  }
  return { value: shown.map(render) };
}

function nextLink<Entry>(request: PageRequest, source: PageSource<Entry>, shown: readonly Entry[]): string {
  const filter = request.query.get("$filter");
  const cursor = Buffer.from(source.keyOf(shown.at(-1) as Entry)).toString("base64url");
  return request.links.to(request.path, { ...(filter !== undefined && { $filter: filter }), $skipToken: cursor });
}

function parseCursor(text: string | undefined): string | undefined {
  if (text === undefined || text === "") return undefined;
  const key = Buffer.from(text, "base64url").toString();
  const isOurs = Buffer.from(key).toString("base64url") === text.replace(/=+$/, "") && !/\p{Cc}/u.test(key);
  if (isOurs && key !== "" && key.length <= 400) return key;
  throw new HoldfastFailure("invalid", "InvalidSkipToken", "The $skipToken is none that this service has issued", {
    hint: "Follow the nextLink of the previous page as it is.",
  });
}

/** For lists that are made in memory: a source over entries that are in order already. */
export function sourceOf<Entry>(entries: readonly Entry[], keyOf: (entry: Entry) => string): PageSource<Entry> {
  return {
    keyOf,
    async *after(key) {
      const start = key === undefined ? 0 : entries.findIndex((entry) => keyOf(entry) > key);
      if (start >= 0) yield* entries.slice(start);
    },
  };
}
