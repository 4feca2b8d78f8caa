// Where the archives of vaults lie: a pair of containers in the storage account of a vault's region and redundancy.

import type { TokenCredential } from "@azure/identity";
import { HoldfastFailure } from "../base/failure.ts";
import type { ObjectStore } from "../ports/object-store.ts";
import { createBlobStore, parseConnectionString } from "./blob-object-store.ts";

export interface ContainerPair {
  readonly archive: ObjectStore;
  readonly state: ObjectStore;
}

/** By region, then redundancy: a connection string, or the address of the account's blob service. */
export type VaultAccounts = Readonly<Record<string, Readonly<Record<string, string | undefined>>>>;

export interface VaultPlace {
  readonly location: string;
  readonly redundancy: string;
}

/** Makes the containers if they are not there: `v-<name>` and `w-<name>`. */
export async function openContainers(
  accounts: VaultAccounts,
  credential: TokenCredential,
  { location, redundancy }: VaultPlace,
  name: string,
): Promise<ContainerPair> {
  const account = accounts[location.toLowerCase()]?.[redundancy];
  if (account === undefined) {
    const message = `There is no storage account for vaults in ${location} with redundancy ${redundancy}`;
    throw new HoldfastFailure("invalid", "HoldfastNoVaultAccount", message, {
      hint: "Choose another region or redundancy, or add an account to the deployment.",
    });
  }
  const { blobEndpoint, credential: key } = /^https?:/.test(account)
    ? { blobEndpoint: account.replace(/\/$/, ""), credential }
    : parseConnectionString(account);
  const open = (container: string) => createBlobStore(`${blobEndpoint}/${container}`, key);
  const [archive, state] = await Promise.all([open(`v-${name}`), open(`w-${name}`)]);
  return { archive, state };
}
