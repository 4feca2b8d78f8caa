// What a benchmark is. A file `bench/<topic>.bench.ts` exports benches by name and nothing else:
//
//   export const fanOut: Bench = {
//     about: "one Task.all over trivial activities",
//     async run() { return [{ name: "fan-out of 5,000", figure: 9_120, unit: "activities/s", bar: { atLeast: 8_000 } }]; },
//   };
//
// Importing such a file does nothing. Each bench runs in a process of its own, one after another, so that none
// inherits another's heap or warm code, and one that crashes or hangs is a row in the result. A figure is a ratio
// against a peer or a bare loop of the same run, or a count; a bar is the promise kept in docs/performance.md.

export interface Bench {
  /** One line for people: what is measured, and against what. */
  readonly about: string;
  /** The bench counts as failed after this time, and everything it started is killed. Default: two minutes. */
  readonly timeoutMs?: number;
  run(): Promise<readonly BenchRow[]>;
}

export type BenchRow = MeasuredRow | SkippedRow;

export interface MeasuredRow {
  readonly name: string;
  readonly figure: number;
  readonly unit: string;
  /** No bar: the figure is told, and cannot fail. */
  readonly bar?: Bar;
  /** How the figure came about: sizes, the peer's own figure, the spread between rounds. */
  readonly note?: string;
}

export interface SkippedRow {
  readonly name: string;
  /** What this machine lacks. */
  readonly skipped: string;
}

export type Bar = { readonly atLeast: number } | { readonly atMost: number };

export const DEFAULT_TIMEOUT_MS = 120_000;

export function isMet(row: MeasuredRow): boolean | undefined {
  if (row.bar === undefined) return undefined;
  return "atLeast" in row.bar ? row.figure >= row.bar.atLeast : row.figure <= row.bar.atMost;
}
