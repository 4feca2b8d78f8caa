// What vault benches are made of when a real disk would be too large: sources that make up their bytes, and a store that
// remembers of data packs only what a listing tells.

import { createCipheriv, createHash, randomBytes } from "node:crypto";
import { HoldfastFailure } from "../../src/base/failure.ts";
import type { DiskSource, SnapshotIdentity } from "../../src/ports/disk-source.ts";
import type { ByteRange, ObjectContent, ObjectPage, ObjectStore, StoredObject } from "../../src/ports/object-store.ts";

const KEPT_BYTES = 4 * 1024 * 1024;
const INDEX_PACK = 1;
const NOISE_BYTES = 9 * 1024 * 1024;
const LITTLE_NOISE_BYTES = 4096;

/** Keeps index packs and small objects; of the rest the name, size and MD5. Counts what is written. */
export class ForgetfulStore implements ObjectStore {
  readonly location: string;
  writes = 0;
  indexBytes = 0;
  dataBytes = 0;
  private readonly objects = new Map<string, { object: StoredObject; body: Uint8Array | undefined }>();

  constructor(location: string) {
    this.location = location;
  }

  async create(name: string, body: Uint8Array): Promise<StoredObject> {
    if (this.objects.has(name)) throw new HoldfastFailure("conflict", "HoldfastObjectExists", `${name} exists`);
    return this.put(name, body);
  }

  async replace(name: string, body: Uint8Array, etag: string): Promise<StoredObject> {
    if (this.objects.get(name)?.object.etag !== etag)
      throw new HoldfastFailure("conflict", "Changed", `${name} changed`);
    return this.put(name, body);
  }

  async read(name: string, range?: ByteRange): Promise<ObjectContent> {
    const found = this.objects.get(name);
    if (!found?.body) throw new HoldfastFailure("not-found", "HoldfastObjectNotFound", `${name} is not kept`);
    const { offset, length } = range ?? { offset: 0, length: found.body.length };
    return { body: found.body.subarray(offset, offset + length), object: found.object, storeDate: new Date() };
  }

  async *list(prefix: string): AsyncIterable<ObjectPage> {
    const names = [...this.objects.keys()].filter((name) => name.startsWith(prefix)).sort();
    yield { objects: names.flatMap((name) => this.objects.get(name)?.object ?? []), storeDate: new Date() };
  }

  async delete(name: string): Promise<void> {
    this.objects.delete(name);
  }

  private put(name: string, body: Uint8Array): StoredObject {
    this.writes++;
    const isData = name.startsWith("packs/") && body[6] !== INDEX_PACK;
    if (name.startsWith("packs/")) {
      if (isData) this.dataBytes += body.length;
      else this.indexBytes += body.length;
    }
    const md5 = createHash("md5").update(body).digest("hex");
    const object = { name, sizeBytes: body.length, etag: `${this.writes}`, lastModified: new Date(), md5 };
    const isKept = !isData || body.length <= KEPT_BYTES;
    this.objects.set(name, { object, body: isKept ? Uint8Array.from(body) : undefined });
    return object;
  }
}

export interface NoiseOptions {
  readonly changed?: readonly ByteRange[];
  /** Disks with equal seeds hold equal bytes; default: like no other. */
  readonly seed?: number;
  /** Of how many chunks one is noise; the others begin with a little of it. Default: each. */
  readonly noiseEvery?: number;
}

/** A disk that is as large as it says and has bytes where it is told to. No chunk of it repeats. */
export class NoiseDisk implements DiskSource {
  readonly sizeBytes: number;
  readonly identity: SnapshotIdentity;
  private readonly allocated: readonly ByteRange[];
  private readonly changed: readonly ByteRange[];
  private readonly noise: Buffer;
  private readonly seed: number;
  private readonly noiseEvery: number;

  constructor(sizeBytes: number, allocated: readonly ByteRange[], options: NoiseOptions = {}) {
    this.sizeBytes = sizeBytes;
    this.allocated = allocated;
    this.changed = options.changed ?? [];
    this.seed = options.seed ?? randomBytes(4).readUInt32LE();
    this.noiseEvery = options.noiseEvery ?? 1;
    const key = createHash("sha256").update(`${this.seed}`).digest();
    this.noise = createCipheriv("aes-256-ctr", key, Buffer.alloc(16)).update(Buffer.alloc(NOISE_BYTES));
    const snapshotId = randomBytes(8).toString("hex");
    this.identity = { diskUniqueId: "noise", snapshotId, snapshotTime: new Date().toISOString() };
  }

  async *allocatedRanges() {
    yield* this.allocated;
  }

  async changedRanges() {
    const { changed } = this;
    return (async function* () {
      yield* changed;
    })();
  }

  async read({ offset, length }: ByteRange): Promise<Uint8Array> {
    const isNoise = Math.floor(offset / length) % this.noiseEvery === 0;
    const start = offset % 65_536;
    const bytes = Buffer.allocUnsafeSlow(length);
    this.noise.copy(bytes, 0, start, start + (isNoise ? length : LITTLE_NOISE_BYTES));
    if (!isNoise) bytes.fill(0, LITTLE_NOISE_BYTES);
    bytes.writeUInt32LE(this.seed, 0);
    bytes.writeDoubleLE(offset, 8);
    return bytes;
  }
}

/** What a vault is made of, besides its stores. */
export function benchDeps(archive: ObjectStore, state: ObjectStore) {
  return {
    ...{ archive, state, wrappers: [plainWrapper] },
    clock: { now: () => new Date() },
    random: { bytes: (count: number) => randomBytes(count) },
  };
}

/** Wraps nothing: what a bench encrypts needs no secret. */
const plainWrapper = {
  id: "bench",
  wrap: async (bytes: Uint8Array) => ({ wrapperId: "bench", version: "1", algorithm: "none", bytes }),
  unwrap: async ({ bytes }: { bytes: Uint8Array }) => bytes,
};

/** Of this process, ever. Megabytes of a million bytes, as the bars have them. */
export function peakMB(): number {
  return Math.round((process.resourceUsage().maxRSS * 1024) / 1e6);
}
