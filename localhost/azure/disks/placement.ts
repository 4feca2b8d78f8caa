// Where the pages of a write go in a layer file, and how the pages of a read are fetched from one. Pure plans.
import type { Extent } from "./page-map.ts";

/** Where a live volume's new pages go until its next snapshot. */
export interface OpenLayer {
  readonly id: number;
  nextPage: number;
}

/** Pieces of a source closer than this are fetched in one read. */
const MERGE_GAP_PAGES = 32;
const MERGED_READ_PAGES = 8192;

export interface Piece {
  readonly start: number;
  readonly end: number;
  readonly at: number;
  readonly fresh: boolean;
}

/** Where each page of a write goes: over its earlier bytes in the open layer, else to the layer's end. */
export function placed(existing: readonly Extent[], layer: OpenLayer, start: number, end: number): Piece[] {
  const pieces: Piece[] = [];
  const fresh = (from: number, to: number) => {
    pieces.push({ start: from, end: to, at: layer.nextPage, fresh: true });
    layer.nextPage += to - from;
  };
  let position = start;
  for (const extent of existing) {
    if (extent.source !== layer.id) continue;
    if (extent.start > position) fresh(position, extent.start);
    pieces.push({ start: extent.start, end: extent.end, at: extent.at, fresh: false });
    position = extent.end;
  }
  if (position < end) fresh(position, end);
  return pieces;
}

export function sliceOf(chunks: readonly Uint8Array[], from: number, to: number): Uint8Array {
  const whole = chunks.length === 1 ? (chunks[0] as Uint8Array) : Buffer.concat(chunks);
  return whole.subarray(from, to);
}

/** Groups extents that lie close together in one source, so that scattered small pages cost few reads. */
export function readRuns(extents: readonly Extent[]): Extent[][] {
  if (extents.length <= 1) return extents.map((extent) => [extent]);
  const sorted = [...extents].sort((a, b) => a.source - b.source || a.at - b.at);
  const runs: Extent[][] = [];
  for (const extent of sorted) {
    const run = runs.at(-1);
    const last = run?.at(-1);
    const first = run?.[0];
    const near =
      last !== undefined &&
      first !== undefined &&
      last.source === extent.source &&
      extent.at - (last.at + last.end - last.start) <= MERGE_GAP_PAGES &&
      extent.at + extent.end - extent.start - first.at <= MERGED_READ_PAGES &&
      extent.end - extent.start < MERGED_READ_PAGES / 4;
    if (near) run?.push(extent);
    else runs.push([extent]);
  }
  return runs;
}
