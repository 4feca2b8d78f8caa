// Image files as disks: raw images and fixed VHDs to back up, and both to restore to. A fixed VHD is the raw disk with a
// footer of 512 bytes behind it. An image has no history of its own, so it is compared by content, unless whoever made it
// says what changed.

import { createHash, randomBytes } from "node:crypto";
import { type FileHandle, open, rename, stat, unlink } from "node:fs/promises";
import { basename } from "node:path";
import { HoldfastFailure, messageOf } from "../base/failure.ts";
import { FOOTER_BYTES, fixedVhdFooter, isFixedVhdFooter } from "../base/vhd-footer.ts";
import type { DiskSink } from "../ports/disk-sink.ts";
import type { DiskSource, SnapshotIdentity } from "../ports/disk-source.ts";
import type { ByteRange } from "../ports/object-store.ts";

export interface ImageOptions {
  /** Names the disk across its images; default: the file's name. */
  readonly diskId?: string;
  /** All that changed since the last backup of this disk. */
  readonly changed?: readonly ByteRange[];
}

export async function openImage(
  path: string,
  options: ImageOptions = {},
): Promise<DiskSource & { close(): Promise<void> }> {
  let file: FileHandle;
  try {
    file = await open(path, "r");
  } catch (cause) {
    const isDenied = cause instanceof Error && "code" in cause && (cause.code === "EACCES" || cause.code === "EPERM");
    const kind = isDenied ? "denied" : "not-found";
    throw new HoldfastFailure(kind, "HoldfastImage", `${path}: ${messageOf(cause)}`, { cause });
  }
  try {
    return await describeImage(file, path, options);
  } catch (cause) {
    await file.close();
    throw cause;
  }
}

async function describeImage(file: FileHandle, path: string, options: ImageOptions): Promise<ImageSource> {
  const stats = await file.stat();
  if (stats.isDirectory()) throw new HoldfastFailure("invalid", "HoldfastImage", `${path} is a folder, not an image`);
  const { size, mtimeMs, ino } = stats;
  const sizeBytes = (await isFixedVhd(file, size)) ? size - FOOTER_BYTES : size;
  if (sizeBytes <= 0) throw new HoldfastFailure("invalid", "HoldfastImage", `${path} is empty`);
  const snapshotId = createHash("sha256")
    .update(`${ino}/${mtimeMs}/${size}/${randomBytes(8).toString("hex")}`)
    .digest("hex")
    .slice(0, 32);
  const identity = {
    diskUniqueId: options.diskId ?? basename(path),
    snapshotId,
    snapshotTime: new Date(mtimeMs).toISOString(),
  };
  return new ImageSource(file, sizeBytes, identity, options.changed);
}

class ImageSource implements DiskSource {
  readonly sizeBytes: number;
  readonly identity: SnapshotIdentity;
  private readonly file: FileHandle;
  private readonly changed: readonly ByteRange[] | undefined;

  constructor(
    file: FileHandle,
    sizeBytes: number,
    identity: SnapshotIdentity,
    changed: readonly ByteRange[] | undefined,
  ) {
    this.file = file;
    this.sizeBytes = sizeBytes;
    this.identity = identity;
    this.changed = changed;
  }

  async *allocatedRanges() {
    yield { offset: 0, length: this.sizeBytes };
  }

  async changedRanges() {
    const { changed } = this;
    if (changed === undefined) return undefined;
    return (async function* () {
      yield* changed;
    })();
  }

  async read({ offset, length }: ByteRange): Promise<Uint8Array> {
    const bytes = Buffer.allocUnsafe(length);
    let done = 0;
    while (done < length) {
      const { bytesRead } = await this.file.read(bytes, done, length - done, offset + done).catch((cause) => {
        const code = cause.code === "EIO" ? "HoldfastSourceUnreadable" : "HoldfastImage";
        throw new HoldfastFailure("unavailable", code, `The image cannot be read at ${offset}: ${messageOf(cause)}`, {
          cause,
        });
      });
      if (bytesRead === 0)
        throw new HoldfastFailure("unavailable", "HoldfastImage", "The image shrank while it was read");
      done += bytesRead;
    }
    return bytes;
  }

  close(): Promise<void> {
    return this.file.close();
  }
}

async function isFixedVhd(file: FileHandle, size: number): Promise<boolean> {
  if (size <= FOOTER_BYTES || size % FOOTER_BYTES !== 0) return false;
  const footer = Buffer.alloc(FOOTER_BYTES);
  await file.read(footer, 0, FOOTER_BYTES, size - FOOTER_BYTES);
  return isFixedVhdFooter(footer, size - FOOTER_BYTES);
}

export type ImageFormat = "raw" | "vhd";

export interface NewImage {
  /** Takes the place of a file that exists, once the new one is whole. */
  readonly replace?: boolean;
}

