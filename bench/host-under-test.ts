// A real host process for the benches: started on any free port, stopped or killed, its memory read while it runs.

import { type ChildProcess, spawn } from "node:child_process";
import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { createInterface } from "node:readline";
import { fileURLToPath } from "node:url";

const HOST = fileURLToPath(new URL("../localhost/host.ts", import.meta.url));

export function appFolder(name: string): string {
  return fileURLToPath(new URL(`apps/${name}`, import.meta.url));
}

export function temporaryFolder(): { readonly path: string; remove(): void } {
  const path = mkdtempSync(join(tmpdir(), "holdfast-bench-"));
  return { path, remove: () => rmSync(path, { recursive: true, force: true }) };
}

export interface HostUnderTest {
  readonly url: string;
  readonly pid: number;
  /** Runs an orchestration to its end and returns its output. */
  run(name: string, input: unknown): Promise<unknown>;
  /** Undefined where the system does not tell. */
  residentBytes(): number | undefined;
  stop(): Promise<void>;
}

export async function startHostUnderTest(app: string, dataFolder: string): Promise<HostUnderTest> {
  const child = spawn(
    process.execPath,
    [HOST, "--app", appFolder(app), "--data", dataFolder, "--port", "0", "--json"],
    {
      stdio: ["ignore", "pipe", "inherit"],
    },
  );
  const url = await listeningUrl(child);
  const pid = child.pid as number;
  return {
    url,
    pid,
    run: (name, input) => runOrchestration(url, name, input),
    residentBytes: () => residentBytes(pid),
    stop: async () => {
      child.kill("SIGTERM");
      if (child.exitCode === null) await new Promise((resolve) => child.once("exit", resolve));
    },
  };
}

async function listeningUrl(child: ChildProcess): Promise<string> {
  const lines = createInterface({ input: child.stdout as NonNullable<typeof child.stdout> });
  for await (const line of lines) {
    const { event, url } = JSON.parse(line) as { event?: string; url?: string };
    if (event !== "ready" || url === undefined) continue;
    child.stdout?.resume();
    return url;
  }
  throw new Error(`the host ended with code ${child.exitCode} before it listened`);
}

async function runOrchestration(url: string, name: string, input: unknown): Promise<unknown> {
  const response = await fetch(`${url}/runtime/webhooks/durabletask/orchestrators/${name}?timeout=200`, {
    method: "POST",
    headers: { "content-type": "application/json" },
    body: JSON.stringify(input ?? null),
  });
  const body: unknown = await response.json();
  if (response.status !== 200) throw new Error(`${name} answered ${response.status}: ${JSON.stringify(body)}`);
  return body;
}

function residentBytes(pid: number): number | undefined {
  try {
    const kib = /VmRSS:\s+(\d+) kB/.exec(readFileSync(`/proc/${pid}/status`, "utf8"))?.[1];
    return kib === undefined ? undefined : Number(kib) * 1024;
  } catch {
    return undefined;
  }
}
