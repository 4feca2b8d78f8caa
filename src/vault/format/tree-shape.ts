// The arithmetic of a disk's index: chunks in leaves, leaves under inner nodes, and how deep that goes. Everything follows
// from the size of the disk and of its chunks, so none of it is stored.

import { assert } from "../../base/assert.ts";

export const LEAF_ENTRIES = 128;
export const NODE_CHILDREN = 256;
export const MIN_CHUNK_BYTES = 64 * 1024;
export const MAX_CHUNK_BYTES = 8 * 1024 * 1024;
export const DEFAULT_CHUNK_BYTES = 512 * 1024;
export const MAX_DISK_BYTES = 64 * 2 ** 40;

export interface TreeShape {
  readonly sizeBytes: number;
  readonly chunkBytes: number;
  readonly chunkCount: number;
  readonly leafCount: number;
  /** The level of the root: 0 when the root is a leaf. */
  readonly rootLevel: number;
}

export function isChunkSize(bytes: number): boolean {
  return Number.isInteger(Math.log2(bytes)) && bytes >= MIN_CHUNK_BYTES && bytes <= MAX_CHUNK_BYTES;
}

export function treeShapeOf(sizeBytes: number, chunkBytes: number): TreeShape {
  assert(Number.isSafeInteger(sizeBytes) && sizeBytes > 0 && sizeBytes <= MAX_DISK_BYTES, `disk size ${sizeBytes}`);
  assert(isChunkSize(chunkBytes), `chunk size ${chunkBytes}`);
  const chunkCount = Math.ceil(sizeBytes / chunkBytes);
  const leafCount = Math.ceil(chunkCount / LEAF_ENTRIES);
  let rootLevel = 0;
  while (NODE_CHILDREN ** rootLevel < leafCount) rootLevel++;
  return { sizeBytes, chunkBytes, chunkCount, leafCount, rootLevel };
}

/** How many bytes the chunk has: the last one of a disk may be shorter. */
export function chunkLength(shape: TreeShape, chunkIndex: number): number {
  assert(chunkIndex >= 0 && chunkIndex < shape.chunkCount, `chunk ${chunkIndex}`);
  return Math.min(shape.chunkBytes, shape.sizeBytes - chunkIndex * shape.chunkBytes);
}

export function leafEntryCount(shape: TreeShape, leafIndex: number): number {
  return Math.min(LEAF_ENTRIES, shape.chunkCount - leafIndex * LEAF_ENTRIES);
}

/** How many leaves lie under a node of this level: 1 for a leaf itself. */
export function leavesUnder(level: number): number {
  return NODE_CHILDREN ** level;
}
