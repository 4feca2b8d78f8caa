// The task hub's truth: an append-only log of JSON records in a folder of segments. It knows nothing of their meaning.
//
// An appended record is durable once its promise resolves. Everything appended while a write was in flight becomes one
// frame: one write, one fdatasync. A frame is written only after the one before is durable, so a crash can tear only
// the last one, and opening can tell that from damage (replay.ts; marks: frame.ts).
//
// A checkpoint shortens the log without stopping it: `beginCheckpoint` starts a new segment; the owner appends records
// that restate its whole state, mixed with ordinary ones; `completeCheckpoint` moves the head and deletes what is older.

import * as fs from "node:fs";
import { setImmediate as nextTurn } from "node:timers/promises";
import { assert } from "../../../src/base/assert.ts";
import { HoldfastFailure, messageOf } from "../../../src/base/failure.ts";
import { createFile, createFolder, syncContent, writeFully } from "./durable-files.ts";
import { encodeMark, FRAME_HEADER_BYTES, type FramePlace, MAX_RECORD_CHARS, sealRecords } from "./frame.ts";
import { type JournalHead, writeHead } from "./journal-head.ts";
import { createFirstSegment, repair, type WriterState } from "./opening.ts";
import { replay } from "./replay.ts";
import { deleteSegments, type JournalFinding, segmentPath } from "./segments.ts";

export type { JournalFinding } from "./segments.ts";

export interface JournalOptions {
  /** Created when missing. Only one process may have it open (hub-lock.ts). */
  readonly folder: string;
  /** Called for each record from the last checkpoint on, in order, before `openJournal` resolves. */
  onRecord(record: unknown): void;
  /** Told what a crash had left behind and what was done about it. */
  report(finding: JournalFinding): void;
  /** Called once, when a write failed: nothing more will become durable, so the owner must stop. */
  onBroken(failure: HoldfastFailure): void;
  /** A segment that has grown to this is followed by a new one. */
  readonly segmentBytes?: number;
}

export interface Journal {
  /** Resolves when the record is durable; all records of a frame share one promise. It may be left unawaited. */
  append(record: object): Promise<void>;
  /** The same for a record that is JSON text already, on one line. */
  appendJson(json: string): Promise<void>;
  /** Fails when a record of this text is too large to be appended. */
  checkFits(json: string): void;
  /** Resolves when everything appended so far is durable. */
  barrier(): Promise<void>;
  /**
   * From here on records go to a new segment. Until `completeCheckpoint` the owner appends, among its ordinary records,
   * records that restate everything it needs from before. A replay may begin at that segment, or earlier if the
   * checkpoint was never completed: so a restating record must be right on top of what it restates, and an ordinary
   * record about something not restated yet must be skippable.
   */
  beginCheckpoint(): void;
  /** Resolves when everything appended so far is durable, replay starts at the begun segment, and older ones are gone. */
  completeCheckpoint(): Promise<void>;
  /** Bytes that a replay reads. */
  readonly sizeBytes: number;
  /** The part of `sizeBytes` that was written after the last complete checkpoint. */
  readonly bytesSinceCheckpoint: number;
  /** Waits for everything appended, then closes the file. Later appends are a bug. */
  close(): Promise<void>;
}

const DEFAULT_SEGMENT_BYTES = 64 * 1024 * 1024;
/** A frame takes no further records past this, so that a burst does not become one huge write. */
const FRAME_CHARS = 1024 * 1024;
/** A larger buffer is given back after use. */
const KEPT_BUFFER_BYTES = 4 * 1024 * 1024;

/**
 * Fails with `corrupt` when records are missing or changed that a crash cannot have taken: then nothing was changed, and
 * what `onRecord` was given must be thrown away.
 */
export async function openJournal(options: JournalOptions): Promise<Journal> {
  const { folder } = options;
  const report = (finding: JournalFinding): void => options.report(finding);
  try {
    await createFolder(folder);
    const found = replay(folder, (record) => options.onRecord(record));
    const state = found === undefined ? await createFirstSegment(folder) : await repair(folder, found, report);
    return new SegmentedJournal(options, state);
  } catch (error) {
    if (!(error instanceof Error && "syscall" in error)) throw error;
    const message = `The journal in ${folder} cannot be opened: ${error.message}.`;
    const hint = "Make the folder readable and writable, and make room on the disk.";
    throw new HoldfastFailure("unavailable", "JournalOpenFailed", message, { hint, cause: error });
  }
}

interface Batch {
  readonly lines: string[];
  chars: number;
  readonly durable: Promise<void>;
  resolve(): void;
  reject(failure: HoldfastFailure): void;
}

