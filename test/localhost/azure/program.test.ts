import { spawnSync } from "node:child_process";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join, resolve } from "node:path";
import { afterAll, describe, expect, it } from "vitest";

const PROGRAM = resolve(import.meta.dirname, "../../../localhost/azure.ts");
const folder = mkdtempSync(join(tmpdir(), "azure-program-"));

afterAll(() => rmSync(folder, { recursive: true, force: true }));

function run(...args: string[]) {
  const { status, stdout, stderr } = spawnSync(process.execPath, [PROGRAM, ...args], {
    encoding: "utf8",
    timeout: 10_000,
  });
  return { status, stdout, stderr };
}

describe("node localhost/azure.ts", () => {
  it("explains itself", () => {
    const { status, stdout } = run("--help");
    expect(status).toBe(0);
    for (const option of ["--port", "--data", "--estate", "--upstream", "--blob-origin", "--identity-header"])
      expect(stdout).toContain(option);
  });

  it("says what is wrong with its arguments and what to do", () => {
    expect(run("--port", "seven")).toMatchObject({
      status: 1,
      stderr: expect.stringContaining("--port seven is not a port"),
    });
    expect(run("--estate", join(folder, "none.yaml"), "--data", folder)).toMatchObject({
      status: 1,
      stderr: expect.stringContaining("Built-in estates are: default, big."),
    });
    expect(run("--speed", "11").status).toBe(1);
  });
});
