// Where the writer begins: in a new journal, or behind what a replay found.

import { randomInt } from "node:crypto";
import * as fs from "node:fs";
import { assert } from "../../../src/base/assert.ts";
import { createFile, syncContent, writeFully } from "./durable-files.ts";
import { encodeMark, type FramePlace } from "./frame.ts";
import { type JournalHead, writeHead } from "./journal-head.ts";
import type { ReplayEnd } from "./replay.ts";
import { deleteSegments, type JournalFinding, type Segment, segmentPath } from "./segments.ts";

/** Where the writer is, between two frames. */
export interface WriterState {
  head: JournalHead;
  /** From the head's first to the one before `segment`. */
  closedSegments: readonly Segment[];
  /** Takes the frames, behind its bytes. */
  segment: Segment;
  /** Of `segment`. */
  fd: number;
  /** A mark follows the last frame. */
  marked: boolean;
  next: FramePlace;
  bytesSinceCheckpoint: number;
}

export async function createFirstSegment(folder: string): Promise<WriterState> {
  const path = segmentPath(folder, 1);
  fs.rmSync(path, { force: true }); // empty, or replay would have refused
  const fd = await createFile(path);
  // A random start of the chain: segments of another journal never fit into this one.
  const first: FramePlace = { seq: 1, chain: randomInt(2 ** 32) };
  const head: JournalHead = { first, lastSegment: 1, durableSeq: 0, checkpointedSeq: 0 };
  await writeHead(folder, head);
  const segment = { firstSeq: 1, bytes: 0 };
  return { head, closedSegments: [], segment, fd, marked: false, next: first, bytesSinceCheckpoint: 0 };
}

/**
 * Puts in order what a crash left. What was replayed is made durable before anybody acts on it: a killed process may
 * have left frames that the system holds only in memory.
 */
export async function repair(
  folder: string,
  found: ReplayEnd,
  report: (finding: JournalFinding) => void,
): Promise<WriterState> {
  const segment = found.segments.at(-1);
  assert(segment !== undefined, "A replayed journal has a segment.");
  const fd = fs.openSync(segmentPath(folder, segment.firstSeq), "r+");
  fs.ftruncateSync(fd, segment.bytes);
  await writeFully(fd, encodeMark(found.next), segment.bytes);
  await syncContent(fd);
  if (found.tornTail !== undefined) report(found.tornTail);
  const head: JournalHead = { ...found.head, lastSegment: segment.firstSeq, durableSeq: found.next.seq - 1 };
  await writeHead(folder, head);
  await deleteSegments(folder, found.leftovers, report);
  const { next, bytesSinceCheckpoint } = found;
  return { head, closedSegments: found.segments.slice(0, -1), segment, fd, marked: true, next, bytesSinceCheckpoint };
}
