// Keeps the journal short: when it has grown enough, the whole state is restated into a new segment, a little in each
// turn of the event loop, and the older segments go. Traffic is not held up (engine/hub-state.ts, beginCheckpoint).

import { setImmediate as nextTurn } from "node:timers/promises";
import type { Journal } from "./journal/journal.ts";
import type { Ledger } from "./ledger.ts";

/** A checkpoint costs the size of the state, so it waits until the journal has grown well beyond that. */
const LEAST_GROWTH_BYTES = 64 * 1024 * 1024;
const GROWTH_FACTOR = 2;
const SLICE_MS = 4;

export class Checkpointer {
  readonly #journal: Journal;
  readonly #ledger: Ledger;
  readonly #leastGrowthBytes: number;
  #work: Promise<void> | undefined;
  #lastSizeBytes: number;

  constructor(journal: Journal, ledger: Ledger, leastGrowthBytes: number = LEAST_GROWTH_BYTES) {
    this.#journal = journal;
    this.#ledger = ledger;
    this.#leastGrowthBytes = leastGrowthBytes;
    this.#lastSizeBytes = journal.sizeBytes - journal.bytesSinceCheckpoint;
  }

  /** Cheap enough to be asked after every record. */
  consider(): void {
    const enoughBytes = Math.max(this.#leastGrowthBytes, GROWTH_FACTOR * this.#lastSizeBytes);
    if (this.#work === undefined && this.#journal.bytesSinceCheckpoint > enoughBytes) {
      // A journal that cannot be written has told its owner; there is nobody else to tell here.
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
    await this.#work;
  }

  async #checkpoint(): Promise<void> {
    const { state } = this.#ledger;
    this.#journal.beginCheckpoint();
    const cut = state.beginCheckpoint((record) => void this.#journal.append(record));
    let sliceEndsAt = performance.now() + SLICE_MS;
    while (cut.advance()) {
      if (performance.now() < sliceEndsAt) continue;
      await this.#journal.barrier();
      await nextTurn();
      sliceEndsAt = performance.now() + SLICE_MS;
    }
    state.endCheckpoint();
    await this.#journal.completeCheckpoint();
    this.#lastSizeBytes = this.#journal.sizeBytes;
  }
}
