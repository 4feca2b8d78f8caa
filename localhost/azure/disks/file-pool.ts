// Open files, at most so many at once: a thousand disks must not need a thousand descriptors. A file in use stays open.
// Writes go straight to the kernel, so what was written survives the death of the process (not of the machine).
import { close, constants, open, read, writev } from "node:fs";
import { promisify } from "node:util";
import { HoldfastFailure } from "../../../src/base/failure.ts";

const openFile = promisify(open);
const closeFile = promisify(close);

export interface PooledFile {
  readonly path: string;
  readonly writable: boolean;
}

interface OpenFile {
  readonly descriptor: Promise<number>;
  users: number;
}

export class FilePool {
  readonly #limit: number;
  readonly #open = new Map<string, OpenFile>();

  constructor(limit = 128) {
    this.#limit = limit;
  }

  /** Fills all of `target`; a file that ends before is a failure, never zeros. */
  async read(file: PooledFile, target: Uint8Array, position: number): Promise<void> {
    await this.#using(file, async (descriptor) => {
      let done = 0;
      while (done < target.length) {
        const got = await readOnce(descriptor, target, done, position + done);
        if (got === 0)
          throw new HoldfastFailure(
            "corrupt",
            "DiskFileTooShort",
            `${file.path} ends before byte ${position + target.length}`,
          );
        done += got;
      }
    });
  }

  async write(file: PooledFile, chunks: readonly Uint8Array[], position: number): Promise<void> {
    await this.#using(file, async (descriptor) => {
      let rest = chunks;
      let at = position;
      let left = chunks.reduce((sum, chunk) => sum + chunk.length, 0);
      while (left > 0) {
        const written = await writeOnce(descriptor, rest, at);
        left -= written;
        at += written;
        if (left > 0) rest = [Buffer.concat(rest).subarray(written)];
      }
    });
  }

  /** Closes a file as soon as nobody uses it; call before removing it. */
  async forget(path: string): Promise<void> {
    const entry = this.#open.get(path);
    if (entry === undefined) return;
    this.#open.delete(path);
    if (entry.users === 0) await closeFile(await entry.descriptor);
  }

  async close(): Promise<void> {
    await Promise.all([...this.#open.keys()].map((path) => this.forget(path)));
  }

  async #using<T>(file: PooledFile, work: (descriptor: number) => Promise<T>): Promise<T> {
    const entry = this.#open.get(file.path) ?? this.#start(file);
    this.#open.delete(file.path);
    this.#open.set(file.path, entry); // youngest last
    entry.users += 1;
    try {
      return await work(await entry.descriptor);
    } finally {
      entry.users -= 1;
      if (entry.users === 0 && this.#open.get(file.path) !== entry) await entry.descriptor.then(closeFile, () => {});
      else if (this.#open.size > this.#limit) await this.#closeOldest();
    }
  }

  #start(file: PooledFile): OpenFile {
    const flags = file.writable ? constants.O_RDWR | constants.O_CREAT : constants.O_RDONLY;
    const descriptor = openFile(file.path, flags, 0o600);
    descriptor.catch(() => this.#open.delete(file.path));
    return { descriptor, users: 0 };
  }

  async #closeOldest(): Promise<void> {
    for (const [path, entry] of this.#open) {
      if (entry.users === 0) return this.forget(path);
    }
  }
}

function readOnce(descriptor: number, target: Uint8Array, offset: number, position: number): Promise<number> {
  return new Promise((resolve, reject) => {
    read(descriptor, target, offset, target.length - offset, position, (error, got) =>
      error === null ? resolve(got) : reject(error),
    );
  });
}

function writeOnce(descriptor: number, chunks: readonly Uint8Array[], position: number): Promise<number> {
  return new Promise((resolve, reject) => {
    writev(descriptor, chunks, position, (error, written) => (error === null ? resolve(written) : reject(error)));
  });
}
