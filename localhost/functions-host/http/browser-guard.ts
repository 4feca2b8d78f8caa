// Keeps web pages of the internet away from what runs or reads functions behind their authors' backs: the admin and
// the durable management addresses. A page in the developer's own browser can reach 127.0.0.1, so binding to loopback
// alone protects nothing. Two rules, because browsers cannot lie in these two headers:
//   Host    must be an IP address, `localhost`, or a name under it: a page that re-binds its own name to 127.0.0.1
//           still sends its own name.
//   Origin  (sent with every cross-origin call that changes something) must be this server's own or one that is
//           listed by name in the CORS settings.
// Programs send no Origin and are let through. Pure.

import { type Cors, isListed } from "./cors.ts";

export function refusedAsForeign(host: string, origin: string | undefined, cors: Cors | undefined): string | undefined {
  if (!isLocalName(host)) {
    return `The host name "${host}" is foreign: use localhost or an IP address for admin and durable addresses`;
  }
  if (origin === undefined || origin.toLowerCase() === `http://${host.toLowerCase()}` || isListed(cors, origin)) {
    return undefined;
  }
  return `A web page of "${origin}" may not call admin and durable addresses: list that origin by name in Host.CORS`;
}

function isLocalName(host: string): boolean {
  const name = host.replace(/:\d+$/, "").toLowerCase();
  return name === "localhost" || name.endsWith(".localhost") || isAddress(name);
}

function isAddress(name: string): boolean {
  return name.startsWith("[") || /^\d{1,3}(?:\.\d{1,3}){3}$/.test(name);
}
