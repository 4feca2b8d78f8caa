// Opening what a former process left behind: hands every record on in order, and tells a crash from damage. A crash
// can leave one unreadable end in the newest segment, which is cut off and reported. Everything else that is not in
// order is damage and refused untouched, since going on would silently lose what was promised.

import * as fs from "node:fs";
import { join } from "node:path";
import { assert } from "../../../src/base/assert.ts";
import { HoldfastFailure, messageOf } from "../../../src/base/failure.ts";
import { FRAME_HEADER_BYTES, type FramePlace } from "./frame.ts";
import { HEAD_FILE, type JournalHead, RESTORE_HINT, readHead } from "./journal-head.ts";
import { readSegment, type SegmentEnd } from "./segment-reader.ts";
import { type JournalFinding, listSegments, type Segment, segmentPath } from "./segments.ts";

export interface ReplayEnd {
  readonly head: JournalHead;
  /** Those that were read, in order; the next frame goes behind the sound bytes of the last. */
  readonly segments: readonly Segment[];
  readonly next: FramePlace;
  readonly bytesSinceCheckpoint: number;
  readonly tornTail: JournalFinding | undefined;
  /** Segments before the first, left by a process that was stopped while it deleted them. */
  readonly leftovers: readonly number[];
}

/** Undefined when there is no journal yet. Reads only; nothing is repaired here. */
export function replay(folder: string, onRecord: (record: unknown) => void): ReplayEnd | undefined {
  const head = readHead(folder);
  const all = listSegments(folder);
  if (head === undefined) {
    refuseHeadless(folder, all);
    return undefined;
  }
  const newest = all.at(-1) ?? 0;
  const segments: Segment[] = [];
  let next = head.first;
  let bytesSinceCheckpoint = 0;
  let end: SegmentEnd | undefined;
  for (const firstSeq of expectedSegments(folder, head, all)) {
    const path = segmentPath(folder, firstSeq);
    if (firstSeq !== next.seq) refuse(segmentPath(folder, next.seq), 0, `the segment is missing, and ${path} follows`);
    end = readSegment(path, next, (frame, payload, offset) => {
      if (frame.seq > head.checkpointedSeq) bytesSinceCheckpoint += frame.totalBytes;
      handOn(payload, onRecord, path, offset);
    });
    if (end.defect?.impossible) refuse(path, end.defect.offset, end.defect.found);
    if (firstSeq < newest) refuseUnfinished(path, end);
    segments.push({ firstSeq, bytes: end.soundBytes });
    next = end.next;
  }
  const last = segments.at(-1);
  assert(last !== undefined && end !== undefined, "A journal with a head has a segment.");
  refuseShort(segmentPath(folder, last.firstSeq), end, head);
  const tornTail = describeTornTail(segmentPath(folder, last.firstSeq), end);
  return { head, segments, next, bytesSinceCheckpoint, tornTail, leftovers: all.filter((seq) => seq < head.first.seq) };
}

/** From the head's first on, newer ones than its last included: it may be one behind. */
function expectedSegments(folder: string, head: JournalHead, all: readonly number[]): readonly number[] {
  for (const seq of [head.first.seq, head.lastSegment]) {
    if (!all.includes(seq)) refuse(segmentPath(folder, seq), 0, "the segment is missing");
  }
  return all.filter((seq) => seq >= head.first.seq);
}

/** The head is written before the first frame: without it there may be an empty first segment, and no more. */
function refuseHeadless(folder: string, segments: readonly number[]): void {
  for (const segment of segments) {
    const path = segmentPath(folder, segment);
    const { size } = fs.statSync(path);
    if (segment !== 1 || size > 0) refuse(join(folder, HEAD_FILE), 0, `the file is missing, but ${path} is there`);
  }
}

/** A segment is closed with a mark, durably, before the next one is begun. */
function refuseUnfinished(path: string, end: SegmentEnd): void {
  if (end.defect !== undefined) refuse(path, end.defect.offset, `${end.defect.found}, and newer segments follow`);
  if (!end.marked) refuse(path, end.soundBytes, "the end of the file is missing, and newer segments follow");
}

function refuseShort(path: string, end: SegmentEnd, head: JournalHead): void {
  const lastSeq = end.next.seq - 1;
  if (lastSeq >= head.durableSeq) return;
  const found = end.defect?.found ?? "the end of the file";
  refuse(
    path,
    end.soundBytes,
    `${found}, but frames up to ${head.durableSeq} were durable and frame ${lastSeq} is the last`,
  );
}

function describeTornTail(path: string, end: SegmentEnd): JournalFinding | undefined {
  if (end.defect === undefined) return undefined;
  const offset = end.soundBytes + (end.marked ? FRAME_HEADER_BYTES : 0);
  const bytes = end.fileBytes - offset;
  return {
    kind: "torn-tail",
    file: path,
    offset,
    bytes,
    message:
      `Cut ${bytes} bytes off the end of ${path}, at byte ${offset}: ${end.defect.found}. ` +
      "This is what a process or a machine leaves that stops while it writes; it had not acknowledged what it was writing.",
  };
}

function handOn(payload: Buffer, onRecord: (record: unknown) => void, path: string, offset: number): void {
  for (const line of payload.toString("utf8").split("\n")) {
    let record: unknown;
    try {
      record = JSON.parse(line);
    } catch (error) {
      refuse(path, offset, `a record that is not JSON (${messageOf(error)})`);
    }
    onRecord(record);
  }
}

function refuse(path: string, offset: number, found: string): never {
  throw new HoldfastFailure("corrupt", "JournalCorrupt", `The journal is damaged: ${path}, byte ${offset}: ${found}.`, {
    hint: RESTORE_HINT,
  });
}
