// What the host says, on one stream: text for people, or one JSON object a line for machines (--json). All parts of the
// host write through here, so levels, colours and the collapsing of busy functions are decided once.

import { type Clock, realClock } from "../task-hub/clock.ts";
import type { HostLog, LogFields, LogLevel } from "./host-log.ts";
import { InvocationDigest, type InvocationSummary } from "./invocation-digest.ts";
import { type LogFilter, type LogThreshold, planLogFilter } from "./log-levels.ts";
import { mapStacksToSources, trimStack } from "./user-stack.ts";

export interface ConsoleLogOptions {
  readonly json: boolean;
  /** Everything is shown, whatever host.json says: all levels, whole stacks, every run. */
  readonly verbose: boolean;
  /** host.json logging.logLevel. */
  readonly levels: Readonly<Record<string, LogThreshold>>;
  /** Stacks show paths relative to it. */
  readonly appFolder: string;
  readonly output?: LineOutput;
  readonly clock?: Clock;
}

export interface LineOutput {
  readonly hasColors: boolean;
  write(line: string): void;
}

export interface ConsoleLog extends HostLog {
  /** Tells of runs that were counted and not told yet. */
  flush(): void;
}

/** Of one function, each second; more are told as one line. A failure takes several lines, with its stack. */
const MOST_SUCCESSES = 50;
const MOST_FAILURES = 10;

export function createConsoleLog(options: ConsoleLogOptions): ConsoleLog {
  mapStacksToSources();
  const log = new LineLog(options);
  if (options.output === undefined) process.on("exit", () => log.flush());
  return log;
}

type Paint = (code: string, text: string) => string;

const DIM = "2";
const RED = "31";
const GREEN = "32";
const COLOR: Readonly<Record<LogLevel, string>> = {
  trace: DIM,
  debug: DIM,
  information: "",
  warning: "33",
  error: RED,
  critical: "31;1",
};

class LineLog implements ConsoleLog {
  readonly #options: ConsoleLogOptions;
  readonly #output: LineOutput;
  readonly #clock: Clock;
  readonly #wants: LogFilter;
  readonly #successes: InvocationDigest;
  readonly #failures: InvocationDigest;
  readonly #paint: Paint;

  constructor(options: ConsoleLogOptions) {
    this.#options = options;
    this.#output = options.output ?? standardOutput();
    this.#clock = options.clock ?? realClock;
    this.#wants = options.verbose ? () => true : planLogFilter(options.levels);
    this.#successes = new InvocationDigest(this.#clock, MOST_SUCCESSES, (summary) => this.#tell(true, summary));
    this.#failures = new InvocationDigest(this.#clock, MOST_FAILURES, (summary) => this.#tell(false, summary));
    const { hasColors } = this.#output;
    this.#paint = (code, text) => (hasColors && code !== "" ? `\x1b[${code}m${text}\x1b[0m` : text);
  }

  write(level: LogLevel, category: string, message: string, fields?: LogFields): void {
    if (!this.#wants(level, category)) return;
    const isEnd = fields?.event === "invocation";
    if (isEnd && !this.#options.verbose && !this.#isToldByItself(message, fields)) return;
    if (this.#options.json) this.#writeRecord(level, category, message, fields);
    else if (isEnd) this.#writeEnd(message, fields);
    else this.#writeMessage(level, category, message, fields);
  }

  flush(): void {
    this.#successes.flush();
    this.#failures.flush();
  }

  #isToldByItself(message: string, { outcome, durationMs, function: name }: LogFields): boolean {
    const digest = outcome === "succeeded" ? this.#successes : this.#failures;
    return digest.admit(String(name), Number(durationMs), message);
  }

  #writeRecord(level: LogLevel, category: string, message: string, fields: LogFields | undefined): void {
    const time = new Date(this.#clock.nowMs()).toISOString();
    this.#output.write(JSON.stringify({ time, level, category, message, ...fields }));
  }

  /** "✓ send-mail 12 ms · orchestration 3f2a · 8c1d27aa", and for failures what was thrown below it. */
  #writeEnd(message: string, { function: name, outcome, durationMs, reason, invocationId }: LogFields): void {
    const facts = [durationText(Number(durationMs)), oneLine(String(reason)), shortId(invocationId)];
    const details = this.#paint(DIM, facts.join(" · "));
    if (outcome === "succeeded") {
      this.#writeLine(`${this.#paint(GREEN, "✓")} ${name} ${details}`);
    } else {
      const { verbose, appFolder } = this.#options;
      const thrown = printable(verbose ? message : trimStack(message, appFolder));
      this.#writeLine(`${this.#paint(RED, `✗ ${name} ${outcome}`)} ${details}\n${indent(thrown)}`);
    }
  }

  #tell(succeeded: boolean, { name, count, averageMs, longestMs, periodMs, lastMessage }: InvocationSummary): void {
    const outcome = succeeded ? "succeeded" : "failed";
    const runs = `${count.toLocaleString("en-US")} more runs ${outcome} in ${durationText(periodMs)}`;
    const last = succeeded ? "" : `; the last: ${oneLine(lastMessage.split("\n", 1)[0] ?? "")}`;
    const message = `${runs}, ${durationText(averageMs)} on average, ${durationText(longestMs)} at most${last}`;
    if (this.#options.json) {
      const fields = { event: "invocations", function: name, outcome, count, averageMs, longestMs, periodMs };
      this.#writeRecord(succeeded ? "information" : "error", `Function.${name}`, message, fields);
    } else {
      this.#writeLine(`${succeeded ? this.#paint(GREEN, "✓") : this.#paint(RED, "✗")} ${name}: ${message}`);
    }
  }

