// What the control plane needs from the place its rows lie in: tables of partitions of rows, each row guarded by an etag.
//
// Promises of every implementation:
// - A change is whole or absent, and durable once the promise resolves; a read or list that starts later sees it.
// - `insert` never changes a row that exists; of several that race on one key exactly one resolves.
// - `replace` and `remove` with an etag take effect only if the row is still the one that was read.
// - `transact` makes all of its changes (of one partition, at most 100, each key once) or none.
// - An answer may be lost: a call may fail with kind "unavailable" although it took effect, and an implementation that
//   retries inside may answer "conflict" to a write of its own. Callers read again and recognise their own row.
// - Failures: "conflict" (exists already, not the etag, or not there any more), "throttled" and "unavailable" (try again
//   later), "denied", "invalid" (a body over 256 KiB, or bodies of one transaction over 1 MiB). Nothing else is expected.
//
// Partitions and keys are any text without control characters, up to 400 characters; implementations spell them as their
// store wants it, keeping the order of keys that consist of digits, lower-case letters and hyphens.

export interface TableStore {
  /** Answers the etag of the new row. */
  insert(table: string, row: Row): Promise<string>;

  replace(table: string, row: Row, etag: string): Promise<string>;

  /** Without an etag whatever stands there goes. A row that is absent already is no failure, unless an etag was given. */
  remove(table: string, partition: string, key: string, etag?: string): Promise<void>;

  read(table: string, partition: string, key: string): Promise<StoredRow | undefined>;

  /**
   * What was seen of the row last, without asking the store; it may be out of date. Good to try a `replace` from, whose etag
   * then says so; never good to decide by.
   */
  recall?(table: string, partition: string, key: string): StoredRow | undefined;

  /** Rows of one partition in ascending order of their keys, page by page. Never touches another partition. */
  list(table: string, partition: string, options?: ListOptions): AsyncIterable<readonly StoredRow[]>;

  transact(table: string, partition: string, changes: readonly RowChange[]): Promise<void>;
}

export interface Row {
  readonly partition: string;
  readonly key: string;
  /** JSON of at most 256 KiB, counted with all but ASCII written as `\uXXXX`. */
  readonly body: unknown;
  /** A word beside the body, by which a list asks for some rows alone. Replacing a row replaces it too. */
  readonly mark?: string | undefined;
}

export interface StoredRow extends Omit<Row, "mark"> {
  readonly etag: string;
}

export interface ListOptions {
  /** Only keys that come after this one. */
  readonly after?: string;
  /** Only keys that come before this one. */
  readonly before?: string;
  /** Only rows with this mark: the store looks at all of them, and sends no others. */
  readonly mark?: string;
  /** Rows of one page, at most 1,000. */
  readonly pageSize?: number;
}

export type RowChange =
  | ({ readonly kind: "insert" } & Omit<Row, "partition">)
  | ({ readonly kind: "replace"; readonly etag: string } & Omit<Row, "partition">)
  | { readonly kind: "remove"; readonly key: string; readonly etag: string };
