// Records what is asked of the disk inside one folder, and makes from the recording what a power cut may leave: what was
// synced is there; of what was not, any sector of any write may be there or not; names that were created, renamed or
// deleted after the folder's last sync come in order up to some point. The calls themselves go through to the real disk.

import fsModule, * as fs from "node:fs";
import { syncBuiltinESMExports } from "node:module";
import { basename, dirname, join } from "node:path";

const SECTOR_BYTES = 64; // much smaller than a real one, so that small frames tear, too

type DiskOperation =
  | { readonly kind: "create"; readonly name: string; readonly file: number }
  | { readonly kind: "rename"; readonly from: string; readonly to: string }
  | { readonly kind: "remove"; readonly name: string }
  | { readonly kind: "write"; readonly file: number; readonly position: number; readonly bytes: Buffer }
  | { readonly kind: "truncate"; readonly file: number; readonly length: number }
  | { readonly kind: "sync"; readonly file: number }
  | { readonly kind: "sync-folder" }
  | { readonly kind: "note"; readonly note: () => void };

export class DiskRecorder {
  readonly #folder: string;
  readonly #operations: DiskOperation[] = [];
  readonly #names = new Map<string, number>();
  readonly #descriptors = new Map<number, number>();
  #files = 0;

  constructor(folder: string) {
    this.#folder = folder;
  }

  get length(): number {
    return this.#operations.length;
  }

  /** Marks a moment: `note` is called for each cut after it. */
  note(note: () => void): void {
    this.#operations.push({ kind: "note", note });
  }

  /** Builds in `target` what a cut after `count` operations may leave, as `random` (0 to 1) decides. */
  cut(count: number, target: string, random: () => number): void {
    const contents = new Map<number, SectorFile>();
    const names = new Map<string, number>();
    let unsyncedNames: DiskOperation[] = [];
    for (const operation of this.#operations.slice(0, count)) {
      if (operation.kind === "note") operation.note();
      else if (operation.kind === "sync-folder") {
        for (const change of unsyncedNames) applyName(names, change);
        unsyncedNames = [];
      } else if ("file" in operation && operation.kind !== "create") contents.get(operation.file)?.apply(operation);
      else {
        if (operation.kind === "create") contents.set(operation.file, new SectorFile());
        unsyncedNames.push(operation);
      }
    }
    const surviving = Math.floor(random() * (unsyncedNames.length + 1));
    for (const change of unsyncedNames.slice(0, surviving)) applyName(names, change);
    fs.mkdirSync(target);
    for (const [name, file] of names)
      fs.writeFileSync(join(target, name), (contents.get(file) as SectorFile).afterCut(random));
  }

