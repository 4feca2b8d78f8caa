// Addresses that answers point to. They are absolute, as the client sees the service: a configured address wins; forwarded
// headers are believed only where the deployment says that a proxy connects; else what the request itself was sent to.

import type { ApiSettings } from "./api-settings.ts";

export interface Links {
  /** An absolute address on this service for a path, with the caller's api-version. */
  to(path: string, query?: Readonly<Record<string, string>>): string;
}

type PublicSettings = Pick<ApiSettings, "publicUrl" | "isBehindProxy">;

export function linksFor(base: string, apiVersion: string): Links {
  return {
    to(path, query = {}) {
      const parts = Object.entries({ ...query, "api-version": apiVersion }).map(
        ([key, value]) => `${key}=${encodeURIComponent(value)}`,
      );
      return `${base}${encodePath(path)}?${parts.join("&")}`;
    },
  };
}

export function publicBase(settings: PublicSettings, url: URL, headers: Headers): string {
  if (settings.publicUrl !== undefined) return settings.publicUrl.replace(/\/+$/, "");
  if (!settings.isBehindProxy) return url.origin;
  const scheme = firstOf(headers.get("x-forwarded-proto"), /^https?$/i)?.toLowerCase() ?? url.protocol.slice(0, -1);
  const host = firstOf(headers.get("x-forwarded-host"), /^[a-z0-9.-]+(:\d{1,5})?$|^\[[0-9a-f:.]+\](:\d{1,5})?$/i);
  return `${scheme}://${host ?? url.host}`;
}

/** A chain of proxies appends; the first is what the client saw. */
function firstOf(header: string | null, shape: RegExp): string | undefined {
  const first = header?.split(",")[0]?.trim();
  return first !== undefined && shape.test(first) ? first : undefined;
}

const encodePath = (path: string): string => path.split("/").map(encodeURIComponent).join("/");
