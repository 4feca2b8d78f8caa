// How far long work is: a bar with rate and time left that is written over on a terminal, a plain line every few seconds
// where nobody watches, and nothing at all for work that is over before anybody would ask.

import { bytesText, durationText, type Output } from "./output.ts";

const BAR_CELLS = 24;
const TERMINAL_EVERY_MS = 200;
const PLAIN_EVERY_MS = 5_000;
/** The rate is that of the last seconds: what was quick at the start says nothing about the end. */
const RATE_WINDOW_MS = 10_000;

export class Progress {
  private readonly output: Output;
  private readonly what: string;
  private readonly nowMs: () => number;
  private readonly seen: { atMs: number; bytes: number }[];
  private shownMs: number;
  private isLineOpen = false;

  constructor(output: Output, what: string, nowMs: () => number = () => performance.now()) {
    this.nowMs = nowMs;
    this.output = output;
    this.what = what;
    this.shownMs = nowMs();
    this.seen = [{ atMs: this.shownMs, bytes: 0 }];
  }

  show(doneBytes: number, totalBytes: number): void {
    const now = this.nowMs();
    if (now - this.shownMs < (this.output.isTerminal ? TERMINAL_EVERY_MS : PLAIN_EVERY_MS)) return;
    this.shownMs = now;
    this.seen.push({ atMs: now, bytes: doneBytes });
    while (this.seen.length > 2 && now - (this.seen[0]?.atMs ?? now) > RATE_WINDOW_MS) this.seen.shift();
    const text = this.describe(doneBytes, totalBytes);
    if (this.output.isTerminal) this.output.overwrite?.(text);
    else this.output.complain(text);
    this.isLineOpen = this.output.isTerminal;
  }

  end(): void {
    if (this.isLineOpen) this.output.overwrite?.("");
    this.isLineOpen = false;
  }

  private describe(doneBytes: number, totalBytes: number): string {
    const [first, last] = [this.seen[0], this.seen.at(-1)];
    const seconds = ((last?.atMs ?? 0) - (first?.atMs ?? 0)) / 1000;
    const rate = seconds > 0 ? ((last?.bytes ?? 0) - (first?.bytes ?? 0)) / seconds : 0;
    const share = totalBytes > 0 ? Math.min(1, doneBytes / totalBytes) : 1;
    const left = rate > 0 ? `, ${durationText((totalBytes - doneBytes) / rate)} left` : "";
    const amounts = `${bytesText(doneBytes)} of ${bytesText(totalBytes)}, ${bytesText(rate)}/s${left}`;
    const percent = `${Math.floor(share * 100)} %`;
    if (!this.output.isTerminal) return `${this.what}: ${percent}, ${amounts}`;
    const bar = "#".repeat(Math.round(share * BAR_CELLS)).padEnd(BAR_CELLS, ".");
    return `${this.what} [${bar}] ${percent.padStart(5)}  ${amounts}`;
  }
}