type Step =
  | { readonly kind: "write"; readonly batch: Batch }
  | { readonly kind: "begin-checkpoint" }
  | { readonly kind: "complete-checkpoint"; readonly done: Batch };

function newBatch(): Batch {
  const { promise, resolve, reject } = Promise.withResolvers<void>();
  promise.catch(() => {}); // who does not await a record is told by onBroken
  return { lines: [], chars: 0, durable: promise, resolve, reject };
}

class SegmentedJournal implements Journal {
  readonly #options: JournalOptions;
  readonly #segmentBytes: number;
  readonly #state: WriterState;
  /** What the writer has to do, in order; the step in work is not in it. */
  readonly #steps: Step[] = [];
  /** The batch that takes records: of the last step, as long as that is not in work. */
  #filling: Batch | undefined;
  #lastDurable: Promise<void> = Promise.resolve();
  #writing: Promise<void> | undefined;
  #inWork: Batch | undefined;
  #broken: Promise<void> | undefined;
  #closed = false;
  #checkpoint: "none" | "begun" | "completing" = "none";
  #checkpointFirst: FramePlace | undefined;
  #deleting: Promise<void> = Promise.resolve();
  #buffer = Buffer.allocUnsafe(64 * 1024);

  constructor(options: JournalOptions, state: WriterState) {
    this.#options = options;
    this.#segmentBytes = options.segmentBytes ?? DEFAULT_SEGMENT_BYTES;
    this.#state = state;
  }

  get sizeBytes(): number {
    const { closedSegments, segment } = this.#state;
    return closedSegments.reduce((sum, { bytes }) => sum + bytes, segment.bytes);
  }

  get bytesSinceCheckpoint(): number {
    return this.#state.bytesSinceCheckpoint;
  }

  append(record: object): Promise<void> {
    return this.appendJson(JSON.stringify(record));
  }

