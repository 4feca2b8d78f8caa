// The bundle, loaded as the real Functions worker loads it: an ES module imported by its path, in a folder without any
// packages, in a process that answers `require("@azure/functions-core")` and nothing else.

import { execFile } from "node:child_process";
import { existsSync } from "node:fs";
import { mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { promisify } from "node:util";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { bundleApp } from "../build.ts";
import { ORCHESTRATIONS } from "../orchestrations/catalog.ts";
import packageJson from "../package.json" with { type: "json" };
import { ACTIVITIES } from "../src/activities/catalog.ts";

const CORE_MODULE = `
  exports.version = "3.0.0";
  exports.hostVersion = "4.0.0";
  exports.Disposable = class { dispose() {} };
  exports.setProgrammingModel = () => {};
  exports.registerHook = () => new exports.Disposable();
  exports.registerFunction = ({ name }) => { console.log(name); return new exports.Disposable(); };`;

const WORKER = `
  import Module from "node:module";
  import { pathToFileURL } from "node:url";
  const original = Module._resolveFilename;
  Module._resolveFilename = function (request, ...rest) {
    return request === "@azure/functions-core" ? process.argv[3] : original.call(this, request, ...rest);
  };
  await import(pathToFileURL(process.argv[2]).href);`;

describe("the bundle", () => {
  let folder = "";
  let bundle = "";
  beforeAll(async () => {
    folder = await mkdtemp(join(tmpdir(), "holdfast-build-"));
    bundle = join(folder, "dist/functions/index.mjs");
    await bundleApp(bundle);
    await writeFile(join(folder, "core.cjs"), CORE_MODULE);
    await writeFile(join(folder, "worker.mjs"), WORKER);
  });
  afterAll(() => rm(folder, { recursive: true }));

  it("registers every trigger in a worker, with no package beside it", async () => {
    const args = [join(folder, "worker.mjs"), bundle, join(folder, "core.cjs")];
    const { stdout, stderr } = await promisify(execFile)(process.execPath, args, { cwd: folder });
    const timers = ["collect", "dispatch", "orphans", "purge-history", "purge-items", "reconcile", "retention"];
    const http = ["api-providers", "api-subscriptions", "health", "version"];
    const durable = [...Object.keys(ORCHESTRATIONS), ...Object.keys(ACTIVITIES)];
    expect(stdout.trim().split("\n").toSorted()).toEqual([...timers, ...http, ...durable].toSorted());
    // The library only warns when it finds no worker, and then registers nothing.
    expect(stderr).toBe("");
  });

  it("has a source map that leads to our sources", async () => {
    const map = JSON.parse(await readFile(`${bundle}.map`, "utf8"));
    expect(map.sources.some((source: string) => source.endsWith("functions/health.ts"))).toBe(true);
  });

  it("is what package.json's main names, beside a host.json", () => {
    expect(packageJson.main).toBe("dist/functions/index.mjs");
    expect(existsSync(join(import.meta.dirname, "../host.json"))).toBe(true);
  });
});
