// The determinism net: outside the edges nobody reads a clock, draws a random number, sets a timer or looks into the
// environment. Time comes in as an argument, the rest through ports. Works on the syntax tree, so comments, strings and
// properties of the same name are no findings, and renaming on import is no way out.

import { type ESTree, Visitor } from "rolldown/utils";
import { type SourceFile, sourceFilesOf } from "./source-file.ts";
import { type Finding, isUnder, type TidyRule } from "./source-tree.ts";

/** Where the real world is touched. */
const EDGES = ["src/azure", "src/files", "src/wiring.ts", "localhost", "cli", "portal"];
/** Not part of the product. */
const AROUND = ["bench", "test", ".ci", "build.ts", "vitest.config.ts"];
/** Pure although it lies inside an edge. */
const PURE_INSIDE_EDGES = ["localhost/task-hub/engine"];

const BANNED_NAMES = new Set([
  "setTimeout",
  "setInterval",
  "setImmediate",
  "performance",
  "randomUUID",
  "randomBytes",
  "randomInt",
  "getRandomValues",
]);

const BANNED_MEMBERS = new Map([
  ["Date", ["now"]],
  ["Math", ["random"]],
  ["Temporal", ["Now"]],
  ["process", ["env", "hrtime", "uptime"]],
  ["crypto", ["randomUUID", "getRandomValues", "randomBytes", "randomInt"]],
  ["globalThis", [...BANNED_NAMES, "process", "crypto"]],
]);

const BANNED_MODULES = ["process", "timers", "timers/promises", "perf_hooks"];

export const determinismRule: TidyRule = {
  name: "no clock, randomness, timers or environment outside the edges",
  reason:
    "what the same inputs decide must come out the same in a replay, a simulation and a test; time is an argument, " +
    "randomness a port",
  find: (tree) => [...sourceFilesOf(tree).values()].filter((file) => mustBePure(file.path)).flatMap(findImpurities),
};

function mustBePure(path: string): boolean {
  if (PURE_INSIDE_EDGES.some((folder) => isUnder(path, folder))) return true;
  return ![...EDGES, ...AROUND].some((folder) => isUnder(path, folder));
}

function findImpurities(file: SourceFile): Finding[] {
  const findings: Finding[] = [];
  const report = (node: ESTree.Node, what: string): void => {
    findings.push(`${file.path}:${file.lineOf(node.start)}: uses ${what}`);
  };
  // Names that are only labels: `clock.performance`, `{ setTimeout: … }`. Parents are visited before their children.
  const labels = new Set<ESTree.Node>();
  const label = (node: { computed: boolean; key: ESTree.Node; shorthand?: boolean }): void => {
    if (!node.computed && node.shorthand !== true) labels.add(node.key);
  };
  const visitor = new Visitor({
    MemberExpression(node) {
      const property = propertyNameOf(node);
      if (!node.computed) labels.add(node.property);
      if (node.object.type !== "Identifier" || property === undefined) return;
      if (BANNED_MEMBERS.get(node.object.name)?.includes(property)) report(node, `${node.object.name}.${property}`);
    },
    VariableDeclarator({ id, init }) {
      if (id.type !== "ObjectPattern" || init?.type !== "Identifier") return;
      const banned = BANNED_MEMBERS.get(init.name) ?? [];
      for (const property of id.properties) {
        if (property.type !== "Property" || property.key.type !== "Identifier") continue;
        if (banned.includes(property.key.name)) report(property, `${init.name}.${property.key.name}`);
      }
    },
    NewExpression(node) {
      const isDate = node.callee.type === "Identifier" && node.callee.name === "Date";
      if (isDate && node.arguments.length === 0) report(node, "new Date()");
    },
    CallExpression(node) {
      if (node.callee.type === "Identifier" && node.callee.name === "Date") report(node, "Date()");
    },
    Property: label,
    PropertyDefinition: label,
    MethodDefinition: label,
    TSPropertySignature: label,
    TSMethodSignature: label,
    ImportSpecifier(node) {
      if (node.imported.type === "Identifier") labels.add(node.imported).add(node.local);
      const name = node.imported.type === "Identifier" ? node.imported.name : node.imported.value;
      if (BANNED_NAMES.has(name)) report(node, name);
    },
    Identifier(node) {
      if (!labels.has(node) && BANNED_NAMES.has(node.name)) report(node, node.name);
    },
  });
  visitor.visit(file.program);
  for (const { specifier, line } of file.imports) {
    if (BANNED_MODULES.includes(specifier.replace(/^node:/, "")))
      findings.push(`${file.path}:${line}: uses ${specifier}`);
  }
  return findings;
}

function propertyNameOf(node: ESTree.MemberExpression): string | undefined {
  if (!node.computed) return node.property.type === "Identifier" ? node.property.name : undefined;
  return node.property.type === "Literal" && typeof node.property.value === "string" ? node.property.value : undefined;
}
