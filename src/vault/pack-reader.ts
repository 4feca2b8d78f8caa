// Getting frames and nodes out of packs. Index entries say where they lie in generation 0; a pack that was rewritten
// (repair, compaction) stands under a later generation, where only its own table says where things are.

import { HoldfastFailure } from "../base/failure.ts";
import type { ByteRange } from "../ports/object-store.ts";
import { type PackId, packKey, packName } from "./format/names.ts";
import {
  decodePackFooter,
  decodePackTable,
  PACK_FOOTER_BYTES,
  PACK_HEADER_BYTES,
  type PackTableEntry,
} from "./format/pack.ts";
import { isKind, unseal } from "./objects.ts";
import type { Vault } from "./open-vault.ts";
import { listGenerations, type StoredGeneration } from "./pack-generations.ts";

/** Each but the first means that the pack was rewritten since the last: more than this is no coincidence. */
const MAX_ATTEMPTS = 4;
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

/** Where the parts of a later generation lie. */
interface LaterGeneration {
  readonly name: string;
  /** A slow repair may write a name anew that was free again: its table is then another one. */
  readonly etag: string;
  readonly places: ReadonlyMap<string, ByteRange>;
}

export class PackReader {
  private readonly vault: Vault;
  private readonly later = new Map<string, LaterGeneration>();

  constructor(vault: Vault) {
    this.vault = vault;
  }

  async read(pack: PackId, wanted: Wanted): Promise<Uint8Array> {
    const [bytes] = await this.readAll(pack, [wanted]);
    return bytes as Uint8Array;
  }

  /**
   * The bytes of several wanted things of one pack, in their order; neighbours are read in one request. Between a listing
   * and a read a generation may be replaced by the next: then look again. A pack that lives has one at any time.
   */
  async readAll(pack: PackId, wanted: readonly Wanted[]): Promise<readonly Uint8Array[]> {
    for (let attempt = 0; attempt < MAX_ATTEMPTS; attempt++) {
      const known = this.later.get(packKey(pack));
      const found = await this.readFrom(pack, known, wanted);
      if (found) return found;
      const now = await this.findLater(pack).catch(undefinedIfGone);
      if (now && known && now.name === known.name && now.etag === known.etag) throw chunkLost(pack);
      if (now) this.remember(pack, now);
      else if (!this.later.delete(packKey(pack)) && attempt > 0) throw packLost(pack);
    }
    throw new HoldfastFailure("unavailable", "HoldfastContended", `Pack ${packKey(pack)} is rewritten all the time`);
  }

  /** Undefined when it is not there, or not as it was listed, or has not everything. */
  private async readFrom(pack: PackId, known: LaterGeneration | undefined, wanted: readonly Wanted[]) {
    const ranges = known ? wanted.map(({ id }) => known.places.get(id.toString("hex"))) : wanted;
    if (!ranges.every((range) => range !== undefined)) return undefined;
    return this.readRanges(known?.name ?? packName(pack), ranges, known?.etag).catch(undefinedIfGone);
  }

  private async readRanges(name: string, wanted: readonly ByteRange[], etag?: string): Promise<Uint8Array[]> {
    const results: Uint8Array[] = new Array(wanted.length);
    for (const run of runsOf(wanted)) {
      const body = await this.readWithin(name, run, etag);
      for (const index of run.members) {
        const { offset, length } = wanted[index] as ByteRange;
        results[index] = body.subarray(offset - run.offset, offset - run.offset + length);
      }
    }
    return results;
  }

  private async readWithin(name: string, range: ByteRange, etag?: string): Promise<Uint8Array> {
    try {
      const { body, object } = await this.vault.archive.read(name, range);
      if (etag !== undefined && object.etag !== etag) throw replaced(name);
      return body;
    } catch (cause) {
      if (!isKind(cause, "invalid")) throw cause;
      if (etag !== undefined) throw replaced(name);
      throw new HoldfastFailure("corrupt", "HoldfastPackTruncated", `${name} is shorter than it was written`, {
        cause,
      });
    }
  }

  /** The highest generation but the first; undefined when none is listed. */
  private async findLater(pack: PackId): Promise<LaterGeneration | undefined> {
    const highest = (await listGenerations(this.vault.archive, pack)).at(-1);
    if (highest === undefined || highest.generation === 0) return undefined;
    const { entries, etag } = await readPackTable(this.vault, pack, highest);
    return { name: highest.name, etag, places: new Map(entries.map((entry) => [entry.id.toString("hex"), entry])) };
  }

  private remember(pack: PackId, later: LaterGeneration): void {
    if (this.later.size >= MAX_CACHED_TABLES) this.later.clear();
    this.later.set(packKey(pack), later);
  }
}

function undefinedIfGone(cause: unknown): undefined {
  if (!isKind(cause, "not-found")) throw cause;
}

function replaced(name: string): HoldfastFailure {
  return new HoldfastFailure("not-found", "HoldfastPackReplaced", `${name} is not the one that was listed`);
}

function packLost(pack: PackId): HoldfastFailure {
  return new HoldfastFailure("corrupt", "HoldfastPackLost", `Pack ${packKey(pack)} is missing`);
}

function chunkLost(pack: PackId): HoldfastFailure {
  return new HoldfastFailure("corrupt", "HoldfastChunkLost", `Pack ${packKey(pack)} no longer holds a chunk`);
}

/** The table of a pack, read from its end. */
export async function readPackTable(
  vault: Vault,
  pack: PackId,
  { name, sizeBytes }: StoredGeneration,
): Promise<{ readonly entries: readonly PackTableEntry[]; readonly etag: string }> {
  const tooShort = sizeBytes < PACK_HEADER_BYTES + PACK_FOOTER_BYTES;
  if (tooShort) throw new HoldfastFailure("corrupt", "HoldfastPackTruncated", `${name} is too short for a pack`);
  const footerAt = sizeBytes - PACK_FOOTER_BYTES;
  const footer = await vault.archive.read(name, { offset: footerAt, length: PACK_FOOTER_BYTES });
  const length = decodePackFooter(footer.body, sizeBytes, name);
  const sealed = await vault.archive.read(name, { offset: footerAt - length, length });
  const { etag } = sealed.object;
  if (etag !== footer.object.etag) throw replaced(name);
  const table = unseal(vault, { kind: "pack-table", item: null, transfer: pack.transfer }, sealed.body);
  const entries = decodePackTable(table, pack.number);
  for (const entry of entries) {
    if (entry.offset + entry.length > footerAt - length) {
      throw new HoldfastFailure("corrupt", "HoldfastMalformed", `${name}: its table speaks of bytes it does not have`);
    }
  }
  return { entries, etag };
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
