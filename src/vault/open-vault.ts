// Creating and opening a vault: its identity, its keys, and whether this is the copy that may be written. Opening reads
// three small objects and decides everything else can rely on; a vault without its key fails here, before anything else.

import { HoldfastFailure } from "../base/failure.ts";
import type { Clock, Random, Timer } from "../ports/clock.ts";
import type { KeyWrapper } from "../ports/key-wrapper.ts";
import type { ObjectStore } from "../ports/object-store.ts";
import type { Json } from "./format/canonical-json.ts";
import { FORMAT_VERSION, unknownVersion } from "./format/envelope.ts";
import type { Suite, VaultKey } from "./format/keys.ts";
import { KEYS_PREFIX, type KeyId, VAULT_RECORD } from "./format/names.ts";
import { decodeRecord, encodeRecord, unverifiedRecord, type VaultRecord, vaultRecord } from "./format/records.ts";
import { DEFAULT_CHUNK_BYTES, isChunkSize } from "./format/tree-shape.ts";
import { createKey, loadKeys } from "./key-ring.ts";
import { listObjects } from "./objects.ts";

/** What this program can do beyond format version 1 itself. */
const KNOWN_FEATURES: readonly string[] = [];
const DEFAULT_SOFT_DELETE_DAYS = 14;
/** The level of zstd that costs hardly more than the fastest and stores as little as the peers (docs/performance.md). */
const DEFAULT_COMPRESSION_LEVEL = 3;

export interface VaultStores {
  /** What is written once: packs, points, keys. */
  readonly archive: ObjectStore;
  /** What changes or is in motion. */
  readonly state: ObjectStore;
}

export interface VaultDeps extends VaultStores {
  readonly clock: Clock;
  readonly random: Random;
  /** Keeps the pins of what takes long alive; without one they count as dead after a week. */
  readonly timer?: Timer | undefined;
  /** Keys that may unwrap, and that wrap what is made. With none, only a vault without encryption opens, or by `findWrapper`. */
  readonly wrappers: readonly KeyWrapper[];
  /** Where no wrapper was given: the one that a key record names, if it can be had without being told. */
  readonly findWrapper?: (wrapperId: string) => Promise<KeyWrapper | undefined>;
  /** Lets wrappings open the vault that a rotation has retired: for when the new key is lost. */
  readonly evenRetired?: boolean;
}

export interface Vault extends VaultStores {
  readonly clock: Clock;
  readonly random: Random;
  readonly timer?: Timer | undefined;
  readonly record: VaultRecord;
  readonly vaultId: string;
  /** The key of new transfers. */
  readonly activeKey: VaultKey;
  /** Any key of the ring; fails with "denied" when it is not there. */
  keyOf(id: KeyId): VaultKey;
  /** False in a copy that nobody has adopted. */
  readonly isWritable: boolean;
}

export interface NewVault {
  readonly name: string;
  readonly suite: Suite;
  readonly chunkBytes?: number;
  readonly compressionLevel?: number;
  readonly softDeleteDays?: number;
  readonly dedupScope?: "item" | "vault";
}

export async function createVault(deps: VaultDeps, wanted: NewVault): Promise<Vault> {
  const chunkBytes = wanted.chunkBytes ?? DEFAULT_CHUNK_BYTES;
  if (!isChunkSize(chunkBytes)) {
    throw new HoldfastFailure("invalid", "HoldfastChunkSize", "A chunk size is a power of two from 64 KiB to 8 MiB");
  }
  await refuseIfPresent(deps);
  const key = await createKey(deps, wanted.suite);
  const record: VaultRecord = {
    format: FORMAT_VERSION,
    vaultId: randomHex(deps.random),
    instanceId: randomHex(deps.random),
    locations: { archive: deps.archive.location, state: deps.state.location },
    name: wanted.name,
    createdAt: deps.clock.now().toISOString(),
    sequence: 1,
    requiredFeatures: [],
    optionalFeatures: [],
    suite: wanted.suite,
    activeKeyId: key.keyId,
    defaults: {
      chunkBytes,
      compressionLevel: wanted.compressionLevel ?? DEFAULT_COMPRESSION_LEVEL,
      softDeleteDays: wanted.softDeleteDays ?? DEFAULT_SOFT_DELETE_DAYS,
      dedupScope: wanted.dedupScope ?? "vault",
    },
  };
  await deps.state.create(VAULT_RECORD, encodeRecord(key, record.vaultId, VAULT_RECORD, record as unknown as Json));
  return openVault(deps);
}

