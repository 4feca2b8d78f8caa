import * as fs from "node:fs";
import { join } from "node:path";
import { describe, expect, it } from "vitest";
import { type Journal, openJournal } from "../../../../localhost/task-hub/journal/journal.ts";
import { CountingOwner } from "./counting-owner.ts";
import { segmentsOf, temporaryFolders } from "./journal-folder.ts";

const folders = temporaryFolders();

async function open(folder: string, segmentBytes?: number): Promise<{ journal: Journal; replayed: unknown[] }> {
  const replayed: unknown[] = [];
  const journal = await openJournal({
    folder,
    onRecord: (record) => replayed.push(record),
    report: (finding) => expect.fail(finding.message),
    onBroken: (failure) => expect.fail(failure.message),
    ...(segmentBytes === undefined ? {} : { segmentBytes }),
  });
  return { journal, replayed };
}

async function reopened(folder: string): Promise<unknown[]> {
  const { journal, replayed } = await open(folder);
  await journal.close();
  return replayed;
}

describe("the journal", () => {
  it("hands back every record, in order, as it was appended", async () => {
    const folder = folders.next();
    const { journal } = await open(folder);
    const records = [{ text: "first" }, { text: "Grüße, 世界 🌍\n\u0000\ud800" }, { nested: [1, null, { a: -0.5 }] }];
    for (const record of records) await journal.append(record);
    void journal.appendJson('{"text":"ready made"}');
    await journal.close();
    expect(await reopened(folder)).toEqual([...records, { text: "ready made" }]);
  });

  it("creates its folder, parents included, and opens an empty journal again", async () => {
    const folder = join(folders.next(), "deep", "down");
    const { journal } = await open(folder);
    await journal.close();
    expect(await reopened(folder)).toEqual([]);
    expect(await reopened(folder)).toEqual([]);
  });

  it("goes on where it stopped, over many openings", async () => {
    const folder = folders.next();
    for (let round = 0; round < 5; round++) {
      const { journal, replayed } = await open(folder);
      expect(replayed).toEqual(Array.from({ length: round }, (_, n) => ({ n })));
      await journal.append({ n: round });
      await journal.close();
    }
  });

  it("writes what is appended meanwhile as one frame, under one promise", async () => {
    const { journal } = await open(folders.next());
    const first = journal.append({ n: 1 });
    expect(journal.append({ n: 2 })).toBe(first);
    await first;
    const later = journal.append({ n: 3 });
    expect(later).not.toBe(first);
    await later;
    await journal.close();
  });

  it("has a record on disk when its promise resolves, and not only in its memory", async () => {
    const folder = folders.next();
    const { journal } = await open(folder);
    for (let n = 0; n < 20; n++) {
      await journal.append({ n });
      expect(fs.readFileSync(segmentsOf(folder)[0] as string, "latin1")).toContain(`{"n":${n}}`);
    }
    await journal.close();
  });

  it("resolves a barrier once everything before it is durable", async () => {
    const folder = folders.next();
    const { journal } = await open(folder);
    await journal.barrier();
    let durable = 0;
    for (let n = 0; n < 100; n++) void journal.append({ n, padding: "x".repeat(50_000) }).then(() => durable++);
    await journal.barrier();
    expect(durable).toBe(100);
    await journal.close();
  });

  it("keeps order and content over many segments, with records of all sizes", { timeout: 30_000 }, async () => {
    const folder = folders.next();
    const { journal } = await open(folder, 100_000);
    const records = Array.from({ length: 400 }, (_, n) => ({ n, padding: "ü".repeat((n * 7919) % 5_000) }));
    records.push({ n: 400, padding: "z".repeat(3_000_000) }, { n: 401, padding: "" });
    for (const [index, record] of records.entries()) {
      const durable = journal.append(record);
      if (index % 7 === 0) await durable;
    }
    await journal.close();
    expect(segmentsOf(folder).length).toBeGreaterThan(10);
    expect(await reopened(folder)).toEqual(records);
  });

  it("counts the bytes a replay reads the same way before and after it is opened again", async () => {
    const folder = folders.next();
    const owner = await CountingOwner.open(folder, 300);
    for (let n = 0; n < 30; n++) await owner.count(`counter ${n % 5}`);
    await owner.checkpoint();
    await owner.count("counter 1");
    const { sizeBytes, bytesSinceCheckpoint } = owner.journal;
    await owner.journal.close();
    const again = await CountingOwner.open(folder);
    expect(again.journal.sizeBytes).toBe(sizeBytes);
    expect(again.journal.bytesSinceCheckpoint).toBe(bytesSinceCheckpoint);
    expect(bytesSinceCheckpoint).toBeGreaterThan(0);
    expect(bytesSinceCheckpoint).toBeLessThan(sizeBytes);
    await again.journal.close();
  });

  it("passes on what its owner throws during the replay", async () => {
    const folder = folders.next();
    const { journal } = await open(folder);
    await journal.append({ n: 1 });
    await journal.close();
    const refusal = new Error("not mine");
    const onRecord = (): void => {
      throw refusal;
    };
    await expect(openJournal({ folder, onRecord, report: () => {}, onBroken: () => {} })).rejects.toBe(refusal);
  });

  it("refuses a record that is not one line, and any record once it is closed", async () => {
    const { journal } = await open(folders.next());
    expect(() => journal.appendJson('{\n"a":1}')).toThrow("one line");
    expect(() => journal.appendJson("")).toThrow("one line");
    await journal.close();
    await journal.close();
    expect(() => journal.append({})).toThrow("closed");
  });

  it("says which folder it cannot use, and why", async () => {
    const file = folders.next();
    fs.writeFileSync(file, "");
    await expect(open(join(file, "journal"))).rejects.toMatchObject({
      kind: "unavailable",
      code: "JournalOpenFailed",
      message: expect.stringContaining(file),
    });
  });
});

