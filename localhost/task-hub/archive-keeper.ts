// Moves finished instances out of memory: their documents go to the archive, and only an index entry stays. Runs
// behind the traffic; a crash between the two writes leaves a document nobody points to, and the instance is archived
// again. Also gives back the space of documents that are no longer wanted.

import { messageOf } from "../../src/base/failure.ts";
import type { HostLog } from "../functions-host/host-log.ts";
import { type Instance, isTerminal } from "./engine/instance.ts";
import type { FinishedEntry, ArchivePointer as OpaquePointer } from "./engine/records.ts";
import { restoreInstance, snapshotOf } from "./engine/snapshot.ts";
import type { Archive, ArchivePointer } from "./journal/archive.ts";
import type { Ledger } from "./ledger.ts";

const MOST_DOCUMENTS_PER_WRITE = 1000;
/** An event is some hundred bytes of JSON; with a few very long histories a write takes fewer documents. */
const MOST_EVENTS_PER_WRITE = 50_000;
const MOST_MOVED_PER_STEP = 200;
const MOST_BYTES_MOVED_PER_STEP = 16 * 1024 * 1024;

export class ArchiveKeeper {
  readonly #archive: Archive;
  readonly #ledger: Ledger;
  readonly #log: HostLog;
  #waiting: string[] = [];
  #work: Promise<void> | undefined;
  #stopped = false;

  constructor(parts: { readonly archive: Archive; readonly ledger: Ledger; readonly log: HostLog }) {
    this.#archive = parts.archive;
    this.#ledger = parts.ledger;
    this.#log = parts.log;
  }

  /** The finished instance is durable in the journal; it may leave memory when it suits. */
  add(id: string): void {
    this.#waiting.push(id);
    this.#start();
  }

  release(pointer: OpaquePointer): void {
    this.#archive.release(pointer as ArchivePointer);
    this.#start();
  }

  async read(pointer: OpaquePointer): Promise<Instance> {
    return restoreInstance(JSON.parse(await this.#archive.get(pointer as ArchivePointer)));
  }

  async stop(): Promise<void> {
    this.#stopped = true;
    await this.#work;
  }

  #start(): void {
    if (this.#stopped || this.#work !== undefined) return;
    this.#work = this.#run().finally(() => {
      this.#work = undefined;
      if (this.#waiting.length > 0) this.#start();
    });
  }

  async #run(): Promise<void> {
    try {
      while (!this.#stopped && this.#waiting.length > 0) await this.#archiveSome();
      for (const file of this.#archive.compactable()) {
        if (this.#stopped) return;
        await this.#compact(file);
      }
    } catch (fault) {
      // Nothing is lost: what was not archived stays in memory and in the journal. A broken disk breaks the journal too.
      this.#log.write("error", "DurableTask", `Finished instances cannot be archived: ${messageOf(fault)}`);
      this.#stopped = true;
    }
  }

  async #archiveSome(): Promise<void> {
    const instances = this.#takeWaiting();
    if (instances.length === 0) return;
    // Fields are read before the write: the instance may be rewound or replaced while it is under way.
    const entries = instances.map(({ id, name, status, createdAtMs, updatedAtMs, execution }) => ({
      id,
      name,
      status,
      createdAtMs,
      updatedAtMs,
      execution,
    }));
    const pointers = await this.#archive.put(instances.map((instance) => JSON.stringify(snapshotOf(instance))));
    // Not waited for: the documents are durable, and memory is free as soon as the record is applied.
    void this.#ledger.commit({
      r: "archived",
      entries: entries.map((entry, index) => ({ ...entry, pointer: pointers[index] })),
    });
  }

  #takeWaiting(): Instance[] {
    const instances: Instance[] = [];
    let count = 0;
    let eventCount = 0;
    while (count < this.#waiting.length && count < MOST_DOCUMENTS_PER_WRITE && eventCount < MOST_EVENTS_PER_WRITE) {
      const instance = this.#ledger.state.live.get(this.#waiting[count++] as string);
      if (instance === undefined || !isTerminal(instance.status)) continue;
      instances.push(instance);
      eventCount += instance.history.length;
    }
    this.#waiting.splice(0, count);
    return instances;
  }

  async #compact(file: number): Promise<void> {
    const there: FinishedEntry[] = [];
    for (const entry of this.#ledger.state.finished.values()) {
      const [pointedFile] = entry.pointer as ArchivePointer;
      if (pointedFile === file) there.push(entry);
    }
    for (let from = 0; from < there.length && !this.#stopped; ) {
      const slice = takeSlice(there, from);
      from += slice.length;
      // Purged while the slice waited for its turn: nothing to move.
      const wanted = slice.filter((entry) => this.#ledger.state.finished.get(entry.id) === entry);
      const documents = await Promise.all(wanted.map(({ pointer }) => this.#archive.get(pointer as ArchivePointer)));
      const pointers = await this.#archive.put(documents);
      const moves = wanted.map(({ id, updatedAtMs }, index) => ({ id, updatedAtMs, pointer: pointers[index] }));
      await this.#ledger.commit({ r: "moved", moves });
    }
  }
}

function takeSlice(entries: readonly FinishedEntry[], from: number): FinishedEntry[] {
  let end = from;
  let sizeBytes = 0;
  while (end < entries.length && end - from < MOST_MOVED_PER_STEP && sizeBytes < MOST_BYTES_MOVED_PER_STEP) {
    const { pointer } = entries[end++] as FinishedEntry;
    const [, , bytes] = pointer as ArchivePointer;
    sizeBytes += bytes;
  }
  return entries.slice(from, end);
}
