import { spawnSync } from "node:child_process";
import * as fs from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { type Archive, type ArchivePointer, openArchive } from "../../../../localhost/task-hub/journal/archive.ts";
import { HoldfastFailure } from "../../../../src/base/failure.ts";
import { damage, temporaryFolders } from "./journal-folder.ts";

const folders = temporaryFolders();

function filesOf(folder: string): string[] {
  return fs.readdirSync(folder).sort();
}

async function putOne(archive: Archive, document: string): Promise<ArchivePointer> {
  const [pointer] = await archive.put([document]);
  return pointer as ArchivePointer;
}

describe("the archive", () => {
  it("gives back each document, now and after it is opened again", async () => {
    const folder = folders.next();
    const archive = await openArchive({ folder, live: [] });
    const documents = ["{}", "Grüße 世界 🌍", "two\nlines", "", "x".repeat(2_000_000)];
    const pointers = await archive.put(documents);
    expect(await Promise.all(pointers.map((pointer) => archive.get(pointer)))).toEqual(documents);
    await archive.close();

    const kept: ArchivePointer[] = JSON.parse(JSON.stringify(pointers));
    const again = await openArchive({ folder, live: kept });
    for (const [index, pointer] of kept.entries()) expect(await again.get(pointer)).toBe(documents[index]);
    await again.close();
  });

  it("has documents on disk when they are acknowledged", async () => {
    const folder = folders.next();
    const archive = await openArchive({ folder, live: [] });
    await archive.put(["written through"]);
    expect(fs.readFileSync(join(folder, filesOf(folder)[0] as string), "utf8")).toBe("written through\n");
    await archive.close();
  });

  it("keeps apart what is put at the same time, over many files", async () => {
    const folder = folders.next();
    const archive = await openArchive({ folder, live: [], fileBytes: 5_000 });
    const documents = Array.from({ length: 300 }, (_, n) => `${n}:${"y".repeat((n * 31) % 200)}`);
    const pointers: ArchivePointer[] = [];
    for (let from = 0; from < documents.length; from += 60) {
      const batch = documents.slice(from, from + 60).map((document) => putOne(archive, document));
      pointers.push(...(await Promise.all(batch)));
    }
    expect(filesOf(folder).length).toBeGreaterThan(2);
    expect(await Promise.all(pointers.map((pointer) => archive.get(pointer)))).toEqual(documents);
    await archive.close();
  });

  it("takes an empty list, and refuses documents once it is closed", async () => {
    const archive = await openArchive({ folder: folders.next(), live: [] });
    expect(await archive.put([])).toEqual([]);
    await archive.close();
    await archive.close();
    expect(() => archive.put(["late"])).toThrow("closed");
  });

  it("appends to no file of a former process, whose end may be torn", async () => {
    const folder = folders.next();
    const first = await openArchive({ folder, live: [] });
    const pointer = await putOne(first, "kept");
    await first.close();
    damage(join(folder, filesOf(folder)[0] as string), (bytes) => Buffer.concat([bytes, Buffer.from('{"half a docu')]));

    const second = await openArchive({ folder, live: [pointer] });
    const added = await putOne(second, "added");
    expect(added[0]).toBeGreaterThan(pointer[0]);
    expect(await second.get(pointer)).toBe("kept");
    await second.close();
  });
});

describe("a damaged archive", () => {
  it("never gives back anything but what was put", async () => {
    const folder = folders.next();
    const archive = await openArchive({ folder, live: [] });
    const documents = ['{"first":1}', "second", "third, a little longer than the others"];
    const pointers = await archive.put(documents);
    await archive.close();
    const [name] = filesOf(folder);
    const length = fs.statSync(join(folder, name as string)).size;

    await fc.assert(
      fc.asyncProperty(fc.nat(length - 1), fc.integer({ min: 1, max: 255 }), async (at, flip) => {
        const copy = folders.copyOf(folder);
        damage(join(copy, name as string), (bytes) => {
          bytes[at] = (bytes[at] as number) ^ flip;
          return undefined;
        });
        const opened = await openArchive({ folder: copy, live: pointers });
        for (const [index, [, offset, bytes]] of pointers.entries()) {
          const got = await opened.get(pointers[index] as ArchivePointer).catch((error: unknown) => error);
          if (at < offset || at >= offset + bytes) expect(got).toBe(documents[index]);
          else expect(got).toMatchObject({ kind: "corrupt", code: "ArchiveCorrupt" });
        }
        await opened.close();
      }),
      { numRuns: 60 },
    );
  });

  it("is refused when a document that is known lies beyond the end, or its file is missing", async () => {
    const folder = folders.next();
    const archive = await openArchive({ folder, live: [] });
    const pointers = await archive.put(["one", "two"]);
    await archive.close();
    const path = join(folder, filesOf(folder)[0] as string);
    fs.truncateSync(path, 5);
    const failure = await openArchive({ folder, live: pointers }).catch((error: unknown) => error);
    expect(failure).toBeInstanceOf(HoldfastFailure);
    expect(failure).toMatchObject({ kind: "corrupt", message: expect.stringContaining(path) });
    expect(fs.existsSync(path)).toBe(true);
    fs.rmSync(path);
    await expect(openArchive({ folder, live: pointers })).rejects.toMatchObject({ kind: "corrupt" });
  });

  it("says so when a file disappears while it is open", async () => {
    const folder = folders.next();
    const archive = await openArchive({ folder, live: [] });
    const pointer = await putOne(archive, "gone");
    fs.rmSync(join(folder, filesOf(folder)[0] as string));
    await expect(archive.get(pointer)).rejects.toMatchObject({ kind: "corrupt", code: "ArchiveCorrupt" });
    await archive.close();
  });
});

