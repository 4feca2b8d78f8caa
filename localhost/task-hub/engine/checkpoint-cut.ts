// The state of the hub at one moment, restated little by little while traffic goes on. Whatever a record is about to
// change is restated first (hub-state.ts asks for that), so a replay that begins at the cut meets every instance as it
// was there before it meets the first record about it.

import { assert } from "../../../src/base/assert.ts";
import type { Instance } from "./instance.ts";
import type { FinishedEntry, HubRecord } from "./records.ts";
import { snapshotOf } from "./snapshot.ts";

export interface CheckpointedState {
  readonly live: ReadonlyMap<string, Instance>;
  readonly finished: ReadonlyMap<string, FinishedEntry>;
}

const INDEX_ENTRIES_PER_RECORD = 500;

export class CheckpointCut {
  readonly #state: CheckpointedState;
  readonly #restate: (record: HubRecord) => void;
  readonly #instances: Set<string>;
  readonly #finished: Set<string>;

  constructor(state: CheckpointedState, restate: (record: HubRecord) => void) {
    this.#state = state;
    this.#restate = restate;
    this.#instances = new Set(state.live.keys());
    this.#finished = new Set(state.finished.keys());
  }

  restateInstance(id: string): void {
    if (!this.#instances.delete(id)) return;
    const instance = this.#state.live.get(id);
    assert(instance !== undefined, `'${id}' left the hub before it was restated`);
    this.#restate({ r: "snapshot", instance: snapshotOf(instance) });
  }

  restateFinished(id: string): void {
    if (!this.#finished.delete(id)) return;
    const entry = this.#state.finished.get(id);
    assert(entry !== undefined, `'${id}' left the index before it was restated`);
    this.#restate({ r: "index", entries: [entry] });
  }

  /** Restates a little more; false when everything is restated. */
  advance(): boolean {
    const [next] = this.#instances;
    if (next !== undefined) {
      this.restateInstance(next);
      return true;
    }
    const entries: FinishedEntry[] = [];
    for (const id of this.#finished) {
      this.#finished.delete(id);
      const entry = this.#state.finished.get(id);
      if (entry !== undefined) entries.push(entry);
      if (entries.length === INDEX_ENTRIES_PER_RECORD) break;
    }
    if (entries.length > 0) this.#restate({ r: "index", entries });
    return this.#finished.size > 0;
  }
}
