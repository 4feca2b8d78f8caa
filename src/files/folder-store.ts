// A folder as an object store: for `holdfast vault` on a copy of a vault, or on a vault that lives on a disk. Files appear
// under their names by an atomic link (create) or rename (replace), both after their bytes are durable. Comparing and
// swapping needs a lock, since no file system compares: a lock file that names its process.
// The folder is for one machine; several processes on it may work at once.

import { constants } from "node:fs";
import {
  type FileHandle,
  link,
  mkdir,
  open,
  readdir,
  readFile,
  realpath,
  rename,
  stat,
  unlink,
} from "node:fs/promises";
import { dirname, join, sep } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { HoldfastFailure, messageOf } from "../base/failure.ts";
import type { ByteRange, ObjectContent, ObjectPage, ObjectStore, StoredObject } from "../ports/object-store.ts";

/** Where unfinished writes and locks lie. Not part of the vault; may be deleted while nothing runs. */
const SCRATCH = ".scratch";
const PAGE_OBJECTS = 1_000;
const LOCK_RETRY_MS = 5;
const LOCK_PATIENCE_MS = 2_000;

export async function openFolderStore(folder: string): Promise<ObjectStore> {
  try {
    await mkdir(join(folder, SCRATCH), { recursive: true });
    return new FolderStore(await realpath(folder));
  } catch (cause) {
    if (codeOf(cause) !== "ENOTDIR" && codeOf(cause) !== "EEXIST") throw translate(cause, folder);
    throw new HoldfastFailure("conflict", "HoldfastNotAFolder", `${folder} cannot be a folder: a file is in its way`, {
      cause,
    });
  }
}

class FolderStore implements ObjectStore {
  readonly location: string;
  private readonly folder: string;
  private readonly madeFolders = new Set<string>();
  private scratchCount = 0;

  constructor(folder: string) {
    this.folder = folder;
    this.location = `file:${folder}`;
  }

  async create(name: string, body: Uint8Array): Promise<StoredObject> {
    const path = await this.pathFor(name);
    return this.withScratch(body, async (scratch) => {
      try {
        await link(scratch, path);
      } catch (cause) {
        if (codeOf(cause) === "EEXIST") throw conflict("HoldfastObjectExists", `${name} exists already`);
        throw translate(cause, name);
      }
      await unlink(scratch);
      await syncFolder(dirname(path));
      return this.describe(name);
    });
  }

  async replace(name: string, body: Uint8Array, etag: string): Promise<StoredObject> {
    const path = await this.pathFor(name);
    return this.withScratch(body, (scratch) =>
      this.locked(name, async () => {
        const current = await this.describe(name).catch(() => undefined);
        if (current?.etag !== etag) throw conflict("HoldfastObjectChanged", `${name} has changed`);
        await rename(scratch, path);
        await syncFolder(dirname(path));
        return this.describe(name);
      }),
    );
  }

  async read(name: string, range?: ByteRange): Promise<ObjectContent> {
    let file: FileHandle | undefined;
    try {
      file = await open(this.plainPath(name), "r");
      const object = await describeFile(name, file);
      const { offset, length } = range ?? { offset: 0, length: object.sizeBytes };
      if (offset + length > object.sizeBytes) {
        throw new HoldfastFailure("invalid", "HoldfastRangeBeyondEnd", `${name} ends before ${offset + length}`);
      }
      return { body: await readExactly(file, offset, length), object, storeDate: new Date() };
    } catch (cause) {
      throw translate(cause, name);
    } finally {
      await file?.close();
    }
  }

  async *list(prefix: string): AsyncIterable<ObjectPage> {
    const storeDate = new Date();
    let objects: StoredObject[] = [];
    let pages = 0;
    for await (const name of this.walk("", prefix)) {
      const object = await this.describe(name).catch((cause) => undefinedIfGone(cause));
      if (object) objects.push(object);
      if (objects.length < PAGE_OBJECTS) continue;
      yield { objects, storeDate };
      objects = [];
      pages++;
    }
    if (objects.length > 0 || pages === 0) yield { objects, storeDate };
  }

  async delete(name: string): Promise<void> {
    await unlink(this.plainPath(name)).catch((cause) => {
      if (codeOf(cause) !== "ENOENT" && codeOf(cause) !== "ENOTDIR") throw translate(cause, name);
    });
  }

  private plainPath(name: string): string {
    if (!/^[a-z0-9][a-z0-9._/-]*$/.test(name) || name.split("/").some((part) => part === "" || part.startsWith("."))) {
      throw new HoldfastFailure("invalid", "HoldfastInvalidName", `"${name}" is no object name`);
    }
    return join(this.folder, ...name.split("/"));
  }

  private async pathFor(name: string): Promise<string> {
    const path = this.plainPath(name);
    const parent = dirname(path);
    if (!this.madeFolders.has(parent)) {
      await mkdir(parent, { recursive: true });
      this.madeFolders.add(parent);
    }
    return path;
  }

  /** Names in the order of their bytes: "a-b/1" comes before "a/1", which is not the order of folders. */
  private async *walk(folder: string, prefix: string): AsyncGenerator<string> {
    const entries = await readdir(join(this.folder, ...folder.split("/")), { withFileTypes: true }).catch((cause) => {
      if (codeOf(cause) === "ENOENT") return [];
      throw translate(cause, folder);
    });
    const names = entries
      .filter((entry) => !entry.name.startsWith("."))
      .map((entry) => `${folder}${entry.name}${entry.isDirectory() ? "/" : ""}`)
      .sort((left, right) => (left < right ? -1 : 1));
    for (const name of names) {
      if (!name.startsWith(prefix) && !(name.endsWith("/") && prefix.startsWith(name))) continue;
      if (name.endsWith("/")) yield* this.walk(name, prefix);
      else yield name;
    }
  }

