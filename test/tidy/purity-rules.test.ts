import { describe, expect, it } from "vitest";
import { determinismRule } from "./purity-rules.ts";
import { treeOf } from "./source-tree.ts";

const find = (text: string, path = "src/domain/a.ts") => determinismRule.find(treeOf({ [path]: text }));

describe("the determinism net", () => {
  it.each([
    "export const now = Date.now();",
    'export const now = Date["now"]();',
    "export const now = new Date();",
    "export const now = Date();",
    "const { now } = Date;",
    "export const now = Temporal.Now.instant();",
    "export const now = performance.now();",
    "export const dice = Math.random();",
    "export const id = crypto.randomUUID();",
    'import { randomUUID } from "node:crypto";',
    'import { randomBytes as bytes } from "node:crypto";',
    'import nodeCrypto, { getRandomValues } from "node:crypto";',
    "setTimeout(() => {}, 1);",
    "const later = setTimeout;",
    "globalThis.setInterval(() => {}, 1);",
    'import { setTimeout as sleep } from "node:timers/promises";',
    "export const zone = process.env.TZ;",
    "const { env } = process;",
    'import { env } from "node:process";',
    "export const ticks = process.hrtime.bigint();",
  ])("catches %s", (text) => {
    expect(find(text)).not.toEqual([]);
  });

  it.each([
    "export const at = (instant: number): Date => new Date(instant);",
    "export const parsed = Date.parse('2026-01-01T00:00:00Z');",
    "export interface Clock { now(): number; setTimeout(act: () => void): void }",
    "export const now = (clock: { performance: number }) => clock.performance;",
    "export const port = { randomBytes: 1, setTimeout() {} };",
    "// Date.now() is what the caller passes.\nexport const text = 'Math.random()';",
    "import { createHash } from 'node:crypto';",
    "export const version = process.version;",
  ])("lets pass %s", (text) => {
    expect(find(text)).toEqual([]);
  });

  it("holds everywhere but at the edges, and inside the task hub's engine", () => {
    const text = "export const now = Date.now();";
    for (const path of ["functions/a.ts", "orchestrations/a.ts", "src/vault/a.ts", "localhost/task-hub/engine/a.ts"]) {
      expect(find(text, path)).toEqual([`${path}:1: uses Date.now`]);
    }
    for (const path of [
      "src/azure/a.ts",
      "src/files/a.ts",
      "src/wiring.ts",
      "localhost/a.ts",
      "cli/a.ts",
      "bench/a.ts",
    ]) {
      expect(find(text, path)).toEqual([]);
    }
  });
});
