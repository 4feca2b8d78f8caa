// `npm run bench [-- filter] [-- --json] [-- --list] [-- --keep]`: runs the benches of bench/*.bench.ts whose file, export
// name or description contains the filter, prints a row for each figure, and exits 1 if a bar is not met or a bench failed.
// What benches make lies in one folder, removed at the end; --keep leaves it, and the next run with --keep finds it.

import { spawn } from "node:child_process";
import { mkdtempSync, rmSync } from "node:fs";
import { readdir } from "node:fs/promises";
import { availableParallelism, cpus, tmpdir, totalmem } from "node:os";
import { join, relative } from "node:path";
import { fileURLToPath, pathToFileURL } from "node:url";
import { parseArgs } from "node:util";
import { type Bench, type BenchRow, DEFAULT_TIMEOUT_MS, isMet } from "./bench.ts";

interface FoundBench {
  readonly file: string;
  readonly exportName: string;
  readonly bench: Bench;
}

interface FailedRow {
  readonly name: string;
  readonly failed: string;
}

type ResultRow = BenchRow | FailedRow;

const benchFolder = fileURLToPath(new URL(".", import.meta.url));

async function findBenches(filter: string): Promise<FoundBench[]> {
  const files = (await readdir(benchFolder)).filter((name) => name.endsWith(".bench.ts")).sort();
  const found: FoundBench[] = [];
  for (const name of files) {
    const file = join(benchFolder, name);
    const exported: Record<string, unknown> = await import(pathToFileURL(file).href);
    for (const [exportName, value] of Object.entries(exported)) {
      if (!isBench(value))
        throw new Error(`bench/${name} exports ${exportName}, which is not a bench (see bench/bench.ts)`);
      const text = `${name} ${exportName} ${value.about}`.toLowerCase();
      if (text.includes(filter.toLowerCase())) found.push({ file, exportName, bench: value });
    }
  }
  return found;
}

function isBench(value: unknown): value is Bench {
  if (typeof value !== "object" || value === null) return false;
  return "about" in value && typeof value.about === "string" && "run" in value && typeof value.run === "function";
}

let stopRunning: (() => void) | undefined;

/** Runs one bench in a process group of its own, which is gone when the promise settles. */
async function runInChild({ file, exportName, bench }: FoundBench): Promise<readonly ResultRow[]> {
  const timeoutMs = bench.timeoutMs ?? DEFAULT_TIMEOUT_MS;
  const child = spawn(process.execPath, [join(benchFolder, "run-one.ts"), file, exportName], {
    detached: process.platform !== "win32",
    stdio: ["ignore", "inherit", "pipe", "ipc"],
    env: { ...process.env, HOLDFAST_BENCH_FOLDER: workFolder },
  });
  const stop = () => killGroup(child.pid);
  stopRunning = stop;
  let rows: readonly BenchRow[] | undefined;
  let complaints = "";
  let timedOut = false;
  child.on("message", (message) => {
    rows = message as readonly BenchRow[];
  });
  child.stderr?.on("data", (text) => {
    complaints = (complaints + text).slice(-4_000);
  });
  const timer = setTimeout(() => {
    timedOut = true;
    stop();
  }, timeoutMs);
  const ending = await new Promise<string>((resolve) => {
    child.on("error", (error) => resolve(error.message));
    // Whatever the bench left running would keep the pipes open, and "close" away.
    child.on("exit", stop);
    child.on("close", (code, signal) => resolve(`ended with ${signal ?? `exit code ${code}`}`));
  });
  clearTimeout(timer);
  stopRunning = undefined;
  if (rows !== undefined) return rows;
  const reason = timedOut ? `not finished after ${timeoutMs / 1000} s` : `${ending}\n${complaints}`.trim();
  return [{ name: exportName, failed: reason }];
}

function killGroup(pid: number | undefined): void {
  if (pid === undefined) return;
  try {
    process.kill(process.platform === "win32" ? pid : -pid, "SIGKILL");
  } catch {
    // Already gone, which is what was wanted.
  }
}

function describeMachine(): Record<string, string | number> {
  return {
    cores: availableParallelism(),
    processor: cpus()[0]?.model.trim() ?? "unknown",
    memoryGiB: Math.round(totalmem() / 2 ** 30),
    system: `${process.platform}-${process.arch}`,
    node: process.version,
  };
}

function verdictOf(row: ResultRow): "met" | "not met" | "told" | "skipped" | "failed" {
  if ("failed" in row) return "failed";
  if ("skipped" in row) return "skipped";
  const met = isMet(row);
  return met === undefined ? "told" : met ? "met" : "not met";
}

function renderRow(row: ResultRow): string {
  const verdict = verdictOf(row).padEnd(7);
  if ("failed" in row) return `${verdict}  ${row.name}: ${row.failed}`;
  if ("skipped" in row) return `${verdict}  ${row.name}: ${row.skipped}`;
  const bar =
    row.bar && ("atLeast" in row.bar ? `at least ${show(row.bar.atLeast)}` : `at most ${show(row.bar.atMost)}`);
  const figure = `${show(row.figure)} ${row.unit}`;
  return `${verdict}  ${row.name.padEnd(44)} ${figure.padStart(24)}  ${(bar ?? "").padEnd(18)} ${row.note ?? ""}`.trimEnd();
}

function show(figure: number): string {
  const digits = Math.abs(figure) >= 100 ? 0 : Math.abs(figure) >= 10 ? 1 : 2;
  return figure.toLocaleString("en-US", { maximumFractionDigits: digits });
}

function removeWorkFolder(): void {
  if (!flags.keep) rmSync(workFolder, { recursive: true, force: true });
}

const { values: flags, positionals } = parseArgs({
  options: {
    json: { type: "boolean", default: false },
    list: { type: "boolean", default: false },
    keep: { type: "boolean", default: false },
  },
  allowPositionals: true,
});
const workFolder = flags.keep ? join(tmpdir(), "holdfast-bench") : mkdtempSync(join(tmpdir(), "holdfast-bench-"));
const benches = await findBenches(positionals.join(" "));
const machine = describeMachine();
const result: (ResultRow & { bench: string; verdict: string })[] = [];

for (const signal of ["SIGINT", "SIGTERM"] as const) {
  process.once(signal, () => {
    stopRunning?.();
    removeWorkFolder();
    process.exit(signal === "SIGINT" ? 130 : 143);
  });
}

if (flags.list) {
  for (const { file, exportName, bench } of benches) {
    console.log(`${relative(process.cwd(), file)} ${exportName}: ${bench.about}`);
  }
} else {
  if (!flags.json)
    console.log(
      Object.entries(machine)
        .map(([name, value]) => `${name} ${value}`)
        .join(", "),
    );
  for (const found of benches) {
    const bench = `${relative(benchFolder, found.file)} ${found.exportName}`;
    if (!flags.json) console.log(`\n${bench}: ${found.bench.about}`);
    for (const row of await runInChild(found)) {
      result.push({ bench, verdict: verdictOf(row), ...row });
      if (!flags.json) console.log(renderRow(row));
    }
  }
  if (flags.json) console.log(JSON.stringify({ machine, rows: result }, undefined, 2));
  if (benches.length === 0)
    console.error(`No bench matches "${positionals.join(" ")}". All of them: npm run bench -- --list`);
  const bad = result.some((row) => row.verdict === "failed" || row.verdict === "not met");
  process.exitCode = bad || benches.length === 0 ? 1 : 0;
}
removeWorkFolder();
