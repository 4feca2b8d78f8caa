import { describe, expect, it } from "vitest";
import { completeLockFileRule } from "./lock-file-rules.ts";
import { treeOf } from "./source-tree.ts";

const find = (packages: object) =>
  completeLockFileRule.find(treeOf({ "package-lock.json": JSON.stringify({ packages }) }));

describe("a complete lock file", () => {
  it("names what every package needs, beside it or above it", () => {
    const packages = {
      "": { devDependencies: { a: "1" } },
      "node_modules/a": { dependencies: { "@x/b": "1", c: "1" } },
      "node_modules/a/node_modules/@x/b": { dependencies: { c: "1" } },
      "node_modules/c": {},
    };
    expect(find(packages)).toEqual([]);
  });

  it("lacks nothing that only other systems install", () => {
    const packages = {
      "": { dependencies: { a: "1" } },
      "node_modules/a": { optionalDependencies: { "a-darwin": "1" } },
    };
    expect(find(packages)).toEqual(["package-lock.json: node_modules/a needs a-darwin"]);
  });

  it("does not find a package inside a neighbour", () => {
    const packages = {
      "": { dependencies: { a: "1", b: "1" } },
      "node_modules/a": { dependencies: { c: "1" } },
      "node_modules/b": {},
      "node_modules/b/node_modules/c": {},
    };
    expect(find(packages)).toEqual(["package-lock.json: node_modules/a needs c"]);
  });
});
