// What a machine does to its disks in one tick: writes that follow from (workload, disk, seed, tick) alone, so that a run
// can be repeated. Each kind touches a bounded part of the disk again and again, as real systems do. Pure.
import { z } from "zod";
import { mix, sequence } from "../disks/generated-content.ts";

export const workloadSchema = z.strictObject({
  kind: z.enum(["web", "database", "files", "idle"]),
  /** Average bytes written in a second, over all disks of the machine. */
  bytesPerSecond: z
    .number()
    .int()
    .min(0)
    .max(1024 ** 3)
    .default(32 * 1024),
  seed: z.number().int().default(1),
});

export type Workload = z.infer<typeof workloadSchema>;

export interface DiskWrite {
  readonly disk: number;
  readonly offset: number;
  readonly length: number;
  readonly clear: boolean;
  /** Seed of the content. */
  readonly content: number;
}

const BLOCK = 4096;
const MIB = 1024 * 1024;
const MAX_WRITE = 4 * MIB;
const LOG_RING = 48 * MIB;
const HOT_SET = 64 * MIB;
const FILE_AREA = 512 * MIB;
/** One in so many files is deleted again: its blocks are trimmed. */
const DELETES_ONE_IN = 5;

export function writesOfTick(
  workload: Workload,
  diskSizes: readonly number[],
  tick: number,
  tickMs: number,
): DiskWrite[] {
  if (workload.kind === "idle" || diskSizes.length === 0) return [];
  const next = sequence(mix(workload.seed, tick));
  const due = bytesDue(workload.bytesPerSecond, tick, tickMs);
  switch (workload.kind) {
    case "web":
      return appendLog(diskSizes, workload, tick, tickMs, due, next);
    case "database":
      return scatter(diskSizes, due, next);
    case "files":
      return wholeFiles(diskSizes, due, next);
  }
}

/** Whole blocks due in this tick, such that the sum over ticks follows the rate. */
function bytesDue(bytesPerSecond: number, tick: number, tickMs: number): number {
  const until = (ticks: number) => Math.floor((ticks * tickMs * bytesPerSecond) / 1000 / BLOCK);
  return (until(tick + 1) - until(tick)) * BLOCK;
}

/** A web server appends to a log that is rotated: one place, moving on. */
function appendLog(
  sizes: readonly number[],
  workload: Workload,
  tick: number,
  tickMs: number,
  due: number,
  next: () => number,
): DiskWrite[] {
  const size = sizes[0] as number;
  const ring = Math.min(LOG_RING, align(size / 4));
  const base = align(size / 2);
  const written = Math.floor((tick * tickMs * workload.bytesPerSecond) / 1000 / BLOCK) * BLOCK;
  const writes: DiskWrite[] = [];
  for (let done = 0; done < due; ) {
    const at = (written + done) % ring;
    const length = Math.min(due - done, ring - at, MAX_WRITE);
    writes.push({ disk: 0, offset: base + at, length, clear: false, content: next() });
    done += length;
  }
  return writes;
}

/** A database writes pages here and there, mostly to its data disks. */
function scatter(sizes: readonly number[], due: number, next: () => number): DiskWrite[] {
  const writes: DiskWrite[] = [];
  for (let done = 0; done < due; ) {
    const disk = sizes.length === 1 ? 0 : 1 + (next() % (sizes.length - 1));
    const size = sizes[disk] as number;
    const hot = Math.min(HOT_SET, align(size / 2));
    const length = Math.min(due - done, 2 * BLOCK);
    const offset = align(size / 4) + (next() % Math.floor((hot - length) / BLOCK)) * BLOCK;
    writes.push({ disk, offset, length, clear: false, content: next() });
    done += length;
  }
  return writes;
}

/** A file server writes whole files, and deletes some. */
function wholeFiles(sizes: readonly number[], due: number, next: () => number): DiskWrite[] {
  const writes: DiskWrite[] = [];
  for (let done = 0; done < due; ) {
    const disk = sizes.length - 1;
    const size = sizes[disk] as number;
    const area = Math.min(FILE_AREA, align(size / 2));
    const length = Math.min(due - done, 64 * 1024 + (next() % 30) * 128 * 1024, MAX_WRITE);
    const offset = align(size / 4) + (next() % Math.floor((area - length) / BLOCK)) * BLOCK;
    writes.push({ disk, offset, length, clear: next() % DELETES_ONE_IN === 0, content: next() });
    done += length;
  }
  return writes;
}

function align(position: number): number {
  return Math.floor(position / BLOCK) * BLOCK;
}
