// All state of the simulated Azure: JSON documents by key (resources, operations, grants) and the disks' volumes.
// One way to change it: `commit` a list of entries. Memory changes at once and together, so a check and the commit that
// follows it without an `await` between them are one step. The promise resolves when the journal holds the entries.
// Nobody may be told of state that the journal does not hold yet: whoever tells (the pipeline, for every answer and every
// piece of a body) first awaits `settled`. The journal keeps the order of commits, so all that was seen is then durable.
// Opening replays the journal and shortens a long one.
import { mkdir, readFile, rm, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { HoldfastFailure } from "../../../src/base/failure.ts";
import { VolumeTable } from "../disks/volume-table.ts";
import { decodeEntries, type Entry, encodeEntries } from "./entry.ts";
import { Journal } from "./journal.ts";

const REWRITE_ABOVE_BYTES = 16 * 1024 * 1024;
const ENTRIES_PER_FRAME = 256;

export class AzureState {
  readonly folder: string;
  readonly volumes = new VolumeTable();
  readonly #documents = new Map<string, unknown>();
  readonly #watchers: ((key: string, value: unknown) => void)[] = [];
  #journal: Journal | undefined;

  private constructor(folder: string) {
    this.folder = folder;
  }

  static async open(folder: string): Promise<AzureState> {
    await mkdir(folder, { recursive: true, mode: 0o700 });
    await takeFolder(folder);
    const state = new AzureState(folder);
    const journal = await Journal.open(folder, (payload) => {
      for (const entry of decodeEntries(payload)) state.#apply(entry);
    });
    state.volumes.replayed();
    state.#journal = journal;
    if (journal.sizeBytes > REWRITE_ABOVE_BYTES) await state.rewriteJournal();
    return state;
  }

  get journalBytes(): number {
    return this.#journal?.sizeBytes ?? 0;
  }

  document(key: string): unknown {
    return this.#documents.get(key);
  }

  documents(): IterableIterator<[string, unknown]> {
    return this.#documents.entries();
  }

  /** Tells `watcher` of every document there is, and of every later change (undefined: removed). */
  watch(watcher: (key: string, value: unknown) => void): void {
    for (const [key, value] of this.#documents) watcher(key, value);
    this.#watchers.push(watcher);
  }

  commit(entries: readonly Entry[]): Promise<void> {
    if (this.#journal === undefined) throw closed();
    for (const entry of entries) this.#apply(entry);
    return this.#journal.append(encodeEntries(entries));
  }

  /** Resolves when everything committed so far survives the death of this process. */
  settled(): Promise<void> {
    return this.#journal?.settled() ?? Promise.reject(closed());
  }

  async rewriteJournal(): Promise<void> {
    await this.#journal?.rewrite(() => this.#frames());
  }

  async close(): Promise<void> {
    const journal = this.#journal;
    this.#journal = undefined;
    await journal?.close();
    await rm(join(this.folder, "owner"), { force: true });
  }

  #apply(entry: Entry): void {
    if (entry.kind === "document") this.#keep(entry.key, entry.value);
    else if (entry.kind === "document-removed") this.#keep(entry.key, undefined);
    else this.volumes.apply(entry);
  }

  #keep(key: string, value: unknown): void {
    if (value === undefined) this.#documents.delete(key);
    else this.#documents.set(key, value);
    for (const watcher of this.#watchers) watcher(key, value);
  }

  *#frames(): Generator<Buffer> {
    let frame: Entry[] = [];
    for (const entry of this.#entries()) {
      frame.push(entry);
      if (frame.length < ENTRIES_PER_FRAME) continue;
      yield encodeEntries(frame);
      frame = [];
    }
    if (frame.length > 0) yield encodeEntries(frame);
  }

  *#entries(): Generator<Entry> {
    yield* this.volumes.entries();
    for (const [key, value] of this.#documents) yield { kind: "document", key, value };
  }
}

function closed(): HoldfastFailure {
  return new HoldfastFailure("unavailable", "StateClosed", "The state is closed");
}

/** Two processes on one folder would destroy it: the folder names its owner, and a living owner keeps others out. */
async function takeFolder(folder: string): Promise<void> {
  const path = join(folder, "owner");
  const [owner = "0", born = ""] = (await readFile(path, "utf8").catch(() => "0")).split(" ");
  const pid = Number(owner);
  if (pid !== 0 && pid !== process.pid && isAlive(pid) && born === (await birthOf(pid)))
    throw new HoldfastFailure("conflict", "DataFolderInUse", `Process ${pid} already works in ${folder}`, {
      hint: `Stop that process or use another --data folder; if it is not a simulated Azure, remove ${path}.`,
    });
  await writeFile(path, `${process.pid} ${await birthOf(process.pid)}`, { mode: 0o600 });
}

/** When a process started, where the system tells: another process with the number of a dead one is not its owner. */
async function birthOf(pid: number): Promise<string> {
  const stat = await readFile(`/proc/${pid}/stat`, "utf8").catch(() => "");
  return stat.slice(stat.lastIndexOf(")") + 2).split(" ")[19] ?? "";
}

function isAlive(pid: number): boolean {
  try {
    process.kill(pid, 0);
    return true;
  } catch (cause) {
    return (cause as NodeJS.ErrnoException).code === "EPERM";
  }
}
