// Little-endian fields over bytes, for every binary encoding of the vault. The reader checks each length against what
// is left before it touches anything, so that damaged or hostile bytes end in a failure and never in a large allocation.

import { HoldfastFailure } from "../../base/failure.ts";

export class ByteWriter {
  private bytes: Buffer;
  private used = 0;

  constructor(capacity = 1024) {
    this.bytes = Buffer.allocUnsafe(capacity);
  }

  u8(value: number): this {
    const offset = this.reserve(1);
    this.bytes.writeUInt8(value, offset);
    return this;
  }

  u16(value: number): this {
    const offset = this.reserve(2);
    this.bytes.writeUInt16LE(value, offset);
    return this;
  }

  u32(value: number): this {
    const offset = this.reserve(4);
    this.bytes.writeUInt32LE(value, offset);
    return this;
  }

  i32(value: number): this {
    const offset = this.reserve(4);
    this.bytes.writeInt32LE(value, offset);
    return this;
  }

  /** Whole numbers below 2^53 in eight bytes. */
  u64(value: number): this {
    const offset = this.reserve(8);
    this.bytes.writeBigUInt64LE(BigInt(value), offset);
    return this;
  }

  raw(value: Uint8Array): this {
    const offset = this.reserve(value.length);
    this.bytes.set(value, offset);
    return this;
  }

  /** Bytes with their length in front. */
  sized(value: Uint8Array): this {
    return this.u32(value.length).raw(value);
  }

  take(): Buffer {
    return this.bytes.subarray(0, this.used);
  }

  /** Makes room first: `bytes` may be another buffer afterwards. */
  private reserve(count: number): number {
    const offset = this.used;
    this.used += count;
    if (this.used > this.bytes.length) {
      const larger = Buffer.allocUnsafe(Math.max(this.used, this.bytes.length * 2));
      larger.set(this.bytes.subarray(0, offset));
      this.bytes = larger;
    }
    return offset;
  }
}

export class ByteReader {
  private readonly bytes: Buffer;
  private readonly what: string;
  private offset = 0;

  constructor(bytes: Uint8Array, what: string) {
    this.bytes = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength);
    this.what = what;
  }

  u8(): number {
    return this.bytes.readUInt8(this.advance(1));
  }

  u16(): number {
    return this.bytes.readUInt16LE(this.advance(2));
  }

  u32(): number {
    return this.bytes.readUInt32LE(this.advance(4));
  }

  i32(): number {
    return this.bytes.readInt32LE(this.advance(4));
  }

  u64(): number {
    const value = this.bytes.readBigUInt64LE(this.advance(8));
    if (value > BigInt(Number.MAX_SAFE_INTEGER)) throw malformed(this.what, "a number is too large");
    return Number(value);
  }

  raw(count: number): Buffer {
    const offset = this.advance(count);
    return this.bytes.subarray(offset, offset + count);
  }

  sized(maxLength: number): Buffer {
    const length = this.u32();
    if (length > maxLength) throw malformed(this.what, `a field of ${length} bytes exceeds ${maxLength}`);
    return this.raw(length);
  }

  /** A count whose items take at least `itemBytes` each: more than can be left is refused before any allocation. */
  count(itemBytes: number): number {
    const count = this.u32();
    if (count * itemBytes > this.left) throw malformed(this.what, `${count} items do not fit`);
    return count;
  }

  get left(): number {
    return this.bytes.length - this.offset;
  }

  end(): void {
    if (this.left !== 0) throw malformed(this.what, `${this.left} bytes follow its end`);
  }

  private advance(count: number): number {
    if (count > this.left) throw malformed(this.what, "it ends too early");
    const offset = this.offset;
    this.offset += count;
    return offset;
  }
}

/** Bytes that do not say what their format demands: damaged, forged, or written by something else. */
export function malformed(what: string, why: string): HoldfastFailure {
  return new HoldfastFailure("corrupt", "HoldfastMalformed", `${what} is malformed: ${why}`);
}
