// Cross-origin access, only when configured (`Host.CORS` in local.settings.json, or --cors): listed origins may call
// any function with any header and method. "*" lets every web page call the functions, but never the admin and
// durable addresses: those are for origins listed by name (see browser-guard.ts). Pure.

import { HoldfastFailure } from "../../../src/base/failure.ts";

export interface CorsSettings {
  /** Origins such as `http://localhost:3000`, or "*". */
  readonly origins: readonly string[];
  readonly credentials: boolean;
}

export interface Cors {
  readonly anyOrigin: boolean;
  readonly credentials: boolean;
  readonly listed: ReadonlySet<string>;
}

export function planCors(settings: CorsSettings): Cors {
  const origins = settings.origins.map((origin) => origin.trim().replace(/\/+$/, "").toLowerCase()).filter(Boolean);
  const anyOrigin = origins.includes("*");
  if (anyOrigin && settings.credentials) {
    throw new HoldfastFailure("invalid", "CorsCredentialsForAll", 'CORS allows credentials and every origin ("*")', {
      hint: "Browsers refuse that combination: list the origins by name, or leave the credentials out.",
    });
  }
  return { anyOrigin, credentials: settings.credentials, listed: new Set(origins.filter((origin) => origin !== "*")) };
}

export function isListed(cors: Cors | undefined, origin: string): boolean {
  return cors?.listed.has(origin.toLowerCase()) ?? false;
}

/** Names and values in turn; empty when the origin may not read the answer. */
export function corsHeaders(cors: Cors, origin: string): string[] {
  if (cors.anyOrigin) return ["access-control-allow-origin", "*"];
  if (!isListed(cors, origin)) return ["vary", "Origin"];
  const headers = ["vary", "Origin", "access-control-allow-origin", origin];
  return cors.credentials ? [...headers, "access-control-allow-credentials", "true"] : headers;
}

export function preflightHeaders(
  cors: Cors,
  origin: string,
  method: string,
  requestedHeaders: string | undefined,
): string[] {
  const headers = corsHeaders(cors, origin);
  if (!headers.includes("access-control-allow-origin")) return headers;
  headers.push("access-control-allow-methods", method);
  if (requestedHeaders) headers.push("access-control-allow-headers", requestedHeaders);
  return headers;
}