  /** Listens to the module `node:fs` until the returned function is called. */
  listen(): () => void {
    const { openSync, closeSync, ftruncateSync, write, fdatasync } = fsModule;
    const { open, rename, rm } = fsModule.promises;
    const record = (operation: DiskOperation): number => this.#operations.push(operation);

    fsModule.openSync = (path, flags, mode) => {
      const fd = openSync(path, flags, mode);
      this.#opened(String(path), String(flags), fd);
      return fd;
    };
    fsModule.closeSync = (fd) => {
      this.#descriptors.delete(fd);
      closeSync(fd);
    };
    fsModule.ftruncateSync = (fd, length) => {
      const file = this.#descriptors.get(fd);
      if (file !== undefined) record({ kind: "truncate", file, length: length ?? 0 });
      ftruncateSync(fd, length);
    };
    const recordedWrite = (
      fd: number,
      data: Buffer,
      offset: number,
      length: number,
      position: number,
      done: never,
    ): void => {
      const file = this.#descriptors.get(fd);
      const bytes = Buffer.from(data.subarray(offset, offset + length));
      if (file !== undefined) record({ kind: "write", file, position, bytes });
      write(fd, data, offset, length, position, done);
    };
    fsModule.write = recordedWrite as unknown as typeof write;
    fsModule.fdatasync = ((fd, done) => {
      const file = this.#descriptors.get(fd);
      fdatasync(fd, (error) => {
        if (file !== undefined && error === null) record({ kind: "sync", file });
        done(error);
      });
    }) as typeof fdatasync;
    fsModule.promises.open = async (path, flags, mode) => {
      const handle = await open(path, flags, mode);
      if (String(path) === this.#folder) {
        const sync = handle.sync.bind(handle);
        handle.sync = () => sync().then(() => void record({ kind: "sync-folder" }));
      } else {
        this.#listenTo(handle, String(path), String(flags));
      }
      return handle;
    };
    fsModule.promises.rename = async (from, to) => {
      if (this.#isInside(String(from))) {
        record({ kind: "rename", from: basename(String(from)), to: basename(String(to)) });
        applyName(this.#names, this.#operations.at(-1) as DiskOperation);
      }
      await rename(from, to);
    };
    fsModule.promises.rm = async (path, options) => {
      if (this.#isInside(String(path))) record({ kind: "remove", name: basename(String(path)) });
      await rm(path, options);
    };
    syncBuiltinESMExports();
    return () => {
      Object.assign(fsModule, { openSync, closeSync, ftruncateSync, write, fdatasync });
      Object.assign(fsModule.promises, { open, rename, rm });
      syncBuiltinESMExports();
    };
  }

  #isInside(path: string): boolean {
    return dirname(path) === this.#folder;
  }

  #opened(path: string, flags: string, fd: number): void {
    if (!this.#isInside(path) || flags === "r") return;
    if (flags.startsWith("w")) this.#created(basename(path));
    this.#descriptors.set(fd, this.#names.get(basename(path)) as number);
  }

  #created(name: string): void {
    const operation: DiskOperation = { kind: "create", name, file: ++this.#files };
    this.#operations.push(operation);
    applyName(this.#names, operation);
  }

  #listenTo(handle: fs.promises.FileHandle, path: string, flags: string): void {
    if (!this.#isInside(path) || flags !== "w") return;
    this.#created(basename(path));
    const file = this.#files;
    const [writeFile, sync] = [handle.writeFile.bind(handle), handle.sync.bind(handle)];
    handle.writeFile = (data) => {
      this.#operations.push({ kind: "write", file, position: 0, bytes: Buffer.from(data as string) });
      return writeFile(data);
    };
    handle.sync = () => sync().then(() => void this.#operations.push({ kind: "sync", file }));
  }
}

function applyName(names: Map<string, number>, change: DiskOperation): void {
  if (change.kind === "create") names.set(change.name, change.file);
  if (change.kind === "remove") names.delete(change.name);
  if (change.kind === "rename") {
    const file = names.get(change.from);
    names.delete(change.from);
    if (file !== undefined) names.set(change.to, file);
  }
}

/** A file as the disk has it, and as it was asked to be. */
class SectorFile {
  #synced: Buffer = Buffer.alloc(0);
  #unsynced: DiskOperation[] = [];

  apply(operation: DiskOperation): void {
    if (operation.kind !== "sync") {
      this.#unsynced.push(operation);
      return;
    }
    this.#synced = this.#written(() => true);
    this.#unsynced = [];
  }

  /** Sometimes nothing or everything of what was not synced, mostly some sectors of it. */
  afterCut(random: () => number): Buffer {
    const chance = [0, 0.3, 0.7, 1][Math.floor(random() * 4)] as number;
    return this.#written(() => random() < chance);
  }

  #written(survives: () => boolean): Buffer {
    let bytes = this.#synced;
    for (const operation of this.#unsynced) {
      if (operation.kind === "truncate" && survives()) bytes = Buffer.from(bytes.subarray(0, operation.length));
      if (operation.kind !== "write") continue;
      const end = operation.position + operation.bytes.length;
      for (let at = operation.position; at < end; ) {
        const sectorEnd = Math.min(end, (Math.floor(at / SECTOR_BYTES) + 1) * SECTOR_BYTES);
        if (survives()) {
          if (bytes.length < sectorEnd) bytes = Buffer.concat([bytes, Buffer.alloc(sectorEnd - bytes.length)]);
          operation.bytes.copy(bytes, at, at - operation.position, sectorEnd - operation.position);
        }
        at = sectorEnd;
      }
    }
    return Buffer.from(bytes);
  }
}
