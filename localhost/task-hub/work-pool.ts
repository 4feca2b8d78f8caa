// Bounded concurrent work in order of arrival. It gives the event loop a turn every few milliseconds: thousands of
// tasks that never wait for anything real would otherwise keep sockets, timers and the journal from being served.

const SLICE_MS = 8;
/** Taken items are dropped from the head of the queue together, not one by one. */
const MOST_TAKEN_ITEMS = 4096;

export class WorkPool<T> {
  readonly #limit: number;
  readonly #run: (item: T) => Promise<void>;
  readonly #onFault: (fault: unknown) => void;
  #queue: T[] = [];
  #next = 0;
  #running = 0;
  #sliceEndsAt = 0;
  #yielding = false;
  #stopped = false;

  /** `run` is not expected to reject; when it does, that is a fault of the host. */
  constructor(limit: number, run: (item: T) => Promise<void>, onFault: (fault: unknown) => void) {
    this.#limit = limit;
    this.#run = run;
    this.#onFault = onFault;
  }

  get runningCount(): number {
    return this.#running;
  }

  add(item: T): void {
    this.#queue.push(item);
    this.#pump();
  }

  stop(): void {
    this.#stopped = true;
    this.#queue = [];
    this.#next = 0;
  }

  #pump(): void {
    if (this.#yielding || this.#stopped) return;
    while (this.#running < this.#limit && this.#next < this.#queue.length) {
      if (performance.now() > this.#sliceEndsAt) {
        this.#yieldTurn();
        return;
      }
      const item = this.#queue[this.#next++] as T;
      this.#running++;
      this.#run(item).then(this.#finish, this.#fail);
    }
    this.#dropTakenItems();
  }

  #dropTakenItems(): void {
    if (this.#next === 0 || (this.#next < this.#queue.length && this.#next < MOST_TAKEN_ITEMS)) return;
    this.#queue = this.#queue.slice(this.#next);
    this.#next = 0;
  }

  readonly #finish = (): void => {
    this.#running--;
    this.#pump();
  };

  readonly #fail = (fault: unknown): void => {
    this.#onFault(fault);
    this.#finish();
  };

  #yieldTurn(): void {
    this.#yielding = true;
    setImmediate(() => {
      this.#yielding = false;
      this.#sliceEndsAt = performance.now() + SLICE_MS;
      this.#pump();
    });
  }
}
