// One host for each data folder. The lock is an exclusive transaction on an empty SQLite file, which the operating
// system holds for the process: taken without a race, gone with the process however it ends, seen from other containers
// on the same folder, and the same on every platform. (Node has no file locks of its own, and a socket's name is seen
// in one network namespace only.) `host.json` beside it says who holds it, for people; it decides nothing.

import { readFileSync } from "node:fs";
import { mkdir, rm, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { DatabaseSync } from "node:sqlite";
import { setTimeout as sleep } from "node:timers/promises";
import { HoldfastFailure, messageOf } from "../../../src/base/failure.ts";

const LOCK_FILE = "host.lock";
const HOLDER_FILE = "host.json";

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

/** A database that nobody refers to is closed when garbage is collected, and the lock with it. */
const held = new Set<DatabaseSync>();

/** Fails with `conflict` when another process, or this one, holds the folder. */
export async function acquireHubLock(folder: string): Promise<HubLock> {
  await mkdir(folder, { recursive: true }).catch((error: unknown) => Promise.reject(unlockable(folder, error)));
  const database = tryLock(join(folder, LOCK_FILE));
  if (database === undefined) throw await heldByAnother(folder);
  held.add(database);
  const holder: Holder = { pid: process.pid, started: new Date().toISOString() };
  const holderPath = join(folder, HOLDER_FILE);
  const lock: HubLock = {
    announce: (url) => writeFile(holderPath, JSON.stringify({ ...holder, url })),
    release: async () => {
      if (!held.delete(database)) return;
      await rm(holderPath, { force: true });
      database.close();
    },
  };
  try {
    await writeFile(holderPath, JSON.stringify(holder));
    return lock;
  } catch (error) {
    await lock.release();
    throw unlockable(holderPath, error);
  }
}

const SQLITE_BUSY = 5;

/** Undefined when it is held by somebody. */
function tryLock(path: string): DatabaseSync | undefined {
  let database: DatabaseSync | undefined;
  try {
    database = new DatabaseSync(path);
    database.exec("PRAGMA journal_mode = MEMORY; BEGIN EXCLUSIVE"); // in memory: leaves no second file
    return database;
  } catch (error) {
    database?.close();
    if ((error as { errcode?: number }).errcode === SQLITE_BUSY) return undefined;
    throw unlockable(path, error);
  }
}

async function heldByAnother(folder: string): Promise<HoldfastFailure> {
  const holder = await findHolder(folder);
  const who =
    holder === undefined
      ? "another host, which is not visible from here"
      : `another host: process ${holder.pid}, started ${holder.started}${holder.url === undefined ? "" : `, at ${holder.url}`}`;
  return new HoldfastFailure("conflict", "HubLocked", `The data folder ${folder} is in use by ${who}.`, {
    hint: "Use that host, stop it, or give this one another folder with --data.",
  });
}

function unlockable(path: string, cause: unknown): HoldfastFailure {
  const message = `The data folder cannot be locked: ${path}: ${messageOf(cause)}.`;
  return new HoldfastFailure("unavailable", "HubLockFailed", message, {
    hint: "The folder must be writable and lie on a file system with file locks.",
    cause,
  });
}

/** A holder that just starts gets a moment to say who it is; a killed one's note names no living process. */
async function findHolder(folder: string): Promise<Holder | undefined> {
  for (let attempt = 0; attempt < 40; attempt++) {
    try {
      const holder = JSON.parse(readFileSync(join(folder, HOLDER_FILE), "utf8")) as Holder;
      if (isAlive(holder.pid)) return holder;
    } catch {
      // Not written yet, or half written.
    }
    await sleep(25);
  }
  return undefined;
}

function isAlive(pid: number): boolean {
  try {
    process.kill(pid, 0);
    return true;
  } catch (error) {
    return (error as NodeJS.ErrnoException).code === "EPERM";
  }
}
