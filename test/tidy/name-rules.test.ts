import { describe, expect, it } from "vitest";
import { emptyWordRule, fileNameRule, interfaceNameRule, namedExportRule } from "./name-rules.ts";
import { type TidyRule, treeOf } from "./source-tree.ts";

const find = (rule: TidyRule, files: Record<string, string>) => rule.find(treeOf(files));

describe("file names", () => {
  it.each(["src/base/ByteRange.ts", "src/base/byte_range.ts", "src/Base/bytes.ts", "src/base/bytes.spec.ts"])(
    "refuse %s",
    (path) => {
      expect(find(fileNameRule, { [path]: "" })).toEqual([path]);
    },
  );

  it.each([
    "src/base/byte-range.ts",
    "test/src/base/bytes.test.ts",
    "bench/http2.bench.ts",
    "portal/main.tsx",
    ".ci/count.mjs",
  ])("accept %s", (path) => {
    expect(find(fileNameRule, { [path]: "" })).toEqual([]);
  });

  it("leave documents and sample apps alone", () => {
    expect(find(fileNameRule, { "README.md": "", "test/apps/Sample/Main.ts": "" })).toEqual([]);
  });
});

describe("empty words", () => {
  it.each([
    ["src/base/string-utils.ts", ""],
    ["src/helpers/strings.ts", ""],
    ["src/base/a.ts", "export class JobManager {}"],
    ["src/base/a.ts", "export function helper() {}"],
    ["src/base/a.ts", "const it = 1; export { it as dateUtil };"],
    ["src/base/a.ts", "export interface CommonOptions {}"],
  ])("are refused in %s %s", (path, text) => {
    expect(find(emptyWordRule, { [path]: text })).toHaveLength(1);
  });

  it("are no parts of longer words", () => {
    const text = "export const utility = 1; export const uncommonName = 2; export const managed = 3;";
    expect(find(emptyWordRule, { "src/base/a.ts": text })).toEqual([]);
  });
});

describe("interfaces and exports", () => {
  it("refuse IThing, and nothing that only begins with a capital I", () => {
    expect(find(interfaceNameRule, { "a.ts": "export interface IClock {}" })).toEqual(["a.ts:1: IClock"]);
    expect(find(interfaceNameRule, { "a.ts": "export interface Item {} export interface ISO8601 {}" })).toEqual([]);
  });

  it("refuse a default export, but in configuration files that must have one", () => {
    expect(find(namedExportRule, { "src/base/a.ts": "\nexport default 1;" })).toEqual(["src/base/a.ts:2"]);
    expect(find(namedExportRule, { "vitest.config.ts": "export default 1;" })).toEqual([]);
  });
});
