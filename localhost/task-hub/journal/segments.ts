// The journal's files: a segment is named by the seq of its first frame, so that the names alone show their order.

import * as fs from "node:fs";
import { join } from "node:path";
import { messageOf } from "../../../src/base/failure.ts";

/** A segment and the bytes of its sound frames. */
export interface Segment {
  readonly firstSeq: number;
  bytes: number;
}

/** Something that was put in order, or could not be; worth telling a person. */
export interface JournalFinding {
  readonly kind: "torn-tail" | "leftover-segment";
  readonly file: string;
  readonly offset: number;
  readonly bytes: number;
  readonly message: string;
}

export function segmentPath(folder: string, firstSeq: number): string {
  return join(folder, `journal-${String(firstSeq).padStart(16, "0")}.log`);
}

/** The first seqs of the segments there are, in order. */
export function listSegments(folder: string): readonly number[] {
  const names = fs.readdirSync(folder).flatMap((name) => /^journal-(\d{16})\.log$/.exec(name)?.[1] ?? []);
  return names.map(Number).sort((a, b) => a - b);
}

/** Deletes what the head does not name any more. What cannot be deleted now is tried again at the next start. */
export async function deleteSegments(
  folder: string,
  superseded: readonly number[],
  report: (finding: JournalFinding) => void,
): Promise<void> {
  for (const firstSeq of superseded) {
    const file = segmentPath(folder, firstSeq);
    try {
      await fs.promises.rm(file, { force: true });
    } catch (error) {
      const message = `${file} is not needed any more but cannot be deleted (${messageOf(error)}); the next start tries again.`;
      report({ kind: "leftover-segment", file, offset: 0, bytes: 0, message });
    }
  }
}
