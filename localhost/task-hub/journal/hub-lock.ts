// One host for each data folder. The lock is an exclusive transaction on an empty SQLite file, which the operating
// system holds for the process: taken without a race, gone with the process however it ends, seen from other containers
// on the same folder, and the same on every platform. `host.json` beside it says who holds it, for people; it decides nothing.

import { readFileSync } from "node:fs";
import { mkdir, rm, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { DatabaseSync } from "node:sqlite";
import { HoldfastFailure, messageOf } from "../../../src/base/failure.ts";

export const LOCK_FILE = "host.lock";
export const HOLDER_FILE = "host.json";

export interface HubLock {
  /** Tells others where the host listens, once it does. */
  announce(url: string): Promise<void>;
  release(): Promise<void>;
}

interface Holder {
  readonly pid: number;
  readonly started: string;
  readonly url?: string;
}

/** Fails with `conflict` when another process, or this one, holds the folder. */
export async function acquireHubLock(folder: string): Promise<HubLock> {
  await mkdir(folder, { recursive: true });
  const database = lockFile(folder);
  const holder: Holder = { pid: process.pid, started: new Date().toISOString() };
  const holderPath = join(folder, HOLDER_FILE);
  await writeFile(holderPath, JSON.stringify(holder));
  return {
    announce: (url) => writeFile(holderPath, JSON.stringify({ ...holder, url })),
    release: async () => {
      if (!database.isOpen) return;
      await rm(holderPath, { force: true });
      database.close();
    },
  };
}

const SQLITE_BUSY = 5;

function lockFile(folder: string): DatabaseSync {
  const path = join(folder, LOCK_FILE);
  const database = openDatabase(path);
  try {
    database.exec("PRAGMA journal_mode = MEMORY; BEGIN EXCLUSIVE"); // in memory: leaves no second file
    return database;
  } catch (error) {
    database.close();
    if ((error as { errcode?: number }).errcode !== SQLITE_BUSY) throw unlockable(path, error);
    throw new HoldfastFailure(
      "conflict",
      "HubLocked",
      `The data folder ${folder} is in use by ${describeHolder(folder)}.`,
      {
        hint: "Use that host, stop it, or give this one another folder with --data.",
      },
    );
  }
}

function openDatabase(path: string): DatabaseSync {
  try {
    return new DatabaseSync(path);
  } catch (error) {
    throw unlockable(path, error);
  }
}

function unlockable(path: string, cause: unknown): HoldfastFailure {
  const message = `The data folder cannot be locked: ${path}: ${messageOf(cause)}.`;
  return new HoldfastFailure("unavailable", "HubLockFailed", message, {
    hint: "The folder must be writable and lie on a file system with file locks.",
    cause,
  });
}

/** `host.json` may be a killed host's while the new one has not written its own yet: only a living process is named. */
function describeHolder(folder: string): string {
  try {
    const { pid, started, url } = JSON.parse(readFileSync(join(folder, HOLDER_FILE), "utf8")) as Holder;
    if (isAlive(pid))
      return `another host: process ${pid}, started ${started}${url === undefined ? "" : `, at ${url}`}`;
  } catch {
    // Not written yet, or half written.
  }
  return "another host, which is just starting or not visible from here";
}

function isAlive(pid: number): boolean {
  try {
    process.kill(pid, 0);
    return true;
  } catch (error) {
    return (error as NodeJS.ErrnoException).code === "EPERM";
  }
}
