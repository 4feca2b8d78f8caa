import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { basename, join } from "node:path";
import { fileURLToPath } from "node:url";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { findEntryPoints, setAppEnvironment } from "../../../localhost/functions-host/app-loader.ts";
import { HoldfastFailure } from "../../../src/base/failure.ts";

const app = (name: string): string => fileURLToPath(new URL(`../../apps/${name}`, import.meta.url));

let folder: string;
beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), "holdfast-app-"));
});
afterAll(() => rmSync(folder, { recursive: true, force: true }));

function failureOf(action: () => unknown): HoldfastFailure {
  try {
    action();
  } catch (error) {
    if (error instanceof HoldfastFailure) return error;
  }
  throw new Error("it did not fail as expected");
}

describe("findEntryPoints", () => {
  it("finds the one file that main names", () => {
    expect(findEntryPoints({ folder: app("commonjs") })).toEqual([join(app("commonjs"), "index.cjs")]);
  });

  it("finds what a glob matches, in the order of names", () => {
    expect(findEntryPoints({ folder: app("glob") }).map((file) => basename(file))).toEqual(["a.cjs", "b.cjs"]);
  });

  it("takes --entry instead of main", () => {
    const files = findEntryPoints({ folder: app("glob"), entry: "functions/b.cjs" });
    expect(files).toEqual([join(app("glob"), "functions", "b.cjs")]);
  });

  it("says what is missing, and what to do: the folder, package.json, main, the file", () => {
    const missing = join(folder, "nowhere");
    expect(failureOf(() => findEntryPoints({ folder: missing })).code).toBe("AppFolderMissing");
    expect(failureOf(() => findEntryPoints({ folder })).code).toBe("ManifestMissing");
    writeFileSync(join(folder, "package.json"), "{}");
    expect(failureOf(() => findEntryPoints({ folder })).message).toContain('no "main"');
    writeFileSync(join(folder, "package.json"), '{ "main": "dist/*.js" }');
    const failure = failureOf(() => findEntryPoints({ folder }));
    expect(failure.message).toContain("dist/*.js");
    expect(failure.hint).toContain("Build the app first");
  });
});

describe("setAppEnvironment", () => {
  it("names the real port, keeps loopback from proxies, and overwrites no setting of the environment", () => {
    process.env.ALREADY_SET = "from the environment";
    process.env.NO_PROXY = "example.org";
    setAppEnvironment("/app", 4321, { ALREADY_SET: "from the file", ONLY_IN_FILE: "yes" });
    expect(process.env.WEBSITE_HOSTNAME).toBe("localhost:4321");
    expect(process.env.ALREADY_SET).toBe("from the environment");
    expect(process.env.ONLY_IN_FILE).toBe("yes");
    expect(process.env.NO_PROXY?.split(",")).toEqual(["example.org", "localhost", "127.0.0.1"]);
  });
});
