// The journal of everything the simulated Azure has acknowledged: one append-only file of frames, each written whole
// or not at all as far as a reader can tell (length + CRC). Appends that wait while a write is under way go out together.
// It promises: a frame whose `append` has resolved is in the kernel, so SIGKILL cannot lose it (a power cut can), and so is
// every frame appended before it.
// `rewrite` replaces the file by a shorter one that says the same; the generation in the name decides which one counts.

import type { FileHandle } from "node:fs/promises";
import { mkdir, open, readdir, rename, rm } from "node:fs/promises";
import { join } from "node:path";
import { crc32 } from "node:zlib";
import { HoldfastFailure } from "../../../src/base/failure.ts";

const HEADER_BYTES = 8;
const NO_FRAME = Buffer.alloc(0);
const MAX_FRAME_BYTES = 256 * 1024 * 1024;
const READ_BYTES = 4 * 1024 * 1024;
const NAME = /^state-(\d+)\.journal$/;

interface Waiting {
  readonly frame: Buffer;
  readonly resolve: () => void;
  readonly reject: (cause: unknown) => void;
}

export class Journal {
  readonly #folder: string;
  #file: FileHandle;
  #generation: number;
  #size: number;
  #waiting: Waiting[] = [];
  #writing: Promise<void> | undefined;
  #renewal: (() => Iterable<Buffer>) | undefined;
  #broken: unknown;

  private constructor(folder: string, file: FileHandle, generation: number, size: number) {
    this.#folder = folder;
    this.#file = file;
    this.#generation = generation;
    this.#size = size;
  }

  /** Opens the newest journal of the folder and hands every frame in it to `replay`; a torn tail is cut off. */
  static async open(folder: string, replay: (payload: Buffer) => void): Promise<Journal> {
    await mkdir(folder, { recursive: true, mode: 0o700 });
    const generations = (await readdir(folder)).flatMap((name) => NAME.exec(name)?.[1] ?? []).map(Number);
    const generation = Math.max(0, ...generations);
    for (const older of generations) if (older < generation) await rm(pathOf(folder, older));
    const file = await open(pathOf(folder, generation), generations.length === 0 ? "wx+" : "r+", 0o600);
    const size = await replayFrames(file, replay);
    await file.truncate(size);
    return new Journal(folder, file, generation, size);
  }

  get sizeBytes(): number {
    return this.#size;
  }

  /** Resolves when the kernel has the frame. After a failed write nothing more is taken: what is on disk is unknown. */
  append(payload: Buffer): Promise<void> {
    if (this.#broken !== undefined) return Promise.reject(this.#broken);
    const done = this.#wait(frameOf(payload));
    this.#writing ??= this.#drain();
    return done;
  }

  /** Resolves when the kernel has everything appended so far; at once when nothing is under way. */
  settled(): Promise<void> {
    if (this.#broken !== undefined) return Promise.reject(this.#broken);
    return this.#writing === undefined ? Promise.resolve() : this.#wait(NO_FRAME);
  }

  /**
   * Writes `payloads()` as the whole content of the next generation, then forgets this one. The list is made at one instant
   * and has to say everything appended until then, so what still waits to be written need not be written any more.
   */
  rewrite(payloads: () => Iterable<Buffer>): Promise<void> {
    if (this.#broken !== undefined) return Promise.reject(this.#broken);
    this.#renewal = payloads;
    const done = this.#wait(NO_FRAME);
    this.#writing ??= this.#drain();
    return done;
  }

  async close(): Promise<void> {
    await this.#writing;
    await this.#file.close();
  }

  #wait(frame: Buffer): Promise<void> {
    return new Promise((resolve, reject) => {
      this.#waiting.push({ frame, resolve, reject });
    });
  }

  async #replace(frames: readonly Buffer[]): Promise<void> {
    const next = pathOf(this.#folder, this.#generation + 1);
    const file = await open(`${next}.new`, "w+", 0o600);
    let size = 0;
    for (const frame of frames) {
      await writeWhole(file, frame, size);
      size += frame.length;
    }
    await file.sync();
    await rename(`${next}.new`, next);
    await this.#file.close();
    await rm(pathOf(this.#folder, this.#generation));
    this.#file = file;
    this.#generation += 1;
    this.#size = size;
  }

  async #drain(): Promise<void> {
    while (this.#waiting.length > 0) {
      const group = this.#waiting;
      const renewal = this.#renewal;
      this.#waiting = [];
      this.#renewal = undefined;
      try {
        if (renewal !== undefined) await this.#replace(Array.from(renewal(), frameOf));
        else await this.#write(group.map(({ frame }) => frame));
        for (const { resolve } of group) resolve();
      } catch (cause) {
        this.#broken = cause;
        for (const { reject } of [...group, ...this.#waiting.splice(0)]) reject(cause);
      }
    }
    this.#writing = undefined;
  }

  async #write(frames: readonly Buffer[]): Promise<void> {
    const bytes = frames.length === 1 ? (frames[0] as Buffer) : Buffer.concat(frames);
    await writeWhole(this.#file, bytes, this.#size);
    this.#size += bytes.length;
  }
}

function pathOf(folder: string, generation: number): string {
  return join(folder, `state-${generation}.journal`);
}

function frameOf(payload: Buffer): Buffer {
  if (payload.length > MAX_FRAME_BYTES)
    throw new HoldfastFailure("invalid", "JournalFrameTooLarge", `A journal frame of ${payload.length} bytes`);
  const frame = Buffer.allocUnsafe(HEADER_BYTES + payload.length);
  frame.writeUInt32LE(payload.length, 0);
  frame.writeUInt32LE(crc32(payload), 4);
  payload.copy(frame, HEADER_BYTES);
  return frame;
}

async function writeWhole(file: FileHandle, bytes: Buffer, position: number): Promise<void> {
  let done = 0;
  while (done < bytes.length)
    done += (await file.write(bytes, done, bytes.length - done, position + done)).bytesWritten;
}

/** Returns the length of the part that holds whole frames. */
async function replayFrames(file: FileHandle, replay: (payload: Buffer) => void): Promise<number> {
  let good = 0;
  let held = Buffer.alloc(0);
  for (;;) {
    const chunk = Buffer.allocUnsafe(READ_BYTES);
    const { bytesRead } = await file.read(chunk, 0, READ_BYTES, good + held.length);
    if (bytesRead === 0) return good;
    held = Buffer.concat([held, chunk.subarray(0, bytesRead)]);
    let used = 0;
    while (held.length - used >= HEADER_BYTES) {
      const length = held.readUInt32LE(used);
      if (length > MAX_FRAME_BYTES) return good + used;
      if (held.length - used - HEADER_BYTES < length) break;
      const payload = held.subarray(used + HEADER_BYTES, used + HEADER_BYTES + length);
      if (crc32(payload) !== held.readUInt32LE(used + 4)) return good + used;
      replay(payload);
      used += HEADER_BYTES + length;
    }
    good += used;
    held = held.subarray(used);
  }
}
