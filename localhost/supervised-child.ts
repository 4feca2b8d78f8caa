// A program that runs beside the host for as long as that does: started, waited for until it is ready, started again when it
// ends by itself, and ended in order. Its standard input is a pipe that closes with this process, however that ends.
// It has a session of its own, so that a Ctrl-C in the terminal reaches the host first.

import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { join } from "node:path";
import { HoldfastFailure, messageOf } from "../src/base/failure.ts";

export interface ChildProgram {
  /** For people. */
  readonly name: string;
  /** A file beside this one. */
  readonly program: string;
  readonly args: readonly string[];
  readonly environment?: Readonly<Record<string, string>>;
  isReady(text: string): boolean;
  /** What its unexpected end may have cost. */
  readonly loss: string;
}

export interface ChildHooks {
  readonly onNotice: (text: string) => void;
  /** It ends again and again. */
  readonly onLost: (failure: HoldfastFailure) => void;
}

const START_MS = 60_000;
const MAX_ENDINGS = 3;
const ENDINGS_WITHIN_MS = 60_000;

export class SupervisedChild {
  private readonly program: ChildProgram;
  private readonly hooks: ChildHooks;
  private child: ChildProcess | undefined;
  private isStopping = false;
  private endings: number[] = [];

  constructor(program: ChildProgram, hooks: ChildHooks) {
    this.program = program;
    this.hooks = hooks;
  }

  /** What it has said by the time it is ready. */
  async start(): Promise<string> {
    const { program, args, environment } = this.program;
    const child = spawn(process.execPath, [join(import.meta.dirname, program), ...args], {
      stdio: ["pipe", "pipe", "pipe"],
      detached: true,
      env: { ...process.env, ...environment },
    });
    this.child = child;
    // One that is gone already: writing to it is not what tells.
    child.stdin.on("error", () => {});
    const text = await this.untilReady(child);
    child.once("exit", (code, signal) => void this.ended(signal ?? `exit code ${code}`));
    return text;
  }

  async stop(): Promise<void> {
    this.isStopping = true;
    const { child } = this;
    if (child === undefined || child.exitCode !== null || child.signalCode !== null) return;
    child.kill("SIGTERM");
    await once(child, "exit");
  }

  private async ended(how: string): Promise<void> {
    if (this.isStopping) return;
    const { name, loss } = this.program;
    const now = performance.now();
    this.endings = [...this.endings, now].filter((atMs) => now - atMs < ENDINGS_WITHIN_MS);
    if (this.endings.length > MAX_ENDINGS) return this.lose(`${name} ended ${this.endings.length} times in a minute`);
    this.hooks.onNotice(`${name} ended unexpectedly (${how}) and is being started again. ${loss}`);
    try {
      await this.start();
      this.hooks.onNotice(`${name} is there again.`);
    } catch (cause) {
      if (!this.isStopping) this.lose(messageOf(cause));
    }
  }

  private lose(message: string): void {
    this.hooks.onLost(new HoldfastFailure("unavailable", "LocalAzureFailed", message, { hint: START_HINT }));
  }

  /** Once it is ready, its complaints are passed on. */
  private untilReady(child: ChildProcess): Promise<string> {
    const { name, isReady } = this.program;
    return new Promise((resolve, reject) => {
      let text = "";
      let isUp = false;
      const fail = (why: string) =>
        reject(
          new HoldfastFailure("unavailable", "LocalAzureFailed", `${name} ${why}:\n${text.trim()}`, {
            hint: START_HINT,
          }),
        );
      const patience = setTimeout(() => {
        fail(`was not ready after ${START_MS / 1000} s`);
        child.kill("SIGTERM");
      }, START_MS);
      child.stdout?.on("data", (chunk: Buffer) => {
        if (isUp) return;
        text += chunk.toString();
        if (!isReady(text)) return;
        isUp = true;
        clearTimeout(patience);
        resolve(text);
      });
      child.stderr?.on("data", (chunk: Buffer) => {
        if (isUp) this.hooks.onNotice(`${name}: ${chunk.toString().trim()}`);
        else text += chunk.toString();
      });
      child.once("exit", (code, signal) => {
        clearTimeout(patience);
        fail(`ended with ${signal ?? code}`);
      });
    });
  }
}

const START_HINT = "Is another one running with the same ports or data folder? See --port and --data.";
