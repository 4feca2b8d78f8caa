import { describe, expect, it } from "vitest";
import { LIMITS } from "../../../src/domain/limits.ts";
import { readSourceTree } from "../../tidy/source-tree.ts";

describe("a limit", () => {
  it("is asked for somewhere: one that nothing keeps to is a word", () => {
    const texts = [...readSourceTree(`${import.meta.dirname}/../../..`)].filter(([path]) => path.endsWith(".ts"));
    const unused = Object.keys(LIMITS).filter((name) => !texts.some(([, text]) => text.includes(`LIMITS.${name}`)));
    expect(unused).toEqual([]);
  });
});
