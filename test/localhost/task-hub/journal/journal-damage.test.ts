// What opening makes of a journal that is not as it was left: a torn end is repaired and reported, damage is refused,
// and nothing is ever silently wrong.

import * as fs from "node:fs";
import { basename, join } from "node:path";
import fc from "fast-check";
import { beforeAll, describe, expect, it, vi } from "vitest";
import { type Journal, type JournalFinding, openJournal } from "../../../../localhost/task-hub/journal/journal.ts";
import { HoldfastFailure } from "../../../../src/base/failure.ts";
import { damage, lastSegmentOf, segmentsOf, temporaryFolders } from "./journal-folder.ts";

const folders = temporaryFolders({ inMemory: true });
const MARK_BYTES = 24;

interface Opened {
  readonly records: readonly { n: number }[];
  readonly findings: readonly JournalFinding[];
}

function openAt(folder: string, opened: { records: unknown[]; findings: JournalFinding[] }): Promise<Journal> {
  return openJournal({
    folder,
    onRecord: (record) => opened.records.push(record),
    report: (finding) => opened.findings.push(finding),
    onBroken: (failure) => expect.fail(failure.message),
    segmentBytes: 150,
  });
}

async function openOnce(folder: string, alsoAppend?: { n: number }): Promise<Opened> {
  const opened: { records: { n: number }[]; findings: JournalFinding[] } = { records: [], findings: [] };
  const journal = await openAt(folder, opened);
  if (alsoAppend !== undefined) await journal.append(alsoAppend);
  await journal.close();
  return opened;
}

/**
 * Records 0, 1, 2, …, each a frame of its own, a few to a segment: once as they lie there when the process is killed in
 * idleness, once as it leaves them when it closes.
 */
async function writeJournal(records: number): Promise<{ killed: string; closed: string }> {
  const closed = folders.next();
  const journal = await openAt(closed, { records: [], findings: [] });
  for (let n = 0; n < records; n++) await journal.append({ n });
  const last = lastSegmentOf(closed);
  await vi.waitFor(() => expect(fs.statSync(last).size).toBe((frameEnds(last).at(-1) ?? 0) + MARK_BYTES));
  const killed = folders.copyOf(closed);
  await journal.close();
  return { killed, closed };
}

function upTo(records: number): { n: number }[] {
  return Array.from({ length: records }, (_, n) => ({ n }));
}

async function refusalOf(folder: string): Promise<HoldfastFailure> {
  const before = contentsOf(folder);
  const thrown = await openOnce(folder).then(
    ({ records }) => expect.fail(`opened with ${records.length} records`),
    (error: unknown) => error,
  );
  expect(thrown).toBeInstanceOf(HoldfastFailure);
  expect(contentsOf(folder)).toEqual(before);
  const failure = thrown as HoldfastFailure;
  expect(failure.kind).toBe("corrupt");
  expect(failure.message).toContain(folder);
  expect(failure.hint).toMatch(/Restore .* from a copy, or move it away/);
  return failure;
}

function contentsOf(folder: string): Record<string, string> {
  return Object.fromEntries(fs.readdirSync(folder).map((name) => [name, fs.readFileSync(join(folder, name), "hex")]));
}

/** Where the frames of a segment end, read from their headers as the format says. */
function frameEnds(path: string): number[] {
  const bytes = fs.readFileSync(path);
  const ends: number[] = [];
  for (let at = 0; at + MARK_BYTES <= bytes.length && bytes.readUInt32BE(at + 8) > 0; ) {
    at += MARK_BYTES + bytes.readUInt32BE(at + 8);
    ends.push(at);
  }
  return ends;
}

let killed: string;
let closed: string;
const RECORDS = 13;

beforeAll(async () => {
  ({ killed, closed } = await writeJournal(RECORDS));
  expect(segmentsOf(closed)).toHaveLength(3);
  expect(frameEnds(lastSegmentOf(closed)).length).toBeGreaterThan(1);
});

