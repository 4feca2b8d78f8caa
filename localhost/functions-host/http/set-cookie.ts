// One `Set-Cookie` line from a cookie that a function returned, as the real host writes it: the value is
// percent-encoded, the path is "/" unless given, and `sameSite: "none"` of the wire shape means "no attribute". Pure.

import { HoldfastFailure } from "../../../src/base/failure.ts";
import type { RpcHttpCookie } from "../rpc.ts";

const SAME_SITE = { lax: "lax", strict: "strict", explicitNone: "none" } as const;

export function renderSetCookie(cookie: RpcHttpCookie): string {
  if (!/^[!#$%&'*+.^_`|~\w-]+$/.test(cookie.name)) throw refusal(cookie, "its name");
  let line = `${cookie.name}=${encodeValue(cookie.value)}`;
  if (cookie.expires) line += `; expires=${dateOf(cookie, cookie.expires.value.seconds)}`;
  if (cookie.maxAge) line += `; max-age=${Math.trunc(cookie.maxAge.value)}`;
  if (cookie.domain) line += `; domain=${attribute(cookie, cookie.domain.value, "its domain")}`;
  line += `; path=${attribute(cookie, cookie.path?.value ?? "/", "its path")}`;
  if (cookie.secure?.value) line += "; secure";
  if (cookie.sameSite && cookie.sameSite !== "none") line += `; samesite=${SAME_SITE[cookie.sameSite]}`;
  if (cookie.httpOnly?.value) line += "; httponly";
  return line;
}

function encodeValue(value: string): string {
  return encodeURIComponent(value.toWellFormed()).replace(
    /[!'()*]/g,
    (character) => `%${character.charCodeAt(0).toString(16).toUpperCase()}`,
  );
}

function dateOf(cookie: RpcHttpCookie, seconds: number | string): string {
  const date = new Date(Number(seconds) * 1000);
  if (Number.isNaN(date.getTime())) throw refusal(cookie, "its expiry");
  return date.toUTCString();
}

/** A semicolon or a line break in an attribute would begin another attribute or another header. */
function attribute(cookie: RpcHttpCookie, text: string, what: string): string {
  if (!/^[\x20-\x3a\x3c-\x7e]*$/.test(text)) throw refusal(cookie, what);
  return text;
}

function refusal(cookie: RpcHttpCookie, what: string): HoldfastFailure {
  const message = `The cookie "${cookie.name}" cannot be sent: ${what} is not what cookies allow`;
  return new HoldfastFailure("invalid", "CookieInvalid", message);
}
