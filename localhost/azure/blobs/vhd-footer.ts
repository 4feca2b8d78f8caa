// The last 512 bytes of a fixed VHD: Azure shows every managed disk as one. Pure; the identity comes from the volume, so a
// disk's footer is always the same.
const FOOTER_BYTES = 512;
const FIXED_DISK = 2;
const CHECKSUM_AT = 64;

export function vhdFooter(sizeBytes: number, identity: number): Buffer {
  const footer = Buffer.alloc(FOOTER_BYTES);
  footer.write("conectix", 0, "latin1");
  footer.writeUInt32BE(2, 8);
  footer.writeUInt32BE(0x00010000, 12);
  footer.fill(0xff, 16, 24); // fixed disks have no dynamic header
  footer.write("sim ", 28, "latin1");
  footer.writeUInt32BE(0x00010000, 32);
  footer.write("Wi2k", 36, "latin1");
  footer.writeBigUInt64BE(BigInt(sizeBytes), 40);
  footer.writeBigUInt64BE(BigInt(sizeBytes), 48);
  footer.writeUInt32BE(geometry(sizeBytes), 56);
  footer.writeUInt32BE(FIXED_DISK, 60);
  footer.writeUInt32BE(identity, 68);
  let sum = 0;
  for (const byte of footer) sum += byte;
  footer.writeUInt32BE(~sum >>> 0, CHECKSUM_AT);
  return footer;
}

/** Cylinders, heads and sectors by the format's own rule; large disks stop at its maximum. */
function geometry(sizeBytes: number): number {
  const sectors = Math.min(sizeBytes / 512, 65535 * 16 * 255);
  let perTrack = 255;
  let heads = 16;
  let tracks = Math.floor(sectors / perTrack);
  if (sectors < 65535 * 16 * 63) {
    perTrack = 17;
    tracks = Math.floor(sectors / perTrack);
    heads = Math.max(4, Math.floor((tracks + 1023) / 1024));
    if (tracks >= heads * 1024 || heads > 16) {
      perTrack = 31;
      heads = 16;
      tracks = Math.floor(sectors / perTrack);
    }
    if (tracks >= heads * 1024) {
      perTrack = 63;
      heads = 16;
      tracks = Math.floor(sectors / perTrack);
    }
  }
  return ((Math.floor(tracks / heads) << 16) | (heads << 8) | perTrack) >>> 0;
}
