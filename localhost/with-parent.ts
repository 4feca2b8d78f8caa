// For processes that must not outlive the one that started them, however that one ends: their standard input is a pipe from
// it, which closes when it is gone. They then stop as if they had been asked to.

export function endWithParent(): void {
  process.stdin.on("close", () => process.kill(process.pid, "SIGTERM"));
  process.stdin.on("error", () => process.kill(process.pid, "SIGTERM"));
  process.stdin.resume();
  // The pipe alone keeps nobody alive.
  (process.stdin as unknown as { unref?: () => void }).unref?.();
}
