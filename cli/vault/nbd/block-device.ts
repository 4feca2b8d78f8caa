// What the server serves: a disk by offset and length. Ranges given to it lie within the disk.

import type { ByteRange } from "../../../src/ports/object-store.ts";

export interface Extent extends ByteRange {
  /** Both holes and zeros read as zeros; a hole takes no room either. */
  readonly kind: "data" | "zero" | "hole";
}

export interface BlockDevice {
  readonly sizeBytes: number;

  read(range: ByteRange): Promise<Uint8Array>;

  /** Ascending, without gaps from the start of the range; it may end before the range does, but tells at least one. */
  extents(range: ByteRange): AsyncIterable<Extent>;

  /** Absent for a device that cannot be written. Both take effect before they resolve. */
  readonly write?: (offset: number, bytes: Uint8Array) => Promise<void>;
  readonly writeZeros?: (range: ByteRange) => Promise<void>;
}

/** Neighbours of one kind as one. */
export async function* joinExtents(extents: AsyncIterable<Extent>): AsyncGenerator<Extent> {
  let open: Extent | undefined;
  for await (const extent of extents) {
    if (open?.kind === extent.kind) {
      open = { ...open, length: open.length + extent.length };
      continue;
    }
    if (open) yield open;
    open = extent;
  }
  if (open) yield open;
}