  #writeMessage(level: LogLevel, category: string, message: string, fields: LogFields | undefined): void {
    const name = /^Function\.(?<name>[^.]+)/.exec(category)?.groups?.name;
    const isOfUser = category.endsWith(".User");
    // The app's own lines may be coloured on purpose. Anywhere else a control character has come from outside.
    const text = this.#paint(COLOR[level], isOfUser && this.#output.hasColors ? message : printable(message));
    const label = level === "information" ? "" : this.#paint(COLOR[level], `${level}: `);
    const id = fields?.invocationId === undefined ? "" : ` ${this.#paint(DIM, shortId(fields.invocationId))}`;
    const source = name === undefined ? "" : `${name}${id}: `;
    this.#writeLine(`${source}${label}${indentRest(text)}`);
  }

  #writeLine(text: string): void {
    this.#output.write(`${this.#paint(DIM, timeOfDay(this.#clock.nowMs()))} ${text}`);
  }
}

function timeOfDay(atMs: number): string {
  const date = new Date(atMs);
  return `${date.toTimeString().slice(0, 8)}.${String(date.getMilliseconds()).padStart(3, "0")}`;
}

function shortId(invocationId: unknown): string {
  return String(invocationId).slice(0, 8);
}

function durationText(ms: number): string {
  if (ms < 9.95) return `${ms.toFixed(1)} ms`;
  if (ms < 999.5) return `${Math.round(ms)} ms`;
  return ms < 59_950 ? `${(ms / 1000).toFixed(1)} s` : `${(ms / 60_000).toFixed(1)} min`;
}

const INDENT = "    ";

function indent(text: string): string {
  return INDENT + indentRest(text);
}

function indentRest(text: string): string {
  return text.replaceAll("\n", `\n${INDENT}`);
}

function oneLine(text: string): string {
  return printable(text).replaceAll("\n", "\\n");
}

/** Shows control characters, lest what came from outside moves the cursor, paints the screen or forges lines. */
function printable(text: string): string {
  // biome-ignore lint/suspicious/noControlCharactersInRegex: they are what is looked for.
  return text.replaceAll("\r\n", "\n").replaceAll(/[\u0000-\u0008\u000b-\u001f\u007f-\u009f]/g, (character) => {
    return `\\x${character.charCodeAt(0).toString(16).padStart(2, "0")}`;
  });
}

let standard: LineOutput | undefined;

/** Each line at once: it may be the last that a function says before it never returns. */
export function standardOutput(): LineOutput {
  standard ??= openStandardOutput();
  return standard;
}

function openStandardOutput(): LineOutput {
  const { stdout } = process;
  // Whoever reads may go away (`... | head`): that is no reason to end the functions that run here.
  stdout.on("error", () => {});
  return {
    // Knows NO_COLOR and FORCE_COLOR.
    hasColors: stdout.isTTY === true && stdout.hasColors(),
    write: (line) => void stdout.write(`${line}\n`),
  };
}