describe("a checkpoint", () => {
  it("lets a replay begin with the restated records, and deletes what is older", async () => {
    const folder = folders.next();
    const owner = await CountingOwner.open(folder);
    for (let n = 0; n < 1_000; n++) void owner.count(`counter ${n % 3}`);
    const [before] = segmentsOf(folder);
    await owner.checkpoint();
    expect(fs.existsSync(before as string)).toBe(false);
    expect(owner.journal.bytesSinceCheckpoint).toBe(0);
    await owner.count("counter 0");
    await owner.journal.close();

    const again = await CountingOwner.open(folder);
    expect(again.replayedRecords).toBe(4);
    expect(again.counts).toEqual(owner.counts);
    await again.journal.close();
  });

  it("takes ordinary records before, among and after the restated ones", async () => {
    const folder = folders.next();
    const owner = await CountingOwner.open(folder, 2_000);
    for (let n = 0; n < 20; n++) await owner.count(`counter ${n}`);
    for (let round = 0; round < 3; round++) {
      await owner.checkpoint(async (restated) => {
        void owner.count(`counter ${(restated * 7) % 20}`); // some restated already, some not yet
        if (restated % 5 === 0) await owner.count(`born in round ${round}`);
      });
    }
    await owner.count("counter 0");
    await owner.journal.close();
    const again = await CountingOwner.open(folder);
    expect(again.counts).toEqual(owner.counts);
    await again.journal.close();
  });

  it("that was never completed changes nothing, and the next one may follow", async () => {
    const folder = folders.next();
    const owner = await CountingOwner.open(folder);
    for (let n = 0; n < 10; n++) await owner.count(`counter ${n}`);
    owner.journal.beginCheckpoint();
    await owner.journal.append({ name: "counter 0", count: 1, restated: true });
    await owner.count("counter 0");
    await owner.journal.close();

    const again = await CountingOwner.open(folder);
    expect(again.counts).toEqual(owner.counts);
    expect(again.replayedRecords).toBe(12);
    await again.checkpoint();
    await again.journal.close();
    const last = await CountingOwner.open(folder);
    expect(last.counts).toEqual(owner.counts);
    expect(last.replayedRecords).toBe(10);
    await last.journal.close();
  });

  it("is one at a time", async () => {
    const { journal } = await open(folders.next());
    await expect(journal.completeCheckpoint()).rejects.toThrow("not begun");
    journal.beginCheckpoint();
    expect(() => journal.beginCheckpoint()).toThrow("another one");
    await journal.completeCheckpoint();
    journal.beginCheckpoint();
    await journal.completeCheckpoint();
    await journal.close();
  });

  it("keeps a journal small that would grow for ever", async () => {
    const folder = folders.next();
    const owner = await CountingOwner.open(folder);
    for (let round = 0; round < 10; round++) {
      for (let n = 0; n < 1_000; n++) void owner.count(`counter ${n % 10}`);
      await owner.checkpoint();
      expect(owner.journal.sizeBytes).toBeLessThan(1_000);
      expect(segmentsOf(folder)).toHaveLength(1);
    }
    await owner.journal.close();
  });
});
