// The keys of the vault as they are kept: the versions of each, newest first, and since when it is deleted. With soft delete a
// deleted key can be recovered until its time is over, or purged before unless purge protection forbids it.
import { createPublicKey, generateKeyPair, randomBytes } from "node:crypto";
import { promisify } from "node:util";
import { z } from "zod";
import { AzureError } from "../http/azure-error.ts";
import type { AzureState } from "../state/azure-state.ts";

export const keyVaultSchema = z
  .strictObject({
    softDelete: z.boolean().default(true),
    purgeProtection: z.boolean().default(false),
    retentionDays: z.number().int().min(7).max(90).default(90),
  })
  .refine(({ softDelete, purgeProtection }) => softDelete || !purgeProtection, "Purge protection needs soft delete");

export type KeyVaultSettings = z.infer<typeof keyVaultSchema>;

export interface KeyVersion {
  readonly version: string;
  readonly pem: string;
  readonly enabled: boolean;
  readonly createdAt: number;
  readonly updatedAt: number;
  readonly tags?: Record<string, string> | undefined;
}

export interface Deletion {
  readonly deletedAt: number;
  readonly purgedAt: number;
}

interface StoredKey {
  readonly versions: readonly KeyVersion[];
  readonly deletion?: Deletion | undefined;
}

const KEY = "vault-key/";
const DAY_MS = 24 * 3600 * 1000;
const DEFAULT_RETENTION_DAYS = 90;
const makeKeyPair = promisify(generateKeyPair);

export class KeyStore {
  readonly settings: KeyVaultSettings;
  readonly #state: AzureState;
  readonly #now: () => number;

  constructor(state: AzureState, settings: KeyVaultSettings, now: () => number) {
    this.#state = state;
    this.settings = settings;
    this.#now = now;
  }

  names(): string[] {
    return this.#all().flatMap(([name, { deletion }]) => (deletion === undefined ? [name] : []));
  }

  deletedNames(): string[] {
    return this.#all().flatMap(([name, { deletion }]) => (deletion === undefined ? [] : [name]));
  }

  versions(name: string): readonly KeyVersion[] {
    const found = this.#find(name);
    return found?.deletion === undefined ? (found?.versions ?? []) : [];
  }

  /** One version, the newest if none is named, or Azure's 404. */
  version(name: string, wanted: string | undefined): KeyVersion {
    const versions = this.versions(name);
    const found =
      wanted === undefined || wanted === ""
        ? versions[0]
        : versions.find(({ version }) => version === wanted.toLowerCase());
    if (found === undefined)
      throw new AzureError(
        404,
        "KeyNotFound",
        `A key with (name/id) ${name}${wanted === undefined ? "" : `/${wanted}`} was not found in this key vault. If you recently deleted this key you may be able to recover it using the correct recovery command.`,
      );
    return found;
  }

  deleted(name: string): { readonly newest: KeyVersion; readonly deletion: Deletion } {
    const { versions: [newest] = [], deletion } = this.#find(name) ?? {};
    if (newest === undefined || deletion === undefined)
      throw new AzureError(404, "KeyNotFound", `Deleted Key not found: ${name}`);
    return { newest, deletion };
  }

  async add(name: string, bits: number, enabled: boolean, tags: KeyVersion["tags"]): Promise<KeyVersion> {
    if (!/^[0-9a-zA-Z-]{1,127}$/.test(name))
      throw new AzureError(400, "BadParameter", `The request URI contains an invalid name: ${name}.`);
    const { privateKey } = await makeKeyPair("rsa", { modulusLength: bits });
    const stored = this.#find(name);
    if (stored?.deletion !== undefined)
      throw new AzureError(
        409,
        "Conflict",
        `Key ${name} is currently in a deleted but recoverable state, and its name cannot be reused; in this state, the key can only be recovered or purged.`,
        { target: "ObjectIsDeletedButRecoverable" },
      );
    const pem = privateKey.export({ type: "pkcs8", format: "pem" }).toString();
    const now = this.#now();
    const made = { version: randomBytes(16).toString("hex"), pem, enabled, tags, createdAt: now, updatedAt: now };
    await this.#keep(name, { versions: [made, ...(stored?.versions ?? [])] });
    return made;
  }

