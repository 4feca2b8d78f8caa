// The disk that vault benches back up: an ext4 image with files of this machine, and what a day does to it. Made once a run,
// in the folder that bench/main.ts hands to every bench; the same machine makes the same image and the same churn again.

import { execFileSync, spawnSync } from "node:child_process";
import { createHash } from "node:crypto";
import { existsSync, linkSync, mkdirSync, readdirSync, renameSync, rmSync, statSync } from "node:fs";
import { copyFile, open } from "node:fs/promises";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import type { ByteRange } from "../../src/ports/object-store.ts";

const KiB = 1024;
const MiB = 2 ** 20;
const GiB = 2 ** 30;
/** Enough for a look; the bars are about 4 GiB. */
const IMAGE_BYTES = Number(process.env.HOLDFAST_BENCH_GIB ?? "4") * GiB;
const FILE_ROOTS = ["/usr", "/opt", "/home"];
/** Fixed, so that the image is the same when it is made again. */
const FILE_SYSTEM_ID = "6f1d0f5e-7c1b-4f44-9d53-9a4c6d1b2a10";

const CHURN_BYTES = 80 * MiB;
const HOT_ZONES = 8;
const HOT_ZONE_BYTES = 64 * MiB;
const HOT_SHARE = 0.8;

/** Where benches keep what they make. */
export function benchFolder(): string {
  const folder = process.env.HOLDFAST_BENCH_FOLDER ?? join(tmpdir(), "holdfast-bench");
  mkdirSync(folder, { recursive: true });
  return folder;
}

/** Why no image can be made here. */
export function lacksForImage(): string | undefined {
  return findMke2fs() ? undefined : "mke2fs (e2fsprogs) is not installed";
}

/** The image as it was made; only `withChurn` changes it, and changes it back. */
export async function diskImage(): Promise<string> {
  const image = join(benchFolder(), `disk-${IMAGE_BYTES / MiB}.img`);
  if (!existsSync(image)) await makeImage(image);
  return image;
}

async function makeImage(image: string): Promise<void> {
  const staging = `${image}.files`;
  rmSync(staging, { recursive: true, force: true });
  let left = IMAGE_BYTES / 2;
  for (const path of filesUnder(FILE_ROOTS)) {
    const { size } = statSync(path, { throwIfNoEntry: false }) ?? { size: Number.POSITIVE_INFINITY };
    if (size > left) continue;
    const target = join(staging, path);
    mkdirSync(dirname(target), { recursive: true });
    await linkOrCopy(path, target);
    left -= size;
    if (left < 64 * KiB) break;
  }
  const partial = `${image}.partial`;
  rmSync(partial, { force: true });
  const options = ["-q", "-t", "ext4", "-U", FILE_SYSTEM_ID, "-E", `hash_seed=${FILE_SYSTEM_ID}`, "-d", staging];
  execFileSync(findMke2fs() as string, [...options, partial, `${IMAGE_BYTES / KiB}k`], { stdio: "pipe" });
  rmSync(staging, { recursive: true });
  renameSync(partial, image);
}

function* filesUnder(folders: readonly string[]): Generator<string> {
  for (const folder of folders) {
    if (!existsSync(folder)) continue;
    const entries = readdirSync(folder, { withFileTypes: true }).sort((left, right) =>
      left.name < right.name ? -1 : 1,
    );
    yield* entries.filter((entry) => entry.isFile()).map((entry) => join(folder, entry.name));
    yield* filesUnder(entries.filter((entry) => entry.isDirectory()).map((entry) => join(folder, entry.name)));
  }
}

async function linkOrCopy(from: string, to: string): Promise<void> {
  try {
    linkSync(from, to);
  } catch {
    // Another file system, or a file that may not be linked: its bytes do as well, and one that cannot be read is left out.
    await copyFile(from, to).catch(() => undefined);
  }
}

function findMke2fs(): string | undefined {
  return ["mke2fs", "/sbin/mke2fs", "/usr/sbin/mke2fs"].find((program) => !spawnSync(program, ["-V"]).error);
}

/**
 * Writes of 4 to 256 KiB, four bytes in five of them in eight hot zones of 64 MiB, the rest anywhere, 80 MiB in all; undone
 * when `use` is over. The image has another name meanwhile: a bench that was killed leaves no image that seems unchanged.
 */
export async function withChurn<T>(
  image: string,
  use: (churned: string, ranges: ByteRange[]) => Promise<T>,
): Promise<T> {
  const churned = image.replace(/\.img$/, ".churned.img");
  renameSync(image, churned);
  const file = await open(churned, "r+");
  const random = new SeededRandom(20_240_229);
  const ranges = churnRanges((await file.stat()).size, random);
  const before: Buffer[] = [];
  for (const { offset, length } of ranges) {
    const old = Buffer.alloc(length);
    await file.read(old, 0, length, offset);
    before.push(old);
    await file.write(random.bytes(length), 0, length, offset);
  }
  await file.sync();
  const result = await use(churned, ranges);
  for (const [index, { offset, length }] of [...ranges.entries()].reverse()) {
    await file.write(before[index] as Buffer, 0, length, offset);
  }
  await file.close();
  renameSync(churned, image);
  return result;
}

function churnRanges(sizeBytes: number, random: SeededRandom): ByteRange[] {
  const zones = Array.from({ length: HOT_ZONES }, () => random.below(sizeBytes - HOT_ZONE_BYTES - 256 * KiB));
  const ranges: ByteRange[] = [];
  for (let written = 0; written < CHURN_BYTES; ) {
    const length = 4 * KiB * (1 + random.below(64));
    const isHot = random.below(1_000_000) < HOT_SHARE * 1_000_000;
    const zone = zones[random.below(HOT_ZONES)] as number;
    const place = isHot ? zone + random.below(HOT_ZONE_BYTES) : random.below(sizeBytes - length);
    ranges.push({ offset: Math.floor(place / (4 * KiB)) * 4 * KiB, length });
    written += length;
  }
  return ranges;
}

/** Numbers that are the same in every run. */
class SeededRandom {
  private state: number;

  constructor(seed: number) {
    this.state = seed;
  }

  below(limit: number): number {
    return Math.floor(((this.next() * 2 ** 21 + (this.next() >>> 11)) / 2 ** 53) * limit);
  }

  /** Bytes that do not compress. */
  bytes(length: number): Buffer {
    const bytes = Buffer.alloc(length);
    for (let at = 0; at < length; at += 4) bytes.writeUInt32LE(this.next(), at);
    return bytes;
  }

  /** xorshift32. */
  private next(): number {
    this.state ^= this.state << 13;
    this.state ^= this.state >>> 17;
    this.state ^= this.state << 5;
    return this.state >>> 0;
  }
}

export async function digestOf(path: string): Promise<string> {
  const hash = createHash("sha256");
  const file = await open(path, "r");
  for await (const part of file.createReadStream({ highWaterMark: MiB })) hash.update(part as Buffer);
  return hash.digest("hex");
}
