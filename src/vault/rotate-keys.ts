// Changing the keys of a vault that stands. What decides is one compare-and-swap on vault.json each time; what comes before it
// only adds key records, which harm nobody, and what was decided is never taken back.
//
// - A wrapping key: every data key is wrapped under the new keys as well, each wrapping is read back from the store and
//   unwrapped, and then the swap lists the old ones as retired. A data key that was not wrapped anew keeps what it has, so
//   at every moment each data key has a wrapping that is not retired.
// - A data key: a new one is wrapped under every key that opens the vault, and the swap makes it the active one. Transfers
//   under way keep the key of their pin. Old points stay under the old key, and nothing is shared between the two.
//
// Two rotations at once: the swap of the second fails, because what vault.json says of keys is not what it began with, unless
// it says just what the second wanted. It fails rather than tries again: what it wrapped under, or retires, may be what the
// first has just retired, or made.

import { HoldfastFailure } from "../base/failure.ts";
import type { KeyWrapper } from "../ports/key-wrapper.ts";
import type { Json } from "./format/canonical-json.ts";
import { VaultKey } from "./format/keys.ts";
import { type KeyId, keyName, VAULT_RECORD } from "./format/names.ts";
import { type VaultRecord, vaultRecord } from "./format/records.ts";
import {
  byKeyId,
  createKey,
  type FoundKeyRecord,
  isRetired,
  proveWrapping,
  readKeyRecords,
  unwrapDataKey,
  wrapperIdsOf,
  writeKeyRecord,
} from "./key-ring.ts";
import { isKind, readRecord, untilSwapped, writeRecord } from "./objects.ts";
import { openVault, requireWritable, type Vault, type VaultDeps } from "./open-vault.ts";

export interface WrappingRotation {
  /** Open the vault from now on. */
  readonly newWrappers: readonly KeyWrapper[];
  /** Whether a wrapping key that is not among the new ones shall open the vault no more; an older version of a new one too. */
  retires(wrapperId: string): boolean;
}

export interface Rotated {
  readonly activeKeyId: KeyId;
  /** The wrapping keys that open new points now. */
  readonly openers: readonly string[];
  readonly retired: readonly string[];
  /** Data keys that could not be opened, and so were not wrapped anew. */
  readonly skipped: readonly KeyId[];
}

export async function rotateWrapping(deps: VaultDeps, rotation: WrappingRotation): Promise<Rotated> {
  const vault = await openForRotation(deps);
  const opening = { ...deps, wrappers: [...deps.wrappers, ...rotation.newWrappers] };
  const fresh: FoundKeyRecord[] = [];
  const skipped: KeyId[] = [];
  for (const [keyId, records] of byKeyId(await readKeyRecords(deps))) {
    const dataKey = await unwrapDataKey(opening, records, vault.record).catch(undefinedIfDenied);
    if (!dataKey) {
      skipped.push(keyId);
      continue;
    }
    const key = new VaultKey(keyId, vault.record.suite, dataKey);
    for (const wrapper of rotation.newWrappers) fresh.push(await ensureWrapping(vault, key, dataKey, wrapper));
  }
  const { retired = [] } = vault.record;
  const retiring = (await readKeyRecords(deps)).filter(
    (found) => !isRetired(vault.record, found) && isReplaced(found, fresh, rotation),
  );
  const added = retiring.map(({ keyId, wrapping }) => ({ keyId, wrapping }));
  const record = await swapKeys(vault, vault.activeKey, added.length === 0 ? {} : { retired: [...retired, ...added] });
  return reportOf(vault, record, retiring, skipped);
}

/** The given wrappers open what is backed up from now on: all that open the vault, or `evenMissing` some of them. */
export async function rotateDataKey(
  deps: VaultDeps,
  options: { readonly evenMissing?: boolean } = {},
): Promise<Rotated> {
  const vault = await openForRotation(deps);
  const openers = await openersOf(vault);
  const wrappers = deps.wrappers.filter(({ id }) => openers.includes(id));
  if (!options.evenMissing) refuseMissing(openers, wrappers);
  const key = await createKey({ ...deps, wrappers }, vault.record.suite);
  const record = await swapKeys(vault, key, { activeKeyId: key.keyId });
  return reportOf(vault, record, [], []);
}

export function refuseMissing(openers: readonly string[], given: readonly KeyWrapper[]): void {
  const missing = openers.filter((id) => !given.some((wrapper) => wrapper.id === id));
  if (missing.length === 0) return;
  throw new HoldfastFailure(
    "conflict",
    "HoldfastKeyNotGiven",
    `${missing.join(" and ")} opens the vault too, and would not open what is backed up from now on`,
    { hint: "Give every key that opens the vault, the escrow file too; or retire it; or use --force knowingly." },
  );
}

/**
 * Deletes the records of retired wrappings: whoever finds a lost wrapping key later finds nothing to open with it. What was
 * retired stays retired, so nothing that is needed can go. Fails with "denied" where the archive is locked.
 */
export async function eraseRetired(deps: VaultDeps): Promise<number> {
  const vault = await openForRotation(deps);
  const retired = (await readKeyRecords(deps)).filter((found) => isRetired(vault.record, found));
  for (const { keyId, wrapping } of retired) await deps.archive.delete(keyName(keyId, wrapping));
  return retired.length;
}

