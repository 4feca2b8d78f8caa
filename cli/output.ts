// What the command line prints: sizes and times people can read, tables, a progress line on a terminal, and exit codes.

import { type FailureKind, HoldfastFailure } from "../src/base/failure.ts";

/** Documented in docs/operations.md. 1 is kept for findings: the command worked, and what it found is not good. */
export const EXIT_CODES: Readonly<Record<FailureKind, number>> = {
  invalid: 2,
  "not-found": 3,
  denied: 4,
  conflict: 5,
  corrupt: 6,
  unavailable: 7,
  throttled: 7,
  cancelled: 130,
};
export const EXIT_FINDINGS = 1;

export interface Output {
  print(line: string): void;
  complain(line: string): void;
  readonly isTerminal: boolean;
}

export const standardOutput: Output = {
  print: (line) => process.stdout.write(`${line}\n`),
  complain: (line) => process.stderr.write(`${line}\n`),
  isTerminal: process.stderr.isTTY === true,
};

export function printFailure(output: Output, cause: unknown): number {
  if (!(cause instanceof HoldfastFailure)) {
    output.complain(cause instanceof Error ? (cause.stack ?? cause.message) : String(cause));
    return 70;
  }
  output.complain(`holdfast: ${cause.message} (${cause.code})`);
  if (cause.hint) output.complain(`  ${cause.hint}`);
  return EXIT_CODES[cause.kind];
}

export function bytesText(bytes: number): string {
  const units = ["B", "KiB", "MiB", "GiB", "TiB", "PiB"];
  const step = bytes < 1 ? 0 : Math.min(units.length - 1, Math.floor(Math.log2(bytes) / 10));
  const value = bytes / 1024 ** step;
  return `${step === 0 || value >= 100 ? Math.round(value) : value.toFixed(1)} ${units[step]}`;
}

export function table(rows: readonly (readonly string[])[]): string[] {
  const widths = (rows[0] ?? []).map((_, column) => Math.max(...rows.map((row) => row[column]?.length ?? 0)));
  return rows.map((row) =>
    row
      .map((cell, column) => cell.padEnd(widths[column] ?? 0))
      .join("  ")
      .trimEnd(),
  );
}

/** A line that is written over, four times a second at most, with rate and time left. Silent where nobody looks. */
export class ProgressLine {
  private readonly output: Output;
  private readonly what: string;
  private readonly startedMs = Date.now();
  private shownMs = 0;

  constructor(output: Output, what: string) {
    this.output = output;
    this.what = what;
  }

  show(doneBytes: number, totalBytes: number): void {
    const now = Date.now();
    if (!this.output.isTerminal || now - this.shownMs < 250) return;
    this.shownMs = now;
    const seconds = Math.max(0.001, (now - this.startedMs) / 1000);
    const rate = doneBytes / seconds;
    const left = rate > 0 ? Math.round((totalBytes - doneBytes) / rate) : 0;
    const share = totalBytes > 0 ? Math.min(1, doneBytes / totalBytes) : 1;
    const bar = "#".repeat(Math.round(share * 24)).padEnd(24, ".");
    const text = `${this.what} [${bar}] ${(share * 100).toFixed(0)} %  ${bytesText(rate)}/s  ${left} s left`;
    process.stderr.write(`\r${text.padEnd(79)}`);
  }

  end(): void {
    if (this.shownMs > 0) process.stderr.write(`\r${"".padEnd(79)}\r`);
  }
}
