// Time as the task hub sees it. The real clock is made here; simulation tests hand in one that they move themselves.

export interface Clock {
  nowMs(): number;
  /** Calls back after at least `delayMs`, whatever its length; the returned function cancels. Never keeps a process alive. */
  after(delayMs: number, callback: () => void): () => void;
}

/** `setTimeout` cannot wait longer than this; longer waits hop. */
const LONGEST_HOP_MS = 2 ** 31 - 1;

export const realClock: Clock = {
  nowMs: () => Date.now(),
  after(delayMs, callback) {
    let timer: NodeJS.Timeout;
    const hop = (leftMs: number): void => {
      const hopMs = Math.min(leftMs, LONGEST_HOP_MS);
      timer = setTimeout(() => (leftMs > hopMs ? hop(leftMs - hopMs) : callback()), hopMs);
      timer.unref();
    };
    hop(Math.max(0, delayMs));
    return () => clearTimeout(timer);
  },
};