async function openForRotation(deps: VaultDeps): Promise<Vault> {
  const vault = await openVault(deps);
  requireRotatable(vault);
  return vault;
}

export function requireRotatable(vault: Vault): void {
  requireWritable(vault);
  if (vault.record.suite !== "none") return;
  throw new HoldfastFailure("invalid", "HoldfastSuiteNone", "The vault is not encrypted: it has no key to rotate", {
    hint: "Make an encrypted vault, and back up to that one.",
  });
}

/** A wrapping of this data key under the newest version of the wrapper: one that stands already, or one more. */
async function ensureWrapping(
  vault: Vault,
  key: VaultKey,
  dataKey: Uint8Array,
  wrapper: KeyWrapper,
): Promise<FoundKeyRecord> {
  const wrapped = await wrapper.wrap(dataKey);
  return untilSwapped(`The key ${key.keyId}`, async () => {
    const records = byKeyId(await readKeyRecords(vault)).get(key.keyId) ?? [];
    const standing = records.find(
      (found) =>
        !isRetired(vault.record, found) &&
        found.record.wrapped?.wrapperId === wrapped.wrapperId &&
        found.record.wrapped.version === wrapped.version,
    );
    if (standing) {
      await proveWrapping(vault, key, wrapper, standing.wrapping);
      return standing;
    }
    // A retired number is never used again, even when its record was erased: the new one would count as retired.
    const used = [...records, ...(vault.record.retired ?? []).filter(({ keyId }) => keyId === key.keyId)];
    const next = Math.max(...used.map(({ wrapping }) => wrapping)) + 1;
    await writeKeyRecord(vault, key, wrapped, next).catch(unlessConflict);
    return undefined;
  });
}

/** Only wrappings of a data key that has a fresh one: whatever else goes, that one stays. */
function isReplaced(found: FoundKeyRecord, fresh: readonly FoundKeyRecord[], rotation: WrappingRotation): boolean {
  const ofSameKey = fresh.filter(({ keyId }) => keyId === found.keyId);
  if (ofSameKey.length === 0 || ofSameKey.some(({ wrapping }) => wrapping === found.wrapping)) return false;
  return found.record.wrapped !== null && rotation.retires(found.record.wrapped.wrapperId);
}

/**
 * Changes what vault.json says of keys, if it still says what it said when this rotation opened the vault; or finds that
 * it says what is wanted already, when the answer to its own write was lost.
 */
async function swapKeys(vault: Vault, activeKey: VaultKey, change: Partial<VaultRecord>): Promise<VaultRecord> {
  const wanted = keysIn({ ...vault.record, ...change });
  const keyOf = (id: KeyId) => (id === activeKey.keyId ? activeKey : vault.keyOf(id));
  const writer = { ...vault, activeKey, keyOf };
  return untilSwapped("The vault's record", async () => {
    const seen = await readRecord(writer, vaultRecord, VAULT_RECORD).catch(unlessUnknownKey);
    if (!seen) throw new HoldfastFailure("not-found", "HoldfastNoVault", "The vault's record is gone");
    if (keysIn(seen.body) === wanted) return seen.body;
    if (keysIn(seen.body) !== keysIn(vault.record)) throw rotatedMeanwhile();
    const next = { ...seen.body, ...change, sequence: seen.body.sequence + 1 };
    return (await writeRecord(writer, VAULT_RECORD, next as unknown as Json & object, seen)) ? next : undefined;
  });
}

function keysIn({ activeKeyId, retired = [] }: VaultRecord): string {
  return JSON.stringify([activeKeyId, retired]);
}

/** A record under a data key that was not there when this rotation began: another one made it. */
function unlessUnknownKey(cause: unknown): never {
  throw cause instanceof HoldfastFailure && cause.code === "HoldfastMissingKey" ? rotatedMeanwhile() : cause;
}

function rotatedMeanwhile(): HoldfastFailure {
  return new HoldfastFailure("conflict", "HoldfastKeysRotated", "Somebody else rotated the vault's keys meanwhile", {
    hint: "Nothing was retired by this rotation. Look which keys open the vault, and rotate again if need be.",
  });
}

/** The wrapping keys whose wrappings of the active key are not retired. */
export async function openersOf(vault: Vault, record = vault.record): Promise<string[]> {
  const records = byKeyId(await readKeyRecords(vault)).get(record.activeKeyId) ?? [];
  return wrapperIdsOf(records.filter((found) => !isRetired(record, found)));
}

async function reportOf(
  vault: Vault,
  record: VaultRecord,
  retiring: readonly FoundKeyRecord[],
  skipped: readonly KeyId[],
): Promise<Rotated> {
  const openers = await openersOf(vault, record);
  return { activeKeyId: record.activeKeyId, openers, retired: wrapperIdsOf(retiring), skipped };
}

function undefinedIfDenied(cause: unknown): undefined {
  if (!isKind(cause, "denied")) throw cause;
}

function unlessConflict(cause: unknown): void {
  if (!isKind(cause, "conflict")) throw cause;
}
