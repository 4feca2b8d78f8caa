// The data keys of a vault: wrapped records in the archive, unwrapped into memory when it is opened. A wrapping key is
// rotated by adding a record, reading it back and retiring the old one; a data key by adding another and naming it active.

import { HoldfastFailure } from "../base/failure.ts";
import type { KeyWrapper, WrappedKey } from "../ports/key-wrapper.ts";
import type { Json } from "./format/canonical-json.ts";
import { encodeJson } from "./format/canonical-json.ts";
import { FORMAT_VERSION } from "./format/envelope.ts";
import { KEY_BYTES, PUBLIC_KEY, type Suite, VaultKey } from "./format/keys.ts";
import { KEYS_PREFIX, type KeyId, keyName, makeKeyId, parseKeyName } from "./format/names.ts";
import { type KeyRecord, keyRecord } from "./format/records.ts";
import { parseJson } from "./format/schema.ts";
import type { VaultDeps } from "./open-vault.ts";

type RingDeps = Pick<VaultDeps, "archive" | "clock" | "random" | "wrappers">;

/** Makes a data key, wraps it under the first wrapper, and proves that it comes back before anything depends on it. */
export async function createKey(deps: RingDeps, suite: Suite): Promise<VaultKey> {
  const keyId = makeKeyId(deps.random.bytes(16));
  if (suite === "none") {
    const key = new VaultKey(keyId, suite, PUBLIC_KEY);
    await writeKeyRecord(deps, key, null, 0);
    return key;
  }
  const dataKey = deps.random.bytes(KEY_BYTES);
  const key = new VaultKey(keyId, suite, dataKey);
  await writeKeyRecord(deps, key, await wrapAndProve(firstWrapper(deps), dataKey), 0);
  return key;
}

/** Wraps every data key of the vault under the first wrapper as well. Older wrappings stay until they are retired. */
export async function rewrapKeys(deps: RingDeps): Promise<readonly KeyId[]> {
  const rewrapped: KeyId[] = [];
  const records = await readKeyRecords(deps);
  for (const keyId of new Set(records.map((found) => found.record.keyId))) {
    const wrappings = records.filter((found) => found.record.keyId === keyId);
    const suite = wrappings[0]?.record.suite ?? "none";
    if (suite === "none") continue;
    const dataKey = await unwrapAny(
      deps,
      wrappings.map((found) => found.record),
    );
    const key = new VaultKey(keyId, suite, dataKey);
    const next = Math.max(...wrappings.map((found) => found.wrapping)) + 1;
    await writeKeyRecord(deps, key, await wrapAndProve(firstWrapper(deps), dataKey), next);
    rewrapped.push(keyId);
  }
  return rewrapped;
}

/** Removes the wrappings of one wrapping key, if each data key has another one that opens now. */
export async function retireWrapper(deps: RingDeps, wrapperId: string): Promise<number> {
  const records = await readKeyRecords(deps);
  const retired = records.filter((found) => found.record.wrapped?.wrapperId === wrapperId);
  for (const { record } of retired) {
    const others = records.filter((found) => found.record.keyId === record.keyId && !retired.includes(found));
    await unwrapAny(
      deps,
      others.map((found) => found.record),
    );
  }
  for (const { name } of retired) await deps.archive.delete(name);
  return retired.length;
}

export async function loadKeys(deps: RingDeps, suite: Suite): Promise<Map<KeyId, VaultKey>> {
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
  const byKey = new Map<KeyId, KeyRecord[]>();
  for (const { record } of await readKeyRecords(deps))
    byKey.set(record.keyId, [...(byKey.get(record.keyId) ?? []), record]);
  const keys = new Map<KeyId, VaultKey>();
  for (const [keyId, records] of byKey) {
    if (records.some((record) => record.suite !== suite)) {
      throw new HoldfastFailure("corrupt", "HoldfastMixedSuites", `Key ${keyId} is of another suite than the vault`);
    }
    keys.set(keyId, new VaultKey(keyId, suite, suite === "none" ? PUBLIC_KEY : await unwrapAny(deps, records)));
  }
  return keys;
}

interface FoundRecord {
  readonly name: string;
  readonly wrapping: number;
  readonly record: KeyRecord;
}

async function readKeyRecords({ archive }: RingDeps): Promise<FoundRecord[]> {
  const found: FoundRecord[] = [];
  for await (const page of archive.list(KEYS_PREFIX)) {
    for (const { name } of page.objects) {
      const { keyId, wrapping } = parseKeyName(name);
      const record = parseJson(keyRecord, (await archive.read(name)).body, name);
      if (record.keyId !== keyId)
        throw new HoldfastFailure("corrupt", "HoldfastMalformed", `${name} is of another key`);
      found.push({ name, wrapping, record });
    }
  }
  return found;
}

async function writeKeyRecord(
  deps: RingDeps,
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

async function unwrapAny(deps: RingDeps, records: readonly KeyRecord[]): Promise<Uint8Array> {
  let refused: unknown;
  for (const { wrapped, keyId, suite, checkValue } of records) {
    const wrapper = deps.wrappers.find((candidate) => candidate.id === wrapped?.wrapperId);
    if (!wrapped || !wrapper) continue;
    try {
      const dataKey = await wrapper.unwrap({ ...wrapped, bytes: Buffer.from(wrapped.bytes, "base64") });
      if (dataKey.length === KEY_BYTES && new VaultKey(keyId, suite, dataKey).checkValue() === checkValue)
        return dataKey;
    } catch (cause) {
      refused = cause;
    }
  }
  if (refused !== undefined) throw refused;
  const wanted = [...new Set(records.map((record) => record.wrapped?.wrapperId ?? "none"))].join(" or ");
  throw new HoldfastFailure(
    "denied",
    "HoldfastWrongKey",
    `The vault is encrypted, and opens with ${wanted || "no key"} only`,
    {
      hint: "Give the key file or key vault key that this vault was made with, or its escrow file.",
    },
  );
}

async function wrapAndProve(wrapper: KeyWrapper, dataKey: Uint8Array): Promise<WrappedKey> {
  const wrapped = await wrapper.wrap(dataKey);
  if (Buffer.compare(await wrapper.unwrap(wrapped), dataKey) === 0) return wrapped;
  throw new HoldfastFailure("denied", "HoldfastKeyDoesNotUnwrap", `${wrapper.id} does not give back what it wrapped`);
}

function firstWrapper(deps: RingDeps): KeyWrapper {
  const wrapper = deps.wrappers[0];
  if (wrapper) return wrapper;
  throw new HoldfastFailure("invalid", "HoldfastNoKey", "An encrypted vault needs a key", {
    hint: "Give a key file or a key vault key, or choose no encryption knowingly.",
  });
}
