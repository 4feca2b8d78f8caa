// Rows in memory for tests, held to the same contract as the real tables.

import { createHash } from "node:crypto";
import { HoldfastFailure } from "../../src/base/failure.ts";
import type { ListOptions, Row, RowChange, StoredRow, TableStore } from "../../src/ports/table-store.ts";

interface Held {
  readonly text: string;
  readonly etag: string;
  readonly mark?: string | undefined;
}

const MAX_BODY_BYTES = 256 * 1024;
const MAX_TRANSACTION_BYTES = 1024 * 1024;

export class MemoryTableStore implements TableStore {
  readonly pageSize: number;
  /** By table, then partition, then key. */
  private readonly partitions = new Map<string, Map<string, Held>>();
  /** By row, and kept when it is removed: no etag of a row ever comes twice. */
  private readonly versions = new Map<string, number>();

  constructor(options: { pageSize?: number } = {}) {
    this.pageSize = options.pageSize ?? 1_000;
  }

  async insert(table: string, { partition, key, body, mark }: Row): Promise<string> {
    const text = textOf(key, body);
    this.refuseIfHeld(table, partition, key);
    return this.put(table, partition, key, { text, mark });
  }

  async replace(table: string, { partition, key, body, mark }: Row, etag: string): Promise<string> {
    const text = textOf(key, body);
    this.requireEtag(table, partition, key, etag);
    return this.put(table, partition, key, { text, mark });
  }

  async remove(table: string, partition: string, key: string, etag?: string): Promise<void> {
    if (etag !== undefined) this.requireEtag(table, partition, key, etag);
    this.rows(table, partition).delete(key);
  }

  async read(table: string, partition: string, key: string): Promise<StoredRow | undefined> {
    const held = this.rows(table, partition).get(key);
    return held && { partition, key, body: JSON.parse(held.text), etag: held.etag };
  }

  /** Each page is made when it is asked for, from what there is then. */
  async *list(table: string, partition: string, options: ListOptions = {}): AsyncIterable<readonly StoredRow[]> {
    const { before, mark, pageSize = this.pageSize } = options;
    let { after } = options;
    for (;;) {
      const rows = this.rows(table, partition);
      const keys = [...rows.keys()]
        .filter((key) => (after === undefined || key > after) && (before === undefined || key < before))
        .filter((key) => mark === undefined || rows.get(key)?.mark === mark)
        .sort();
      const page = keys.slice(0, pageSize).map((key) => {
        const { text, etag } = rows.get(key) as Held;
        return { partition, key, body: JSON.parse(text), etag };
      });
      if (page.length > 0) yield page;
      if (keys.length <= pageSize) return;
      after = page.at(-1)?.key;
    }
  }

  async transact(table: string, partition: string, changes: readonly RowChange[]): Promise<void> {
    const texts = changes.map((change) => (change.kind === "remove" ? "" : textOf(change.key, change.body)));
    const sizeBytes = texts.reduce((sum, text) => sum + sizeOf(text), 0);
    if (sizeBytes > MAX_TRANSACTION_BYTES) throw tooLarge("the transaction");
    for (const change of changes) {
      if (change.kind === "insert") this.refuseIfHeld(table, partition, change.key);
      else this.requireEtag(table, partition, change.key, change.etag);
    }
    for (const [index, change] of changes.entries()) {
      if (change.kind === "remove") this.rows(table, partition).delete(change.key);
      else this.put(table, partition, change.key, { text: texts[index] as string, mark: change.mark });
    }
  }

  /** For tests: everything below is what a store never offers. */
  copy(pageSize = this.pageSize): MemoryTableStore {
    const copy = new MemoryTableStore({ pageSize });
    for (const [row, version] of this.versions) copy.versions.set(row, version);
    for (const [place, rows] of this.partitions) copy.partitions.set(place, new Map(rows));
    return copy;
  }

  /** Every row of a table, whatever its partition. */
  bodiesOf(table: string): unknown[] {
    const places = [...this.partitions.keys()].filter((place) => place.startsWith(`${table}\n`)).sort();
    return places.flatMap((place) => {
      const rows = [...(this.partitions.get(place) ?? new Map<string, Held>())].sort(([one], [other]) =>
        one < other ? -1 : 1,
      );
      return rows.map(([, { text }]) => JSON.parse(text) as unknown);
    });
  }

  /** Equal for stores that hold the same, with the same etags. */
  digest(): string {
    const hash = createHash("sha1");
    for (const place of [...this.partitions.keys()].sort()) {
      for (const [key, { text, etag, mark }] of [...(this.partitions.get(place) ?? [])].sort())
        hash.update(`${place}\n${key}\n${etag}\n${mark}\n${text}\n`);
    }
    return hash.digest("base64");
  }

  private rows(table: string, partition: string): Map<string, Held> {
    const place = `${table}\n${partition}`;
    const known = this.partitions.get(place);
    if (known) return known;
    const rows = new Map<string, Held>();
    this.partitions.set(place, rows);
    return rows;
  }

  private put(table: string, partition: string, key: string, content: Omit<Held, "etag">): string {
    const row = `${table}\n${partition}\n${key}`;
    const version = (this.versions.get(row) ?? 0) + 1;
    this.versions.set(row, version);
    const etag = `"${version}"`;
    this.rows(table, partition).set(key, { ...content, etag });
    return etag;
  }

  private refuseIfHeld(table: string, partition: string, key: string): void {
    if (!this.rows(table, partition).has(key)) return;
    throw new HoldfastFailure("conflict", "HoldfastRowExists", `${table}/${partition}/${key} exists already`);
  }

  private requireEtag(table: string, partition: string, key: string, etag: string): void {
    if (this.rows(table, partition).get(key)?.etag === etag) return;
    throw new HoldfastFailure("conflict", "HoldfastRowChanged", `${table}/${partition}/${key} has changed`);
  }
}

function textOf(key: string, body: unknown): string {
  const text = JSON.stringify(body);
  if (sizeOf(text) > MAX_BODY_BYTES) throw tooLarge(key);
  return text;
}

function sizeOf(text: string): number {
  return text.replaceAll(/[^\x20-\x7e]/g, "\\u0000").length;
}

function tooLarge(what: string): HoldfastFailure {
  return new HoldfastFailure("invalid", "HoldfastRowTooLarge", `${what} is too large`);
}