describe("a torn end", () => {
  it("is cut off at every byte of the newest segment, reported, and every whole frame before it stays", async () => {
    const ends = frameEnds(lastSegmentOf(killed));
    const { size } = fs.statSync(lastSegmentOf(killed));
    const before = RECORDS - ends.length;
    for (let length = 0; length < size; length++) {
      const folder = folders.copyOf(killed);
      fs.truncateSync(lastSegmentOf(folder), length);
      const kept = ends.filter((end) => end <= length);
      const { records, findings } = await openOnce(folder, { n: 99 });
      expect(records).toEqual(upTo(before + kept.length));

      const tornBytes = length - (kept.at(-1) ?? 0);
      expect(findings.map(({ kind, bytes }) => ({ kind, bytes }))).toEqual(
        tornBytes === 0 ? [] : [{ kind: "torn-tail", bytes: tornBytes }],
      );
      if (findings[0] !== undefined) expect(findings[0].message).toContain(lastSegmentOf(killed).split("/").at(-1));

      const again = await openOnce(folder);
      expect(again.records).toEqual([...records, { n: 99 }]);
      expect(again.findings).toEqual([]);
      fs.rmSync(folder, { recursive: true });
    }
  });

  it("of zeros or of noise, before or after the mark, is cut off and reported", async () => {
    const end = frameEnds(lastSegmentOf(killed)).at(-1) as number;
    for (const tail of [
      Buffer.alloc(1),
      Buffer.alloc(5_000),
      Buffer.from("noise, \xff\x48\x4a and more of it", "latin1"),
    ]) {
      for (const keptBytes of [end, end + MARK_BYTES]) {
        const folder = folders.copyOf(killed);
        damage(lastSegmentOf(folder), (bytes) => Buffer.concat([bytes.subarray(0, keptBytes), tail]));
        const { records, findings } = await openOnce(folder);
        expect(records).toEqual(upTo(RECORDS));
        expect(findings).toMatchObject([{ kind: "torn-tail", offset: keptBytes, bytes: tail.length }]);
        expect(await openOnce(folder)).toEqual({ records: upTo(RECORDS), findings: [] });
      }
    }
  });

  it("that claims gigabytes is cut off without asking for the memory", async () => {
    const folder = folders.copyOf(killed);
    const end = frameEnds(lastSegmentOf(killed)).at(-1) as number;
    damage(lastSegmentOf(folder), (bytes) => {
      const header = Buffer.from(bytes.subarray(0, MARK_BYTES));
      header.writeUInt32BE(0xffff_fff0, 8);
      return Buffer.concat([bytes.subarray(0, end), header]);
    });
    const { records, findings } = await openOnce(folder);
    expect(records).toEqual(upTo(RECORDS));
    expect(findings).toHaveLength(1);
  });

  it("of an older segment is damage", async () => {
    const [, older] = segmentsOf(killed);
    const { size } = fs.statSync(older as string);
    for (let length = 0; length < size; length++) {
      const folder = folders.copyOf(killed);
      fs.truncateSync(segmentsOf(folder)[1] as string, length);
      expect((await refusalOf(folder)).message).toContain(basename(older as string));
      fs.rmSync(folder, { recursive: true });
    }
  });
});

