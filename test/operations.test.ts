// host.json cannot hold comments, so docs/operations.md explains it; this keeps the two together.

import { readFileSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, it } from "vitest";

const read = (path: string): string => readFileSync(join(import.meta.dirname, "..", path), "utf8");

/** `{ a: { b: 1 } }` → `a.b` with its value as JSON. */
function leavesOf(value: unknown, path = ""): [string, string][] {
  if (typeof value !== "object" || value === null) return [[path, JSON.stringify(value)]];
  return Object.entries(value).flatMap(([key, inner]) => leavesOf(inner, path === "" ? key : `${path}.${key}`));
}

/** Rows of a table whose first two cells are code: name, value, and the length of the explanation. */
function explainedIn(document: string, heading: string): Map<string, { value: string; why: string }> {
  const section = document.split(/^## /m).find((part) => part.startsWith(`${heading}\n`)) ?? "";
  const rows = [...section.matchAll(/^\| `([^`]+)` \| `([^`]+)` \| (.*) \|$/gm)];
  return new Map(rows.map(([, key = "", value = "", why = ""]) => [key, { value, why }]));
}

describe("docs/operations.md", () => {
  const explained = explainedIn(read("docs/operations.md"), "host.json");
  const { version, ...settings } = JSON.parse(read("host.json"));

  it("explains every value of host.json, and no value that is not there", () => {
    expect(version).toBe("2.0");
    expect([...explained].map(([key, { value }]) => [key, value])).toEqual(leavesOf(settings));
  });

  it("gives a reason for each", () => {
    for (const [key, { why }] of explained) expect(why.length, key).toBeGreaterThan(20);
  });

  it("names every setting of a deployment", () => {
    const known = [...read("src/azure/deployment.ts").matchAll(/^ {2}(HOLDFAST_[A-Z_]+):/gm)].map(([, name]) => name);
    expect(known.length).toBeGreaterThan(10);
    for (const name of known) expect(read("docs/operations.md")).toContain(`| \`${name}\` |`);
  });

  it("names every timer", () => {
    const timers = [...read("functions/timers.ts").matchAll(/(?:every\(|app\.timer\()"([a-z-]+)"/g)].map(
      ([, name]) => name,
    );
    expect(timers.length).toBeGreaterThan(3);
    for (const name of timers) expect(read("docs/operations.md")).toContain(`| \`${name}\` |`);
  });

  it("names every setting of local.settings.json, which holds no secret", () => {
    const { Values: values } = JSON.parse(read("local.settings.json"));
    for (const [name, value] of Object.entries<string>(values)) {
      expect(read("docs/operations.md")).toContain(`| \`${name}\` |`);
      expect(value).not.toMatch(/AccountKey|SharedAccess|[?&]sig=|password/i);
    }
  });
});
