// The connection string of a storage account: its name, its key, and where its services are.

import { HoldfastFailure } from "../base/failure.ts";

export interface StorageAccountParts {
  readonly name: string;
  readonly key: string;
  /** Without a slash at the end. */
  endpointOf(service: "blob" | "table"): string;
}

export function parseAccount(connectionString: string): StorageAccountParts {
  const parts = new Map(
    connectionString.split(";").flatMap((part) => {
      const equals = part.indexOf("=");
      return equals < 0 ? [] : [[part.slice(0, equals).trim().toLowerCase(), part.slice(equals + 1).trim()] as const];
    }),
  );
  const name = parts.get("accountname");
  const key = parts.get("accountkey");
  if (!name || !key) {
    throw new HoldfastFailure(
      "invalid",
      "HoldfastConnectionString",
      "The connection string lacks AccountName or AccountKey",
    );
  }
  const protocol = parts.get("defaultendpointsprotocol") ?? "https";
  const suffix = parts.get("endpointsuffix") ?? "core.windows.net";
  const endpointOf = (service: string): string =>
    (parts.get(`${service}endpoint`) ?? `${protocol}://${name}.${service}.${suffix}`).replace(/\/$/, "");
  return { name, key, endpointOf };
}
