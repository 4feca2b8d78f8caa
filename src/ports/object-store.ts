// What a vault needs from the place its objects lie in: one container of one storage account, or one folder.
// The interface is as small as the protocol allows, and each promise below is used by some step of it
// (docs/vault-format.md, "Protocol"); the contract suite holds every implementation to all of them.
//
// Promises of every implementation:
// - A write is whole or absent: no reader ever sees a part of it, and it is durable once the promise resolves.
// - A read or list that starts after a write has resolved sees that write.
// - `create` never changes an object that exists; of several that race on one name exactly one resolves.
// - An answer may be lost: a call may fail with kind "unavailable" although it took effect, and an implementation that
//   retries inside may answer "conflict" to a write of its own. Callers recognise their own bytes (see `isSameObject`).
// - All times come from the store's own clock.
// - Failures: "not-found" (no such object), "conflict" (exists already, or the etag is not current), "throttled" and
//   "unavailable" (try again later), "denied". Nothing else is expected.

export interface ObjectStore {
  /** Where this store is, without secrets. Two stores with equal locations are the same store. */
  readonly location: string;

  /** Writes an object that must not exist yet. */
  create(name: string, body: Uint8Array): Promise<StoredObject>;

  /** Overwrites an object if its etag is still the given one. */
  replace(name: string, body: Uint8Array, etag: string): Promise<StoredObject>;

  /** Reads a whole object or a range of it. A range that reaches beyond the end is a failure of kind "invalid". */
  read(name: string, range?: ByteRange): Promise<ObjectContent>;

  /**
   * All objects whose name starts with `prefix`, in ascending order of their UTF-8 bytes. An object that exists during
   * the whole listing is listed once; one that is created or deleted meanwhile may or may not be.
   */
  list(prefix: string): AsyncIterable<ObjectPage>;

  /** Deletes an object. One that is absent already is no failure. */
  delete(name: string): Promise<void>;
}

export interface ByteRange {
  readonly offset: number;
  readonly length: number;
}

export interface StoredObject {
  readonly name: string;
  readonly sizeBytes: number;
  readonly etag: string;
  readonly lastModified: Date;
  /** MD5 of the bytes as the store has them, in hex; absent where a store does not keep one. */
  readonly md5: string | undefined;
}

export interface ObjectContent {
  readonly body: Uint8Array;
  readonly object: StoredObject;
  /** The store's clock when it answered. */
  readonly storeDate: Date;
}

export interface ObjectPage {
  readonly objects: readonly StoredObject[];
  /** The store's clock when it answered this page. There is always a first page, be it empty. */
  readonly storeDate: Date;
}
