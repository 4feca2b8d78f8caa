// A killed process leaves all it wrote in the system's memory; a power cut takes what was not synced. So every order of
// writes and syncs is put to the test: cut after each operation on the disk, with what a disk may make of the rest.

import * as fs from "node:fs";
import { describe, expect, it } from "vitest";
import { type ArchivePointer, openArchive } from "../../../../localhost/task-hub/journal/archive.ts";
import { CountingOwner } from "./counting-owner.ts";
import { DiskRecorder } from "./disk-recorder.ts";
import { temporaryFolders } from "./journal-folder.ts";

const folders = temporaryFolders({ inMemory: true });
const VARIANTS = 4;

/** Repeatable noise, so that a failure can be looked at: its cut and variant are in the message. */
function randomFrom(seed: number): () => number {
  let state = seed;
  return () => {
    state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
    return ((state ^ (state >>> 15)) >>> 0) / 2 ** 32;
  };
}

async function recordLife(folder: string, acknowledged: Map<string, number>): Promise<DiskRecorder> {
  const disk = new DiskRecorder(folder);
  const stop = disk.listen();
  const count = async (owner: CountingOwner, name: string, padding: string): Promise<void> => {
    const durable = owner.count(name, padding);
    const reached = owner.counts.get(name) as number;
    await durable;
    disk.note(() => acknowledged.set(name, reached));
  };
  try {
    for (let life = 0; life < 2; life++) {
      const owner = await CountingOwner.open(folder, 1_200);
      for (let n = 0; n < 12; n++) {
        const together = Array.from({ length: 1 + (n % 4) }, (_, k) =>
          count(owner, `counter ${k}`, "p".repeat(n * 15)),
        );
        await Promise.all(together);
        if (n % 5 === 0) await new Promise((resolve) => setTimeout(resolve, 5)); // idle for long enough to set a mark
      }
      await owner.checkpoint(() => count(owner, "counter 1", ""));
      await count(owner, "counter 0", "");
      await owner.journal.close();
    }
  } finally {
    stop();
  }
  return disk;
}

/** Cuts after each operation, several times, and hands over what is left together with where that was. */
async function forEachCut(disk: DiskRecorder, check: (folder: string, where: string) => Promise<void>): Promise<void> {
  for (let cut = 0; cut <= disk.length; cut++) {
    for (let variant = 0; variant < VARIANTS; variant++) {
      const folder = folders.next();
      disk.cut(cut, folder, randomFrom(cut * VARIANTS + variant));
      await check(folder, `after operation ${cut}, variant ${variant}`);
      fs.rmSync(folder, { recursive: true });
    }
  }
}

describe("a power cut", () => {
  it("at any moment costs nothing that was acknowledged, and is never taken for damage", {
    timeout: 60_000,
  }, async () => {
    const folder = folders.next();
    fs.mkdirSync(folder);
    const acknowledged = new Map<string, number>();
    const disk = await recordLife(folder, acknowledged);
    expect(disk.length).toBeGreaterThan(200);

    let torn = 0;
    await forEachCut(disk, async (left, where) => {
      const owner = await CountingOwner.open(left).catch((error: unknown) => expect.fail(`${where}: ${error}`));
      torn += owner.findings.length;
      for (const [name, count] of acknowledged) {
        expect(owner.counts.get(name), `${name} ${where}`).toBeGreaterThanOrEqual(count);
      }
      await owner.journal.close();
      acknowledged.clear();
    });
    expect(torn).toBeGreaterThan(10);
  });

  it("leaves every archived document that was acknowledged", async () => {
    const folder = folders.next();
    fs.mkdirSync(folder);
    const acknowledged = new Map<string, ArchivePointer>();
    const disk = new DiskRecorder(folder);
    const stop = disk.listen();
    try {
      const archive = await openArchive({ folder, live: [], fileBytes: 300 });
      for (let n = 0; n < 12; n++) {
        const document = `${n} ${"d".repeat(n * 20)}`;
        const [pointer] = await archive.put([document]);
        disk.note(() => acknowledged.set(document, pointer as ArchivePointer));
      }
      await archive.close();
    } finally {
      stop();
    }
    await forEachCut(disk, async (left, where) => {
      const archive = await openArchive({ folder: left, live: acknowledged.values() });
      for (const [document, pointer] of acknowledged) expect(await archive.get(pointer), where).toBe(document);
      await archive.close();
      acknowledged.clear();
    });
  });
});
