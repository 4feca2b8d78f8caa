// A disk of a recovery point as a block device that cannot be written. Reads go through the vault's reader, which verifies
// every chunk and reads ahead; they are cut and bounded, so that its cache holds whatever is being waited for.

import type { ByteRange } from "../../../src/ports/object-store.ts";
import type { DiskReader } from "../../../src/vault/disk-reader.ts";
import type { ChunkEntry } from "../../../src/vault/format/index-node.ts";
import { chunkLength, LEAF_ENTRIES } from "../../../src/vault/format/tree-shape.ts";
import { type BlockDevice, type Extent, joinExtents } from "./block-device.ts";
import { Budget } from "./budget.ts";

const PIECE_BYTES = 2 * 1024 * 1024;
const READER_CACHE_BYTES = 32 * 1024 * 1024;
/** At the default chunk size 16 GiB of the disk. */
const MAX_LEAVES_AT_ONCE = 256;

export class PointDevice implements BlockDevice {
  readonly sizeBytes: number;
  private readonly reader: DiskReader;
  private readonly readsAtOnce: Budget;

  constructor(reader: DiskReader) {
    this.reader = reader;
    this.sizeBytes = reader.shape.sizeBytes;
    const { chunkBytes } = reader.shape;
    const chunksOfPiece = Math.ceil(PIECE_BYTES / chunkBytes) + 1;
    this.readsAtOnce = new Budget(Math.max(1, Math.floor(READER_CACHE_BYTES / chunkBytes / chunksOfPiece / 2)));
  }

  async read({ offset, length }: ByteRange): Promise<Uint8Array> {
    if (length <= PIECE_BYTES) return this.readPiece({ offset, length });
    const bytes = Buffer.allocUnsafe(length);
    for (let done = 0; done < length; done += PIECE_BYTES) {
      const piece = { offset: offset + done, length: Math.min(PIECE_BYTES, length - done) };
      bytes.set(await this.readPiece(piece), done);
    }
    return bytes;
  }

  extents(range: ByteRange): AsyncIterable<Extent> {
    return joinExtents(this.chunkExtents(range));
  }

  private readPiece(range: ByteRange): Promise<Uint8Array> {
    return this.readsAtOnce.using(1, () => this.reader.read(range));
  }

  private async *chunkExtents({ offset, length }: ByteRange): AsyncGenerator<Extent> {
    const { shape, tree } = this.reader;
    const leafBytes = LEAF_ENTRIES * shape.chunkBytes;
    const end = offset + length;
    const firstLeaf = Math.floor(offset / leafBytes);
    const lastLeaf = Math.min(Math.floor((end - 1) / leafBytes), firstLeaf + MAX_LEAVES_AT_ONCE - 1);
    for (let leafIndex = firstLeaf; leafIndex <= lastLeaf; leafIndex++) {
      const leafEnd = Math.min(shape.sizeBytes, (leafIndex + 1) * leafBytes);
      if ((await tree.leafRef(leafIndex)) === null) {
        yield clip(
          { offset: leafIndex * leafBytes, length: leafEnd - leafIndex * leafBytes, kind: "hole" },
          offset,
          end,
        );
        continue;
      }
      const from = Math.max(leafIndex * LEAF_ENTRIES, Math.floor(offset / shape.chunkBytes));
      const to = Math.min((leafIndex + 1) * LEAF_ENTRIES, Math.ceil(Math.min(end, shape.sizeBytes) / shape.chunkBytes));
      for (let chunkIndex = from; chunkIndex < to; chunkIndex++) {
        const kind = kindOf(await this.reader.entry(chunkIndex));
        const chunk = { offset: chunkIndex * shape.chunkBytes, length: chunkLength(shape, chunkIndex), kind };
        yield clip(chunk, offset, end);
      }
    }
  }
}

/** What could not be read at the source counts as data: reading it tells what is the matter. */
function kindOf({ kind }: ChunkEntry): Extent["kind"] {
  if (kind === "data" || kind === "unreadable") return "data";
  return kind === "unallocated" ? "hole" : "zero";
}

function clip({ offset, length, kind }: Extent, from: number, to: number): Extent {
  const start = Math.max(offset, from);
  return { offset: start, length: Math.min(offset + length, to) - start, kind };
}
