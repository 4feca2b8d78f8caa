// The `holdfast` command as a process of its own, as its users start it.

import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { fileURLToPath } from "node:url";

export const LAUNCHER = fileURLToPath(new URL("../../cli/holdfast.mjs", import.meta.url));

export interface Ended {
  readonly code: number | null;
  readonly stdout: Buffer;
  readonly stderr: string;
}

export interface Running {
  readonly child: ChildProcess;
  readonly ended: Promise<Ended>;
  /** The first line of standard output. */
  firstLine(): Promise<string>;
}

export function startHoldfast(args: readonly string[], environment: Readonly<Record<string, string>> = {}): Running {
  const { PATH = "", TMPDIR = "" } = process.env;
  const env = { PATH, ...(TMPDIR ? { TMPDIR } : {}), ...environment };
  const child = spawn(process.execPath, [LAUNCHER, ...args], { env, stdio: ["ignore", "pipe", "pipe"] });
  const out: Buffer[] = [];
  const complaints: Buffer[] = [];
  child.stdout.on("data", (part: Buffer) => out.push(part));
  child.stderr.on("data", (part: Buffer) => complaints.push(part));
  const ended = once(child, "close").then(([code]) => ({
    code: code as number | null,
    stdout: Buffer.concat(out),
    stderr: Buffer.concat(complaints).toString(),
  }));
  const firstLine = async () => {
    for (;;) {
      const said = Buffer.concat(out).toString();
      if (said.includes("\n")) return said.slice(0, said.indexOf("\n"));
      const ending = await Promise.race([once(child.stdout, "data"), ended]);
      if ("code" in ending) throw new Error(`it ended with ${ending.code}: ${ending.stderr}`);
    }
  };
  return { child, ended, firstLine };
}

export function runHoldfast(args: readonly string[], environment?: Readonly<Record<string, string>>): Promise<Ended> {
  return startHoldfast(args, environment).ended;
}
