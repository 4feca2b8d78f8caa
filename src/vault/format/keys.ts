// One data key, and every key that is derived from it. A derivation has a label for each use, so that no key serves two,
// and index and manifest keys are also bound to item and transfer: the number of messages under one key stays small
// however many backups a vault holds (random 96-bit nonces want fewer than 2^32 of them).

import { createHmac, createSecretKey, hkdfSync, type KeyObject } from "node:crypto";
import { assert } from "../../base/assert.ts";
import type { ItemId, KeyId, TransferId } from "./names.ts";

export type Suite = "none" | "aes-256-gcm";

export const KEY_BYTES = 32;
const SALT = Buffer.from("holdfast vault v1", "ascii");

/** The "key" of vaults without encryption. It is public: it finds accidents, it stops nobody. */
export const PUBLIC_KEY: Uint8Array = createHmac("sha256", SALT).update("suite none").digest();
/** Ready to use: making it anew for each message costs more than the message. */
export const PUBLIC_KEY_OBJECT: KeyObject = createSecretKey(PUBLIC_KEY);

export class VaultKey {
  readonly keyId: KeyId;
  readonly suite: Suite;
  private readonly chunkIdKey: KeyObject;
  private readonly dataKey: KeyObject;
  private readonly derived = new Map<string, KeyObject>();

  constructor(keyId: KeyId, suite: Suite, dataKey: Uint8Array) {
    assert(dataKey.length === KEY_BYTES, "a data key has 32 bytes");
    this.keyId = keyId;
    this.suite = suite;
    this.dataKey = createSecretKey(dataKey);
    this.chunkIdKey = this.derive("chunk-id");
  }

  chunkId(bytes: Uint8Array): Buffer {
    return createHmac("sha256", this.chunkIdKey).update(bytes).digest();
  }

  /** Not cached: every chunk has its own. */
  chunkKey(chunkId: Uint8Array): KeyObject {
    return this.derive("chunk", chunkId);
  }

  /** The key of index nodes, pack tables, pack lists, plans and fragments ("index"), or manifests and voids. */
  pointKey(label: "index" | "manifest", item: ItemId | null, transfer: TransferId): KeyObject {
    return this.cached(label, Buffer.from(`${item ?? ""}/${transfer}`, "ascii"));
  }

  recordKey(): KeyObject {
    return this.cached("vault");
  }

  /** Tells, before anything is read, whether this is the key that a key record speaks of. */
  checkValue(): string {
    return createHmac("sha256", this.derive("key-check")).update(this.keyId).digest("hex");
  }

  private cached(label: string, context: Uint8Array = new Uint8Array()): KeyObject {
    const name = `${label}/${Buffer.from(context).toString("ascii")}`;
    let key = this.derived.get(name);
    if (key === undefined) {
      key = this.derive(label, context);
      if (this.derived.size > 1_000) this.derived.clear();
      this.derived.set(name, key);
    }
    return key;
  }

  private derive(label: string, context: Uint8Array = new Uint8Array()): KeyObject {
    const info = Buffer.concat([Buffer.from(`${label}\0`, "ascii"), context]);
    return createSecretKey(new Uint8Array(hkdfSync("sha256", this.dataKey, SALT, info, KEY_BYTES)));
  }
}
