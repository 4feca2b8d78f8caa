// The real host as a process of its own, for tests: `localhost/host.ts` on any free port with --json. Whatever a test
// leaves running is killed when the test process ends.

import { type ChildProcess, spawn } from "node:child_process";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { createInterface } from "node:readline";
import { fileURLToPath } from "node:url";

const HOST = fileURLToPath(new URL("../../localhost/host.ts", import.meta.url));
const STOP_WITHIN_MS = 15_000;

export interface HostProcessOptions {
  /** The folder of an app. */
  readonly app: string;
  readonly entry?: string;
  /** Default: a new folder, removed with the process. */
  readonly dataFolder?: string;
  readonly env?: Readonly<Record<string, string>>;
  readonly args?: readonly string[];
}

/** One line of the host's log, as --json prints it. */
export interface LogLine {
  readonly level?: string;
  readonly category?: string;
  readonly message?: string;
  readonly event?: string;
  readonly [field: string]: unknown;
}

export interface HostExit {
  readonly code: number | null;
  readonly signal: NodeJS.Signals | null;
}

export interface HostProcess {
  readonly url: string;
  readonly port: number;
  readonly pid: number;
  readonly dataFolder: string;
  /** All it printed so far, both streams. */
  readonly output: string;
  /** The lines of its log so far. */
  readonly lines: readonly LogLine[];
  /** The first line, printed already or yet to come, for which the predicate holds. Fails when the host ends first. */
  waitForLog(predicate: (line: LogLine) => boolean): Promise<LogLine>;
  readonly exited: Promise<HostExit>;
  /** As Ctrl-C: everything ends in order. Kills, and fails, when it does not. */
  stop(): Promise<HostExit>;
  /** SIGKILL: as a crash. */
  kill(): Promise<HostExit>;
}

/** A host that may not be ready yet. */
export interface StartingHost {
  /** Fails with all it printed when it ends before it is ready. */
  readonly ready: Promise<HostProcess>;
  kill(): Promise<HostExit>;
}

export function spawnHost(options: HostProcessOptions): StartingHost {
  const host = new RunningHost(options);
  const ready = host
    .waitForLog(({ event }) => event === "ready")
    .then(({ url, port }) => host.listeningAt(String(url), Number(port)));
  ready.catch(() => {}); // whoever kills it first does not wait for it
  return { ready, kill: () => host.kill() };
}

/** Resolves when the host is ready; fails with all it printed when it ends before that. */
export function startHost(options: HostProcessOptions): Promise<HostProcess> {
  return spawnHost(options).ready;
}

/** Runs the host to its end: for command lines and apps with which it does not start. */
export async function runHostToEnd(options: HostProcessOptions): Promise<HostExit & { readonly output: string }> {
  const host = new RunningHost(options);
  return { ...(await host.exited), output: host.output };
}

const running = new Set<ChildProcess>();
process.on("exit", () => {
  for (const child of running) child.kill("SIGKILL");
});

interface Waiter {
  readonly predicate: (line: LogLine) => boolean;
  readonly resolve: (line: LogLine) => void;
  readonly reject: (error: Error) => void;
}

class RunningHost implements HostProcess {
  url = "";
  port = 0;
  output = "";
  readonly dataFolder: string;
  readonly exited: Promise<HostExit>;
  readonly lines: LogLine[] = [];
  readonly #child: ChildProcess;
  readonly #waiters = new Set<Waiter>();
  #hasExited = false;

  constructor({ app, entry, dataFolder, env, args = [] }: HostProcessOptions) {
    this.dataFolder = dataFolder ?? mkdtempSync(join(tmpdir(), "holdfast-host-"));
    // With --check-ids each step of each orchestration is held against the durable library's own count.
    const flags = ["--app", app, "--data", this.dataFolder, "--port", "0", "--json", "--check-ids", ...args];
    if (entry !== undefined) flags.push("--entry", entry);
    const child = spawn(process.execPath, [HOST, ...flags], {
      stdio: ["ignore", "pipe", "pipe"],
      env: { ...process.env, ...env },
    });
    this.#child = child;
    running.add(child);
    const { stdout, stderr } = child;
    createInterface({ input: stdout }).on("line", (line) => this.#read(line));
    createInterface({ input: stderr }).on("line", (line) => this.#keep(line));
    // "close" comes after the last line of both streams, "exit" may come before.
    this.exited = new Promise((resolve, reject) => {
      child.on("error", reject);
      child.on("close", (code, signal) => resolve({ code, signal }));
    });
    void this.exited.then(() => this.#end(dataFolder === undefined));
  }

  get pid(): number {
    return this.#child.pid ?? 0;
  }

  listeningAt(url: string, port: number): this {
    this.url = url;
    this.port = port;
    return this;
  }

  waitForLog(predicate: (line: LogLine) => boolean): Promise<LogLine> {
    const known = this.lines.find(predicate);
    if (known !== undefined) return Promise.resolve(known);
    if (this.#hasExited) return Promise.reject(this.#ended());
    return new Promise((resolve, reject) => this.#waiters.add({ predicate, resolve, reject }));
  }

  async stop(): Promise<HostExit> {
    this.#child.kill("SIGTERM");
    const patience = setTimeout(() => this.#child.kill("SIGKILL"), STOP_WITHIN_MS);
    const exit = await this.exited;
    clearTimeout(patience);
    if (exit.signal === "SIGKILL") throw new Error(`the host did not stop in time:\n${this.output}`);
    return exit;
  }

  kill(): Promise<HostExit> {
    this.#child.kill("SIGKILL");
    return this.exited;
  }

  #read(line: string): void {
    this.#keep(line);
    const parsed = parseLine(line);
    if (parsed === undefined) return;
    this.lines.push(parsed);
    for (const waiter of this.#waiters) {
      if (!waiter.predicate(parsed)) continue;
      this.#waiters.delete(waiter);
      waiter.resolve(parsed);
    }
  }

  #keep(line: string): void {
    this.output += `${line}\n`;
  }

  #end(removesData: boolean): void {
    this.#hasExited = true;
    running.delete(this.#child);
    for (const waiter of this.#waiters) waiter.reject(this.#ended());
    this.#waiters.clear();
    if (removesData) rmSync(this.dataFolder, { recursive: true, force: true });
  }

  #ended(): Error {
    return new Error(`the host ended (code ${this.#child.exitCode}) after printing:\n${this.output}`);
  }
}

/** Undefined: not a line of the log; an app may print what it likes. */
function parseLine(line: string): LogLine | undefined {
  try {
    const value: unknown = JSON.parse(line);
    return typeof value === "object" && value !== null ? (value as LogLine) : undefined;
  } catch {
    return undefined;
  }
}