/**
 * For whoever may come second, or again after it died on the way: of several that create at once, one writes the record, and
 * all open that. A key record of the others stays behind, and opens nothing.
 */
export async function openOrCreateVault(deps: VaultDeps, wanted: NewVault): Promise<Vault> {
  try {
    return await openVault(deps);
  } catch (cause) {
    if (!isFailure(cause, "HoldfastNoVault")) throw cause;
  }
  try {
    return await createVault(deps, wanted);
  } catch (cause) {
    if (!isFailure(cause, "HoldfastNotEmpty") && !isFailure(cause, "HoldfastObjectExists")) throw cause;
    return openVault(deps);
  }
}

function isFailure(cause: unknown, code: string): boolean {
  return cause instanceof HoldfastFailure && cause.code === code;
}

export async function openVault(deps: VaultDeps): Promise<Vault> {
  const { body } = await readVaultRecord(deps);
  const claimed = unverifiedRecord(vaultRecord, VAULT_RECORD, body);
  if (claimed.format !== FORMAT_VERSION) throw unknownVersion("The vault", claimed.format);
  const keyOf = await loadKeys(deps, claimed);
  const record = decodeRecord(vaultRecord, keyOf, claimed.vaultId, VAULT_RECORD, body);
  const unknown = record.requiredFeatures.filter((feature) => !KNOWN_FEATURES.includes(feature));
  if (unknown.length > 0) {
    throw new HoldfastFailure("invalid", "HoldfastUnknownFeature", `The vault needs ${unknown.join(", ")}`, {
      hint: "Use a newer release of Holdfast.",
    });
  }
  const { archive, state, clock, random, timer } = deps;
  const isHome = record.locations.archive === archive.location && record.locations.state === state.location;
  const activeKey = keyOf(record.activeKeyId);
  return {
    archive,
    state,
    clock,
    random,
    timer,
    record,
    vaultId: record.vaultId,
    activeKey,
    keyOf,
    isWritable: isHome,
  };
}

export function requireWritable(vault: Vault): void {
  if (vault.isWritable) return;
  throw new HoldfastFailure(
    "denied",
    "HoldfastVaultIsCopy",
    `This is a copy of a vault that lives at ${vault.record.locations.archive}`,
    {
      hint: "It can be read. Use `holdfast vault adopt` if this copy shall live on by itself.",
    },
  );
}

async function readVaultRecord(deps: VaultDeps) {
  try {
    return await deps.state.read(VAULT_RECORD);
  } catch (cause) {
    if (!(cause instanceof HoldfastFailure) || cause.kind !== "not-found") throw cause;
    throw new HoldfastFailure("not-found", "HoldfastNoVault", `There is no vault at ${deps.state.location}`, { cause });
  }
}

/**
 * Any object, not only the record: a second vault over the remains of a first would collect them as garbage. A key record
 * alone is what a creation leaves that died before its last write.
 */
export async function refuseIfPresent({ archive, state }: VaultStores): Promise<void> {
  for (const store of [archive, state]) {
    for await (const { name } of listObjects(store, "")) {
      if (store === archive && name.startsWith(KEYS_PREFIX)) continue;
      throw new HoldfastFailure("conflict", "HoldfastNotEmpty", `${store.location} is not empty`, {
        hint: "A vault is made where nothing is yet: choose another place.",
      });
    }
  }
}

export function randomHex(random: Random, count = 16): string {
  return Buffer.from(random.bytes(count)).toString("hex");
}
