// The house rules, kept by a test over the project's own files. Each rule says why it exists; the rules themselves are
// tried on small made-up trees in test/tidy/.

import { join } from "node:path";
import { describe, expect, it } from "vitest";
import { cycleRule, importRule } from "./tidy/import-rules.ts";
import { completeLockFileRule } from "./tidy/lock-file-rules.ts";
import { emptyWordRule, fileNameRule, interfaceNameRule, namedExportRule } from "./tidy/name-rules.ts";
import { determinismRule } from "./tidy/purity-rules.ts";
import { readSourceTree, type TidyRule } from "./tidy/source-tree.ts";
import { linkRule, machineTraceRule, namedFileRule } from "./tidy/text-rules.ts";
import { unusedFileRule } from "./tidy/use-rules.ts";

const RULES: readonly TidyRule[] = [
  importRule,
  cycleRule,
  determinismRule,
  fileNameRule,
  emptyWordRule,
  interfaceNameRule,
  namedExportRule,
  unusedFileRule,
  machineTraceRule,
  linkRule,
  namedFileRule,
  completeLockFileRule,
];

describe("the project's files", () => {
  const tree = readSourceTree(join(import.meta.dirname, ".."));

  it.each(RULES.map((rule) => [rule.name, rule] as const))("keep the rule: %s", (_name, rule) => {
    const findings = rule.find(tree);
    if (findings.length > 0) expect.fail(`${findings.join("\n")}\nWhy: ${rule.reason}.\n`);
  });
});
