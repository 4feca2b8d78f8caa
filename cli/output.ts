// What the command line prints: sizes and times people can read, tables, failures, and exit codes. Results go to standard
// output, everything else to standard error; a SAS signature goes nowhere.

import { type FailureKind, HoldfastFailure } from "../src/base/failure.ts";

/** Documented in docs/vault-cli.md. 1 is kept for findings: the command worked, and what it found is not good. */
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
export const EXIT_BUG = 70;
/** As a shell tells a process that died of SIGPIPE. */
export const EXIT_READER_GONE = 141;

export interface Output {
  print(line: string): void;
  complain(line: string): void;
  /** Whether people watch what is complained. */
  readonly isTerminal: boolean;
  /** Writes over the current line of the terminal. */
  overwrite?(text: string): void;
}

export const standardOutput: Output = {
  print: (line) => process.stdout.write(`${line}\n`),
  complain: (line) => process.stderr.write(`${line}\n`),
  isTerminal: process.stderr.isTTY === true,
  overwrite: (text) => process.stderr.write(`\r${text}\u001b[K`),
};

export function printFailure(output: Output, cause: unknown, asJson = false): number {
  const isKnown = cause instanceof HoldfastFailure;
  const exitCode = isKnown ? EXIT_CODES[cause.kind] : EXIT_BUG;
  const message = cause instanceof Error ? cause.message : String(cause);
  if (asJson) {
    const [code, kind, hint] = isKnown ? [cause.code, cause.kind, cause.hint] : ["HoldfastBug", "bug", undefined];
    output.complain(withoutSecrets(JSON.stringify({ error: { code, kind, message, hint }, exitCode })));
  } else if (isKnown) {
    output.complain(withoutSecrets(`holdfast: ${message} (${cause.code})`));
    if (cause.hint) output.complain(withoutSecrets(`  ${cause.hint}`));
  } else {
    output.complain(withoutSecrets(`holdfast: this is a bug: ${(cause instanceof Error && cause.stack) || message}`));
  }
  return exitCode;
}

export function withoutSecrets(text: string): string {
  return text.replace(/\b(sig=)[^&\s"']+/gi, "$1***").replace(/\b(AccountKey=)[^;\s"']+/gi, "$1***");
}

export function bytesText(bytes: number): string {
  const units = ["B", "KiB", "MiB", "GiB", "TiB", "PiB"];
  const step = bytes < 1 ? 0 : Math.min(units.length - 1, Math.floor(Math.log2(bytes) / 10));
  const value = bytes / 1024 ** step;
  return `${step === 0 || value >= 100 ? Math.round(value) : value.toFixed(1)} ${units[step]}`;
}

export function durationText(seconds: number): string {
  const whole = Math.max(0, Math.round(seconds));
  const [hours, minutes, rest] = [Math.floor(whole / 3600), Math.floor(whole / 60) % 60, whole % 60];
  const two = (value: number) => String(value).padStart(2, "0");
  return hours > 0 ? `${hours}:${two(minutes)}:${two(rest)}` : `${minutes}:${two(rest)}`;
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
