// A store for finished documents: many, large, rarely read. They lie in append-only files, one document a line, found
// by pointers that the owner keeps. A pointer carries its document's checksum, so what is read is what was put, or a
// failure says that it is damaged. Space comes back by whole files: one in which nothing is live is deleted, one that
// is mostly dead is offered for compaction. A file is only ever appended to by the process that created it, so a torn
// end holds nothing that anybody points to.

import * as fs from "node:fs";
import { join } from "node:path";
import { crc32 } from "node:zlib";
import { assert } from "../../../src/base/assert.ts";
import { HoldfastFailure, messageOf } from "../../../src/base/failure.ts";
import { createFile, createFolder, syncContent, writeFully } from "./durable-files.ts";
import { RESTORE_HINT } from "./journal-head.ts";

/** Where a document is; small, and made to be kept in JSON. */
export type ArchivePointer = readonly [file: number, offset: number, bytes: number, crc: number];

export interface ArchiveOptions {
  /** May be the journal's, so that both are copied and moved together. Only one process may have it open. */
  readonly folder: string;
  /** All pointers the owner still knows. Files without any of them are deleted; a pointer to nothing is refused. */
  readonly live: Iterable<ArchivePointer>;
  /** A file that has grown to this is followed by a new one. */
  readonly fileBytes?: number;
}

export interface Archive {
  /** Resolves when all of them are durable; whatever is put meanwhile shares the next write. */
  put(documents: readonly string[]): Promise<ArchivePointer[]>;
  get(pointer: ArchivePointer): Promise<string>;
  /** The owner has durably forgotten this pointer. */
  release(pointer: ArchivePointer): void;
  /** Files of which less than half is live. Moving a document: get, put, record the new pointer, release the old. */
  compactable(): readonly number[];
  readonly liveBytes: number;
  readonly totalBytes: number;
  /** Waits for every put and deletion, then closes all files. */
  close(): Promise<void>;
}

const DEFAULT_FILE_BYTES = 64 * 1024 * 1024;
const LINE_FEED = "\n";

export async function openArchive(options: ArchiveOptions): Promise<Archive> {
  const { folder, live } = options;
  await createFolder(folder);
  const files = new Map<number, ArchiveFile>();
  for (const name of fs.readdirSync(folder)) {
    const number = /^archive-(\d+)\.dat$/.exec(name)?.[1];
    if (number === undefined) continue;
    const path = join(folder, name);
    files.set(Number(number), new ArchiveFile(path, fs.statSync(path).size));
  }
  for (const pointer of live) adopt(folder, files, pointer);
  const archive = new FileArchive(options, files);
  await archive.deleteDead();
  return archive;
}

function adopt(folder: string, files: ReadonlyMap<number, ArchiveFile>, pointer: ArchivePointer): void {
  const [number, offset, bytes] = pointer;
  const file = files.get(number);
  if (file === undefined) throw damaged(archivePath(folder, number), offset, "the file is missing");
  if (offset + bytes > file.totalBytes) throw damaged(file.path, offset, "the file ends before its document");
  file.liveBytes += bytes;
}

class ArchiveFile {
  readonly path: string;
  totalBytes: number;
  liveBytes = 0;
  #handle: Promise<fs.promises.FileHandle> | undefined;

  constructor(path: string, totalBytes: number) {
    this.path = path;
    this.totalBytes = totalBytes;
  }

  /** Opened once; a handle waits for its reads before it closes, so a file may be deleted while it is read. */
  async read(offset: number, bytes: number): Promise<Buffer> {
    const handle = await this.#open();
    const buffer = Buffer.allocUnsafe(bytes);
    let done = 0;
    while (done < bytes) {
      const { bytesRead } = await handle.read(buffer, done, bytes - done, offset + done);
      if (bytesRead === 0) break;
      done += bytesRead;
    }
    return buffer.subarray(0, done);
  }

  #open(): Promise<fs.promises.FileHandle> {
    if (this.#handle === undefined) {
      this.#handle = fs.promises.open(this.path, "r");
      this.#handle.catch(() => {
        this.#handle = undefined; // the next read tries again
      });
    }
    return this.#handle;
  }

  async close(): Promise<void> {
    await (await this.#handle?.catch(() => undefined))?.close();
  }

  async delete(): Promise<void> {
    await this.#handle?.catch(() => undefined);
    await fs.promises.rm(this.path, { force: true });
    await this.close();
  }
}

interface PendingPut {
  readonly documents: readonly string[];
  resolve(pointers: ArchivePointer[]): void;
  reject(failure: unknown): void;
}

class FileArchive implements Archive {
  readonly #folder: string;
  readonly #fileBytes: number;
  readonly #files: Map<number, ArchiveFile>;
  /** The file that takes documents; none until the first put, and after a failed write. */
  #current: { readonly number: number; readonly file: ArchiveFile; readonly fd: number } | undefined;
  #pending: PendingPut[] = [];
  #writing: Promise<void> | undefined;
  readonly #deleting = new Set<Promise<void>>();
  #lastNumber: number;
  #closed = false;

  constructor(options: ArchiveOptions, files: Map<number, ArchiveFile>) {
    this.#folder = options.folder;
    this.#fileBytes = options.fileBytes ?? DEFAULT_FILE_BYTES;
    this.#files = files;
    this.#lastNumber = Math.max(0, ...files.keys());
  }

  get liveBytes(): number {
    return this.#sum((file) => file.liveBytes);
  }

  get totalBytes(): number {
    return this.#sum((file) => file.totalBytes);
  }

