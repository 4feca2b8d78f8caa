// Whatever user code threw, as text for the log: its stack, and the stacks of what caused it.

const MOST_CAUSES = 5;

export function thrownText(thrown: unknown): string {
  const texts: string[] = [];
  let error = thrown;
  for (let depth = 0; depth <= MOST_CAUSES; depth++) {
    const text =
      error instanceof Error ? (error.stack ?? `${error.name}: ${error.message}`) : `Thrown: ${String(error)}`;
    texts.push(depth === 0 ? text : `Caused by: ${text}`);
    if (!(error instanceof Error) || error.cause === undefined) break;
    error = error.cause;
  }
  return texts.join("\n");
}
