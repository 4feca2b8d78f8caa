// For processes that must not outlive the one that started them, however that one ends: their standard input is a pipe from
// it, which closes when it is gone. They then stop as if they had been asked to, and nobody reads any more what they say:
// without somebody to take that, the error of the first such line would end them in the midst of their last writes.

export function endWithParent(): void {
  for (const stream of [process.stdout, process.stderr]) stream.on("error", () => {});
  let isEnding = false;
  const end = (): void => {
    // Once: a second signal is taken for impatience.
    if (!isEnding) process.kill(process.pid, "SIGTERM");
    isEnding = true;
  };
  process.stdin.on("close", end);
  process.stdin.on("error", end);
  process.stdin.resume();
  // The pipe alone keeps nobody alive.
  (process.stdin as unknown as { unref?: () => void }).unref?.();
}
