// The CRC-64 that Azure Storage uses for x-ms-content-crc64 (reflected polynomial 0x9A6C9329AC4BC9B5, all ones in and out).
// Two 32-bit halves and eight tables: JavaScript has no fast 64-bit integers. Pure.
const LOW_POLYNOMIAL = 0xac4bc9b5;
const HIGH_POLYNOMIAL = 0x9a6c9329;

const { low: LOW, high: HIGH } = tables();

/** The checksum as the eight little-endian bytes that travel (in base64) on the wire. */
export function crc64(chunks: readonly Uint8Array[]): Buffer {
  let low = 0xffffffff;
  let high = 0xffffffff;
  for (const chunk of chunks) {
    let at = 0;
    for (; at + 8 <= chunk.length; at += 8) {
      const a =
        low ^
        ((chunk[at] as number) |
          ((chunk[at + 1] as number) << 8) |
          ((chunk[at + 2] as number) << 16) |
          ((chunk[at + 3] as number) << 24));
      const b =
        high ^
        ((chunk[at + 4] as number) |
          ((chunk[at + 5] as number) << 8) |
          ((chunk[at + 6] as number) << 16) |
          ((chunk[at + 7] as number) << 24));
      const i0 = 1792 + (a & 255);
      const i1 = 1536 + ((a >>> 8) & 255);
      const i2 = 1280 + ((a >>> 16) & 255);
      const i3 = 1024 + (a >>> 24);
      const i4 = 768 + (b & 255);
      const i5 = 512 + ((b >>> 8) & 255);
      const i6 = 256 + ((b >>> 16) & 255);
      const i7 = b >>> 24;
      low =
        (LOW[i0] as number) ^
        (LOW[i1] as number) ^
        (LOW[i2] as number) ^
        (LOW[i3] as number) ^
        (LOW[i4] as number) ^
        (LOW[i5] as number) ^
        (LOW[i6] as number) ^
        (LOW[i7] as number);
      high =
        (HIGH[i0] as number) ^
        (HIGH[i1] as number) ^
        (HIGH[i2] as number) ^
        (HIGH[i3] as number) ^
        (HIGH[i4] as number) ^
        (HIGH[i5] as number) ^
        (HIGH[i6] as number) ^
        (HIGH[i7] as number);
    }
    for (; at < chunk.length; at += 1) {
      const index = (low ^ (chunk[at] as number)) & 255;
      low = ((low >>> 8) | (high << 24)) ^ (LOW[index] as number);
      high = (high >>> 8) ^ (HIGH[index] as number);
    }
  }
  const bytes = Buffer.allocUnsafe(8);
  bytes.writeUInt32LE(~low >>> 0, 0);
  bytes.writeUInt32LE(~high >>> 0, 4);
  return bytes;
}

/** Table k holds the effect of a byte followed by k zero bytes. */
function tables(): { low: Int32Array; high: Int32Array } {
  const low = new Int32Array(2048);
  const high = new Int32Array(2048);
  for (let byte = 0; byte < 256; byte += 1) {
    let l = byte;
    let h = 0;
    for (let bit = 0; bit < 8; bit += 1) {
      const odd = l & 1;
      l = (l >>> 1) | (h << 31);
      h >>>= 1;
      if (odd === 1) {
        l ^= LOW_POLYNOMIAL;
        h ^= HIGH_POLYNOMIAL;
      }
    }
    low[byte] = l;
    high[byte] = h;
  }
  for (let index = 256; index < 2048; index += 1) {
    const l = low[index - 256] as number;
    const h = high[index - 256] as number;
    low[index] = ((l >>> 8) | (h << 24)) ^ (low[l & 255] as number);
    high[index] = (h >>> 8) ^ (high[l & 255] as number);
  }
  return { low, high };
}
