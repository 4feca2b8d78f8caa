// Disks in memory: bytes with a history of snapshots, as sources and sinks of a vault under test.

import { HoldfastFailure } from "../../src/base/failure.ts";
import type { DiskSink } from "../../src/ports/disk-sink.ts";
import type { DiskSource, SnapshotIdentity } from "../../src/ports/disk-source.ts";
import type { ByteRange } from "../../src/ports/object-store.ts";

const BLOCK = 4096;

/** Bytes that look like data, the same for the same seed. Half of them compress. */
export function fillBytes(length: number, seed: number): Buffer {
  const bytes = Buffer.alloc(length);
  let state = (seed * 2_654_435_761) >>> 0 || 1;
  for (let at = 0; at < length; at++) {
    state ^= state << 13;
    state ^= state >>> 17;
    state ^= state << 5;
    bytes[at] = (at & 512) === 0 ? state & 0xff : (seed & 0xff) | 1;
  }
  return bytes;
}

export class MemoryDisk {
  readonly id: string;
  bytes: Buffer;
  private readonly snapshots: { readonly id: string; readonly changed: ByteRange[] }[] = [];
  private changedSince: ByteRange[] = [];

  constructor(sizeBytes: number, id = "disk-1") {
    this.id = id;
    this.bytes = Buffer.alloc(sizeBytes);
  }

  write(offset: number, data: Uint8Array): void {
    this.bytes.set(data, offset);
    this.changedSince.push({ offset, length: data.length });
  }

  fill(offset: number, length: number, seed: number): void {
    this.write(offset, fillBytes(length, seed));
  }

  grow(sizeBytes: number): void {
    this.bytes = Buffer.concat([this.bytes, Buffer.alloc(sizeBytes - this.bytes.length)]);
  }

  /** A source over the disk as it is now. One that cannot diff makes every backup compare by content. */
  snapshot(options: { canDiff?: boolean; unreadable?: readonly ByteRange[] } = {}): MemorySource {
    this.snapshots.push({ id: `${this.id}-${this.snapshots.length + 1}`, changed: this.changedSince });
    this.changedSince = [];
    const latest = this.snapshots.at(-1)?.id ?? "";
    return new MemorySource(Buffer.from(this.bytes), this.id, latest, [...this.snapshots], options);
  }
}

export class MemorySource implements DiskSource {
  readonly sizeBytes: number;
  readonly identity: SnapshotIdentity;
  readBytes = 0;
  private readonly bytes: Buffer;
  private readonly history: readonly { readonly id: string; readonly changed: readonly ByteRange[] }[];
  private readonly options: { readonly canDiff?: boolean; readonly unreadable?: readonly ByteRange[] };

  constructor(
    bytes: Buffer,
    diskId: string,
    snapshotId: string,
    history: readonly { readonly id: string; readonly changed: readonly ByteRange[] }[],
    options: { readonly canDiff?: boolean; readonly unreadable?: readonly ByteRange[] },
  ) {
    this.bytes = bytes;
    this.sizeBytes = bytes.length;
    this.identity = { diskUniqueId: diskId, snapshotId, snapshotTime: "2026-01-01T00:00:00.000Z" };
    this.history = history;
    this.options = options;
  }

  async *allocatedRanges() {
    const zeros = Buffer.alloc(BLOCK);
    for (let offset = 0; offset < this.sizeBytes; offset += BLOCK) {
      const block = this.bytes.subarray(offset, offset + BLOCK);
      if (!zeros.subarray(0, block.length).equals(block)) yield { offset, length: block.length };
    }
  }

  async changedRanges(since: SnapshotIdentity) {
    const index = this.history.findIndex((snapshot) => snapshot.id === since.snapshotId);
    if (this.options.canDiff === false || index < 0) return undefined;
    const changed = this.history.slice(index + 1).flatMap((snapshot) => snapshot.changed);
    return (async function* () {
      yield* changed;
    })();
  }

  async read({ offset, length }: ByteRange): Promise<Uint8Array> {
    const bad = this.options.unreadable?.some(
      (range) => offset < range.offset + range.length && range.offset < offset + length,
    );
    if (bad) throw new HoldfastFailure("unavailable", "HoldfastSourceUnreadable", `bad sector near ${offset}`);
    this.readBytes += length;
    return Buffer.from(this.bytes.subarray(offset, offset + length));
  }
}

/** A sink that refuses what a sink may expect never to happen. */
export class MemorySink implements DiskSink {
  readonly bytes: Buffer;
  isFinished = false;
  private readonly written = new Set<number>();

  constructor(sizeBytes: number) {
    this.bytes = Buffer.alloc(sizeBytes);
  }

  async write(offset: number, bytes: Uint8Array): Promise<void> {
    if (this.isFinished || this.written.has(offset)) throw new Error(`offset ${offset} is written twice, or too late`);
    if (offset + bytes.length > this.bytes.length) throw new Error("written beyond the end");
    this.written.add(offset);
    this.bytes.set(bytes, offset);
  }

  async finish(): Promise<void> {
    this.isFinished = true;
  }

  async discard(): Promise<void> {
    this.isFinished = true;
  }
}
