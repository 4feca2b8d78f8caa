// What a request asks for: its path, cut into decoded segments, and its query. Paths are compared without regard to case;
// names keep the case they came with. Clients write `;` raw or encoded, and sometimes a slash too many.

import { HoldfastFailure } from "../base/failure.ts";

export interface RequestTarget {
  /** Decoded, without empty ones. */
  readonly segments: readonly string[];
  /** Under lower-case keys: clients write `$filter` and `api-version` as they please. */
  readonly query: ReadonlyMap<string, string>;
}

const MAX_SEGMENTS = 32;
/** The longest names are those of items, which hold a group's (90) and a machine's (80). */
const MAX_SEGMENT_LENGTH = 260;

export function parseTarget(url: URL): RequestTarget {
  const segments = url.pathname
    .split("/")
    .map(decodeSegment)
    .filter((segment) => segment !== "");
  if (segments.length > MAX_SEGMENTS) throw badPath("it is too deep");
  const query = new Map<string, string>();
  for (const [key, value] of url.searchParams) query.set(key.toLowerCase(), value);
  return { segments, query };
}

/** The path in the one spelling that routes are matched in. */
export function matchedPath(segments: readonly string[]): string {
  return `/${segments.map((segment) => encodeURIComponent(segment.toLowerCase())).join("/")}`;
}

function decodeSegment(text: string): string {
  const segment = decoded(text);
  if (segment.length > MAX_SEGMENT_LENGTH) throw badPath("a part of it is too long");
  // Names end up in keys of rows and in ids, where these would mean something else.
  if (/[\p{Cc}/\\?#]/u.test(segment)) throw badPath("a part of it holds a character that no name can have");
  return segment;
}

function decoded(text: string): string {
  try {
    return decodeURIComponent(text);
  } catch (cause) {
    if (!(cause instanceof URIError)) throw cause;
    throw badPath("it is not encoded as UTF-8");
  }
}

function badPath(reason: string): HoldfastFailure {
  return new HoldfastFailure("invalid", "InvalidRequestUri", `The path of the request cannot be read: ${reason}`);
}
