// Where a vault lies, as the command line is told, and which keys open it.
//
//   path/to/folder                           a folder with v/ and w/ in it
//   https://<account>/v-<name>[?<SAS>]        the archive container; the state container w-<name> is beside it
//   <name>, with --connection-string          containers v-<name> and w-<name> of that account

import { randomBytes } from "node:crypto";
import { stat } from "node:fs/promises";
import { join } from "node:path";
import { createBlobStore, openBlobStore, parseConnectionString } from "../src/azure/blob-object-store.ts";
import { HoldfastFailure } from "../src/base/failure.ts";
import { openFolderStore } from "../src/files/folder-store.ts";
import { openKeyFile } from "../src/files/key-file.ts";
import { openVault, type Vault, type VaultDeps, type VaultStores } from "../src/vault/open-vault.ts";

export interface LocationOptions {
  readonly connectionString?: string | undefined;
  readonly keyFiles?: readonly string[] | undefined;
}

export async function openStores(location: string, options: LocationOptions, create = false): Promise<VaultStores> {
  const openContainer = create
    ? createBlobStore
    : async (...args: Parameters<typeof openBlobStore>) => openBlobStore(...args);
  if (/^https?:\/\//.test(location)) {
    const url = new URL(location);
    const match = /^(.*\/)v-([^/]+)$/.exec(url.pathname);
    if (!match) throw new HoldfastFailure("invalid", "HoldfastLocation", "A container URL ends in /v-<vault>");
    const sibling = new URL(url);
    sibling.pathname = `${match[1]}w-${match[2]}`;
    return { archive: await openContainer(url.href), state: await openContainer(sibling.href) };
  }
  if (options.connectionString) {
    const { blobEndpoint, credential } = parseConnectionString(options.connectionString);
    const container = (kind: string) => openContainer(`${blobEndpoint}/${kind}-${location}`, credential);
    return { archive: await container("v"), state: await container("w") };
  }
  if (!create && !(await stat(join(location, "w")).catch(() => undefined))) {
    throw new HoldfastFailure("not-found", "HoldfastNoVault", `There is no vault at ${location}`);
  }
  return { archive: await openFolderStore(join(location, "v")), state: await openFolderStore(join(location, "w")) };
}

export async function depsFor(location: string, options: LocationOptions, create = false): Promise<VaultDeps> {
  const wrappers = await Promise.all((options.keyFiles ?? []).map(openKeyFile));
  const stores = await openStores(location, options, create);
  return { ...stores, wrappers, clock: { now: () => new Date() }, random: { bytes: (count) => randomBytes(count) } };
}

export async function openAt(location: string, options: LocationOptions): Promise<Vault> {
  return openVault(await depsFor(location, options));
}
