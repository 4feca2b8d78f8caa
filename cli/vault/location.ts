// Where a vault lies, as the command line is told, and which keys open it.
//
//   path/to/folder                           a folder with v/ and w/ in it
//   https://<account>/v-<name>[?<SAS>]        the archive container; the state container w-<name> is beside it
//   <name>, with --connection-string          containers v-<name> and w-<name> of that account

import { randomBytes } from "node:crypto";
import { stat } from "node:fs/promises";
import { join } from "node:path";
import { HoldfastFailure } from "../../src/base/failure.ts";
import { openFolderStore } from "../../src/files/folder-store.ts";
import type { KeyWrapper } from "../../src/ports/key-wrapper.ts";
import type { ObjectStore } from "../../src/ports/object-store.ts";
import { openVault, type Vault, type VaultDeps, type VaultStores } from "../../src/vault/open-vault.ts";
import { type Call, type Option, usage } from "../command-line.ts";
import { stoppableStore } from "./interruption.ts";
import { findInKeyVault, KEY_OPTIONS, openGivenKeys } from "./keys.ts";

export const SHARED_OPTIONS: Readonly<Record<string, Option>> = {
  ...KEY_OPTIONS,
  "even-retired": { about: "Lets a key in that a rotation has retired, when the new one is lost" },
  "connection-string": {
    value: "text",
    about: "Of the storage account; else AZURE_STORAGE_CONNECTION_STRING",
  },
  "state-url": { value: "url", about: "The state container, when its SAS is another one" },
  json: { about: "Answers, and failures, as JSON" },
  help: { about: "This text" },
};

type Access = "existing" | "create";

export async function openStores(call: Call, location: string, access: Access = "existing"): Promise<VaultStores> {
  const { archive, state } = await findStores(call, location, access);
  return { archive: stoppableStore(archive, call.signal), state: stoppableStore(state, call.signal) };
}

export async function depsOf(call: Call, location: string, access: Access = "existing"): Promise<VaultDeps> {
  // Keys first: a key file that is missing is told before anything of the vault is read.
  const wrappers = await openGivenKeys(call);
  return { ...outside(call, wrappers), ...(await openStores(call, location, access)) };
}

/** What a vault needs of this process and its user, besides its stores. */
export function outside(call: Call, wrappers: readonly KeyWrapper[]): Omit<VaultDeps, keyof VaultStores> {
  return {
    wrappers,
    findWrapper: (id) => findInKeyVault(call, id),
    evenRetired: call.flags.has("even-retired"),
    clock: { now: () => new Date() },
    random: { bytes: (count) => randomBytes(count) },
    timer: { every: everySoOften },
  };
}

/** Keeps no process from ending. */
function everySoOften(periodMs: number, call: () => void): () => void {
  const timer = setInterval(call, periodMs).unref();
  return () => clearInterval(timer);
}

/** The vault that the first operand names. */
export async function openNamed(call: Call): Promise<Vault> {
  const deps = await depsOf(call, call.operands[0] as string);
  try {
    return await openVault(deps);
  } catch (cause) {
    if (deps.wrappers.length > 0 || !(cause instanceof HoldfastFailure) || cause.kind !== "denied") throw cause;
    if (cause.code !== "HoldfastWrongKey") throw cause;
    throw new HoldfastFailure("denied", "HoldfastNoKey", `${cause.message}, and no key was given`, {
      hint: "Give --key-file <file> or --key-vault-key <url>, or set HOLDFAST_KEY_FILE or HOLDFAST_KEY_VAULT_KEY.",
      cause,
    });
  }
}

async function findStores(call: Call, location: string, access: Access): Promise<VaultStores> {
  if (/^https?:\/\//.test(location)) return urlStores(call, location, access);
  const connection = call.flags.text("connection-string") ?? call.environment.AZURE_STORAGE_CONNECTION_STRING;
  if (connection && !looksLikePath(location)) return accountStores(connection, location, access);
  if (access === "existing" && !(await stat(join(location, "w")).catch(() => undefined))) {
    throw new HoldfastFailure("not-found", "HoldfastNoVault", `There is no vault at ${location}`, {
      hint: "A vault is a folder with v/ and w/ in it, a container URL, or a name with --connection-string.",
    });
  }
  return { archive: await openFolderStore(join(location, "v")), state: await openFolderStore(join(location, "w")) };
}

/** No container is named so: a copy may go from an account to a folder, and back. */
function looksLikePath(location: string): boolean {
  return /[/\\]|^\.+$/.test(location);
}

async function urlStores({ flags }: Call, location: string, access: Access): Promise<VaultStores> {
  const archive = parseUrl(location);
  const match = /^(.*\/)v-([^/]+)\/?$/.exec(archive.pathname);
  if (!match) {
    throw usage(`${archive.origin}${archive.pathname} is no archive container`, "A container URL ends in /v-<name>.");
  }
  const state = new URL(archive);
  state.pathname = `${match[1]}w-${match[2]}`;
  const stateUrl = flags.text("state-url");
  const open = await containerOpener(access);
  return { archive: await open(archive.href), state: await open(stateUrl ? parseUrl(stateUrl).href : state.href) };
}

async function accountStores(connection: string, name: string, access: Access): Promise<VaultStores> {
  if (!/^[a-z0-9](?:-?[a-z0-9])+$/.test(name) || name.length > 61) {
    throw usage(`"${name}" cannot be a vault's name in a storage account`, "2-61 of a-z, 0-9 and single hyphens.");
  }
  const { parseConnectionString } = await import("../../src/azure/blob-object-store.ts");
  const { blobEndpoint, credential } = parseConnectionString(connection);
  const open = await containerOpener(access);
  const container = (kind: string) => open(`${blobEndpoint}/${kind}-${name}`, credential);
  return { archive: await container("v"), state: await container("w") };
}

/** Loaded late: commands on folders start in half the time without it. */
async function containerOpener(access: Access) {
  const { createBlobStore, openBlobStore } = await import("../../src/azure/blob-object-store.ts");
  return async (...to: Parameters<typeof openBlobStore>): Promise<ObjectStore> =>
    access === "create" ? createBlobStore(...to) : openBlobStore(...to);
}

function parseUrl(text: string): URL {
  if (URL.canParse(text)) return new URL(text);
  throw usage("That is no URL of a container");
}
