// Which api-versions each resource type understands: Azure's published lists, with the old versions that clients still send
// and those of today's official clients. A nested type without a list of its own has that of the type above it. Pure.
import { AzureError } from "../http/azure-error.ts";
import type { Target } from "./target.ts";

const MACHINES =
  "2015-05-01-preview 2015-06-15 2016-03-30 2016-04-30-preview 2016-08-30 2017-03-30 2017-12-01 2018-04-01 2018-06-01 2018-10-01 2019-03-01 2019-07-01 2019-12-01 2020-06-01 2020-12-01 2021-03-01 2021-04-01 2021-07-01 2021-11-01 2022-03-01 2022-08-01 2022-11-01 2023-03-01 2023-07-01 2023-09-01 2024-03-01 2024-07-01 2024-11-01 2025-04-01 2026-04-01";
const DISKS =
  "2016-04-30-preview 2017-03-30 2018-04-01 2018-06-01 2018-09-30 2019-03-01 2019-07-01 2019-11-01 2020-05-01 2020-06-30 2020-09-30 2020-12-01 2021-04-01 2021-08-01 2021-12-01 2022-03-02 2022-07-02 2023-01-02 2023-04-02 2023-10-02 2024-03-02 2025-01-02 2026-03-02";
const STORAGE =
  "2015-05-01-preview 2015-06-15 2016-01-01 2016-05-01 2016-12-01 2017-06-01 2017-10-01 2018-02-01 2018-07-01 2018-11-01 2019-04-01 2019-06-01 2020-08-01-preview 2021-01-01 2021-02-01 2021-04-01 2021-06-01 2021-08-01 2021-09-01 2022-05-01 2022-09-01 2023-01-01 2023-04-01 2023-05-01 2024-01-01 2025-01-01 2025-06-01 2026-09-01";
const NETWORK =
  "2014-12-01-preview 2015-05-01-preview 2015-06-15 2016-03-30 2016-06-01 2016-09-01 2016-12-01 2017-03-01 2017-06-01 2017-08-01 2017-10-01 2017-11-01 2018-01-01 2018-02-01 2018-04-01 2018-06-01 2018-08-01 2018-10-01 2018-11-01 2018-12-01 2019-02-01 2019-04-01 2019-06-01 2019-07-01 2019-08-01 2019-09-01 2019-11-01 2019-12-01 2020-03-01 2020-04-01 2020-05-01 2020-06-01 2020-07-01 2020-08-01 2020-11-01 2021-02-01 2021-03-01 2021-05-01 2021-08-01 2022-01-01 2022-05-01 2022-07-01 2022-09-01 2022-11-01 2023-02-01 2023-04-01 2023-05-01 2023-06-01 2023-09-01 2023-11-01 2024-01-01 2024-03-01 2024-05-01 2024-07-01 2025-01-01";
const CLASSIC_COMPUTE =
  "2014-01-01 2014-06-01 2015-06-01 2015-10-01 2015-12-01 2016-04-01 2016-11-01 2017-04-01 2017-11-01 2018-06-01 2020-02-01 2021-02-01";
const CLASSIC_STORAGE = "2014-01-01 2014-04-01 2014-06-01 2015-06-01 2015-12-01 2016-04-01 2016-11-01";

const PUBLISHED: Readonly<Record<string, string>> = {
  "microsoft.compute/virtualmachines": MACHINES,
  "microsoft.compute/restorepointcollections": MACHINES.slice(MACHINES.indexOf("2021-03-01")),
  "microsoft.compute/restorepointcollections/restorepoints/diskrestorepoints": DISKS.slice(DISKS.indexOf("2020-09-30")),
  "microsoft.compute/disks": DISKS,
  "microsoft.compute/snapshots": DISKS,
  "microsoft.storage/storageaccounts": STORAGE,
  "microsoft.storage/checknameavailability": STORAGE,
  "microsoft.network/virtualnetworks": NETWORK,
  "microsoft.network/networkinterfaces": NETWORK,
  "microsoft.network/networksecuritygroups": NETWORK,
  "microsoft.network/publicipaddresses": NETWORK,
  "microsoft.classiccompute/virtualmachines": CLASSIC_COMPUTE,
  "microsoft.classiccompute/domainnames": CLASSIC_COMPUTE,
  "microsoft.classicstorage/storageaccounts": CLASSIC_STORAGE,
  "microsoft.authorization/locks": "2015-01-01 2015-05-01-preview 2015-06-01 2016-09-01 2017-04-01 2020-05-01",
  "microsoft.authorization/roleassignments":
    "2014-04-01-preview 2014-07-01-preview 2014-10-01-preview 2015-05-01-preview 2015-06-01 2015-07-01 2016-07-01 2017-05-01 2017-10-01-preview 2018-01-01-preview 2018-07-01 2018-09-01-preview 2018-12-01-preview 2019-04-01-preview 2020-03-01-preview 2020-04-01-preview 2020-08-01-preview 2020-10-01-preview 2021-04-01-preview 2022-01-01-preview 2022-04-01",
  "microsoft.authorization/roledefinitions":
    "2014-04-01-preview 2014-07-01-preview 2014-10-01-preview 2015-05-01-preview 2015-06-01 2015-07-01 2016-07-01 2017-05-01 2018-01-01-preview 2018-07-01 2022-04-01 2022-05-01-preview",
};