  put(documents: readonly string[]): Promise<ArchivePointer[]> {
    assert(!this.#closed, "A document is put into a closed archive.");
    if (documents.length === 0) return Promise.resolve([]);
    const { promise, resolve, reject } = Promise.withResolvers<ArchivePointer[]>();
    this.#pending.push({ documents, resolve, reject });
    this.#writing ??= this.#work();
    return promise;
  }

  async get(pointer: ArchivePointer): Promise<string> {
    const [number, offset, bytes, crc] = pointer;
    const path = archivePath(this.#folder, number);
    const file = this.#files.get(number);
    if (file === undefined) throw damaged(path, offset, "the file is missing");
    let document: Buffer;
    try {
      document = await file.read(offset, bytes);
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code === "ENOENT") throw damaged(path, offset, "the file is missing");
      throw inaccessible(this.#folder, "read", error);
    }
    if (document.length < bytes) throw damaged(path, offset, "the file ends before its document");
    if (crc32(document) !== crc) throw damaged(path, offset, "the document's checksum does not match");
    return document.toString("utf8");
  }

  release(pointer: ArchivePointer): void {
    const [number, , bytes] = pointer;
    const file = this.#files.get(number);
    assert(file !== undefined && file.liveBytes >= bytes, `Archive file ${number} holds no such live document.`);
    file.liveBytes -= bytes;
    if (file.liveBytes === 0) void this.deleteDead();
  }

  compactable(): readonly number[] {
    const closed = [...this.#files].filter(([number]) => number !== this.#current?.number);
    return closed.filter(([, file]) => file.liveBytes * 2 < file.totalBytes).map(([number]) => number);
  }

  async close(): Promise<void> {
    if (this.#closed) return;
    this.#closed = true;
    await this.#writing;
    await Promise.all(this.#deleting);
    this.#stopAppending();
    for (const file of this.#files.values()) await file.close();
  }

  /** Deletes the files that nothing points to and nothing is appended to. */
  async deleteDead(): Promise<void> {
    for (const [number, file] of this.#files) {
      if (file.liveBytes > 0 || number === this.#current?.number) continue;
      this.#files.delete(number);
      // A file that cannot be deleted now is dead at the next start, too.
      const deleting = file.delete().catch(() => {});
      this.#deleting.add(deleting);
      void deleting.finally(() => this.#deleting.delete(deleting));
    }
    await Promise.all(this.#deleting);
  }

  async #work(): Promise<void> {
    while (this.#pending.length > 0) {
      const puts = this.#pending;
      this.#pending = [];
      try {
        await this.#write(puts);
      } catch (error) {
        // What a failed write left cannot be known: the next put begins a new file.
        this.#stopAppending();
        const failure = inaccessible(this.#folder, "written", error);
        for (const put of puts) put.reject(failure);
      }
    }
    this.#writing = undefined;
  }

  async #write(puts: readonly PendingPut[]): Promise<void> {
    const { number, file, fd } = await this.#appendable();
    let offset = file.totalBytes;
    const lines: Buffer[] = [];
    const pointers = puts.map(({ documents }) =>
      documents.map((document): ArchivePointer => {
        const line = Buffer.from(document + LINE_FEED);
        const bytes = line.length - LINE_FEED.length;
        const pointer: ArchivePointer = [number, offset, bytes, crc32(line.subarray(0, bytes))];
        lines.push(line);
        offset += line.length;
        return pointer;
      }),
    );
    await writeFully(fd, Buffer.concat(lines), file.totalBytes);
    await syncContent(fd);
    file.totalBytes = offset;
    for (const [index, put] of puts.entries()) {
      const own = pointers[index] ?? [];
      for (const [, , bytes] of own) file.liveBytes += bytes;
      put.resolve(own);
    }
  }

  async #appendable(): Promise<{ number: number; file: ArchiveFile; fd: number }> {
    if (this.#current !== undefined && this.#current.file.totalBytes >= this.#fileBytes) this.#stopAppending();
    if (this.#current !== undefined) return this.#current;
    const number = this.#lastNumber + 1;
    const path = archivePath(this.#folder, number);
    const fd = await createFile(path);
    this.#lastNumber = number;
    const file = new ArchiveFile(path, 0);
    this.#files.set(number, file);
    this.#current = { number, file, fd };
    return this.#current;
  }

  #stopAppending(): void {
    const current = this.#current;
    this.#current = undefined;
    if (current === undefined) return;
    fs.closeSync(current.fd);
    if (current.file.liveBytes === 0) void this.deleteDead();
  }

  #sum(bytesOf: (file: ArchiveFile) => number): number {
    let sum = 0;
    for (const file of this.#files.values()) sum += bytesOf(file);
    return sum;
  }
}

function archivePath(folder: string, number: number): string {
  return join(folder, `archive-${String(number).padStart(8, "0")}.dat`);
}

function damaged(path: string, offset: number, found: string): HoldfastFailure {
  const message = `The archive is damaged: ${path}, byte ${offset}: ${found}.`;
  return new HoldfastFailure("corrupt", "ArchiveCorrupt", message, { hint: RESTORE_HINT });
}

function inaccessible(folder: string, what: "opened" | "read" | "written", cause: unknown): HoldfastFailure {
  const message = `The archive in ${folder} cannot be ${what}: ${messageOf(cause)}.`;
  const hint = "Make the folder readable and writable, and make room on the disk.";
  return new HoldfastFailure("unavailable", "ArchiveUnavailable", message, { hint, cause });
}
