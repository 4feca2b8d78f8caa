// Programs that benches compare with or start: is it there, run it to its end, how long did that take.

import { execFile, spawnSync } from "node:child_process";
import { mkdirSync, readdirSync, statSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";

const run = promisify(execFile);
const HOLDFAST = fileURLToPath(new URL("../../cli/holdfast.mjs", import.meta.url));

/** A program that makes backups of one image: its repository lies in one folder, encrypted, on this disk. */
export interface BackupProgram {
  readonly name: string;
  prepare(): Promise<void>;
  backUp(image: string, changedFile?: string): Promise<void>;
  /** The path of the restored image. */
  restore(folder: string): Promise<string>;
  storedBytes(): number;
}

/** Why rows that need the program are skipped; undefined when it is there. */
export function lacks(program: string): string | undefined {
  return spawnSync(program, ["--version"]).error === undefined ? undefined : `${program} is not installed`;
}

export function holdfast(folder: string): BackupProgram {
  const vault = join(folder, "vault");
  const command = (...args: string[]) =>
    run(process.execPath, [HOLDFAST, "vault", ...args, "--key-file", join(folder, "key.json")]);
  return {
    name: "holdfast",
    prepare: async () => {
      mkdirSync(folder);
      await command("init", vault);
    },
    backUp: async (image, changedFile) => {
      await command("backup", vault, "vm", `disk=${image}`, ...(changedFile ? ["--changed", changedFile] : []));
    },
    restore: async (target) => {
      await command("restore", vault, "vm", "latest", join(target, "disk.img"));
      return join(target, "disk.img");
    },
    storedBytes: () => sizeOf(vault),
  };
}

/** With what restic does by default: encryption, zstd, a cache of its index. */
export function restic(folder: string): BackupProgram {
  const env = { ...process.env, RESTIC_PASSWORD: "bench", RESTIC_CACHE_DIR: join(folder, "cache") };
  const repository = join(folder, "repository");
  const command = (...args: string[]) => run("restic", ["--quiet", "--repo", repository, ...args], { env });
  return {
    name: "restic",
    prepare: async () => {
      mkdirSync(folder);
      await command("init");
    },
    backUp: async (image) => {
      await command("backup", image);
    },
    restore: async (target) => {
      await command("restore", "latest", "--target", target);
      return onlyFileIn(target);
    },
    storedBytes: () => sizeOf(repository),
  };
}

/** With borg's default compression, lz4: quicker than zstd, and larger. */
export function borg(folder: string): BackupProgram {
  const env = { ...process.env, BORG_PASSPHRASE: "bench", BORG_BASE_DIR: join(folder, "base") };
  const repository = join(folder, "repository");
  let archives = 0;
  return {
    name: "borg",
    prepare: async () => {
      mkdirSync(folder);
      await run("borg", ["init", "--encryption", "repokey-blake2", repository], { env });
    },
    backUp: async (image) => {
      await run("borg", ["create", `${repository}::${++archives}`, image], { env });
    },
    restore: async (target) => {
      await run("borg", ["extract", `${repository}::${archives}`], { env, cwd: target });
      return onlyFileIn(target);
    },
    storedBytes: () => sizeOf(repository),
  };
}

function sizeOf(folder: string): number {
  return filesIn(folder).reduce((sum, path) => sum + statSync(path).size, 0);
}

function onlyFileIn(folder: string): string {
  const [file, ...others] = filesIn(folder);
  if (file === undefined || others.length > 0) throw new Error(`one file was restored, not ${others.length + 1}`);
  return file;
}

function filesIn(folder: string): string[] {
  return readdirSync(folder, { recursive: true, withFileTypes: true })
    .filter((entry) => entry.isFile())
    .map((entry) => join(entry.parentPath, entry.name));
}

/** Until the file is on the disk, as a restore has to be. */
export async function syncFile(path: string): Promise<void> {
  await run("sync", [path]);
}

/**
 * Seconds; with the image in the machine's cache, nothing else on its way to the disk, and free memory that was in use a
 * moment ago: a virtual machine gets memory that it has not used for a while anew from its host, page by page, which costs
 * up to five seconds for a restore and would be paid by whichever program comes first.
 */
export async function timedWarm(image: string, work: () => Promise<unknown>): Promise<number> {
  const touched = `${image}.touched`;
  await run("sh", ["-c", `head -c "$1" /dev/zero > "$2"; rm "$2"`, "sh", String(statSync(image).size), touched]);
  await run("sync");
  await run("sh", ["-c", `cat "$1" > /dev/null`, "sh", image]);
  return timed(work);
}

export async function timed(work: () => Promise<unknown>): Promise<number> {
  const startedMs = performance.now();
  await work();
  return (performance.now() - startedMs) / 1000;
}

export function median(figures: readonly number[]): number {
  const sorted = [...figures].sort((left, right) => left - right);
  const upper = sorted[sorted.length >> 1] ?? Number.NaN;
  const lower = sorted[(sorted.length - 1) >> 1] ?? Number.NaN;
  return (lower + upper) / 2;
}

export function round(figure: number): number {
  return Math.round(figure * 100) / 100;
}

export function listed(seconds: readonly number[]): string {
  return seconds.map((figure) => figure.toFixed(1)).join(" ");
}
