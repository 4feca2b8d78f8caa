// A small owner of a journal, with a state that a replay can check by itself: named counters. Each record says which
// counter moved to which number, so a record that is lost, doubled or out of order is seen at once. It restates itself
// for checkpoints as the task hub does.

import { type Journal, type JournalFinding, openJournal } from "../../../../localhost/task-hub/journal/journal.ts";

interface CountRecord {
  readonly name: string;
  readonly count: number;
  readonly restated?: true;
  readonly padding?: string;
}

export class CountingOwner {
  readonly counts = new Map<string, number>();
  readonly findings: JournalFinding[] = [];
  readonly broken: Error[] = [];
  replayedRecords = 0;
  #journal: Journal | undefined;

  static async open(folder: string, segmentBytes?: number): Promise<CountingOwner> {
    const owner = new CountingOwner();
    owner.#journal = await openJournal({
      folder,
      onRecord: (record) => owner.#apply(record as CountRecord),
      report: (finding) => owner.findings.push(finding),
      onBroken: (failure) => owner.broken.push(failure),
      ...(segmentBytes === undefined ? {} : { segmentBytes }),
    });
    return owner;
  }

  get journal(): Journal {
    if (this.#journal === undefined) throw new Error("The journal is not open yet.");
    return this.#journal;
  }

  get total(): number {
    return [...this.counts.values()].reduce((sum, count) => sum + count, 0);
  }

  count(name: string, padding?: string): Promise<void> {
    const count = (this.counts.get(name) ?? 0) + 1;
    this.counts.set(name, count);
    return this.journal.append(padding === undefined ? { name, count } : { name, count, padding });
  }

  /** Restates all counters one by one; `between` may go on counting meanwhile. */
  async checkpoint(between: (restated: number) => Promise<void> | void = () => {}): Promise<void> {
    this.journal.beginCheckpoint();
    let restated = 0;
    for (const name of this.counts.keys()) {
      void this.journal.append({ name, count: this.counts.get(name), restated: true });
      await between(++restated);
    }
    await this.journal.completeCheckpoint();
  }

  #apply({ name, count, restated }: CountRecord): void {
    this.replayedRecords++;
    const known = this.counts.get(name);
    if (restated) {
      if (known !== undefined && known !== count)
        throw new Error(`${name} is restated as ${count}, but it is ${known}`);
    } else if (known === undefined) {
      if (count > 1) return; // it will be restated
    } else if (count !== known + 1) {
      throw new Error(`${name} moves to ${count}, but it is ${known}`);
    }
    this.counts.set(name, count);
  }
}
