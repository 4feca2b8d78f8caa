// What a process leaves behind that stops in the middle of its work: killed, out of disk, or between any two steps of a
// checkpoint. The counters (counting-owner.ts) see by themselves any record that is lost, doubled or out of order.

import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import fsModule, * as fs from "node:fs";
import { syncBuiltinESMExports } from "node:module";
import { basename, join } from "node:path";
import { createInterface } from "node:readline";
import { fileURLToPath } from "node:url";
import { describe, expect, it } from "vitest";
import { CountingOwner } from "./counting-owner.ts";
import { lastSegmentOf, segmentsOf, temporaryFolders } from "./journal-folder.ts";

const folders = temporaryFolders();
const PROGRAM = fileURLToPath(new URL("counting-process.ts", import.meta.url));

interface CountingRun {
  readonly child: ChildProcess;
  readonly acknowledged: Map<string, number>;
  readonly lines: string[];
  /** Resolves at the first acknowledgement, or the first checkpoint that is complete. */
  readonly first: { readonly ack: Promise<void>; readonly checkpoint: Promise<void> };
  readonly ended: Promise<void>;
}

function watch(child: ChildProcess): CountingRun {
  const acknowledged = new Map<string, number>();
  const lines: string[] = [];
  const ack = Promise.withResolvers<void>();
  const checkpoint = Promise.withResolvers<void>();
  const output = createInterface({ input: child.stdout as NodeJS.ReadableStream });
  output.on("line", (line) => {
    const [, name, count] = /^ack (\S+) (\d+)$/.exec(line) ?? [];
    if (line === "checkpoint") checkpoint.resolve();
    if (name === undefined) lines.push(line);
    else acknowledged.set(name, Number(count));
    if (acknowledged.size > 0) ack.resolve();
  });
  const ended = Promise.all([once(child, "close"), once(output, "close")]).then(() => {
    const early = new Error(`the process ended by itself: ${lines.join("\n")}`);
    ack.reject(early);
    checkpoint.reject(early);
  });
  for (const { promise } of [ack, checkpoint]) promise.catch(() => {}); // not every test waits for both
  return { child, acknowledged, lines, first: { ack: ack.promise, checkpoint: checkpoint.promise }, ended };
}

function expectAcknowledged(owner: CountingOwner, run: CountingRun): void {
  for (const [name, count] of run.acknowledged) {
    expect(owner.counts.get(name), name).toBeGreaterThanOrEqual(count);
    // One more may have been on its way, not two: each counter waits until its acknowledgement is out.
    expect(owner.counts.get(name), name).toBeLessThanOrEqual(count + 1);
  }
}

describe("a killed process", () => {
  it("leaves every acknowledged record, in order, exactly once", { timeout: 60_000 }, async () => {
    const folder = folders.next();
    let checkpoints = 0;
    let total = 0;
    for (let round = 0; round < 25; round++) {
      const child = spawn(process.execPath, [PROGRAM, folder, "200000", "checkpoints"], {
        stdio: ["ignore", "pipe", "inherit"],
      });
      const run = watch(child);
      await run.first.ack;
      if (round % 2 === 0) await run.first.checkpoint;
      await new Promise((resolve) => setTimeout(resolve, Math.random() * 40)); // the moment of the kill, any will do
      child.kill("SIGKILL");
      await run.ended;
      checkpoints += run.lines.filter((line) => line === "checkpoint").length;

      const inspected = folders.copyOf(folder);
      const owner = await CountingOwner.open(inspected);
      expectAcknowledged(owner, run);
      expect(owner.total).toBeGreaterThan(total);
      total = owner.total;
      await owner.journal.close();
      fs.rmSync(inspected, { recursive: true });
    }
    expect(checkpoints).toBeGreaterThanOrEqual(13);
  });
});

describe("a disk that takes no more", () => {
  it.skipIf(process.platform === "win32")(
    "breaks the journal for good, tells the owner once, and costs nothing that was acknowledged",
    async () => {
      for (const limitKiB of [1_000, 1_337]) {
        const folder = folders.next();
        // A limit on the size of files: the write that reaches it is cut short, the next one fails.
        const limited = `trap "" XFSZ; ulimit -f ${limitKiB}; exec "$0" "$@"`;
        const command = ["-c", limited, process.execPath, PROGRAM, folder, "1000000000"];
        const run = watch(spawn("bash", command, { stdio: ["ignore", "pipe", "inherit"] }));
        await run.ended;
        expect(run.lines.at(-1)).toMatch(/^broken true JournalWriteFailed The journal in .* cannot be written: EFBIG/);

        const owner = await CountingOwner.open(folder);
        expect(run.acknowledged.size).toBeGreaterThan(0);
        expectAcknowledged(owner, run);
        await owner.count("counter-1");
        await owner.journal.close();
      }
    },
  );
});

