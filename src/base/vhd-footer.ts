// The last 512 bytes of a fixed VHD: what makes raw bytes of a disk the one image format that Azure takes. What lies before
// it is the disk, byte for byte.

export const FOOTER_BYTES = 512;

const COOKIE = "conectix";
const FIXED_DISK = 2;

/** Whether these bytes, found behind a disk of this size, are its footer. */
export function isFixedVhdFooter(footer: Buffer, sizeBytes: number): boolean {
  if (footer.toString("latin1", 0, 8) !== COOKIE || footer.readUInt32BE(60) !== FIXED_DISK) return false;
  return Number(footer.readBigUInt64BE(48)) === sizeBytes && checksumOf(footer) === footer.readUInt32BE(64);
}

/** The footer of a fixed VHD, as Azure accepts it: current size equals original size, geometry by the format's own rule. */
export function fixedVhdFooter(sizeBytes: number, uniqueId: Uint8Array, createdAt: Date): Buffer {
  const footer = Buffer.alloc(FOOTER_BYTES);
  footer.write(COOKIE, 0, "latin1");
  footer.writeUInt32BE(2, 8);
  footer.writeUInt32BE(0x0001_0000, 12);
  footer.fill(0xff, 16, 24);
  footer.writeUInt32BE(Math.max(0, Math.floor((createdAt.getTime() - Date.UTC(2000, 0, 1)) / 1000)), 24);
  footer.write("hfst", 28, "latin1");
  footer.writeUInt32BE(0x0001_0000, 32);
  footer.write("Wi2k", 36, "latin1");
  footer.writeBigUInt64BE(BigInt(sizeBytes), 40);
  footer.writeBigUInt64BE(BigInt(sizeBytes), 48);
  const { cylinders, heads, sectors } = vhdGeometry(sizeBytes / 512);
  footer.writeUInt16BE(cylinders, 56);
  footer.writeUInt8(heads, 58);
  footer.writeUInt8(sectors, 59);
  footer.writeUInt32BE(FIXED_DISK, 60);
  footer.set(uniqueId.subarray(0, 16), 68);
  footer.writeUInt32BE(checksumOf(footer), 64);
  return footer;
}

/** The complement of the sum of all bytes but its own four. */
function checksumOf(footer: Uint8Array): number {
  const sum = footer.reduce((total, byte, at) => (at >= 64 && at < 68 ? total : total + byte), 0);
  return ~sum >>> 0;
}

function vhdGeometry(totalSectors: number): { cylinders: number; heads: number; sectors: number } {
  const total = Math.min(totalSectors, 65_535 * 16 * 255);
  if (total >= 65_535 * 16 * 63) return { cylinders: Math.floor(total / 255 / 16), heads: 16, sectors: 255 };
  let sectors = 17;
  let tracks = Math.floor(total / sectors);
  let heads = Math.max(4, Math.floor((tracks + 1023) / 1024));
  if (tracks >= heads * 1024 || heads > 16) {
    sectors = 31;
    heads = 16;
    tracks = Math.floor(total / sectors);
  }
  if (tracks >= heads * 1024) {
    sectors = 63;
    heads = 16;
    tracks = Math.floor(total / sectors);
  }
  return { cylinders: Math.floor(tracks / heads), heads, sectors };
}
