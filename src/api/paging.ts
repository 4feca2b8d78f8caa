// Lists in pages. The cursor is the key of the last entry shown, so that pages stay right while entries come and go: none
// that was there all the time is left out or shown twice.

import { HoldfastFailure } from "../base/failure.ts";
import type { Page, PageRequest } from "../control/paging.ts";
import type { Links } from "./links.ts";

export interface AskedPage {
  readonly path: string;
  readonly query: ReadonlyMap<string, string>;
  readonly links: Links;
  readonly pageSize: number;
}

export interface RenderedPage {
  readonly value: readonly unknown[];
  readonly nextLink?: string;
}

/** `list` is the use case; `matches`, what the request's filter admits. */
export async function pageOf<Value>(
  asked: AskedPage,
  list: (page: PageRequest<Value>) => Promise<Page<Value>>,
  matches: (value: Value) => boolean,
  render: (value: Value) => unknown,
): Promise<RenderedPage> {
  const after = parseCursor(asked.query.get("$skiptoken"));
  const { values, next } = await list({ after, limit: asked.pageSize, matches });
  const value = values.map(render);
  return next === undefined ? { value } : { value, nextLink: nextLink(asked, next) };
}

function nextLink({ path, query, links }: AskedPage, cursor: string): string {
  const filter = query.get("$filter");
  const $skipToken = Buffer.from(cursor).toString("base64url");
  return links.to(path, { ...(filter !== undefined && { $filter: filter }), $skipToken });
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