  /** A further version of the same size as the newest. */
  async rotate(name: string): Promise<KeyVersion> {
    const newest = this.version(name, undefined);
    const bits = createPublicKey(newest.pem).asymmetricKeyDetails?.modulusLength ?? 2048;
    return this.add(name, bits, true, newest.tags);
  }

  async change(
    name: string,
    wanted: string | undefined,
    to: { readonly enabled: boolean | undefined; readonly tags: KeyVersion["tags"] },
  ): Promise<KeyVersion> {
    const chosen = this.version(name, wanted);
    const changed = {
      ...chosen,
      enabled: to.enabled ?? chosen.enabled,
      tags: to.tags ?? chosen.tags,
      updatedAt: this.#now(),
    };
    const versions = this.versions(name).map((one) => (one.version === chosen.version ? changed : one));
    await this.#keep(name, { versions });
    return changed;
  }

  /** Gives what was deleted, and until when it can be recovered: nothing without soft delete. */
  async delete(name: string): Promise<{ readonly newest: KeyVersion; readonly deletion: Deletion | undefined }> {
    const newest = this.version(name, undefined);
    if (!this.settings.softDelete) {
      await this.#forget(name);
      return { newest, deletion: undefined };
    }
    const deletedAt = this.#now();
    const deletion = { deletedAt, purgedAt: deletedAt + this.settings.retentionDays * DAY_MS };
    await this.#keep(name, { versions: this.versions(name), deletion });
    return { newest, deletion };
  }

  async recover(name: string): Promise<KeyVersion> {
    const { newest } = this.deleted(name);
    await this.#keep(name, { versions: this.#find(name)?.versions ?? [] });
    return newest;
  }

  async purge(name: string): Promise<void> {
    this.deleted(name);
    if (this.settings.purgeProtection)
      throw new AzureError(
        403,
        "Forbidden",
        'Operation "purge" is not allowed because purge protection is enabled for this vault. Key Vault service will automatically purge it after the retention period has passed.',
      );
    await this.#forget(name);
  }

  /** What a client reads of how safe a key is from being lost, as Azure words it. */
  recovery(): { readonly recoveryLevel: string; readonly recoverableDays: number } {
    const { softDelete, purgeProtection, retentionDays } = this.settings;
    if (!softDelete) return { recoveryLevel: "Purgeable", recoverableDays: 0 };
    const level = retentionDays < DEFAULT_RETENTION_DAYS ? "CustomizedRecoverable" : "Recoverable";
    return { recoveryLevel: purgeProtection ? level : `${level}+Purgeable`, recoverableDays: retentionDays };
  }

  #find(name: string): StoredKey | undefined {
    const stored = this.#state.document(KEY + name.toLowerCase()) as StoredKey | undefined;
    return stored?.deletion !== undefined && stored.deletion.purgedAt <= this.#now() ? undefined : stored;
  }

  #all(): [string, StoredKey][] {
    return [...this.#state.documents()].flatMap(([key]) => {
      const name = key.startsWith(KEY) ? key.slice(KEY.length) : undefined;
      const stored = name === undefined ? undefined : this.#find(name);
      return name === undefined || stored === undefined ? [] : [[name, stored]];
    });
  }

  #keep(name: string, value: StoredKey): Promise<void> {
    return this.#state.commit([{ kind: "document", key: KEY + name.toLowerCase(), value }]);
  }

  #forget(name: string): Promise<void> {
    return this.#state.commit([{ kind: "document-removed", key: KEY + name.toLowerCase() }]);
  }
}