describe("a disk that fails to sync", () => {
  it("is not asked again: what it had taken may be gone though a second sync succeeds", async () => {
    const owner = await CountingOwner.open(folders.next());
    await owner.count("counter");
    const { fdatasync } = fsModule;
    let syncs = 0;
    const failingSync = (_fd: number, done: fs.NoParamCallback): void => {
      syncs++;
      setImmediate(done, Object.assign(new Error("EIO: i/o error, fdatasync"), { code: "EIO" }));
    };
    fsModule.fdatasync = failingSync as typeof fdatasync;
    syncBuiltinESMExports();
    try {
      const failures = await Promise.allSettled([owner.count("counter"), owner.journal.barrier()]);
      failures.push(...(await Promise.allSettled([owner.count("counter"), owner.journal.barrier()])));
      failures.push(...(await Promise.allSettled([owner.checkpoint()])));
      for (const failure of failures) {
        expect(failure).toMatchObject({
          status: "rejected",
          reason: { code: "JournalWriteFailed", kind: "unavailable" },
        });
      }
      await owner.journal.close();
      expect(syncs).toBe(1);
      expect(owner.broken).toHaveLength(1);
    } finally {
      fsModule.fdatasync = fdatasync;
      syncBuiltinESMExports();
    }
  });
});

describe("a checkpoint that is interrupted", () => {
  /** The folder after each durable step; a crash leaves one of these, or the mixtures of neighbours made below. */
  async function takeSteps(): Promise<
    Record<"before" | "begun" | "restated" | "complete", string> & { total: number }
  > {
    const folder = folders.next();
    const owner = await CountingOwner.open(folder, 200);
    for (let n = 0; n < 12; n++) await owner.count(`counter ${n % 6}`);
    const before = folders.copyOf(folder);
    let begun = "";
    let restated = "";
    await owner.checkpoint(async (done) => {
      if (done === 1) {
        await owner.journal.barrier();
        begun = folders.copyOf(folder);
      }
      if (done === 6) {
        await owner.journal.barrier();
        restated = folders.copyOf(folder);
      }
    });
    const complete = folders.copyOf(folder);
    await owner.journal.close();
    return { before, begun, restated, complete, total: owner.total };
  }

  async function expectAllThere(folder: string, total: number): Promise<void> {
    const owner = await CountingOwner.open(folder, 200);
    expect(owner.total).toBe(total);
    for (let n = 0; n < 6; n++) await owner.count(`counter ${n}`);
    await owner.checkpoint();
    await owner.journal.close();
    const again = await CountingOwner.open(folder);
    expect(again.total).toBe(total + 6);
    await again.journal.close();
  }

  it("loses nothing when it stops after any of its steps, and can be done again", async () => {
    const { before, begun, restated, complete, total } = await takeSteps();
    for (const step of [before, begun, restated, complete]) await expectAllThere(folders.copyOf(step), total);
  });

  it("loses nothing when the new segment is there and the head does not know it yet", async () => {
    const { before, begun, total } = await takeSteps();
    const oldHead = folders.copyOf(begun);
    fs.copyFileSync(join(before, "journal-head"), join(oldHead, "journal-head"));
    await expectAllThere(folders.copyOf(oldHead), total);
    fs.truncateSync(lastSegmentOf(oldHead), 0);
    await expectAllThere(oldHead, total);
  });

  it("loses nothing when the new head is half written beside the old one", async () => {
    const { restated, complete, total } = await takeSteps();
    const head = fs.readFileSync(join(complete, "journal-head"));
    for (let bytes = 0; bytes <= head.length; bytes += 20) {
      const folder = folders.copyOf(restated);
      fs.writeFileSync(join(folder, "journal-head.new"), head.subarray(0, bytes));
      await expectAllThere(folder, total);
    }
  });

  it("loses nothing when older segments are deleted in part, in any order, and finishes that", async () => {
    const { restated, complete, total } = await takeSteps();
    const names = segmentsOf(restated).map((segment) => basename(segment));
    const older = names.filter((name) => !fs.existsSync(join(complete, name)));
    expect(older.length).toBeGreaterThan(1);
    for (let deleted = 0; deleted < 2 ** older.length; deleted++) {
      const folder = folders.copyOf(restated);
      fs.copyFileSync(join(complete, "journal-head"), join(folder, "journal-head"));
      for (const [bit, name] of older.entries()) if (deleted & (1 << bit)) fs.rmSync(join(folder, name));
      const owner = await CountingOwner.open(folder);
      expect(segmentsOf(folder).map((segment) => basename(segment))).toEqual(
        names.filter((name) => !older.includes(name)),
      );
      await owner.journal.close();
      await expectAllThere(folder, total);
    }
  });

  it("loses nothing when the process is killed while it creates its journal", async () => {
    const folder = folders.next();
    const owner = await CountingOwner.open(folder);
    await owner.journal.close();
    const firstSegmentOnly = folders.next();
    fs.mkdirSync(firstSegmentOnly);
    fs.writeFileSync(join(firstSegmentOnly, basename(lastSegmentOf(folder))), "");
    await expectAllThere(firstSegmentOnly, 0);
    const headHalfWritten = folders.copyOf(firstSegmentOnly);
    fs.rmSync(headHalfWritten, { recursive: true });
    fs.mkdirSync(headHalfWritten);
    fs.writeFileSync(join(headHalfWritten, basename(lastSegmentOf(folder))), "");
    fs.writeFileSync(join(headHalfWritten, "journal-head.new"), "12");
    await expectAllThere(headHalfWritten, 0);
  });
});
