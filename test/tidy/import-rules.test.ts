import { describe, expect, it } from "vitest";
import { cycleRule, findForbiddenImports, type ImportRow, importRule } from "./import-rules.ts";
import { treeOf } from "./source-tree.ts";

const find = (files: Record<string, string>) => importRule.find(treeOf(files));

describe("the import table", () => {
  it("lets a folder import itself and what its row lists", () => {
    const files = {
      "src/domain/schedule.ts": 'import { day } from "./day.ts"; import { assert } from "../base/assert.ts";',
      "src/domain/day.ts": "export const day = 1;",
      "src/base/assert.ts": "export function assert() {}",
    };
    expect(find(files)).toEqual([]);
  });

  it("prints the broken edge with the row's reason", () => {
    const files = { "src/domain/schedule.ts": '\nimport { put } from "../azure/blobs.ts";', "src/azure/blobs.ts": "" };
    expect(find(files)).toEqual([
      "src/domain/schedule.ts:2: imports src/azure/blobs.ts, but src/domain may import only src/base: " +
        "decisions stay pure: testable as tables, and the same on every replay",
    ]);
  });

  it.each([
    ["a type", 'import type { A } from "../azure/a.ts";'],
    ["a re-export", 'export { a } from "../azure/a.ts";'],
    ["a re-export of all", 'export * from "../azure/a.ts";'],
    ["a dynamic import", 'const a = await import("../azure/a.ts");'],
    ["an inline type", 'export type A = import("../azure/a.ts").A;'],
  ])("sees %s", (_kind, text) => {
    expect(find({ "src/domain/b.ts": text, "src/azure/a.ts": "" })).toHaveLength(1);
  });

  it("takes no comment or string for an import", () => {
    expect(
      find({ "src/domain/b.ts": '// import "../azure/a.ts"\nexport const text = `import "../azure/a.ts"`;' }),
    ).toEqual([]);
  });

  it.each([
    ["localhost", "the service", { "localhost/host.ts": 'import "../src/domain/a.ts";', "src/domain/a.ts": "" }],
    ["the service", "localhost", { "src/control/a.ts": 'import "../../localhost/b.ts";', "localhost/b.ts": "" }],
    [
      "the engine",
      "the hub around it",
      { "localhost/task-hub/engine/a.ts": 'import "../b.ts";', "localhost/task-hub/b.ts": "" },
    ],
    ["the engine", "node", { "localhost/task-hub/engine/a.ts": 'import "node:fs";' }],
    ["the engine", "a package", { "localhost/task-hub/engine/a.ts": 'import "zod";' }],
    [
      "an orchestrator",
      "an activity",
      { "orchestrations/a.ts": 'import "../src/activities/b.ts";', "src/activities/b.ts": "" },
    ],
    ["control", "a file system", { "src/control/a.ts": 'import "node:fs/promises";' }],
    ["control", "Azure's clients", { "src/control/a.ts": 'import "@azure/storage-blob";' }],
    ["the embedded host", "the app's library", { "localhost/host.ts": 'import "@azure/functions";' }],
    ["the bootstrap", "a package", { "localhost/bootstrap.mjs": 'import "esbuild";' }],
    ["service commands", "the vault", { "cli/main.ts": 'import "../src/vault/a.ts";', "src/vault/a.ts": "" }],
  ])("keeps %s from %s", (_from, _to, files) => {
    expect(find(files)).toHaveLength(1);
  });

  it("gives vault commands the vault, and Azure's clients to the Azure adapters", () => {
    const files = {
      "cli/vault-commands.ts": 'import "../src/vault/a.ts";',
      "cli/vault/backup.ts": 'import "../../src/vault/a.ts";',
      "src/vault/a.ts": "",
      "src/azure/blobs.ts": 'import "@azure/storage-blob"; import "p-map";',
    };
    expect(find(files)).toEqual([]);
  });

  it("reports a file that no row covers, and an import of nothing", () => {
    expect(find({ "lib/a.ts": "" })[0]).toContain("no row of the import table covers this file");
    expect(find({ "src/base/a.ts": 'import "./b";' })[0]).toContain("src/base/b, which does not exist");
  });

  it("lets the longest folder decide", () => {
    const table: ImportRow[] = [
      { folder: "a", mayImport: ["b"], reason: "outer" },
      { folder: "a/inner", mayImport: [], reason: "inner" },
    ];
    const tree = treeOf({ "a/x.ts": 'import "../b/y.ts";', "a/inner/x.ts": 'import "../../b/y.ts";', "b/y.ts": "" });
    expect(findForbiddenImports(tree, [...table, { folder: "b", mayImport: [], reason: "" }])).toEqual([
      "a/inner/x.ts:1: imports b/y.ts, but a/inner may import nothing: inner",
    ]);
  });
});

describe("the rule against cycles", () => {
  it("finds a cycle over several files and names it", () => {
    const files = {
      "src/base/a.ts": 'import "./b.ts";',
      "src/base/b.ts": 'import "./c.ts";',
      "src/base/c.ts": 'import "./a.ts"; import "./d.ts";',
      "src/base/d.ts": "",
    };
    expect(cycleRule.find(treeOf(files))).toEqual(["src/base/a.ts → src/base/b.ts → src/base/c.ts → src/base/a.ts"]);
  });

  it("finds a file that imports itself, and a cycle off the first file's way", () => {
    const files = {
      "a.ts": 'import "./b.ts";',
      "b.ts": 'import "./c.ts";',
      "c.ts": 'import "./b.ts"; import "./c.ts";',
    };
    expect(cycleRule.find(treeOf(files))).toEqual(["b.ts → c.ts → b.ts", "c.ts → c.ts"]);
  });

  it("does not mind types that refer to each other, nor two ways to one file", () => {
    const files = {
      "a.ts": 'import type { B } from "./b.ts"; import "./c.ts";',
      "b.ts": 'import "./a.ts"; import "./c.ts";',
      "c.ts": "",
    };
    expect(cycleRule.find(treeOf(files))).toEqual([]);
  });
});
