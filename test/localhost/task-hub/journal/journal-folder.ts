// Folders of journals for tests: made anew, copied to be damaged, and gone afterwards.

import * as fs from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll } from "vitest";

/** A parent for all folders of a test file; in memory where only the content matters and there are many. */
export function temporaryFolders({ inMemory = false } = {}): { next(): string; copyOf(folder: string): string } {
  const parent = fs.mkdtempSync(
    join(inMemory && fs.existsSync("/dev/shm") ? "/dev/shm" : tmpdir(), "holdfast-journal-"),
  );
  afterAll(() => fs.rmSync(parent, { recursive: true, force: true }));
  let made = 0;
  const next = (): string => join(parent, String(++made));
  return {
    next,
    copyOf(folder) {
      const copy = next();
      fs.cpSync(folder, copy, { recursive: true });
      return copy;
    },
  };
}

export function segmentsOf(folder: string): string[] {
  const names = fs.readdirSync(folder).filter((name) => name.endsWith(".log"));
  return names.sort().map((name) => join(folder, name));
}

export function lastSegmentOf(folder: string): string {
  const last = segmentsOf(folder).at(-1);
  if (last === undefined) throw new Error(`${folder} has no segment`);
  return last;
}

export function damage(path: string, change: (bytes: Buffer) => Buffer | undefined): void {
  const bytes = fs.readFileSync(path);
  fs.writeFileSync(path, change(bytes) ?? bytes);
}