describe("damage", () => {
  it("of any byte is refused, or it was the last mark's and loses nothing", async () => {
    for (const file of fs.readdirSync(killed)) {
      const { size } = fs.statSync(join(killed, file));
      const ends = file.endsWith(".log") ? frameEnds(join(killed, file)) : [];
      for (let at = 0; at < size; at++) {
        const folder = folders.copyOf(killed);
        damage(join(folder, file), (bytes) => {
          bytes[at] = (bytes[at] as number) ^ (1 << (at % 8));
          return undefined;
        });
        const inLastMark = file === basename(lastSegmentOf(killed)) && at >= (ends.at(-1) as number);
        if (inLastMark) {
          const { records, findings } = await openOnce(folder);
          expect(records).toEqual(upTo(RECORDS));
          expect(findings).toHaveLength(1);
        } else {
          await refusalOf(folder);
        }
        fs.rmSync(folder, { recursive: true });
      }
    }
  });

  it("of the last frame, where no mark says that it was durable, looks like a torn write and is reported", async () => {
    const ends = frameEnds(lastSegmentOf(killed));
    const [from, to] = ends.slice(-2) as [number, number];
    for (let at = from; at < to; at++) {
      const folder = folders.copyOf(killed);
      damage(lastSegmentOf(folder), (bytes) => {
        bytes[at] = (bytes[at] as number) ^ 0x10;
        return bytes.subarray(0, to);
      });
      const { records, findings } = await openOnce(folder);
      expect(records).toEqual(upTo(RECORDS - 1));
      expect(findings).toMatchObject([{ kind: "torn-tail", offset: from, bytes: to - from }]);
      fs.rmSync(folder, { recursive: true });
    }
  });

  it("of any kind to a journal that was closed is refused, or loses nothing", async () => {
    const files = fs.readdirSync(closed);
    const change = fc.record({
      file: fc.constantFrom(...files),
      at: fc.double({ min: 0, max: 1, noNaN: true, maxExcluded: true }),
      how: fc.oneof(
        fc.record({ kind: fc.constant("overwrite" as const), with: fc.uint8Array({ minLength: 1, maxLength: 80 }) }),
        fc.record({ kind: fc.constant("insert" as const), with: fc.uint8Array({ minLength: 1, maxLength: 80 }) }),
        fc.record({ kind: fc.constant("remove" as const), bytes: fc.integer({ min: 1, max: 80 }) }),
        fc.record({ kind: fc.constant("repeat" as const), bytes: fc.integer({ min: 1, max: 120 }) }),
      ),
    });
    await fc.assert(
      fc.asyncProperty(fc.array(change, { minLength: 1, maxLength: 3 }), async (changes) => {
        const folder = folders.copyOf(closed);
        for (const { file, at, how } of changes) {
          damage(join(folder, file), (bytes) => {
            const offset = Math.floor(at * bytes.length);
            const [head, tail] = [bytes.subarray(0, offset), bytes.subarray(offset)];
            if (how.kind === "remove") return Buffer.concat([head, tail.subarray(how.bytes)]);
            if (how.kind === "repeat") return Buffer.concat([head, tail.subarray(0, how.bytes), tail]);
            return Buffer.concat([head, how.with, how.kind === "insert" ? tail : tail.subarray(how.with.length)]);
          });
        }
        const outcome = await openOnce(folder).catch((error: unknown) => error);
        if (outcome instanceof HoldfastFailure) {
          expect(outcome.kind).toBe("corrupt");
        } else {
          expect((outcome as Opened).records).toEqual(upTo(RECORDS));
        }
        fs.rmSync(folder, { recursive: true });
      }),
      { numRuns: 400 },
    );
  });

  it("is refused when a closed journal was cut, even between two frames", async () => {
    const last = lastSegmentOf(closed);
    for (const end of [0, ...frameEnds(last).slice(0, -1)]) {
      const folder = folders.copyOf(closed);
      fs.truncateSync(lastSegmentOf(folder), end);
      expect((await refusalOf(folder)).message).toContain(`frames up to ${RECORDS} were durable`);
    }
  });

  it("is refused when a segment is missing, whichever it is", async () => {
    for (const segment of segmentsOf(closed)) {
      const folder = folders.copyOf(closed);
      fs.rmSync(join(folder, basename(segment)));
      expect((await refusalOf(folder)).message).toMatch(new RegExp(`${basename(segment)}.*is missing`));
    }
  });

  it("is refused when a segment bears another one's name, or is there twice", async () => {
    const names = segmentsOf(closed).map((segment) => basename(segment));
    for (const [from, to] of [
      [0, 1],
      [1, 2],
      [2, 0],
    ] as const) {
      const folder = folders.copyOf(closed);
      fs.copyFileSync(join(folder, names[from] as string), join(folder, names[to] as string));
      await refusalOf(folder);
    }
    for (const extra of ["journal-0000000000000002.log", "journal-0000000000000999.log"]) {
      const folder = folders.copyOf(closed);
      fs.copyFileSync(lastSegmentOf(folder), join(folder, extra));
      await refusalOf(folder);
    }
    const swapped = folders.copyOf(closed);
    fs.renameSync(join(swapped, names[1] as string), join(swapped, "journal-0000000000000999.log"));
    await refusalOf(swapped);
  });

  it("is refused when segments come from another journal of the same shape", async () => {
    const other = await writeJournal(RECORDS);
    for (const segment of segmentsOf(other.closed)) {
      const folder = folders.copyOf(closed);
      fs.copyFileSync(segment, join(folder, basename(segment)));
      expect((await refusalOf(folder)).message).toContain("another journal");
    }
  });

  it("is refused when the head is missing", async () => {
    const folder = folders.copyOf(closed);
    fs.rmSync(join(folder, "journal-head"));
    expect((await refusalOf(folder)).message).toMatch(/journal-head.*missing/);
  });
});

describe("a journal of a later format", () => {
  it("is refused by its number, with what to do", async () => {
    const folder = folders.copyOf(closed);
    const { crc32 } = await import("node:zlib");
    const body = JSON.stringify({ format: 2, somethingElse: true });
    fs.writeFileSync(join(folder, "journal-head"), `${crc32(body).toString(16).padStart(8, "0")} ${body}\n`);
    await expect(openOnce(folder)).rejects.toMatchObject({
      code: "JournalFormatUnknown",
      message: expect.stringContaining("format 2"),
      hint: expect.stringContaining("another data folder"),
    });
  });
});
