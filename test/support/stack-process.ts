// `npm start` without npm, as a process of its own, with all that stands around the host. Whatever a test leaves running is
// killed when the test process ends; the processes around the host then end by themselves.

import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { mkdtempSync, writeFileSync } from "node:fs";
import { rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { createInterface } from "node:readline";
import { fileURLToPath } from "node:url";
import type { EstateInput } from "../../localhost/azure/estate/estate-schema.ts";

const MAIN = fileURLToPath(new URL("../../localhost/main.ts", import.meta.url));
const MIB_OF_CONTENT = 6;

/** What `--json` says when everything is up. */
export interface StackFacts {
  readonly url: string;
  readonly azureUrl: string;
  readonly blobUrl: string;
  readonly tableUrl: string;
  readonly tenantId: string;
  readonly subscriptionId: string;
  readonly token: string;
  readonly commands: readonly string[];
}

export interface StackEnd {
  readonly code: number | null;
  readonly signal: NodeJS.Signals | null;
}

export interface StackProcess {
  readonly pid: number;
  /** Fails with all it said when it ends before it is ready. */
  readonly ready: Promise<StackFacts>;
  /** All it said so far, both streams. */
  readonly output: () => string;
  readonly ended: Promise<StackEnd>;
  send(signal: NodeJS.Signals): void;
}

const running = new Set<ChildProcess>();
process.on("exit", () => {
  for (const child of running) child.kill("SIGKILL");
});

export function startStack(args: readonly string[], environment: Readonly<Record<string, string>> = {}): StackProcess {
  const child = spawn(process.execPath, [MAIN, ...args], {
    stdio: ["ignore", "pipe", "pipe"],
    env: { ...process.env, ...environment },
  });
  running.add(child);
  let output = "";
  child.stderr.on("data", (text: Buffer) => {
    output += text.toString();
  });
  const { promise: ready, resolve, reject } = Promise.withResolvers<StackFacts>();
  ready.catch(() => {});
  createInterface({ input: child.stdout }).on("line", (line) => {
    output += `${line}\n`;
    if (line.includes('"event":"ready"')) resolve(JSON.parse(line));
  });
  const ended = once(child, "close").then(([code, signal]) => {
    running.delete(child);
    reject(new Error(`it ended with ${signal ?? code} after saying:\n${output}`));
    return { code, signal };
  });
  return { pid: child.pid ?? 0, ready, output: () => output, ended, send: (signal) => void child.kill(signal) };
}

/** In order; fails when it does not end well. */
export async function stopStack(stack: StackProcess): Promise<void> {
  stack.send("SIGTERM");
  const { code } = await stack.ended;
  if (code !== 0) throw new Error(`it ended with ${code} after saying:\n${stack.output()}`);
}

export function newFolder(): string {
  return mkdtempSync(join(tmpdir(), "holdfast-e2e-"));
}

export async function removeFolder(folder: string): Promise<void> {
  await rm(folder, { recursive: true, force: true, maxRetries: 5 });
}

/** Machines with disks of a gibibyte, nearly all of it empty, that write all the time. */
export function tinyEstate(machines: readonly string[]): EstateInput {
  return {
    subscriptions: [
      {
        id: "11111111-1111-1111-1111-111111111111",
        name: "Tiny",
        groups: [
          {
            name: "demo",
            location: "westeurope",
            virtualMachines: machines.map((name, index) => ({
              name,
              image: "tiny",
              dataDisks: index % 2 === 1 ? [{ sizeGiB: 1, allocatedMiB: MIB_OF_CONTENT }] : [],
              workload: { kind: "web", bytesPerSecond: 32_768, seed: index },
            })),
            storageAccounts: [{ name: "demostaging" }],
          },
          { name: "target", location: "westeurope" },
        ],
      },
    ],
    images: { tiny: { generated: { seed: "tiny", sizeGiB: 1, allocatedMiB: MIB_OF_CONTENT } } },
    operationMs: 50,
  };
}

export function writeEstate(folder: string, estate: EstateInput): string {
  const file = join(folder, "estate.json");
  writeFileSync(file, JSON.stringify(estate));
  return file;
}
