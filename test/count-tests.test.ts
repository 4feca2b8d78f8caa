// .ci/count-tests.mjs, on reports as Vitest writes them.

import { spawnSync } from "node:child_process";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { describe, expect, it } from "vitest";

const COUNT_TESTS = join(import.meta.dirname, "../.ci/count-tests.mjs");

function count(testResults: object[] | undefined): { lastLine: string | undefined; code: number | null } {
  const folder = mkdtempSync(join(tmpdir(), "holdfast-count-"));
  const file = join(folder, "report.json");
  if (testResults !== undefined) writeFileSync(file, JSON.stringify({ testResults }));
  const { stdout, status } = spawnSync(process.execPath, [COUNT_TESTS, file], { encoding: "utf8" });
  rmSync(folder, { recursive: true });
  return { lastLine: stdout.trimEnd().split("\n").at(-1), code: status };
}

const file = (status: string, ...statuses: string[]) => ({
  status,
  assertionResults: statuses.map((assertion) => ({ status: assertion })),
});

describe("the count of tests", () => {
  it("adds up all files; what is neither passed nor failed was skipped", () => {
    const report = [file("passed", "passed", "skipped", "todo"), file("passed", "passed", "pending")];
    expect(count(report)).toEqual({ lastLine: "2 passed, 0 failed, 3 skipped", code: 0 });
  });

  it("fails with a failed test", () => {
    const report = [file("failed", "passed", "failed")];
    expect(count(report)).toEqual({ lastLine: "1 passed, 1 failed, 0 skipped", code: 1 });
  });

  it("counts a file that did not load, or whose set-up failed, as a failed test", () => {
    const report = [file("passed", "passed"), file("failed"), file("failed", "skipped")];
    expect(count(report)).toEqual({ lastLine: "1 passed, 2 failed, 1 skipped", code: 1 });
  });

  it("fails when no test ran, or no report was written", () => {
    expect(count([])).toEqual({ lastLine: "0 passed, 0 failed, 0 skipped", code: 1 });
    expect(count([file("passed", "skipped")]).code).toBe(1);
    expect(count(undefined)).toEqual({ lastLine: "0 passed, 0 failed, 0 skipped", code: 1 });
  });
});
