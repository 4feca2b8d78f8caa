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
  private readonly pageSize: number;
  private nowMs: number;
  private versions = 0;

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

  async *list(prefix: string): AsyncIterable<ObjectPage> {
    const names = [...this.held.keys()].filter((name) => name.startsWith(prefix)).sort();
    for (let start = 0; start === 0 || start < names.length; start += this.pageSize) {
      const page = names.slice(start, start + this.pageSize).flatMap((name) => this.held.get(name)?.object ?? []);
      yield { objects: page, storeDate: this.now() };
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

  copy(location = this.location): MemoryStore {
    const copy = new MemoryStore(location, { pageSize: this.pageSize, now: this.now() });
    for (const [name, held] of this.held) copy.held.set(name, held);
    copy.versions = this.versions;
    return copy;
  }

  private put(name: string, body: Uint8Array): StoredObject {
    const bytes = Uint8Array.from(body);
    const object = {
      name,
      sizeBytes: bytes.length,
      etag: `"${++this.versions}"`,
      lastModified: this.now(),
      md5: createHash("md5").update(bytes).digest("hex"),
    };
    this.held.set(name, { body: bytes, object });
    return object;
  }
}
