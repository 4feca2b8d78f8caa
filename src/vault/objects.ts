// Reading and writing the vault's sealed objects and records: what every step of the protocol does through these few
// functions, so that lost answers and races are handled in one place.

import { createHash } from "node:crypto";
import type { z } from "zod";
import { HoldfastFailure } from "../base/failure.ts";
import type { ObjectStore, StoredObject } from "../ports/object-store.ts";
import type { Json } from "./format/canonical-json.ts";
import { type Binding, claimedKeyId, NONCE_BYTES, openEnvelope, sealEnvelope } from "./format/envelope.ts";
import type { VaultKey } from "./format/keys.ts";
import type { KeyId } from "./format/names.ts";
import { encodeRecord, openRecord } from "./format/records.ts";
import type { Vault } from "./open-vault.ts";

const MAX_SWAP_ATTEMPTS = 50;

export type ObjectBinding = Omit<Binding, "vaultId">;

export function seal(vault: Vault, key: VaultKey, binding: ObjectBinding, payload: Uint8Array): Buffer {
  return sealEnvelope(key, { ...binding, vaultId: vault.vaultId }, payload, vault.random.bytes(NONCE_BYTES));
}

/** Opens with whichever key of the ring the object names; it is authentic for what it was expected to be, or it fails. */
export function unseal(vault: Vault, binding: ObjectBinding, bytes: Uint8Array): Buffer {
  const key = vault.keyOf(claimedKeyId(bytes, `The ${binding.kind} of ${binding.transfer}`));
  return openEnvelope(key, { ...binding, vaultId: vault.vaultId }, bytes);
}

/** The first write counts: the bytes that now stand under the name, be they ours or those of who came before. */
export async function createOrAdopt(store: ObjectStore, name: string, body: Uint8Array): Promise<Uint8Array> {
  try {
    await store.create(name, body);
    return body;
  } catch (cause) {
    if (!isKind(cause, "conflict")) throw cause;
    return (await store.read(name)).body;
  }
}

/** Writes an object that nobody else can name. A conflict is our own earlier attempt, or it is a failure. */
export async function createOwn(store: ObjectStore, name: string, body: Uint8Array): Promise<StoredObject> {
  try {
    return await store.create(name, body);
  } catch (cause) {
    if (!isKind(cause, "conflict")) throw cause;
    const { body: found, object } = await store.read(name);
    if (md5Of(found) === md5Of(body) && found.length === body.length) return object;
    throw new HoldfastFailure("corrupt", "HoldfastNameTaken", `${name} exists already with other bytes`, { cause });
  }
}

export interface FoundRecord<T> {
  readonly body: T;
  /** Under which it was written. */
  readonly keyId: KeyId;
  readonly etag: string;
  readonly storeDate: Date;
}

export async function readRecord<T extends z.ZodType>(
  vault: Vault,
  schema: T,
  name: string,
): Promise<FoundRecord<z.infer<T>> | undefined> {
  const found = await readIfPresent(vault.state, name);
  if (!found) return undefined;
  const opened = openRecord(schema, vault.keyOf, vault.vaultId, name, found.body);
  return { ...opened, etag: found.object.etag, storeDate: found.storeDate };
}

/** Writes over exactly what was read before: undefined means that nothing was there. False when that has changed. */
export async function writeRecord(
  vault: Vault,
  name: string,
  body: object,
  seen: { etag: string } | undefined,
): Promise<boolean> {
  const bytes = encodeRecord(vault.activeKey, vault.vaultId, name, body as Json);
  try {
    if (seen === undefined) await vault.state.create(name, bytes);
    else await vault.state.replace(name, bytes, seen.etag);
    return true;
  } catch (cause) {
    if (isKind(cause, "conflict")) return false;
    throw cause;
  }
}

/**
 * Compare-and-swap: `attempt` reads, decides and writes; it answers undefined when somebody else wrote in between, and is
 * asked again. It must be harmless to ask it after its own write took effect and only the answer was lost.
 */
export async function untilSwapped<T>(what: string, attempt: () => Promise<T | undefined>): Promise<T> {
  for (let count = 0; count < MAX_SWAP_ATTEMPTS; count++) {
    const result = await attempt();
    if (result !== undefined) return result;
  }
  throw new HoldfastFailure("unavailable", "HoldfastContended", `${what} is changed by others all the time`);
}

export async function readIfPresent(store: ObjectStore, name: string) {
  try {
    return await store.read(name);
  } catch (cause) {
    if (isKind(cause, "not-found")) return undefined;
    throw cause;
  }
}

export async function* listObjects(store: ObjectStore, prefix: string): AsyncGenerator<StoredObject> {
  for await (const page of store.list(prefix)) yield* page.objects;
}

export function isKind(cause: unknown, kind: HoldfastFailure["kind"]): boolean {
  return cause instanceof HoldfastFailure && cause.kind === kind;
}

export function md5Of(bytes: Uint8Array): string {
  return createHash("md5").update(bytes).digest("hex");
}

export function sha256Of(bytes: Uint8Array): Buffer {
  return createHash("sha256").update(bytes).digest();
}
