// The data keys of a vault: wrapped records in the archive, unwrapped into memory when it is opened. A data key may have
// several wrappings, one for each key that opens the vault. How keys change is in rotate-keys.ts.

import { HoldfastFailure } from "../base/failure.ts";
import type { KeyWrapper, WrappedKey } from "../ports/key-wrapper.ts";
import type { Json } from "./format/canonical-json.ts";
import { encodeJson } from "./format/canonical-json.ts";
import { FORMAT_VERSION } from "./format/envelope.ts";
import { KEY_BYTES, PUBLIC_KEY, type Suite, VaultKey } from "./format/keys.ts";
import { compareText, KEYS_PREFIX, type KeyId, keyName, makeKeyId, parseKeyName } from "./format/names.ts";
import { type KeyRecord, keyRecord, type VaultRecord } from "./format/records.ts";
import { parseJson } from "./format/schema.ts";
import { isKind } from "./objects.ts";
import type { VaultDeps } from "./open-vault.ts";

export type RingDeps = Pick<VaultDeps, "archive" | "clock" | "random" | "wrappers" | "findWrapper" | "evenRetired">;

export interface FoundKeyRecord {
  readonly keyId: KeyId;
  readonly wrapping: number;
  readonly record: KeyRecord;
}

/**
 * Makes a data key and wraps it under every wrapper. Each wrapping is read back from the store and unwrapped before
 * anything depends on it.
 */
export async function createKey(deps: RingDeps, suite: Suite): Promise<VaultKey> {
  const keyId = makeKeyId(deps.random.bytes(16));
  if (suite === "none") {
    const key = new VaultKey(keyId, suite, PUBLIC_KEY);
    await writeKeyRecord(deps, key, null, 0);
    return key;
  }
  if (deps.wrappers.length === 0) {
    throw new HoldfastFailure("invalid", "HoldfastNoKey", "An encrypted vault needs a key", {
      hint: "Give a key file or a key in Key Vault, or choose no encryption knowingly.",
    });
  }
  const dataKey = deps.random.bytes(KEY_BYTES);
  const key = new VaultKey(keyId, suite, dataKey);
  for (const [wrapping, wrapper] of deps.wrappers.entries()) {
    await writeKeyRecord(deps, key, await wrapper.wrap(dataKey), wrapping);
    await proveWrapping(deps, key, wrapper, wrapping);
  }
  return key;
}

/**
 * The keys that open. One that does not is no reason to refuse the vault: a second `init` that lost the race, or a rotation
 * that was killed, leaves keys that nothing lies under. Whatever does lie under it says why it cannot be read.
 */
export async function loadKeys(
  deps: RingDeps,
  claimed: Pick<VaultRecord, "suite" | "retired">,
): Promise<(id: KeyId) => VaultKey> {
  const { suite } = claimed;
  if (suite === "none" && deps.wrappers.length > 0) {
    throw new HoldfastFailure(
      "denied",
      "HoldfastSuiteNone",
      "The vault says it is not encrypted, but a key was given",
      {
        hint: "Either the vault was tampered with, or it never had a key: open it without one only if you know that.",
      },
    );
  }
  const keys = new Map<KeyId, unknown>();
  for (const [keyId, records] of byKeyId(await readKeyRecords(deps))) {
    if (records.some(({ record }) => record.suite !== suite)) {
      throw new HoldfastFailure("corrupt", "HoldfastMixedSuites", `Key ${keyId} is of another suite than the vault`);
    }
    keys.set(keyId, await openKey(deps, keyId, records, claimed).catch(unlessDenied));
  }
  return (id) => {
    const found = keys.get(id);
    if (found instanceof VaultKey) return found;
    if (found !== undefined) throw found;
    throw new HoldfastFailure("denied", "HoldfastMissingKey", `The vault's key ring has no key ${id}`);
  };
}

async function openKey(
  deps: RingDeps,
  keyId: KeyId,
  records: readonly FoundKeyRecord[],
  claimed: Pick<VaultRecord, "suite" | "retired">,
): Promise<VaultKey> {
  if (claimed.suite === "none") return new VaultKey(keyId, claimed.suite, PUBLIC_KEY);
  return new VaultKey(keyId, claimed.suite, await unwrapDataKey(deps, records, claimed));
}

/** The store or Key Vault may answer later; a key that says no does not change its mind within one command. */
function unlessDenied(cause: unknown): unknown {
  if (isKind(cause, "denied")) return cause;
  throw cause;
}

export function byKeyId(records: readonly FoundKeyRecord[]): Map<KeyId, FoundKeyRecord[]> {
  return Map.groupBy(records, ({ keyId }) => keyId);
}

/** By data key, and the older wrappings first: a listing has ".1.json" before ".json". */
export async function readKeyRecords({ archive }: Pick<RingDeps, "archive">): Promise<FoundKeyRecord[]> {
  const found: FoundKeyRecord[] = [];
  for await (const page of archive.list(KEYS_PREFIX)) {
    for (const { name } of page.objects) {
      const { keyId, wrapping } = parseKeyName(name);
      const record = await readKeyRecord(archive, keyId, wrapping).catch(undefinedIfGone);
      if (record) found.push({ keyId, wrapping, record });
    }
  }
  return found.sort((left, right) => compareText(left.keyId, right.keyId) || left.wrapping - right.wrapping);
}

