// What the file system must have promised before we promise anything: whole writes, durable names, durable content.
// A file's content is durable after fdatasync; its name only after its folder is synced too. Windows cannot sync a
// folder, and needs not: NTFS journals names.

import * as fs from "node:fs";
import { dirname, join } from "node:path";
import { HoldfastFailure } from "../../../src/base/failure.ts";

/** Writes all of `bytes` at `position`; the kernel may take them in several pieces. */
export function writeFully(fd: number, bytes: Uint8Array, position: number): Promise<void> {
  return new Promise((resolve, reject) => {
    const writeFrom = (done: number): void => {
      fs.write(fd, bytes, done, bytes.length - done, position + done, (error, written) => {
        if (error !== null) reject(error);
        else if (done + written === bytes.length) resolve();
        else if (written === 0) reject(incomplete(done, bytes.length));
        else writeFrom(done + written);
      });
    };
    writeFrom(0);
  });
}

function incomplete(done: number, wanted: number): HoldfastFailure {
  return new HoldfastFailure("unavailable", "WriteIncomplete", `the disk took ${done} of ${wanted} bytes`);
}

export function syncContent(fd: number): Promise<void> {
  return new Promise((resolve, reject) => {
    fs.fdatasync(fd, (error) => (error === null ? resolve() : reject(error)));
  });
}

/** Makes the names in `folder` durable: files created, renamed or deleted there. */
export async function syncFolder(folder: string): Promise<void> {
  if (process.platform === "win32") return;
  const handle = await fs.promises.open(folder, "r");
  try {
    await handle.sync();
  } finally {
    await handle.close();
  }
}

/** Creates `folder` and its missing parents, all durably. */
export async function createFolder(folder: string): Promise<void> {
  const firstCreated = await fs.promises.mkdir(folder, { recursive: true });
  if (firstCreated === undefined) return;
  const top = dirname(firstCreated);
  for (let at = dirname(folder); at.length >= top.length; at = dirname(at)) {
    await syncFolder(at);
    if (at === top) return;
  }
}

/** Creates an empty file that must not exist yet, durably named, and leaves it open for reading and writing. */
export async function createFile(path: string): Promise<number> {
  const fd = fs.openSync(path, "wx+");
  try {
    await syncFolder(dirname(path));
    return fd;
  } catch (error) {
    fs.closeSync(fd);
    throw error;
  }
}

/** Replaces `folder/name` so that at any moment, power loss included, either the old or the new text is there. */
export async function replaceFile(folder: string, name: string, text: string): Promise<void> {
  const path = join(folder, name);
  const handle = await fs.promises.open(`${path}.new`, "w");
  try {
    await handle.writeFile(text);
    await handle.sync();
  } finally {
    await handle.close();
  }
  await fs.promises.rename(`${path}.new`, path);
  await syncFolder(folder);
}
