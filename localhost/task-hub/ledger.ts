// The one door to the hub's state. A record is applied in memory at once and becomes durable with the journal; what
// must not happen before that (running activities, firing timers, dropping documents) happens after. Applying early is
// safe because the journal keeps the order: whatever a record was decided on is durable before the record is.

import { HoldfastFailure } from "../../src/base/failure.ts";
import type { Effect, HubState } from "./engine/hub-state.ts";
import type { HubRecord } from "./engine/records.ts";
import type { Journal } from "./journal/journal.ts";

const IMMEDIATE: ReadonlySet<Effect["effect"]> = new Set(["ready", "created", "warning"]);

export class Ledger {
  readonly state: HubState;
  readonly #journal: Journal;
  readonly #onEffect: (effect: Effect) => void;
  readonly #onCommitted: () => void;
  #closed = false;
  #commitCount = 0;

  /** `onCommitted` is told of each record that was handed to the journal. */
  constructor(state: HubState, journal: Journal, onEffect: (effect: Effect) => void, onCommitted: () => void) {
    this.state = state;
    this.#journal = journal;
    this.#onEffect = onEffect;
    this.#onCommitted = onCommitted;
  }

  /**
   * Resolves when the record is durable. Whoever does not wait is told by the journal when it breaks. Throws at once,
   * with nothing changed, when the record is too large (isTooLarge).
   */
  commit(record: HubRecord): Promise<void> {
    if (this.#closed) return Promise.reject(hubStopped());
    // The text is taken before applying: records share objects with the state, which goes on changing.
    const json = JSON.stringify(record);
    this.#journal.checkFits(json);
    const effects = this.state.apply(record);
    this.#commitCount++;
    // Applying may restate instances for a checkpoint; those records stand in the journal before this one.
    const durable = this.#journal.appendJson(json);
    const later: Effect[] = [];
    for (const effect of effects) {
      if (IMMEDIATE.has(effect.effect)) this.#onEffect(effect);
      else later.push(effect);
    }
    if (later.length > 0) {
      durable.then(
        () => {
          for (const effect of later) this.#onEffect(effect);
        },
        // The journal is broken and has said so; nothing of this may happen any more.
        () => {},
      );
    }
    this.#onCommitted();
    return durable;
  }

  get commitCount(): number {
    return this.#commitCount;
  }

  /** Work that outlives the stop of the host is run again at the next start, so what it says now is not heard. */
  close(): void {
    this.#closed = true;
  }

  /** Resolves when everything committed so far is durable: an answer given after it can never be taken back. */
  settled(): Promise<void> {
    return this.#journal.barrier();
  }
}

export function isTooLarge(error: unknown): error is HoldfastFailure {
  return error instanceof HoldfastFailure && error.code === "JournalRecordTooLarge";
}

function hubStopped(): HoldfastFailure {
  return new HoldfastFailure("unavailable", "HubStopped", "The task hub is stopping.", {
    hint: "Send the request again when the host is back.",
  });
}