/** Retired wrappings may be erased while they are listed. */
function undefinedIfGone(cause: unknown): undefined {
  if (!isKind(cause, "not-found")) throw cause;
}

async function readKeyRecord(archive: RingDeps["archive"], keyId: KeyId, wrapping: number): Promise<KeyRecord> {
  const name = keyName(keyId, wrapping);
  const record = parseJson(keyRecord, (await archive.read(name)).body, name);
  if (record.keyId === keyId) return record;
  throw new HoldfastFailure("corrupt", "HoldfastMalformed", `${name} is of another key`);
}

export async function writeKeyRecord(
  deps: Pick<RingDeps, "archive" | "clock">,
  key: VaultKey,
  wrapped: WrappedKey | null,
  wrapping: number,
): Promise<void> {
  const record: KeyRecord = {
    format: FORMAT_VERSION,
    keyId: key.keyId,
    suite: key.suite,
    wrapped: wrapped && {
      wrapperId: wrapped.wrapperId,
      version: wrapped.version,
      algorithm: wrapped.algorithm,
      bytes: Buffer.from(wrapped.bytes).toString("base64"),
    },
    checkValue: key.checkValue(),
    createdAt: deps.clock.now().toISOString(),
  };
  await deps.archive.create(keyName(key.keyId, wrapping), encodeJson(record as unknown as Json));
}

/** What lies in the store gives the data key back: not what was sent there. */
export async function proveWrapping(
  { archive }: Pick<RingDeps, "archive">,
  key: VaultKey,
  wrapper: KeyWrapper,
  wrapping: number,
): Promise<void> {
  const record = await readKeyRecord(archive, key.keyId, wrapping);
  if (isSameKey(record, await unwrapRecord(wrapper, record)) && record.checkValue === key.checkValue()) return;
  throw new HoldfastFailure("denied", "HoldfastKeyDoesNotUnwrap", `${wrapper.id} does not give back what it wrapped`);
}

export function isRetired({ retired = [] }: Pick<VaultRecord, "retired">, found: FoundKeyRecord): boolean {
  return retired.some(({ keyId, wrapping }) => keyId === found.keyId && wrapping === found.wrapping);
}

export async function unwrapDataKey(
  deps: RingDeps,
  records: readonly FoundKeyRecord[],
  claimed: Pick<VaultRecord, "retired">,
): Promise<Uint8Array> {
  const usable = deps.evenRetired ? records : records.filter((found) => !isRetired(claimed, found));
  let refused: unknown;
  for (const { record } of usable) {
    const wrapper = await wrapperOf(deps, record);
    if (!wrapper) continue;
    try {
      const dataKey = await unwrapRecord(wrapper, record);
      if (isSameKey(record, dataKey)) return dataKey;
    } catch (cause) {
      refused ??= cause;
    }
  }
  if (refused !== undefined) throw refused;
  throw wrongKey(deps, records, usable);
}

/** Whatever was given is what is meant; only where nothing was given does the record say whom to ask. */
async function wrapperOf(deps: RingDeps, { wrapped }: KeyRecord): Promise<KeyWrapper | undefined> {
  if (!wrapped) return undefined;
  if (deps.wrappers.length === 0) return deps.findWrapper?.(wrapped.wrapperId);
  return deps.wrappers.find(({ id }) => id === wrapped.wrapperId);
}

async function unwrapRecord(wrapper: KeyWrapper, { wrapped }: KeyRecord): Promise<Uint8Array> {
  if (!wrapped) return new Uint8Array();
  return wrapper.unwrap({ ...wrapped, bytes: Buffer.from(wrapped.bytes, "base64") });
}

function isSameKey({ keyId, suite, checkValue }: KeyRecord, dataKey: Uint8Array): boolean {
  return dataKey.length === KEY_BYTES && new VaultKey(keyId, suite, dataKey).checkValue() === checkValue;
}

function wrongKey(deps: RingDeps, records: readonly FoundKeyRecord[], usable: readonly FoundKeyRecord[]) {
  const openers = wrapperIdsOf(usable).join(" or ") || "no key";
  const isGiven = ({ record }: FoundKeyRecord) => deps.wrappers.some(({ id }) => id === record.wrapped?.wrapperId);
  const retired = records.find((found) => !usable.includes(found) && isGiven(found));
  if (retired) {
    const id = retired.record.wrapped?.wrapperId;
    return new HoldfastFailure("denied", "HoldfastKeyRetired", `${id} was retired: the vault opens with ${openers}`, {
      hint: "Give the new key. If that one is lost, --even-retired lets the old one in.",
    });
  }
  return new HoldfastFailure("denied", "HoldfastWrongKey", `The vault is encrypted, and opens with ${openers} only`, {
    hint: "Give the key file or the key in Key Vault that this vault was made with, or its escrow file.",
  });
}

export function wrapperIdsOf(records: readonly FoundKeyRecord[]): string[] {
  return [...new Set(records.flatMap(({ record }) => record.wrapped?.wrapperId ?? []))];
}
