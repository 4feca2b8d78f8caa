// Reads one segment from its beginning, frame by frame, in memory bounded by the largest frame. It tells what it found
// and judges nothing: whether a bad end is a torn write or damage depends on the segments around it (replay.ts).

import * as fs from "node:fs";
import { HoldfastFailure } from "../../../src/base/failure.ts";
import { claimedBytes, decodeFrame, FRAME_HEADER_BYTES, type Frame, type FramePlace, findFrame } from "./frame.ts";

const WINDOW_BYTES = 1024 * 1024;

export interface SegmentEnd {
  readonly fileBytes: number;
  /** Everything before this offset is sound frames of records, each the successor of the one before. */
  readonly soundBytes: number;
  /** What the next frame must carry. */
  readonly next: FramePlace;
  /** A mark follows the sound frames: all of them were durable. */
  readonly marked: boolean;
  readonly defect: SegmentDefect | undefined;
}

export interface SegmentDefect {
  readonly offset: number;
  readonly found: string;
  /** True when no crash can have left this: something later in the file, or the frame itself, is sound. */
  readonly impossible: boolean;
}

/** `payload` is valid until the next call. */
export type OnFrame = (frame: Frame, payload: Buffer, offset: number) => void;

export function readSegment(path: string, start: FramePlace, onFrame: OnFrame): SegmentEnd {
  const fd = fs.openSync(path, "r");
  try {
    return readFrames(new FileWindow(fd), start, onFrame);
  } finally {
    fs.closeSync(fd);
  }
}

function readFrames(file: FileWindow, start: FramePlace, onFrame: OnFrame): SegmentEnd {
  let next = start;
  let offset = 0;
  let marked = false;
  let defect: SegmentDefect | undefined;
  while (offset < file.sizeBytes) {
    const bytes = file.view(offset, claimedBytes(file.view(offset, FRAME_HEADER_BYTES)) ?? FRAME_HEADER_BYTES);
    const frame = decodeFrame(bytes);
    if (typeof frame === "string") {
      defect = describeUnreadable(file, offset, DEFECT_TEXT[frame]);
      break;
    }
    if (frame.seq !== next.seq || frame.chain !== next.chain) {
      defect = { offset, found: describeStranger(frame, next), impossible: true };
      break;
    }
    if (frame.kind === "mark") {
      marked = true;
      const after = offset + frame.totalBytes;
      if (after < file.sizeBytes) defect = describeUnreadable(file, after, "bytes that belong to no frame");
      break;
    }
    onFrame(frame, bytes.subarray(FRAME_HEADER_BYTES, frame.totalBytes), offset);
    next = { seq: frame.seq + 1, chain: frame.crc };
    offset += frame.totalBytes;
  }
  return { fileBytes: file.sizeBytes, soundBytes: offset, next, marked, defect };
}

const DEFECT_TEXT = {
  "no frame": "bytes that are no frame",
  "cut short": "a frame that is longer than the file",
  checksum: "a frame whose checksum does not match",
} as const;

/** A crash can leave an unreadable frame, but only as the last thing of the journal: frames are written one by one. */
function describeUnreadable(file: FileWindow, offset: number, found: string): SegmentDefect {
  const later = findFrame(file.view(offset, file.sizeBytes - offset));
  if (later === undefined) return { offset, found, impossible: false };
  const where = `a sound ${later.frame.kind === "mark" ? "mark" : "frame"} after it at byte ${offset + later.offset}`;
  return { offset, found: `${found}, with ${where}`, impossible: true };
}

function describeStranger(frame: Frame, expected: FramePlace): string {
  if (frame.seq !== expected.seq) return `frame ${frame.seq} where frame ${expected.seq} must be`;
  return `a frame ${frame.seq} that continues another journal, or another copy of this one`;
}

/** A file seen through a window that moves forward; a view is valid until the next one. */
class FileWindow {
  readonly sizeBytes: number;
  readonly #fd: number;
  #buffer = Buffer.allocUnsafe(WINDOW_BYTES);
  #from = 0;
  #bytes = 0;

  constructor(fd: number) {
    this.#fd = fd;
    this.sizeBytes = fs.fstatSync(fd).size;
  }

  /** The bytes at `offset`, at most `length`, fewer only at the end of the file. */
  view(offset: number, length: number): Buffer {
    const wanted = Math.min(length, this.sizeBytes - offset);
    if (offset < this.#from || offset + wanted > this.#from + this.#bytes) this.#moveTo(offset, wanted);
    const at = offset - this.#from;
    return this.#buffer.subarray(at, at + wanted);
  }

  #moveTo(offset: number, wanted: number): void {
    if (wanted > this.#buffer.length) this.#buffer = Buffer.allocUnsafe(wanted);
    const target = Math.min(this.#buffer.length, this.sizeBytes - offset);
    let done = 0;
    while (done < target) {
      const read = fs.readSync(this.#fd, this.#buffer, done, target - done, offset + done);
      if (read === 0) throw changedMeanwhile();
      done += read;
    }
    this.#from = offset;
    this.#bytes = target;
  }
}

function changedMeanwhile(): HoldfastFailure {
  return new HoldfastFailure("conflict", "JournalChanged", "The journal became shorter while it was read.", {
    hint: "Another program changes its files: stop it, then start again.",
  });
}
