// A disk image: the read-only bottom of disks. Either generated (from a seed, so it takes no space and every machine has
// the same) or a raw file somewhere on this machine. Disks made from one image share it, as they do in Azure.
import { open } from "node:fs/promises";
import { HoldfastFailure } from "../../../src/base/failure.ts";
import type { FilePool } from "./file-pool.ts";
import { fillGenerated, generatedExtents, seedOf } from "./generated-content.ts";
import { EMPTY_MAP, PAGE_BYTES, type PageMap, withExtent } from "./page-map.ts";

export type ImageDefinition =
  | { readonly kind: "generated"; readonly seed: string; readonly sizeBytes: number; readonly allocatedBytes: number }
  | { readonly kind: "file"; readonly path: string; readonly sizeBytes: number };

export function imageMap(image: ImageDefinition, source: number): PageMap {
  if (image.kind === "file")
    return withExtent(EMPTY_MAP, { start: 0, end: image.sizeBytes / PAGE_BYTES, source, at: 0 });
  const extents = generatedExtents(seedOf(image.seed), source, image.sizeBytes, image.allocatedBytes);
  return extents.reduce(withExtent, EMPTY_MAP);
}

export async function readImage(
  image: ImageDefinition,
  files: FilePool,
  target: Buffer,
  position: number,
): Promise<void> {
  if (image.kind === "generated") return fillGenerated(target, seedOf(image.seed), position);
  return files.read({ path: image.path, writable: false }, target, position);
}

/** A raw file as an image; a fixed VHD is taken without its footer. */
export async function imageFromFile(path: string): Promise<ImageDefinition> {
  const file = await open(path, "r").catch((cause: unknown) => {
    throw new HoldfastFailure("not-found", "ImageFileNotFound", `The disk image ${path} cannot be opened`, { cause });
  });
  try {
    const { size } = await file.stat();
    const tail = Buffer.alloc(PAGE_BYTES);
    if (size >= PAGE_BYTES) await file.read(tail, 0, PAGE_BYTES, size - PAGE_BYTES);
    const sizeBytes = tail.toString("latin1", 0, 8) === "conectix" ? size - PAGE_BYTES : size;
    if (sizeBytes === 0 || sizeBytes % PAGE_BYTES !== 0)
      throw new HoldfastFailure("invalid", "ImageFileNotWholePages", `The disk image ${path} has ${sizeBytes} bytes`, {
        hint: "A raw disk image is a whole number of 512-byte sectors; convert other formats to raw first.",
      });
    return { kind: "file", path, sizeBytes };
  } finally {
    await file.close();
  }
}