describe("space in the archive", () => {
  it("comes back when nothing in a closed file is live any more", async () => {
    const folder = folders.next();
    const archive = await openArchive({ folder, live: [], fileBytes: 10 });
    const first = await putOne(archive, "the first file");
    const second = await putOne(archive, "the second file");
    await putOne(archive, "the third file");
    expect(filesOf(folder)).toHaveLength(3);
    archive.release(first);
    archive.release(second);
    await archive.close();
    expect(filesOf(folder)).toHaveLength(1);
  });

  it("is not taken from a document that is being read", async () => {
    const folder = folders.next();
    const archive = await openArchive({ folder, live: [], fileBytes: 10 });
    const text = "z".repeat(3_000_000);
    const pointer = await putOne(archive, text);
    await putOne(archive, "next file");
    const reading = Array.from({ length: 5 }, () => archive.get(pointer));
    archive.release(pointer);
    expect(await Promise.all(reading)).toEqual(Array.from({ length: 5 }, () => text));
    await archive.close();
    expect(filesOf(folder)).toHaveLength(1);
  });

  it("comes back at opening from files that the owner knows nothing in", async () => {
    const folder = folders.next();
    const archive = await openArchive({ folder, live: [], fileBytes: 10 });
    await putOne(archive, "written, but its pointer was never recorded");
    const known = await putOne(archive, "recorded");
    await archive.close();
    const again = await openArchive({ folder, live: [known] });
    expect(filesOf(folder)).toHaveLength(1);
    expect(await again.get(known)).toBe("recorded");
    await again.close();
  });

  it("is offered for compaction when less than half of a file is live, and moves by put and release", async () => {
    const folder = folders.next();
    const archive = await openArchive({ folder, live: [], fileBytes: 1_000 });
    const pointers = await archive.put(Array.from({ length: 20 }, (_, n) => `${n} ${"w".repeat(100)}`));
    await putOne(archive, "a later file");
    for (const pointer of pointers.slice(0, 9)) archive.release(pointer);
    expect(archive.compactable()).toEqual([]);
    for (const pointer of pointers.slice(9, 11)) archive.release(pointer);
    const [sparse] = archive.compactable();
    expect(sparse).toBe(pointers[0]?.[0]);

    const before = archive.totalBytes;
    for (const pointer of pointers.slice(11)) {
      const moved = await putOne(archive, await archive.get(pointer));
      archive.release(pointer);
      expect(await archive.get(moved)).toMatch(/^1\d w+$/);
    }
    expect(archive.compactable()).toEqual([]);
    expect(archive.totalBytes).toBeLessThan(before);
    await archive.close();
    expect(filesOf(folder).some((name) => name.includes(`${sparse}.dat`))).toBe(false);
  });

  it("cannot be released twice", async () => {
    const archive = await openArchive({ folder: folders.next(), live: [] });
    const pointer = await putOne(archive, "once");
    archive.release(pointer);
    expect(() => archive.release(pointer)).toThrow("no such live document");
    await archive.close();
  });
});

describe("a disk that takes no more", () => {
  it.skipIf(process.platform === "win32")("refuses the put, keeps what was there, and takes smaller ones again", () => {
    const folder = folders.next();
    const archiveModule = new URL("../../../../localhost/task-hub/journal/archive.ts", import.meta.url).href;
    const program = `
      const { openArchive } = await import(${JSON.stringify(archiveModule)});
      const archive = await openArchive({ folder: ${JSON.stringify(folder)}, live: [] });
      const [kept] = await archive.put(["kept"]);
      const failure = await archive.put(["v".repeat(300_000)]).catch((error) => error);
      const [later] = await archive.put(["later"]);
      console.log(JSON.stringify([failure.kind, failure.code, await archive.get(kept), await archive.get(later)]));
      await archive.close();`;
    const command = [
      "-c",
      'trap "" XFSZ; ulimit -f 100; exec "$0" "$@"',
      process.execPath,
      "--input-type=module",
      "-e",
      program,
    ];
    const { stdout, stderr } = spawnSync("bash", command, {
      encoding: "utf8",
      cwd: fileURLToPath(new URL(".", import.meta.url)),
    });
    expect(stderr).toBe("");
    expect(JSON.parse(stdout)).toEqual(["unavailable", "ArchiveUnavailable", "kept", "later"]);
  });
});
