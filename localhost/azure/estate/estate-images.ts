// The images an estate names, as the store knows them.
import { dirname, resolve } from "node:path";
import { HoldfastFailure } from "../../../src/base/failure.ts";
import type { World } from "../arm/world.ts";
import { GIB } from "../compute/disk-model.ts";
import { type ImageDefinition, imageFromFile } from "../disks/image.ts";
import type { Estate } from "./estate-schema.ts";

const MIB = 1024 * 1024;

export interface BuiltImage {
  /** Number of the image (or a volume) whose content a disk begins with; none means zeros. */
  readonly source: number | undefined;
  readonly sizeBytes: number;
}

export type BuiltImages = ReadonlyMap<string, BuiltImage>;

/** `path` of the estate file: image paths are relative to it. */
export async function buildImages(world: World, estate: Estate, path: string | undefined): Promise<BuiltImages> {
  const images = new Map<string, BuiltImage>();
  for (const [name, described] of Object.entries(estate.images)) {
    const image =
      "path" in described
        ? await imageFromFile(resolve(path === undefined ? "." : dirname(path), described.path))
        : generatedImage(
            described.generated.seed ?? name,
            described.generated.sizeGiB * GIB,
            described.generated.allocatedMiB,
          );
    const { id, entries } = world.disks.planImage(image);
    await world.state.commit(entries);
    images.set(name, { source: id, sizeBytes: image.sizeBytes });
  }
  return images;
}

export function generatedImage(seed: string, sizeBytes: number, allocatedMiB: number): ImageDefinition {
  return { kind: "generated", seed, sizeBytes, allocatedBytes: Math.min(sizeBytes, allocatedMiB * MIB) };
}

export function imageOf(images: BuiltImages, name: string): BuiltImage {
  const found = images.get(name);
  if (found !== undefined) return found;
  throw new HoldfastFailure("invalid", "EstateImageUnknown", `The estate has no image '${name}'`, {
    hint: `Its images are: ${[...images.keys()].join(", ") || "none"}.`,
  });
}