  private async describe(name: string): Promise<StoredObject> {
    try {
      return describeStats(name, await stat(this.plainPath(name), { bigint: true }));
    } catch (cause) {
      throw translate(cause, name);
    }
  }

  private async withScratch<T>(body: Uint8Array, use: (path: string) => Promise<T>): Promise<T> {
    const scratch = join(this.folder, SCRATCH, `${process.pid}-${Date.now()}-${this.scratchCount++}`);
    try {
      const file = await open(scratch, "wx");
      try {
        await file.writeFile(body);
        await file.datasync();
      } finally {
        await file.close();
      }
      return await use(scratch);
    } catch (cause) {
      throw translate(cause, scratch);
    } finally {
      await unlink(scratch).catch(() => undefined);
    }
  }

  private async locked<T>(name: string, work: () => Promise<T>): Promise<T> {
    const lock = join(this.folder, SCRATCH, `lock-${name.replaceAll("/", "_")}`);
    const deadline = Date.now() + LOCK_PATIENCE_MS;
    while (!(await tryLock(lock))) {
      if (Date.now() > deadline) throw await failureOfLock(lock, name);
      await sleep(LOCK_RETRY_MS);
    }
    try {
      return await work();
    } finally {
      await unlink(lock);
    }
  }
}

/** The lock appears with its owner's number inside, so that a crash leaves no lock that names nobody. */
async function tryLock(lock: string): Promise<boolean> {
  const mine = `${lock}.${process.pid}.${Math.random().toString(36).slice(2)}`;
  const file = await open(mine, "wx");
  try {
    await file.writeFile(`${process.pid}`);
    await link(mine, lock);
    return true;
  } catch (cause) {
    if (codeOf(cause) === "EEXIST") return false;
    throw cause;
  } finally {
    await file.close();
    await unlink(mine);
  }
}

/** A dead owner's lock is not broken here: two that found it dead could each break the lock of the living one after. */
async function failureOfLock(lock: string, name: string): Promise<HoldfastFailure> {
  const owner = await readFile(lock, "utf8").catch(() => "");
  const dead = /^\d+$/.test(owner) && !isRunning(Number(owner));
  const why = dead ? "a process that is gone" : "another process";
  return new HoldfastFailure("unavailable", "HoldfastLocked", `${name} is locked by ${why}`, {
    hint: `When nothing else works on this vault, delete ${lock}.`,
  });
}

function isRunning(processId: number): boolean {
  try {
    process.kill(processId, 0);
    return true;
  } catch (cause) {
    return codeOf(cause) === "EPERM";
  }
}

async function describeFile(name: string, file: FileHandle): Promise<StoredObject> {
  return describeStats(name, await file.stat({ bigint: true }));
}

function describeStats(
  name: string,
  stats: { size: bigint; mtimeNs: bigint; mtimeMs: bigint; ino: bigint },
): StoredObject {
  return {
    name,
    sizeBytes: Number(stats.size),
    etag: `"${stats.mtimeNs.toString(36)}-${stats.ino.toString(36)}-${stats.size.toString(36)}"`,
    lastModified: new Date(Number(stats.mtimeMs)),
    md5: undefined,
  };
}

async function readExactly(file: FileHandle, offset: number, length: number): Promise<Uint8Array> {
  const body = Buffer.allocUnsafe(length);
  let done = 0;
  while (done < length) {
    const { bytesRead } = await file.read(body, done, length - done, offset + done);
    if (bytesRead === 0)
      throw new HoldfastFailure("unavailable", "HoldfastShortRead", "A file shrank while it was read");
    done += bytesRead;
  }
  return body;
}

async function syncFolder(folder: string): Promise<void> {
  if (sep === "\\") return;
  const handle = await open(folder, constants.O_RDONLY);
  try {
    await handle.sync();
  } finally {
    await handle.close();
  }
}

function undefinedIfGone(cause: unknown): undefined {
  if (cause instanceof HoldfastFailure && cause.kind === "not-found") return undefined;
  throw cause;
}

function conflict(code: string, message: string): HoldfastFailure {
  return new HoldfastFailure("conflict", code, message);
}

function codeOf(cause: unknown): string | undefined {
  return cause instanceof Error && "code" in cause ? String(cause.code) : undefined;
}

function translate(cause: unknown, name: string): unknown {
  if (cause instanceof HoldfastFailure) return cause;
  const code = codeOf(cause);
  const said = { cause };
  if (code === "ENOENT" || code === "ENOTDIR" || code === "EISDIR") {
    return new HoldfastFailure("not-found", "HoldfastObjectNotFound", `${name} does not exist`, said);
  }
  if (code === "EACCES" || code === "EPERM" || code === "EROFS") {
    return new HoldfastFailure("denied", "HoldfastStoreDenied", `${name}: ${messageOf(cause)}`, said);
  }
  if (code === undefined) return cause;
  return new HoldfastFailure("unavailable", "HoldfastStoreUnavailable", `${name}: ${messageOf(cause)}`, said);
}
