// Ctrl-C and `kill`: the first one asks to stop in order, a second one ends at once.

/** One Ctrl-C can arrive twice: from the terminal, and from npm, which passes it on. */
const SAME_SIGNAL_MS = 500;

/** Exit codes as a shell tells them. */
export const exitCodeOf = (signal: NodeJS.Signals): number => (signal === "SIGINT" ? 130 : 143);

/** Answers how to stop listening. */
export function onStopSignal(stop: (signal: NodeJS.Signals) => void): () => void {
  let stoppingSinceMs: number | undefined;
  const listen = (signal: NodeJS.Signals): void => {
    if (stoppingSinceMs === undefined) {
      stoppingSinceMs = performance.now();
      stop(signal);
    } else if (performance.now() - stoppingSinceMs > SAME_SIGNAL_MS) {
      process.exit(exitCodeOf(signal));
    }
  };
  process.on("SIGINT", listen);
  process.on("SIGTERM", listen);
  return () => {
    process.off("SIGINT", listen);
    process.off("SIGTERM", listen);
  };
}
