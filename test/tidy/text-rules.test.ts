import { describe, expect, it } from "vitest";
import { treeOf } from "./source-tree.ts";
import { findTraces, linkRule, namedFileRule } from "./text-rules.ts";

describe("traces of a machine", () => {
  const find = (text: string) => findTraces(treeOf({ "a.md": text }), "/srv/clones/holdfast");

  it.each([
    ["/srv/clones/holdfast/src/a.ts", "this project's folder"],
    ["see /home/ada/notes", "a home folder"],
    ["see /Users/ada/notes", "a home folder"],
    ["see /root/notes", "a home folder"],
    ["see C:\\Users\\ada", "a home folder"],
    ["https://registry.example.org/zod", "a package registry's host"],
    ['  "resolved": "https://example.org/zod.tgz",', "the address a package was fetched from"],
  ])("are found in: %s", (text, what) => {
    expect(find(`first line\n${text}`)).toEqual([`a.md:2: ${what}`]);
  });

  it("are not seen in paths that are the same for everyone", () => {
    expect(find("In Azure the app lives in /home/site/wwwroot; open localhost:7071/home/; npm's registry.")).toEqual(
      [],
    );
  });
});

describe("links", () => {
  const find = (text: string) =>
    linkRule.find(treeOf({ "docs/a.md": text, "docs/b.md": "# One heading: two\n", "src/c.ts": "" }));

  it("lead to files, folders, headings and other sites", () => {
    const links = ["b.md", "./b.md#one-heading-two", "../src/c.ts", "../src", "#here", "https://nodejs.org"];
    expect(find(`# Here\n${links.map((link) => `[x](${link})`).join(" ")}`)).toEqual([]);
  });

  it.each(["gone.md", "b.md#gone", "#gone", "../src/gone.ts"])("are reported when they lead nowhere: %s", (link) => {
    expect(find(`[x](${link})`)).toEqual([`docs/a.md:1: ${link}`]);
  });

  it("are not looked for in code", () => {
    expect(find("```\n[x](gone.md)\n```")).toEqual([]);
  });
});

describe("file names in documents", () => {
  it("must exist, but in the history of the project", () => {
    const text = "`src/gone.ts` and `src/here.ts`";
    const tree = treeOf({
      "docs/a.md": text,
      "CHANGELOG.md": text,
      "docs/decisions/0001-a.md": text,
      "src/here.ts": "",
    });
    expect(namedFileRule.find(tree)).toEqual(["docs/a.md:1: src/gone.ts"]);
  });
});
