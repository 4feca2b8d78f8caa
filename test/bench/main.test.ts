// The frame of the benchmarks, in a folder with benches made up for the test.

import { execFile } from "node:child_process";
import { cpSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, describe, expect, it } from "vitest";

const BENCH = join(import.meta.dirname, "../../bench");

const folders: string[] = [];
afterEach(() => {
  for (const folder of folders.splice(0)) rmSync(folder, { recursive: true });
});

function runBench(
  files: Record<string, string>,
  ...args: string[]
): Promise<{ code: number; stdout: string; stderr: string }> {
  const folder = mkdtempSync(join(tmpdir(), "holdfast-bench-"));
  folders.push(folder);
  for (const file of ["bench.ts", "main.ts", "run-one.ts"]) cpSync(join(BENCH, file), join(folder, file));
  for (const [file, text] of Object.entries(files)) writeFileSync(join(folder, file), text);
  return new Promise((resolve) => {
    execFile(process.execPath, [join(folder, "main.ts"), ...args], { cwd: folder }, (error, stdout, stderr) => {
      resolve({ code: Number(error?.code ?? 0), stdout, stderr });
    });
  });
}

/** A file with one bench, which measures what is given. */
function benchOf(name: string, rows: object[], about = "made up"): string {
  return `export const ${name} = { about: ${JSON.stringify(about)}, run: async () => ${JSON.stringify(rows)} };`;
}

const linesWith = (text: string, part: string): string[] => text.split("\n").filter((line) => line.includes(part));

describe("npm run bench", () => {
  it("says of each figure whether it meets its bar, and fails when one does not", async () => {
    const rows = [
      { name: "quick", figure: 9_000, unit: "things/s", bar: { atLeast: 8_000 } },
      { name: "exactly", figure: 8_000, unit: "things/s", bar: { atLeast: 8_000 } },
      { name: "slow", figure: 7_999, unit: "things/s", bar: { atLeast: 8_000 } },
      { name: "steep", figure: 3.5, unit: "x", bar: { atMost: 3 } },
      { name: "plain", figure: 1, unit: "MB" },
      { name: "absent", skipped: "needs a disk" },
    ];
    const { code, stdout } = await runBench({ "a.bench.ts": benchOf("one", rows) });
    expect(code).toBe(1);
    for (const [name, verdict] of [
      ["quick", "met "],
      ["exactly", "met "],
      ["slow", "not met"],
      ["steep", "not met"],
      ["plain", "told"],
      ["absent: needs a disk", "skipped"],
    ] as const) {
      expect(linesWith(stdout, name)[0], name).toMatch(new RegExp(`^${verdict}`));
    }
  });

  it("succeeds when all bars are met, and names the machine first", async () => {
    const { code, stdout } = await runBench({
      "a.bench.ts": benchOf("one", [{ name: "quick", figure: 2, unit: "x", bar: { atLeast: 1 } }]),
    });
    expect(code).toBe(0);
    expect(stdout).toMatch(/^cores \d+, .*node v\d+/);
  });

  it("makes a crash and a hang rows of the result, and goes on", async () => {
    const { code, stdout } = await runBench({
      "a.bench.ts": `
        import { spawn } from "node:child_process";
        export const crash = { about: "throws", run: async () => { throw new Error("out of luck"); } };
        export const hang = { about: "waits", timeoutMs: 500, run: async () => {
          spawn(process.execPath, ["-e", "setTimeout(() => {}, 25_000)"], { stdio: "inherit" });
          await new Promise((resolve) => setTimeout(resolve, 25_000));
        } };`,
      "b.bench.ts": benchOf("last", [{ name: "still here", figure: 1, unit: "x" }]),
    });
    expect(code).toBe(1);
    expect(stdout).toContain("failed   crash: ended with exit code 1");
    expect(stdout).toContain("out of luck");
    expect(stdout).toContain("failed   hang: not finished after 0.5 s");
    expect(stdout).toContain("still here");
  });

  it("runs what the filter names in file, export or description", async () => {
    const files = {
      "disk.bench.ts": benchOf("one", [{ name: "row of one", figure: 1, unit: "x" }]),
      "net.bench.ts": benchOf("two", [{ name: "row of two", figure: 1, unit: "x" }], "over a Disk elsewhere"),
      "cpu.bench.ts": benchOf("three", [{ name: "row of three", figure: 1, unit: "x" }]),
    };
    const { stdout } = await runBench(files, "disk", "--json");
    expect(JSON.parse(stdout).rows.map(({ name }: { name: string }) => name)).toEqual(["row of one", "row of two"]);
    const nothing = await runBench(files, "tape");
    expect([nothing.code, nothing.stderr]).toEqual([
      1,
      'No bench matches "tape". All of them: npm run bench -- --list\n',
    ]);
    expect((await runBench(files, "--list", "cpu")).stdout).toBe("cpu.bench.ts three: made up\n");
  });

  it("refuses an export that is no bench", async () => {
    const { code, stderr } = await runBench({ "a.bench.ts": "export const limit = 5;" });
    expect(code).not.toBe(0);
    expect(stderr).toContain("bench/a.bench.ts exports limit, which is not a bench");
  });
});