/** Makes a new sparse file of the disk's size. It stands under a name of its own until it is whole. */
export async function createImage(
  path: string,
  sizeBytes: number,
  format: ImageFormat,
  { replace = false }: NewImage = {},
): Promise<DiskSink> {
  await refuseTarget(path, replace);
  if (format === "vhd" && sizeBytes % FOOTER_BYTES !== 0) {
    throw new HoldfastFailure("invalid", "HoldfastImage", "A VHD holds whole sectors of 512 bytes; restore it as raw");
  }
  const partial = `${path}.partial`;
  if (replace) await unlink(partial).catch(() => undefined);
  const file = await open(partial, "wx").catch((cause) => {
    throw cannotMake(partial, cause);
  });
  const sink = new ImageSink(path, file, sizeBytes, format, replace);
  try {
    await file.truncate(sizeBytes);
    return sink;
  } catch (cause) {
    await sink.discard();
    throw cannotWrite(partial, cause);
  }
}

async function refuseTarget(path: string, replace: boolean): Promise<void> {
  const found = await stat(path).catch(() => undefined);
  if (!found) return;
  if (!found.isFile()) {
    throw new HoldfastFailure("invalid", "HoldfastImage", `${path} is no file that could be replaced`, {
      hint: found.isDirectory() ? "Name a file in it; or the folder, with --all-disks." : "Name a file.",
    });
  }
  if (replace) return;
  throw new HoldfastFailure("conflict", "HoldfastImageExists", `${path} exists already; nothing was written`, {
    hint: "--force replaces it.",
  });
}

function cannotMake(partial: string, cause: unknown): HoldfastFailure {
  const code = cause instanceof Error && "code" in cause ? cause.code : undefined;
  const said = { cause };
  if (code === "EEXIST") {
    return new HoldfastFailure("conflict", "HoldfastImageExists", `${partial} exists: another restore writes it`, {
      ...said,
      hint: "If that restore was killed, delete the file, or use --force.",
    });
  }
  const kind = code === "ENOENT" || code === "ENOTDIR" ? "not-found" : "denied";
  return new HoldfastFailure(kind, "HoldfastImage", `${partial} cannot be made: ${messageOf(cause)}`, said);
}

/** Disk full, too large for the file system, or failing: it stays so until somebody does something. */
function cannotWrite(partial: string, cause: unknown): HoldfastFailure {
  return new HoldfastFailure("denied", "HoldfastImageNotWritten", `${partial} cannot be written: ${messageOf(cause)}`, {
    hint: "Nothing is left of it. Make room, or restore to another place.",
    cause,
  });
}

/** Sent to the disk meanwhile: else it begins with the largest part of its work when everything else is done. */
const SYNC_EVERY_BYTES = 128 * 1024 * 1024;

class ImageSink implements DiskSink {
  private readonly path: string;
  private readonly file: FileHandle;
  private readonly sizeBytes: number;
  private readonly format: ImageFormat;
  private readonly replace: boolean;
  private unsyncedBytes = 0;
  private syncing: Promise<void> | undefined;
  /** The kernel tells a failed write only once: whoever asks again is told that all is well. */
  private syncFailure: { readonly cause: unknown } | undefined;

  constructor(path: string, file: FileHandle, sizeBytes: number, format: ImageFormat, replace: boolean) {
    this.replace = replace;
    this.path = path;
    this.file = file;
    this.sizeBytes = sizeBytes;
    this.format = format;
  }

  async write(offset: number, bytes: Uint8Array): Promise<void> {
    let done = 0;
    try {
      while (done < bytes.length) {
        done += (await this.file.write(bytes, done, bytes.length - done, offset + done)).bytesWritten;
      }
    } catch (cause) {
      throw cannotWrite(`${this.path}.partial`, cause);
    }
    this.unsyncedBytes += bytes.length;
    if (this.unsyncedBytes >= SYNC_EVERY_BYTES) this.startSync();
  }

  private startSync(): void {
    if (this.syncing) return;
    this.unsyncedBytes = 0;
    this.syncing = this.file
      .datasync()
      .catch((cause) => {
        this.syncFailure ??= { cause };
      })
      .finally(() => {
        this.syncing = undefined;
      });
  }

  async finish(): Promise<void> {
    if (this.format === "vhd")
      await this.write(this.sizeBytes, fixedVhdFooter(this.sizeBytes, randomBytes(16), new Date()));
    await this.syncing;
    if (this.syncFailure) throw cannotWrite(`${this.path}.partial`, this.syncFailure.cause);
    await refuseTarget(this.path, this.replace);
    try {
      await this.file.sync();
      await rename(`${this.path}.partial`, this.path);
    } catch (cause) {
      throw cannotWrite(`${this.path}.partial`, cause);
    }
    await this.file.close();
  }

  async discard(): Promise<void> {
    await this.syncing;
    await this.file.close();
    await unlink(`${this.path}.partial`);
  }
}