  appendJson(json: string): Promise<void> {
    assert(!this.#closed, "A record is appended to a closed journal.");
    assert(json !== "" && !json.includes("\n"), "A record is JSON text on one line.");
    if (this.#broken !== undefined) return this.#broken;
    this.checkFits(json);
    let batch = this.#filling;
    if (batch === undefined || batch.chars > FRAME_CHARS) {
      batch = newBatch();
      this.#filling = batch;
      this.#lastDurable = batch.durable;
      this.#schedule({ kind: "write", batch });
    }
    batch.lines.push(json);
    batch.chars += json.length + 1;
    return batch.durable;
  }

  checkFits(json: string): void {
    if (json.length <= MAX_RECORD_CHARS) return;
    const message = `A record of ${json.length} characters does not fit in the journal; ${MAX_RECORD_CHARS} is the most.`;
    throw new HoldfastFailure("invalid", "JournalRecordTooLarge", message, {
      hint: "Store large data elsewhere, and hand over where it is.",
    });
  }

  barrier(): Promise<void> {
    return this.#broken ?? this.#lastDurable;
  }

  beginCheckpoint(): void {
    assert(!this.#closed, "A checkpoint is begun on a closed journal.");
    assert(this.#checkpoint === "none", "A checkpoint is begun while another one is not complete.");
    if (this.#broken !== undefined) return;
    this.#checkpoint = "begun";
    this.#filling = undefined;
    this.#schedule({ kind: "begin-checkpoint" });
  }

  async completeCheckpoint(): Promise<void> {
    if (this.#broken !== undefined) return this.#broken;
    assert(this.#checkpoint === "begun", "A checkpoint is completed that was not begun.");
    this.#checkpoint = "completing";
    const done = newBatch();
    this.#filling = undefined;
    this.#lastDurable = done.durable;
    this.#schedule({ kind: "complete-checkpoint", done });
    await done.durable;
    await this.#deleting;
  }

  async close(): Promise<void> {
    if (this.#closed) return;
    this.#closed = true;
    await this.#writing;
    await this.#deleting;
    try {
      if (this.#broken === undefined) {
        await this.#finishSegment();
        await this.#replaceHead({});
      }
    } finally {
      fs.closeSync(this.#state.fd);
    }
  }

  #schedule(step: Step): void {
    this.#steps.push(step);
    this.#writing ??= this.#work();
  }

  async #work(): Promise<void> {
    try {
      do {
        await nextTurn(); // all who are ready to append may share the next frame
        const step = this.#steps.shift();
        if (step === undefined) await this.#mark();
        else await this.#perform(step);
      } while (this.#steps.length > 0 || !this.#state.marked);
    } catch (error) {
      this.#break(error);
    } finally {
      this.#writing = undefined;
    }
  }

  async #perform(step: Step): Promise<void> {
    switch (step.kind) {
      case "write":
        if (this.#filling === step.batch) this.#filling = undefined;
        this.#inWork = step.batch;
        if (this.#state.segment.bytes >= this.#segmentBytes) await this.#startSegment();
        await this.#write(step.batch);
        break;
      case "begin-checkpoint":
        if (this.#state.segment.bytes > 0) await this.#startSegment();
        this.#checkpointFirst = this.#state.next;
        break;
      case "complete-checkpoint":
        this.#inWork = step.done;
        await this.#moveHead();
        step.done.resolve();
        break;
    }
    this.#inWork = undefined;
  }

  async #write(batch: Batch): Promise<void> {
    const state = this.#state;
    const frame = this.#encode(batch);
    const chain = sealRecords(frame, state.next);
    state.marked = false;
    await writeFully(state.fd, frame, state.segment.bytes);
    await syncContent(state.fd);
    state.segment.bytes += frame.length;
    state.bytesSinceCheckpoint += frame.length;
    state.next = { seq: state.next.seq + 1, chain };
    batch.resolve();
  }

  /** The frame in the journal's own buffer, valid until the next one; its header is still empty. */
  #encode(batch: Batch): Buffer {
    const text = batch.lines.join("\n");
    const totalBytes = FRAME_HEADER_BYTES + Buffer.byteLength(text);
    let buffer = this.#buffer;
    if (buffer.length < totalBytes) {
      buffer = Buffer.allocUnsafe(totalBytes);
      if (totalBytes <= KEPT_BUFFER_BYTES) this.#buffer = buffer;
    }
    buffer.write(text, FRAME_HEADER_BYTES);
    return buffer.subarray(0, totalBytes);
  }

  /** Not synced: a mark only helps to tell damage from a crash, and the next frame says the same. */
  async #mark(): Promise<void> {
    const state = this.#state;
    if (state.marked) return;
    await writeFully(state.fd, encodeMark(state.next), state.segment.bytes);
    state.marked = true;
  }

  async #finishSegment(): Promise<void> {
    await this.#mark();
    await syncContent(this.#state.fd);
  }

  async #startSegment(): Promise<void> {
    await this.#finishSegment();
    const state = this.#state;
    const firstSeq = state.next.seq;
    const fd = await createFile(segmentPath(this.#options.folder, firstSeq));
    fs.closeSync(state.fd);
    state.fd = fd;
    state.closedSegments = [...state.closedSegments, state.segment];
    state.segment = { firstSeq, bytes: 0 };
    await this.#replaceHead({ lastSegment: firstSeq });
  }

  async #moveHead(): Promise<void> {
    const state = this.#state;
    const { folder, report } = this.#options;
    const first = this.#checkpointFirst;
    assert(first !== undefined, "A checkpoint is completed before its segment was begun.");
    await this.#replaceHead({ first, checkpointedSeq: state.next.seq - 1 });
    const superseded = state.closedSegments.filter(({ firstSeq }) => firstSeq < first.seq);
    state.closedSegments = state.closedSegments.filter(({ firstSeq }) => firstSeq >= first.seq);
    state.bytesSinceCheckpoint = 0;
    this.#checkpoint = "none";
    this.#checkpointFirst = undefined;
    const names = superseded.map(({ firstSeq }) => firstSeq);
    this.#deleting = deleteSegments(folder, names, (finding) => report(finding));
  }

  /** Between two frames: all that were written are durable. */
  async #replaceHead(change: Partial<JournalHead>): Promise<void> {
    const state = this.#state;
    state.head = { ...state.head, durableSeq: state.next.seq - 1, ...change };
    await writeHead(this.#options.folder, state.head);
  }

  #break(cause: unknown): void {
    const failure = new HoldfastFailure(
      "unavailable",
      "JournalWriteFailed",
      `The journal in ${this.#options.folder} cannot be written: ${messageOf(cause)}.`,
      { hint: "Make room or repair the disk, then start again: everything acknowledged is there.", cause },
    );
    const broken = Promise.reject(failure);
    broken.catch(() => {});
    this.#broken = broken;
    this.#inWork?.reject(failure);
    for (const step of this.#steps.splice(0)) {
      if (step.kind === "write") step.batch.reject(failure);
      if (step.kind === "complete-checkpoint") step.done.reject(failure);
    }
    this.#filling = undefined;
    this.#options.onBroken(failure);
  }
}
