// Getting frames and nodes out of packs. Index entries say where they lie in generation 0; a pack that was rewritten
// (repair, compaction) stands under a later generation, where only its own table says where things are.

import { HoldfastFailure } from "../base/failure.ts";
import type { ByteRange } from "../ports/object-store.ts";
import { type PackId, packKey, packName, packStem, parsePackName } from "./format/names.ts";
import {
  decodePackFooter,
  decodePackHeader,
  decodePackTable,
  PACK_FOOTER_BYTES,
  type PackTableEntry,
} from "./format/pack.ts";
import { isKind, listObjects, unseal } from "./objects.ts";
import type { Vault } from "./open-vault.ts";

const MAX_CACHED_TABLES = 64;
/** Reading a gap of this size costs less than another request. */
const MAX_GAP_BYTES = 64 * 1024;
const MAX_READ_BYTES = 4 * 1024 * 1024;

export interface Wanted {
  readonly offset: number;
  readonly length: number;
  /** The chunk's id, or the node's digest: how a later generation finds it. */
  readonly id: Buffer;
}

export class PackReader {
  private readonly vault: Vault;
  private readonly later = new Map<string, Map<string, { name: string; range: ByteRange }>>();

  constructor(vault: Vault) {
    this.vault = vault;
  }

  async read(pack: PackId, wanted: Wanted): Promise<Uint8Array> {
    const [bytes] = await this.readAll(pack, [wanted]);
    return bytes as Uint8Array;
  }

  /** The bytes of several wanted things of one pack, in their order; neighbours are read in one request. */
  async readAll(pack: PackId, wanted: readonly Wanted[]): Promise<readonly Uint8Array[]> {
    const known = this.later.get(packKey(pack));
    if (known) return this.readLater(pack, known, wanted);
    try {
      return await this.readRanges(packName(pack), wanted);
    } catch (cause) {
      if (!isKind(cause, "not-found")) throw cause;
      return this.readLater(pack, await this.findLater(pack, cause), wanted);
    }
  }

  private async readRanges(name: string, wanted: readonly ByteRange[]): Promise<Uint8Array[]> {
    const results: Uint8Array[] = new Array(wanted.length);
    for (const run of runsOf(wanted)) {
      const body = await this.readWithin(name, run);
      for (const index of run.members) {
        const { offset, length } = wanted[index] as ByteRange;
        results[index] = body.subarray(offset - run.offset, offset - run.offset + length);
      }
    }
    return results;
  }

  private async readWithin(name: string, range: ByteRange): Promise<Uint8Array> {
    try {
      return (await this.vault.archive.read(name, range)).body;
    } catch (cause) {
      if (!isKind(cause, "invalid")) throw cause;
      throw new HoldfastFailure("corrupt", "HoldfastPackTruncated", `${name} is shorter than it was written`, {
        cause,
      });
    }
  }

  private async readLater(
    pack: PackId,
    places: ReadonlyMap<string, { name: string; range: ByteRange }>,
    wanted: readonly Wanted[],
  ): Promise<Uint8Array[]> {
    const results: Uint8Array[] = [];
    for (const { id } of wanted) {
      const place = places.get(id.toString("hex"));
      if (!place)
        throw new HoldfastFailure("corrupt", "HoldfastChunkLost", `Pack ${packKey(pack)} no longer holds a chunk`);
      results.push(...(await this.readRanges(place.name, [place.range])));
    }
    return results;
  }

  private async findLater(pack: PackId, cause: unknown) {
    let newest: { name: string; generation: number; sizeBytes: number } | undefined;
    for await (const { name, sizeBytes } of listObjects(this.vault.archive, packStem(pack))) {
      const { generation } = parsePackName(name);
      if (newest === undefined || generation > newest.generation) newest = { name, generation, sizeBytes };
    }
    if (!newest || newest.generation === 0) {
      throw new HoldfastFailure("corrupt", "HoldfastPackLost", `Pack ${packKey(pack)} is missing`, { cause });
    }
    const places = new Map<string, { name: string; range: ByteRange }>();
    for (const entry of await readPackTable(this.vault, pack, newest.name, newest.sizeBytes)) {
      places.set(entry.id.toString("hex"), { name: newest.name, range: entry });
    }
    if (this.later.size >= MAX_CACHED_TABLES) this.later.clear();
    this.later.set(packKey(pack), places);
    return places;
  }
}

/** The table of a pack, read from its end. */
export async function readPackTable(
  vault: Vault,
  pack: PackId,
  name: string,
  sizeBytes: number,
): Promise<PackTableEntry[]> {
  const header = (await vault.archive.read(name, { offset: 0, length: Math.min(24, sizeBytes) })).body;
  decodePackHeader(header, name);
  const footerAt = sizeBytes - PACK_FOOTER_BYTES;
  const footer = (await vault.archive.read(name, { offset: footerAt, length: PACK_FOOTER_BYTES })).body;
  const length = decodePackFooter(footer, sizeBytes, name);
  const sealed = (await vault.archive.read(name, { offset: footerAt - length, length })).body;
  const table = unseal(vault, { kind: "pack-table", item: null, transfer: pack.transfer }, sealed);
  const entries = decodePackTable(table, pack.number);
  for (const entry of entries) {
    if (entry.offset + entry.length > footerAt - length) {
      throw new HoldfastFailure("corrupt", "HoldfastMalformed", `${name}: its table speaks of bytes it does not have`);
    }
  }
  return entries;
}

interface Run extends ByteRange {
  readonly members: readonly number[];
}

function runsOf(wanted: readonly ByteRange[]): Run[] {
  const order = wanted.map((_, index) => index).sort((left, right) => offsetOf(left) - offsetOf(right));
  const runs: { offset: number; length: number; members: number[] }[] = [];
  for (const index of order) {
    const { offset, length } = wanted[index] as ByteRange;
    const last = runs.at(-1);
    const end = last === undefined ? 0 : last.offset + last.length;
    const grown = last === undefined ? 0 : Math.max(end, offset + length) - last.offset;
    if (last !== undefined && offset - end <= MAX_GAP_BYTES && grown <= MAX_READ_BYTES) {
      last.length = grown;
      last.members.push(index);
    } else {
      runs.push({ offset, length, members: [index] });
    }
  }
  return runs;

  function offsetOf(index: number): number {
    return (wanted[index] as ByteRange).offset;
  }
}
