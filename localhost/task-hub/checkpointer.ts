// Keeps the journal short: when it has grown enough, the whole state is restated into a new segment, a little in each
// turn of the event loop, and the older segments go. Traffic is not held up (engine/hub-state.ts, beginCheckpoint).

import { setImmediate as nextTurn } from "node:timers/promises";
import { messageOf } from "../../src/base/failure.ts";
import type { Journal } from "./journal/journal.ts";
import type { Ledger } from "./ledger.ts";

/** A checkpoint costs the size of the state, so it waits until the journal has grown well beyond that. */
const LEAST_GROWTH_BYTES = 64 * 1024 * 1024;
const GROWTH_FACTOR = 2;
const SLICE_MS = 4;

export class Checkpointer {
  readonly #journal: Journal;
  readonly #ledger: Ledger;
  readonly #report: (text: string) => void;
  readonly #leastGrowthBytes: number;
  #givenUp: unknown;
  #work: Promise<void> | undefined;
  #lastSizeBytes: number;

  constructor(
    journal: Journal,
    ledger: Ledger,
    report: (text: string) => void,
    leastGrowthBytes: number = LEAST_GROWTH_BYTES,
  ) {
    this.#report = report;
    this.#journal = journal;
    this.#ledger = ledger;
    this.#leastGrowthBytes = leastGrowthBytes;
    this.#lastSizeBytes = journal.sizeBytes - journal.bytesSinceCheckpoint;
  }

  /** Cheap enough to be asked after every record. */
  consider(): void {
    if (this.#givenUp !== undefined) return;
    const enoughBytes = Math.max(this.#leastGrowthBytes, GROWTH_FACTOR * this.#lastSizeBytes);
    if (this.#work === undefined && this.#journal.bytesSinceCheckpoint > enoughBytes) {
      // A journal that cannot be written has told its owner, and a checkpoint that was given up has been reported.
      this.run().catch(() => {});
    }
  }

  run(): Promise<void> {
    this.#work ??= this.#checkpoint().finally(() => {
      this.#work = undefined;
    });
    return this.#work;
  }

  async stop(): Promise<void> {
    await this.#work?.catch(() => {});
  }

  async #checkpoint(): Promise<void> {
    if (this.#givenUp !== undefined) throw this.#givenUp;
    const { state } = this.#ledger;
    this.#journal.beginCheckpoint();
    const cut = state.beginCheckpoint((record) => this.#restate(record));
    let sliceEndsAt = performance.now() + SLICE_MS;
    while (cut.advance()) {
      if (performance.now() < sliceEndsAt) continue;
      await this.#journal.barrier();
      await nextTurn();
      sliceEndsAt = performance.now() + SLICE_MS;
    }
    state.endCheckpoint();
    if (this.#givenUp !== undefined) throw this.#givenUp;
    await this.#journal.completeCheckpoint();
    this.#lastSizeBytes = this.#journal.sizeBytes;
  }

  // What does not fit into one record cannot be restated. Then the old segments stay, and nothing is lost: a failure
  // must not reach the record that happened to touch the instance.
  #restate(record: object): void {
    try {
      void this.#journal.append(record);
    } catch (fault) {
      if (this.#givenUp !== undefined) return;
      this.#givenUp = fault;
      this.#report(`The journal cannot be shortened until the next start: ${messageOf(fault)}`);
    }
  }
}
