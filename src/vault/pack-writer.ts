// Fills packs and uploads them while the next is filled: three buffers of one pack's size are all that writing holds. A
// pack has its number before it is full, so that entries can name their place at once.

import { releaseBuffer } from "../base/release.ts";
import { ENVELOPE_HEADER_BYTES } from "./format/envelope.ts";
import type { WrittenPack } from "./format/fragment.ts";
import type { VaultKey } from "./format/keys.ts";
import { makePackNumber, type PackId, packName, type TransferId } from "./format/names.ts";
import type { PackTableEntry } from "./format/pack.ts";
import {
  encodePackFooter,
  encodePackHeader,
  encodePackTable,
  MAX_PACK_BYTES,
  PACK_FOOTER_BYTES,
  PACK_HEADER_BYTES,
  type PackContent,
  packTableBytes,
} from "./format/pack.ts";
import { createOwn, md5Of, seal } from "./objects.ts";
import type { Vault } from "./open-vault.ts";

/** One that is filled and two on their way keep a connection busy. */
const MAX_BUFFERS = 3;
const FIRST_BUFFER_BYTES = 1024 * 1024;

/**
 * The memory of packs that are filled or on their way; whoever needs one more waits for an upload to end. One writer
 * after another takes from the same: making such buffers anew has the garbage collector run all the time. Several writers
 * at once may share one too: a writer asks for a buffer only while it has none open, so that whoever holds one goes on
 * without another, and ends with an upload.
 */
export class PackBuffers {
  private readonly maxBuffers: number;
  private readonly spare: Buffer[] = [];
  private readonly waiting: ((buffer: Buffer) => void)[] = [];
  private taken = 0;

  constructor(maxBuffers = MAX_BUFFERS) {
    this.maxBuffers = maxBuffers;
  }

  take(): Promise<Buffer> {
    if (this.taken >= this.maxBuffers) return new Promise((resolve) => this.waiting.push(resolve));
    this.taken++;
    return Promise.resolve(this.spare.pop() ?? Buffer.allocUnsafeSlow(FIRST_BUFFER_BYTES));
  }

  giveBack(buffer: Buffer): void {
    const next = this.waiting.shift();
    if (next) {
      next(buffer);
      return;
    }
    this.taken--;
    this.spare.push(buffer);
  }

  /** When nobody is going to need them soon. */
  release(): void {
    for (const buffer of this.spare.splice(0)) releaseBuffer(buffer);
  }
}

export interface Place {
  readonly pack: PackId;
  readonly offset: number;
  readonly length: number;
}

export class PackWriter {
  readonly written: WrittenPack[] = [];
  private readonly vault: Vault;
  private readonly key: VaultKey;
  private readonly transfer: TransferId;
  private readonly content: PackContent;
  private readonly buffers: PackBuffers;
  private readonly uploads = new Set<Promise<void>>();
  private open: OpenPack | undefined;
  /** The first failed upload: an upload that ended is no longer waited for, its failure must not be forgotten. */
  private failure: { readonly cause: unknown } | undefined;

  constructor(
    vault: Vault,
    key: VaultKey,
    transfer: TransferId,
    content: PackContent,
    buffers: PackBuffers = new PackBuffers(),
  ) {
    this.vault = vault;
    this.key = key;
    this.transfer = transfer;
    this.content = content;
    this.buffers = buffers;
  }

  /** Where the bytes will lie once the pack they went into is uploaded. */
  async append(bytes: Uint8Array, id: Buffer, rawLength: number): Promise<Place> {
    if (this.open && !this.open.fits(bytes.length)) this.startUpload(this.open);
    this.open ??= new OpenPack(this.packId(), encodePackHeader(this.key, this.content), await this.buffers.take());
    this.throwIfFailed();
    return this.open.append(bytes, id, rawLength);
  }

  /** After this, and not before, everything appended is stored. */
  async finish(): Promise<readonly WrittenPack[]> {
    if (this.open) this.startUpload(this.open);
    await Promise.all(this.uploads);
    this.throwIfFailed();
    return this.written;
  }

  /** Instead of finishing: nothing more comes, and the memory of the open pack is for others. */
  abandon(): void {
    if (this.open) this.buffers.giveBack(this.open.buffer);
    this.open = undefined;
  }

  private startUpload(pack: OpenPack): void {
    this.open = undefined;
    const upload: Promise<void> = this.upload(pack)
      .catch((cause) => {
        this.failure ??= { cause };
      })
      .finally(() => {
        this.uploads.delete(upload);
        this.buffers.giveBack(pack.buffer);
      });
    this.uploads.add(upload);
  }

  private throwIfFailed(): void {
    if (this.failure) throw this.failure.cause;
  }

  private async upload(pack: OpenPack): Promise<void> {
    const binding = { kind: "pack-table", item: null, transfer: this.transfer } as const;
    const table = seal(this.vault, this.key, binding, encodePackTable(pack.id.number, pack.entries));
    const body = pack.close(table);
    const { md5 } = await createOwn(this.vault.archive, packName(pack.id), body);
    this.written.push({ number: pack.id.number, sizeBytes: body.length, md5: md5 ?? md5Of(body) });
  }

  private packId(): PackId {
    return { transfer: this.transfer, number: makePackNumber(this.vault.random.bytes(8)) };
  }
}

class OpenPack {
  readonly id: PackId;
  readonly entries: PackTableEntry[] = [];
  buffer: Buffer;
  private used = 0;

  constructor(id: PackId, header: Buffer, buffer: Buffer) {
    this.id = id;
    this.buffer = buffer;
    this.write(header);
  }

  fits(length: number): boolean {
    const tail = ENVELOPE_HEADER_BYTES + packTableBytes(this.entries.length + 1) + PACK_FOOTER_BYTES;
    return this.used === PACK_HEADER_BYTES || this.used + length + tail <= MAX_PACK_BYTES;
  }

  append(bytes: Uint8Array, id: Buffer, rawLength: number): Place {
    const offset = this.used;
    this.write(bytes);
    this.entries.push({ offset, length: bytes.length, rawLength, id });
    return { pack: this.id, offset, length: bytes.length };
  }

  close(table: Uint8Array): Buffer {
    this.write(table);
    this.write(encodePackFooter(table.length));
    return this.buffer.subarray(0, this.used);
  }

  private write(bytes: Uint8Array): void {
    const end = this.used + bytes.length;
    if (end > this.buffer.length) {
      const larger = Buffer.allocUnsafeSlow(Math.max(end, Math.min(this.buffer.length * 4, MAX_PACK_BYTES)));
      larger.set(this.buffer.subarray(0, this.used));
      releaseBuffer(this.buffer);
      this.buffer = larger;
    }
    this.buffer.set(bytes, this.used);
    this.used = end;
  }
}
