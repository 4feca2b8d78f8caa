// An object store in memory for tests, held to the same contract as the real ones. Its clock moves only when told to.

import { createHash } from "node:crypto";
import { HoldfastFailure } from "../../src/base/failure.ts";
import type { ByteRange, ObjectContent, ObjectPage, ObjectStore, StoredObject } from "../../src/ports/object-store.ts";

interface Held {
  readonly body: Uint8Array;
  readonly object: StoredObject;
}

export class MemoryStore implements ObjectStore {
  readonly location: string;
  private readonly held = new Map<string, Held>();
  readonly pageSize: number;
  private nowMs: number;
  /** Per name, and kept when it is deleted: no etag ever comes twice. */
  private readonly versions = new Map<string, number>();

  constructor(location = "memory", options: { pageSize?: number; now?: Date } = {}) {
    this.location = location;
    this.pageSize = options.pageSize ?? 1_000;
    this.nowMs = (options.now ?? new Date("2026-01-01T00:00:00Z")).getTime();
  }

  now(): Date {
    return new Date(this.nowMs);
  }

  advance(ms: number): void {
    this.nowMs += ms;
  }

  async create(name: string, body: Uint8Array): Promise<StoredObject> {
    if (this.held.has(name)) throw new HoldfastFailure("conflict", "HoldfastObjectExists", `${name} exists already`);
    return this.put(name, body);
  }

  async replace(name: string, body: Uint8Array, etag: string): Promise<StoredObject> {
    if (this.held.get(name)?.object.etag !== etag) {
      throw new HoldfastFailure("conflict", "HoldfastObjectChanged", `${name} has changed`);
    }
    return this.put(name, body);
  }

  async read(name: string, range?: ByteRange): Promise<ObjectContent> {
    const held = this.held.get(name);
    if (!held) throw new HoldfastFailure("not-found", "HoldfastObjectNotFound", `${name} does not exist`);
    const { offset, length } = range ?? { offset: 0, length: held.body.length };
    if (offset + length > held.body.length) {
      throw new HoldfastFailure("invalid", "HoldfastRangeBeyondEnd", `${name} ends before ${offset + length}`);
    }
    return { body: held.body.slice(offset, offset + length), object: held.object, storeDate: this.now() };
  }

  /** Each page is made when it is asked for, from what there is then. */
  async *list(prefix: string): AsyncIterable<ObjectPage> {
    let after = "";
    for (;;) {
      const names = this.names(prefix).filter((name) => name > after);
      const page = names.slice(0, this.pageSize).flatMap((name) => this.held.get(name)?.object ?? []);
      yield { objects: page, storeDate: this.now() };
      if (names.length <= this.pageSize) return;
      after = page.at(-1)?.name ?? "";
    }
  }

  async delete(name: string): Promise<void> {
    this.held.delete(name);
  }

  /** For tests: everything below is what a store never offers. */
  names(prefix = ""): string[] {
    return [...this.held.keys()].filter((name) => name.startsWith(prefix)).sort();
  }

  bodyOf(name: string): Uint8Array | undefined {
    return this.held.get(name)?.body;
  }

  /** Changes bytes behind everybody's back, as a failing disk would. */
  corrupt(name: string, body: Uint8Array): void {
    this.put(name, body);
  }

  /** Equal for stores that hold the same, with the same etags and times. */
  digest(): string {
    const lines = this.names().map((name) => {
      const object = this.held.get(name)?.object;
      return `${name} ${object?.md5} ${object?.etag} ${object?.lastModified.getTime()}`;
    });
    return `${this.nowMs}\n${lines.join("\n")}`;
  }

  copy(location = this.location): MemoryStore {
    const copy = new MemoryStore(location, { pageSize: this.pageSize, now: this.now() });
    for (const [name, held] of this.held) copy.held.set(name, held);
    for (const [name, version] of this.versions) copy.versions.set(name, version);
    return copy;
  }

  private put(name: string, body: Uint8Array): StoredObject {
    const bytes = Uint8Array.from(body);
    const version = (this.versions.get(name) ?? 0) + 1;
    this.versions.set(name, version);
    const object = {
      name,
      sizeBytes: bytes.length,
      etag: `"${version}"`,
      lastModified: this.now(),
      md5: createHash("md5").update(bytes).digest("hex"),
    };
    this.held.set(name, { body: bytes, object });
    return object;
  }
}
