// Which keys open the vault, as the command line is told: key files, keys in Key Vault, or whatever the vault's own records
// name, where they name a key that nobody has to hand over.

import { access, stat } from "node:fs/promises";
import { dirname } from "node:path";
import { HoldfastFailure } from "../../src/base/failure.ts";
import { createKeyFile, openKeyFile } from "../../src/files/key-file.ts";
import type { KeyWrapper } from "../../src/ports/key-wrapper.ts";
import type { Call, Option } from "../command-line.ts";

export const KEY_OPTIONS: Readonly<Record<string, Option>> = {
  "key-file": {
    value: "file",
    isRepeatable: true,
    about: "A key that opens the vault; else HOLDFAST_KEY_FILE",
  },
  "key-vault-key": {
    value: "url",
    isRepeatable: true,
    about: "The same in Azure Key Vault; else HOLDFAST_KEY_VAULT_KEY, else as the vault says",
  },
};

interface GivenKeys {
  readonly files: readonly string[];
  readonly urls: readonly string[];
}

/** What the command line says, and only if it says nothing the environment. */
export function givenKeys({ flags, environment }: Call): GivenKeys {
  const given = { files: flags.list("key-file"), urls: flags.list("key-vault-key") };
  if (given.files.length + given.urls.length > 0) return given;
  const { HOLDFAST_KEY_FILE: file, HOLDFAST_KEY_VAULT_KEY: url } = environment;
  return { files: file ? [file] : [], urls: url ? [url] : [] };
}

export async function openGivenKeys(call: Call): Promise<KeyWrapper[]> {
  const { files, urls } = givenKeys(call);
  const wrappers = [...(await Promise.all(files.map(openKeyFile)))];
  for (const url of urls) wrappers.push(await openInKeyVault(call, url));
  return wrappers;
}

/** Loaded late, like everything of Azure: a folder and a key file need none of it. */
export async function openInKeyVault({ flags, signal }: Call, url: string): Promise<KeyWrapper> {
  const { openKeyVaultKey } = await import("../../src/azure/key-vault-key.ts");
  const { ownIdentity } = await import("../../src/azure/own-identity.ts");
  return openKeyVaultKey(url, { credential: ownIdentity(), evenIfPurgeable: flags.has("force"), signal });
}

/** The key that a vault's record names, if it is one that an identity opens. */
export async function findInKeyVault(call: Call, wrapperId: string): Promise<KeyWrapper | undefined> {
  if (!/^https:/i.test(wrapperId)) return undefined;
  const { isKeyVaultId } = await import("../../src/azure/key-vault-key.ts");
  return isKeyVaultId(wrapperId) ? openInKeyVault(call, wrapperId) : undefined;
}

/** Fails if a key file cannot be made there; makes nothing yet. */
export async function refuseKeyFile(path: string, isToBeNew: boolean): Promise<void> {
  const found = await stat(path).catch(() => undefined);
  if (found && isToBeNew) {
    throw new HoldfastFailure("conflict", "HoldfastKeyFile", `${path} exists already, and is never written over`, {
      hint: "Name a file that is not there yet.",
    });
  }
  if (found) return void (await openKeyFile(path));
  await access(dirname(path)).catch((cause) => {
    throw new HoldfastFailure("not-found", "HoldfastKeyFile", `There is no folder for ${path}`, { cause });
  });
}

export async function openOrCreateKeyFile(path: string): Promise<KeyWrapper> {
  const found = await stat(path).catch(() => undefined);
  return found ? openKeyFile(path) : createKeyFile(path);
}