/** Subscriptions, resource groups, tenants, providers. */
const CORE =
  "2014-04-01-preview 2014-04-01 2015-01-01 2015-11-01 2016-02-01 2016-06-01 2016-07-01 2016-09-01 2017-05-10 2018-02-01 2018-05-01 2019-03-01 2019-05-01 2019-05-10 2019-06-01 2019-07-01 2019-08-01 2019-10-01 2019-11-01 2020-01-01 2020-06-01 2020-08-01 2020-10-01 2021-01-01 2021-04-01 2022-09-01 2022-12-01 2024-03-01 2024-07-01 2024-11-01 2025-04-01".split(
    " ",
  );

export const CORE_PROVIDER = "microsoft.resources";
export const UPSTREAM_PROVIDER = "microsoft.recoveryservices";
const UPSTREAM_SINCE = "2016-06-01";

/** The types of a provider with their api-versions, newest first, as its registration shows them. */
export function typesOf(provider: string): { readonly resourceType: string; readonly apiVersions: string[] }[] {
  const prefix = `${provider.toLowerCase()}/`;
  return Object.entries(PUBLISHED)
    .filter(([type]) => type.startsWith(prefix))
    .map(([type, versions]) => ({
      resourceType: type.slice(prefix.length),
      apiVersions: versions.split(" ").reverse(),
    }));
}

/** Refuses a version that the target's type does not have. `locations` are those of the estate, for Azure's message. */
export function checkVersion(target: Target, version: string | undefined, locations: () => string[]): string {
  if (version === undefined || version === "")
    throw new AzureError(
      400,
      "MissingApiVersionParameter",
      "The api-version query parameter (?api-version=) is required for all requests.",
    );
  const isDate = /^\d{4}-\d{2}-\d{2}(-preview|-alpha|-beta|-privatepreview)?$/.test(version);
  const supported = target.parts.length === 0 ? CORE : versionsOf(target);
  if (supported === "any-later" ? isDate && version >= UPSTREAM_SINCE : supported.includes(version)) return version;
  if (!isDate || target.parts.length === 0 || supported === "any-later")
    throw new AzureError(
      400,
      "InvalidApiVersionParameter",
      `The api-version '${version}' is invalid. The supported versions are '${supported === "any-later" ? `${UPSTREAM_SINCE} and later` : [...supported].reverse().join(",")}'.`,
    );
  throw new AzureError(
    400,
    "NoRegisteredProviderFound",
    `No registered resource provider found for location '${locations()[0] ?? ""}' and API version '${version}' for type '${target.parts.map(([type]) => type).join("/")}'. The supported api-versions are '${supported.join(", ")}'. The supported locations are '${locations().join(", ")}'.`,
  );
}

function versionsOf(target: Target): readonly string[] | "any-later" {
  const provider = target.provider?.toLowerCase() ?? "";
  const types = target.parts.map(([type]) => type.toLowerCase());
  if (types[0] === "register" || provider === CORE_PROVIDER) return CORE;
  if (provider === UPSTREAM_PROVIDER) return "any-later";
  for (let depth = types.length; depth > 0; depth -= 1) {
    const found = PUBLISHED[[provider, ...types.slice(0, depth)].join("/")];
    if (found !== undefined) return found.split(" ");
  }
  // Sizes, operations and the like belong to no type: any version of the provider's will do.
  return [...new Set(typesOf(provider).flatMap(({ apiVersions }) => apiVersions))].sort();
}
