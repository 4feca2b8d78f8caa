// The journal's head: one small file that says where a replay starts, and how far it must at least come. It is replaced
// atomically, after what it promises is durable and before a segment it no longer names is deleted; so it is the one
// truth about where the journal begins, and a lost segment or a cut file does not go unseen.

import { readFileSync } from "node:fs";
import { join } from "node:path";
import { crc32 } from "node:zlib";
import { HoldfastFailure } from "../../../src/base/failure.ts";
import { replaceFile } from "./durable-files.ts";
import type { FramePlace } from "./frame.ts";

export const HEAD_FILE = "journal-head";
const FORMAT = 1;

export interface JournalHead {
  /** A replay starts with the segment of this seq, and its first frame carries this chain. */
  readonly first: FramePlace;
  /** The newest segment when this was written; a newer one may follow. */
  readonly lastSegment: number;
  /** The newest frame that was durable when this was written: at opening, closing, a new segment, a checkpoint. */
  readonly durableSeq: number;
  /** The newest frame when the last checkpoint was complete; 0 before the first. */
  readonly checkpointedSeq: number;
}

export async function writeHead(folder: string, head: JournalHead): Promise<void> {
  const body = JSON.stringify({ format: FORMAT, ...head });
  await replaceFile(folder, HEAD_FILE, `${checksumOf(body)} ${body}\n`);
}

/** Undefined when there is none; whether that is a new journal or a damaged one, the segments tell. */
export function readHead(folder: string): JournalHead | undefined {
  const path = join(folder, HEAD_FILE);
  let text: string;
  try {
    text = readFileSync(path, "utf8");
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === "ENOENT") return undefined;
    throw error;
  }
  const checksum = text.slice(0, 8);
  const body = text.slice(9, -1);
  if (text !== `${checksum} ${body}\n` || checksum !== checksumOf(body)) {
    throw new HoldfastFailure("corrupt", "JournalCorrupt", `${path} is damaged: its checksum does not match.`, {
      hint: RESTORE_HINT,
    });
  }
  const { format, ...head } = JSON.parse(body) as JournalHead & { format: number };
  if (format !== FORMAT) {
    throw new HoldfastFailure(
      "invalid",
      "JournalFormatUnknown",
      `${path} says that this journal has format ${format}; this program reads format ${FORMAT}.`,
      { hint: "Start the version of the program that wrote it, or give another data folder." },
    );
  }
  return head;
}

export const RESTORE_HINT =
  "Nothing was changed. Restore the whole data folder from a copy, or move it away to start with an empty one.";

function checksumOf(body: string): string {
  return crc32(body).toString(16).padStart(8, "0");
}
