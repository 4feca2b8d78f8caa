import { describe, expect, it } from "vitest";
import { treeOf } from "./source-tree.ts";
import { findUnused } from "./use-rules.ts";

const find = (files: Record<string, string>) => findUnused(treeOf(files), {});

describe("the rule against unused files", () => {
  it("finds a file that nothing imports, and what only that file imports", () => {
    const files = {
      "functions/index.ts": 'import "../src/a.ts";',
      "src/a.ts": "",
      "src/b.ts": 'import "./c.ts";',
      "src/c.ts": "",
    };
    expect(find(files)).toEqual(["src/b.ts", "src/c.ts"]);
  });

  it("does not count tests as use of the product, but as use of their own support", () => {
    const files = {
      "src/a.ts": "",
      "test/src/a.test.ts": 'import "../../src/a.ts"; import "../support/b.ts";',
      "test/support/b.ts": "",
      "test/support/c.ts": "",
    };
    expect(find(files)).toEqual(["src/a.ts", "test/support/c.ts"]);
  });

  it("counts types and files that are started by their name", () => {
    const files = {
      "localhost/host.ts": 'import type { A } from "./a.ts"; spawn(new URL("./child.mjs", import.meta.url));',
      "localhost/a.ts": "",
      "localhost/child.mjs": "",
    };
    expect(find(files)).toEqual([]);
  });

  it("accepts what waits for its user, and asks to forget what is gone", () => {
    const tree = treeOf({ "src/a.ts": 'import "./b.ts";', "src/b.ts": "" });
    expect(findUnused(tree, { "src/a.ts": "the next part starts it" })).toEqual([]);
    expect(findUnused(treeOf({}), { "src/a.ts": "the next part starts it" })[0]).toContain("not there");
  });
});
