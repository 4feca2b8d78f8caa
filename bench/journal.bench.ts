// The task hub's storage against the least that any durable log must do: one write and one fdatasync for a record, and
// one JSON.parse for a line. Peer and journal take turns, so that a disk with moods treats both alike.

import * as fs from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { type Journal, openJournal } from "../localhost/task-hub/journal/journal.ts";
import type { Bench, BenchRow } from "./bench.ts";

const ROUNDS = 5;
const ROUND_MS = 400;
const WAITERS = 64;
const REPLAYED = 500_000;
const RECORD = { r: "arrived", atMs: 1_700_000_000_000, to: "instance-0123456789abcdef", result: "x".repeat(100) };

export const journalAppend: Bench = {
  about: "durable appends to the journal, against a bare loop of write and fdatasync",
  run: () => withFolder(measureAppends),
};

export const journalReplay: Bench = {
  about: "opening a journal of half a million records, against reading and parsing the same lines",
  run: () => withFolder(measureReplay),
};

async function measureAppends(folder: string): Promise<readonly BenchRow[]> {
  const journal = await open(join(folder, "journal"));
  const bare: number[] = [];
  const alone: number[] = [];
  const together: number[] = [];
  for (let round = 0; round < ROUNDS; round++) {
    bare.push(await writesPerSecond(join(folder, "bare.log")));
    alone.push(await appendsPerSecond(journal, 1));
    together.push(await appendsPerSecond(journal, WAITERS));
  }
  const callMicros = microsPerCall(journal);
  await journal.close();
  const peer = `${Math.round(median(bare))}/s bare`;
  return [
    {
      name: "journal, one waiter",
      figure: median(alone) / median(bare),
      unit: "of the bare loop",
      bar: { atLeast: 0.6 },
      note: `${Math.round(median(alone))}/s, ${peer}`,
    },
    {
      name: `journal, ${WAITERS} waiters`,
      figure: median(together) / median(bare),
      unit: "times the bare loop",
      bar: { atLeast: 10 },
      note: `${Math.round(median(together))}/s, ${peer}`,
    },
    { name: "journal, one call of append", figure: callMicros, unit: "µs", bar: { atMost: 5 } },
  ];
}

async function measureReplay(folder: string): Promise<readonly BenchRow[]> {
  const plain = join(folder, "plain.jsonl");
  const lines = Array.from({ length: REPLAYED }, (_, n) => JSON.stringify({ ...RECORD, n }));
  fs.writeFileSync(plain, lines.join("\n"));
  const written = await open(folder);
  for (const line of lines) void written.appendJson(line);
  await written.close();

  const bare: number[] = [];
  const replay: number[] = [];
  for (let round = 0; round < ROUNDS; round++) {
    bare.push(await milliseconds(async () => parseLines(plain)));
    let journal: Journal | undefined;
    replay.push(
      await milliseconds(async () => {
        journal = await open(folder);
      }),
    );
    await journal?.close();
  }
  const megabytesPerSecond = written.sizeBytes / 1000 / median(replay);
  return [
    {
      name: "journal, replay",
      figure: median(replay) / median(bare),
      unit: "times parsing alone",
      bar: { atMost: 1.5 },
      note: `${Math.round(megabytesPerSecond)} MB/s, ${REPLAYED} records in ${Math.round(median(replay))} ms`,
    },
  ];
}

function open(folder: string): Promise<Journal> {
  return openJournal({
    folder,
    onRecord: () => {},
    report: (finding) => {
      throw new Error(finding.message);
    },
    onBroken: (failure) => {
      throw failure;
    },
  });
}

async function appendsPerSecond(journal: Journal, waiters: number): Promise<number> {
  let appended = 0;
  const began = performance.now();
  const wait = async (): Promise<void> => {
    while (performance.now() - began < ROUND_MS) {
      await journal.append(RECORD);
      appended++;
    }
  };
  await Promise.all(Array.from({ length: waiters }, wait));
  return (appended / (performance.now() - began)) * 1000;
}

/** The record's text is made each time, as the journal has to. */
async function writesPerSecond(path: string): Promise<number> {
  const fd = fs.openSync(path, "w");
  let position = 0;
  let written = 0;
  const began = performance.now();
  while (performance.now() - began < ROUND_MS) {
    const bytes = Buffer.from(`${JSON.stringify(RECORD)}\n`);
    await new Promise<void>((resolve, reject) => {
      fs.write(fd, bytes, 0, bytes.length, position, (failed) => {
        if (failed !== null) reject(failed);
        else fs.fdatasync(fd, (alsoFailed) => (alsoFailed === null ? resolve() : reject(alsoFailed)));
      });
    });
    position += bytes.length;
    written++;
  }
  fs.closeSync(fd);
  return (written / (performance.now() - began)) * 1000;
}

function microsPerCall(journal: Journal): number {
  const calls = 200_000;
  const began = performance.now();
  for (let n = 0; n < calls; n++) void journal.append(RECORD);
  return ((performance.now() - began) / calls) * 1000;
}

function parseLines(path: string): void {
  for (const line of fs.readFileSync(path, "utf8").split("\n")) JSON.parse(line);
}

async function milliseconds(work: () => Promise<void>): Promise<number> {
  const began = performance.now();
  await work();
  return performance.now() - began;
}

function median(figures: readonly number[]): number {
  return [...figures].sort((a, b) => a - b)[Math.floor(figures.length / 2)] as number;
}

async function withFolder(measure: (folder: string) => Promise<readonly BenchRow[]>): Promise<readonly BenchRow[]> {
  const folder = fs.mkdtempSync(join(tmpdir(), "holdfast-bench-"));
  try {
    return await measure(folder);
  } finally {
    fs.rmSync(folder, { recursive: true, force: true });
  }
}
