// A vault with more points and packs than any bench could write: its lists, manifests and names are made when they are
// read, sealed like real ones, and always the same. What else a vault has is kept in a store of its own.

import { HoldfastFailure } from "../../src/base/failure.ts";
import type { ByteRange, ObjectContent, ObjectPage, ObjectStore, StoredObject } from "../../src/ports/object-store.ts";
import { encodeManifest, type Manifest } from "../../src/vault/format/manifest.ts";
import {
  type ItemId,
  PACKS_PREFIX,
  type PackNumber,
  POINTS_PREFIX,
  type PointId,
  packName,
  parsePointObject,
  pointName,
  pointPacksName,
  type TransferId,
} from "../../src/vault/format/names.ts";
import { seal } from "../../src/vault/objects.ts";
import { createVault, type Vault } from "../../src/vault/open-vault.ts";
import { benchDeps, ForgetfulStore } from "./synthetic.ts";

const PAGE_OBJECTS = 5_000;
const LIST_HEADER_BYTES = 30;
const LIST_ENTRY_BYTES = 12;
const LONG_AGO = new Date("2026-01-01T00:00:00Z");
const PACK_BYTES = 32 * 2 ** 20;

export interface HugeVaultSize {
  readonly points: number;
  readonly packsPerPoint: number;
  /** Packs that no point names. */
  readonly deadPacks: number;
}

export async function hugeVault(size: HugeVaultSize): Promise<Vault> {
  const archive = new HugeArchive(size);
  const deps = benchDeps(archive, new ForgetfulStore("bench:w"));
  const vault = await createVault(deps, { name: "huge", suite: "aes-256-gcm" });
  archive.vault = vault;
  return vault;
}

class HugeArchive implements ObjectStore {
  readonly location = "bench:v";
  /** Nothing but keys is in it before. */
  vault: Vault | undefined;
  private readonly size: HugeVaultSize;
  private readonly small = new ForgetfulStore("bench:v");

  constructor(size: HugeVaultSize) {
    this.size = size;
  }

  create(name: string, body: Uint8Array): Promise<StoredObject> {
    return this.small.create(name, body);
  }

  replace(name: string, body: Uint8Array, etag: string): Promise<StoredObject> {
    return this.small.replace(name, body, etag);
  }

  async read(name: string, range?: ByteRange): Promise<ObjectContent> {
    if (!this.vault || !name.startsWith(POINTS_PREFIX)) return this.small.read(name, range);
    const { kind, point } = parsePointObject(name);
    const body =
      kind === "packs"
        ? seal(this.vault, this.vault.activeKey, { kind: "packs", ...point }, this.packList(point))
        : seal(this.vault, this.vault.activeKey, { kind: "manifest", ...point }, encodeManifest(this.manifest(point)));
    return { body, object: objectOf(name, body.length), storeDate: new Date() };
  }

  async *list(prefix: string): AsyncIterable<ObjectPage> {
    if (!this.vault) yield* this.small.list(prefix);
    else if (prefix === POINTS_PREFIX) yield* pagesOf(this.pointNames());
    else if (prefix === PACKS_PREFIX) yield* pagesOf(this.packNames());
    else yield* this.small.list(prefix);
  }

  async delete(name: string): Promise<void> {
    throw new HoldfastFailure("denied", "Bench", `${name} is only made up`);
  }

  private *pointNames(): Generator<string> {
    for (let at = 0; at < this.size.points; at++) {
      yield pointName(pointAt(at));
      yield pointPacksName(pointAt(at));
    }
  }

  private *packNames(): Generator<string> {
    const { points, packsPerPoint, deadPacks } = this.size;
    for (let at = 0; at < points; at++) yield* packNamesOf(pointAt(at), packsPerPoint);
    yield* packNamesOf(pointAt(points), deadPacks);
  }

  /** The bytes that `encodePointPacks` makes of it, without the maps it makes them from. */
  private packList(point: PointId): Buffer {
    const { packsPerPoint } = this.size;
    const list = Buffer.alloc(LIST_HEADER_BYTES + packsPerPoint * LIST_ENTRY_BYTES);
    list.writeUInt16LE(1, 0);
    list.writeUInt32LE(list.length - 6, 2);
    list.writeUInt32LE(1, 6);
    list.write(point.transfer, 10, "hex");
    list.writeUInt32LE(packsPerPoint, 26);
    for (let pack = 0; pack < packsPerPoint; pack++) {
      const { high, low } = numberAt(seedOf(point), pack, packsPerPoint);
      const at = LIST_HEADER_BYTES + pack * LIST_ENTRY_BYTES;
      list.writeUInt32BE(high, at);
      list.writeUInt32BE(low, at + 4);
      list.writeInt32LE(1, at + 8);
    }
    return list;
  }

  private manifest(point: PointId): Manifest {
    const at = LONG_AGO.toISOString();
    const { keyId } = (this.vault as Vault).activeKey;
    return {
      ...point,
      ...{ keyId, pointId: "p", sequence: 1, committedBy: "bench", pointTime: at, createdAt: at, parent: null },
      ...{ consistency: "crash", consistencyReason: "", tags: [], reason: "", machine: null, disks: [] },
    };
  }
}

function* packNamesOf(point: PointId, packs: number): Generator<string> {
  const seed = seedOf(point);
  const bytes = Buffer.alloc(8);
  for (let pack = 0; pack < packs; pack++) {
    const { high, low } = numberAt(seed, pack, packs);
    bytes.writeUInt32BE(high, 0);
    bytes.writeUInt32BE(low, 4);
    yield packName({ transfer: point.transfer, number: bytes.toString("hex") as PackNumber });
  }
}

async function* pagesOf(names: Iterable<string>): AsyncGenerator<ObjectPage> {
  let objects: StoredObject[] = [];
  for (const name of names) {
    objects.push(objectOf(name, PACK_BYTES));
    if (objects.length < PAGE_OBJECTS) continue;
    yield { objects, storeDate: new Date() };
    objects = [];
  }
  yield { objects, storeDate: new Date() };
}

function objectOf(name: string, sizeBytes: number): StoredObject {
  return { name, sizeBytes, etag: "1", lastModified: LONG_AGO, md5: undefined };
}

/** Each point is one of another machine, as the first backups of a large fleet are. */
function pointAt(at: number): PointId {
  const item = `vm-${at.toString().padStart(6, "0")}` as ItemId;
  const time = (LONG_AGO.getTime() + at).toString(16).padStart(12, "0");
  return { item, transfer: `${time}${hex(at, 1)}${hex(at, 2)}${hex(at, 3).slice(0, 4)}` as TransferId };
}

/** Ascending, as lists have them, and otherwise as if random. */
function numberAt(seed: number, pack: number, packs: number): { readonly high: number; readonly low: number } {
  const step = Math.floor(2 ** 32 / packs);
  return { high: pack * step + (scatter(seed, pack) % step), low: scatter(seed ^ pack, 4) };
}

const seedOf = ({ transfer }: PointId) => Number.parseInt(transfer.slice(12, 20), 16);

function hex(value: number, salt: number): string {
  return scatter(value, salt).toString(16).padStart(8, "0");
}

/** 32 bits that look random (the finaliser of MurmurHash3). */
function scatter(value: number, salt: number): number {
  let bits = (value + Math.imul(salt, 0x9e3779b9)) >>> 0;
  bits = Math.imul(bits ^ (bits >>> 16), 0x85ebca6b);
  bits = Math.imul(bits ^ (bits >>> 13), 0xc2b2ae35);
  return (bits ^ (bits >>> 16)) >>> 0;
}
