// A device over another one, whose writes go to a file that nobody else sees and that is gone afterwards. What was written is
// known block by block, in pages that exist only where something was written.

import { randomBytes } from "node:crypto";
import { type FileHandle, open, unlink } from "node:fs/promises";
import { join } from "node:path";
import { HoldfastFailure, messageOf } from "../../../src/base/failure.ts";
import type { ByteRange } from "../../../src/ports/object-store.ts";
import { type BlockDevice, type Extent, joinExtents } from "./block-device.ts";

const BLOCK_BYTES = 4_096;
/** 64 MiB of the disk: a page takes 2 KiB. */
const PAGE_BLOCKS = 16_384;
const ZEROS = Buffer.alloc(1024 * 1024);

export class OverlayDevice implements BlockDevice {
  readonly sizeBytes: number;
  private readonly base: BlockDevice;
  private readonly file: FileHandle;
  private readonly path: string;
  private readonly pages = new Map<number, Uint8Array>();
  private lastWrite: Promise<unknown> = Promise.resolve();

  private constructor(base: BlockDevice, file: FileHandle, path: string) {
    this.base = base;
    this.sizeBytes = base.sizeBytes;
    this.file = file;
    this.path = path;
  }

  static async create(base: BlockDevice, folder: string): Promise<OverlayDevice> {
    const path = join(folder, `holdfast-overlay-${randomBytes(8).toString("hex")}`);
    const file = await open(path, "wx+").catch((cause) => {
      throw new HoldfastFailure("denied", "HoldfastOverlay", `No file for writes: ${messageOf(cause)}`, { cause });
    });
    // Where a file may lose its name while it is open, not even a kill leaves it behind.
    await unlink(path).catch(() => undefined);
    return new OverlayDevice(base, file, path);
  }

  async close(): Promise<void> {
    await this.lastWrite;
    await this.file.close();
    await unlink(this.path).catch(() => undefined);
  }

  async read(range: ByteRange): Promise<Uint8Array> {
    const bytes = Buffer.allocUnsafe(range.length);
    for (const run of this.runs(range)) {
      const part = bytes.subarray(run.offset - range.offset, run.offset - range.offset + run.length);
      if (run.isWritten) await this.readFile(run.offset, part);
      else part.set(await this.base.read({ offset: run.offset, length: run.length }));
    }
    return bytes;
  }

  extents(range: ByteRange): AsyncIterable<Extent> {
    return joinExtents(this.runExtents(range));
  }

  readonly write = (offset: number, bytes: Uint8Array): Promise<void> => this.inTurn(() => this.put(offset, bytes));

  readonly writeZeros = ({ offset, length }: ByteRange): Promise<void> =>
    this.inTurn(async () => {
      for (let done = 0; done < length; done += ZEROS.length) {
        await this.put(offset + done, ZEROS.subarray(0, Math.min(ZEROS.length, length - done)));
      }
    });

  /** Two writes that share a block would each complete it with what the other replaces. */
  private inTurn<T>(work: () => Promise<T>): Promise<T> {
    const mine = this.lastWrite.then(work);
    this.lastWrite = mine.catch(() => undefined);
    return mine;
  }

  private async put(offset: number, bytes: Uint8Array): Promise<void> {
    const end = offset + bytes.length;
    await this.complete(Math.floor(offset / BLOCK_BYTES), offset, end);
    await this.complete(Math.floor((end - 1) / BLOCK_BYTES), offset, end);
    await this.writeFile(offset, bytes);
    for (let block = Math.floor(offset / BLOCK_BYTES); block * BLOCK_BYTES < end; block++) this.mark(block);
  }

  /** Fetches a block from below, if the write covers only a part of it. */
  private async complete(block: number, from: number, to: number): Promise<void> {
    const offset = block * BLOCK_BYTES;
    const length = Math.min(BLOCK_BYTES, this.sizeBytes - offset);
    if (this.isWritten(block) || (from <= offset && to >= offset + length)) return;
    await this.writeFile(offset, await this.base.read({ offset, length }));
    this.mark(block);
  }

  private *runs({ offset, length }: ByteRange): Generator<ByteRange & { readonly isWritten: boolean }> {
    const end = offset + length;
    let start = offset;
    while (start < end) {
      const isWritten = this.isWritten(Math.floor(start / BLOCK_BYTES));
      let next = this.endOfStep(start);
      while (next < end && this.isWritten(next / BLOCK_BYTES) === isWritten) next = this.endOfStep(next);
      yield { offset: start, length: Math.min(next, end) - start, isWritten };
      start = next;
    }
  }

  /** The next block, or the next page where this one has nothing written. */
  private endOfStep(offset: number): number {
    const page = Math.floor(offset / (PAGE_BLOCKS * BLOCK_BYTES));
    if (!this.pages.has(page)) return (page + 1) * PAGE_BLOCKS * BLOCK_BYTES;
    return (Math.floor(offset / BLOCK_BYTES) + 1) * BLOCK_BYTES;
  }

  private async *runExtents(range: ByteRange): AsyncGenerator<Extent> {
    for (const { offset, length, isWritten } of this.runs(range)) {
      if (isWritten) {
        yield { offset, length, kind: "data" };
        continue;
      }
      let told = offset;
      for await (const extent of this.base.extents({ offset, length })) {
        yield extent;
        told = extent.offset + extent.length;
      }
      if (told < offset + length) return;
    }
  }

  private isWritten(block: number): boolean {
    const page = this.pages.get(Math.floor(block / PAGE_BLOCKS));
    if (page === undefined) return false;
    const bit = block % PAGE_BLOCKS;
    return (((page[bit >> 3] as number) >> (bit & 7)) & 1) === 1;
  }

  private mark(block: number): void {
    const index = Math.floor(block / PAGE_BLOCKS);
    let page = this.pages.get(index);
    if (page === undefined) {
      page = new Uint8Array(PAGE_BLOCKS / 8);
      this.pages.set(index, page);
    }
    const bit = block % PAGE_BLOCKS;
    page[bit >> 3] = (page[bit >> 3] as number) | (1 << (bit & 7));
  }

  private async readFile(offset: number, into: Uint8Array): Promise<void> {
    let done = 0;
    while (done < into.length) {
      const { bytesRead } = await this.file.read(into, done, into.length - done, offset + done);
      if (bytesRead === 0) throw new HoldfastFailure("corrupt", "HoldfastOverlay", "The file of writes is too short");
      done += bytesRead;
    }
  }

  private async writeFile(offset: number, bytes: Uint8Array): Promise<void> {
    let done = 0;
    while (done < bytes.length) {
      done += (await this.file.write(bytes, done, bytes.length - done, offset + done)).bytesWritten;
    }
  }
}
