// Time as the task hub sees it. The real clock is made here; simulation tests hand in one that they move themselves.

export interface Clock {
  nowMs(): number;
  /** Calls back after at least `delayMs`, whatever its length; the returned function cancels. Never keeps a process alive. */
  after(delayMs: number, callback: () => void): () => void;
}

/**
 * `setTimeout` counts only while the machine is awake, and cannot wait longer than 24 days. Long waits look at the wall
 * clock every minute instead, so that a laptop that slept catches up soon after it wakes.
 */
const LONGEST_HOP_MS = 60_000;

export const realClock: Clock = {
  nowMs: () => Date.now(),
  after(delayMs, callback) {
    const dueMs = Date.now() + delayMs;
    let timer: NodeJS.Timeout;
    const hop = (): void => {
      const leftMs = dueMs - Date.now();
      timer = setTimeout(
        () => (leftMs > LONGEST_HOP_MS ? hop() : callback()),
        Math.min(Math.max(0, leftMs), LONGEST_HOP_MS),
      );
      timer.unref();
    };
    hop();
    return () => clearTimeout(timer);
  },
};
