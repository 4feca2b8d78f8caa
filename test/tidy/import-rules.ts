// Who may import whom (docs/architecture.md, "The house"), as a table with a reason for each row, and no cycles.
// A file belongs to the row with the longest matching folder. It may import that folder and what the row lists.

import { builtinModules } from "node:module";
import { type SourceFile, sourceFilesOf, targetOf } from "./source-file.ts";
import { type Finding, isUnder, type SourceTree, type TidyRule } from "./source-tree.ts";

export interface ImportRow {
  /** A folder, or one file. */
  readonly folder: string;
  /** Folders and files of the project; "*" is all of it. */
  readonly mayImport: readonly string[];
  /** Node built-ins, without `node:`. Absent: all. */
  readonly builtins?: readonly string[];
  /** Packages; a scope ends in "/". Absent: all but Azure's. */
  readonly packages?: readonly string[];
  readonly reason: string;
}

const AZURE_PACKAGES = ["@azure/", "@azure-rest/", "durable-functions"];

/** Those of Node's modules that can be used for values in, values out. */
const VALUES_ONLY = ["buffer", "crypto", "util"];
const NO_PACKAGES: readonly string[] = [];

export const IMPORT_TABLE: readonly ImportRow[] = [
  {
    folder: "src/base",
    mayImport: [],
    builtins: VALUES_ONLY,
    reason:
      "base would be at home in any project, so it knows nothing of ours; its functions are values in, values out",
  },
  {
    folder: "src/domain",
    mayImport: ["src/base"],
    builtins: VALUES_ONLY,
    reason: "decisions stay pure: testable as tables, and the same on every replay",
  },
  {
    folder: "src/ports",
    mayImport: ["src/base", "src/domain"],
    builtins: [],
    reason: "a port says what we need from the world in our own words, never how the world does it",
  },
  {
    folder: "src/vault/format",
    mayImport: ["src/base", "src/domain"],
    builtins: [...VALUES_ONLY, "zlib"],
    reason: "the format is bytes in, bytes out: readable by any tool for years, whatever stores it",
  },
  {
    folder: "src/vault",
    mayImport: ["src/base", "src/domain", "src/ports"],
    builtins: [...VALUES_ONLY, "zlib", "worker_threads"],
    reason:
      "the data plane reaches storage through ports alone, so one vault works on any store and under any crash test",
  },
  {
    folder: "src/control",
    mayImport: ["src/base", "src/domain", "src/ports", "src/vault", "orchestrations/contracts.ts"],
    builtins: VALUES_ONLY,
    reason: "use cases speak to the world through ports, and to orchestrations by their contracts' names",
  },
  {
    folder: "src/activities",
    mayImport: ["src/base", "src/domain", "src/ports", "src/vault", "src/control", "orchestrations/contracts.ts"],
    builtins: VALUES_ONLY,
    reason: "an activity is one idempotent step of a contract; what it touches is handed in",
  },
  {
    folder: "src/api",
    mayImport: ["src/base", "src/domain", "src/ports", "src/control"],
    builtins: VALUES_ONLY,
    reason: "the API turns requests into use cases; it has no other way to storage, compute or orchestrations",
  },
  {
    folder: "src/client",
    mayImport: ["src/base"],
    reason: "the client lives with callers, far from the service, and knows it by its wire alone",
  },
  {
    folder: "src/azure",
    mayImport: ["src/base", "src/domain", "src/ports"],
    packages: [...AZURE_PACKAGES, "*"],
    reason: "adapters implement ports and know no use case; this is the one folder with Azure's clients",
  },
  {
    folder: "src/files",
    mayImport: ["src/base", "src/domain", "src/ports"],
    reason: "adapters implement ports and know neither a use case nor each other",
  },
  {
    folder: "src/wiring.ts",
    mayImport: ["src"],
    reason: "wiring puts the parts together and must not depend on who starts them",
  },
  {
    folder: "orchestrations",
    mayImport: ["src/base", "src/domain"],
    builtins: [],
    packages: ["durable-functions"],
    reason:
      "an orchestrator is replayed: whatever is not in its history, its contracts or pure code would differ next time",
  },
  {
    folder: "functions",
    mayImport: [
      "src/wiring.ts",
      "src/api",
      "src/control",
      "src/activities",
      "src/ports",
      "src/base",
      "orchestrations",
      "package.json",
    ],
    packages: ["@azure/functions", "durable-functions"],
    reason:
      "a trigger parses, calls one function of src and returns; beside the triggers lies the one adapter that needs an " +
      "invocation's own client",
  },
  {
    folder: "localhost",
    mayImport: ["src/base"],
    reason: "the embedded host serves any Functions app; knowing ours would hide what does not work in Azure",
  },
  {
    folder: "localhost/main.ts",
    mayImport: ["localhost", "src/base", "src/wiring.ts"],
    reason: "the start command composes what runs locally, and nothing else",
  },
  {
    folder: "localhost/demo-run.ts",
    mayImport: ["localhost", "src/base", "cli/output.ts", "cli/progress.ts"],
    reason: "the demonstration is a client of the API that shows its progress as the command line does",
  },
  {
    folder: "localhost/functions-host",
    mayImport: ["src/base", "localhost/task-hub"],
    reason:
      "the host of functions knows the task hub beside it, and neither the simulated Azure nor the commands above it",
  },
  {
    folder: "localhost/task-hub",
    mayImport: ["src/base", "localhost/functions-host"],
    reason: "the task hub reaches functions through the host's ports, and knows nothing of the simulated Azure",
  },
  {
    folder: "localhost/task-hub/engine",
    mayImport: ["src/base"],
    builtins: [],
    packages: NO_PACKAGES,
    reason:
      "the engine is a pure state machine, event in, records and effects out: simulations drive it with a made-up clock",
  },
  {
    folder: "localhost/task-hub/journal",
    mayImport: ["src/base"],
    reason: "the journal keeps opaque records; knowing what they mean would tie durability to the engine's changes",
  },
  {
    folder: "localhost/azure",
    mayImport: ["src/base"],
    reason: "the simulated Azure stands for somebody else's service: it shares nothing with what is tested against it",
  },
  {
    folder: "localhost/azure.ts",
    mayImport: ["localhost/azure", "localhost/patient-lock.ts", "localhost/with-parent.ts", "src/base"],
    reason:
      "the simulated Azure stands for somebody else's service: it shares nothing with what is tested against it but the " +
      "lock that keeps a second one off its folder",
  },
  {
    folder: "cli",
    mayImport: ["src/base", "src/client"],
    reason: "service commands are a thin skin over the API: what they can do, any client can do",
  },
  {
    folder: "cli/vault",
    mayImport: ["cli", "src/base", "src/domain", "src/ports", "src/vault", "src/files", "src/azure", "src/wiring.ts"],
    packages: ["*"],
    reason:
      "vault commands read a vault with no service alive, so they reach the data plane and stores, never the control plane",
  },
  {
    folder: "portal",
    mayImport: ["src/base", "src/client"],
    reason: "the portal is a client of the API like any other",
  },
  {
    folder: "bench",
    mayImport: ["*"],
    packages: [...AZURE_PACKAGES, "*"],
    reason: "benchmarks may measure anything",
  },
  { folder: "test", mayImport: ["*"], packages: [...AZURE_PACKAGES, "*"], reason: "tests may try anything" },
  {
    folder: ".ci",
    mayImport: [],
    packages: NO_PACKAGES,
    reason: "continuous integration counts tests even where nothing could be installed",
  },
  {
    folder: "localhost/bootstrap.mjs",
    mayImport: [],
    packages: NO_PACKAGES,
    reason: "the bootstrap runs before anything is installed, on a Node that may not read TypeScript",
  },
  {
    folder: "build.ts",
    mayImport: ["package.json"],
    reason: "the build reads the app as text; importing it would start it",
  },
  { folder: "vitest.config.ts", mayImport: [], reason: "the test runner's configuration stands alone" },
];

export const importRule: TidyRule = {
  name: "imports follow the table",
  reason: "dependencies run one way (docs/architecture.md); each row of test/tidy/import-rules.ts says why",
  find: (tree) => findForbiddenImports(tree, IMPORT_TABLE),
};

export function findForbiddenImports(tree: SourceTree, table: readonly ImportRow[]): Finding[] {
  const findings: Finding[] = [];
  for (const file of sourceFilesOf(tree).values()) {
    const row = rowOf(file.path, table);
    if (row === undefined) {
      findings.push(`${file.path}: no row of the import table covers this file; add one, with its reason`);
      continue;
    }
    for (const { specifier, line } of file.imports) {
      const problem = problemOf(row, file, specifier, tree);
      if (problem !== undefined) findings.push(`${file.path}:${line}: ${problem}`);
    }
  }
  return findings;
}

function rowOf(path: string, table: readonly ImportRow[]): ImportRow | undefined {
  return table
    .filter((row) => isUnder(path, row.folder) || isNamedAfter(path, row.folder))
    .sort((one, other) => other.folder.length - one.folder.length)[0];
}

/** `cli/vault-commands.ts` belongs to `cli/vault` as `cli/vault/backup.ts` does. */
function isNamedAfter(path: string, folder: string): boolean {
  return path.startsWith(`${folder}-`) && !path.slice(folder.length).includes("/");
}

function problemOf(row: ImportRow, file: SourceFile, specifier: string, tree: SourceTree): string | undefined {
  const target = targetOf(file.path, specifier);
  if (target === undefined) return problemOfPackage(row, specifier);
  if (!tree.has(target)) return `imports ${target}, which does not exist (imports carry the file's extension)`;
  const allowed = row.mayImport.includes("*") || [row.folder, ...row.mayImport].some((place) => isUnder(target, place));
  if (allowed) return undefined;
  return `imports ${target}, but ${row.folder} may import ${listOf(row.mayImport)}: ${row.reason}`;
}

function problemOfPackage(row: ImportRow, specifier: string): string | undefined {
  const builtin = specifier.replace(/^node:/, "");
  if (builtinModules.includes(builtin)) {
    if (row.builtins === undefined || row.builtins.includes(builtin)) return undefined;
    return `imports ${specifier}, but ${row.folder} may use ${listOf(row.builtins)} of Node's modules: ${row.reason}`;
  }
  const isListed = row.packages?.some((name) => matchesPackage(specifier, name)) ?? true;
  const isAzure = AZURE_PACKAGES.some((name) => matchesPackage(specifier, name));
  const isAzureListed = row.packages?.some((name) => name !== "*" && matchesPackage(specifier, name)) ?? false;
  if (isListed && (!isAzure || isAzureListed)) return undefined;
  const allowed = row.packages === undefined ? "packages, but not Azure's" : `${listOf(row.packages)} as packages`;
  return `imports ${specifier}, but ${row.folder} may use ${allowed}: ${row.reason}`;
}

function matchesPackage(specifier: string, name: string): boolean {
  if (name === "*") return true;
  return name.endsWith("/") ? specifier.startsWith(name) : isUnder(specifier, name);
}

function listOf(names: readonly string[]): string {
  return names.length === 0 ? "nothing" : `only ${names.join(", ")}`;
}

export const cycleRule: TidyRule = {
  name: "no import cycles",
  reason:
    "in a cycle no file can be understood, tested or loaded without all the others; what both need is a third file",
  find(tree) {
    const files = sourceFilesOf(tree);
    const edges = new Map(
      [...files.values()].map((file) => [
        file.path,
        file.imports
          .filter(({ typeOnly }) => !typeOnly)
          .map(({ specifier }) => targetOf(file.path, specifier))
          .filter((target) => target !== undefined && files.has(target)) as string[],
      ]),
    );
    return findCycles(edges).map((cycle) => `${[...cycle, cycle[0]].join(" → ")}`);
  },
};

/** One cycle for each edge that closes one, found by walking depth first from every file. */
function findCycles(edges: ReadonlyMap<string, readonly string[]>): string[][] {
  const cycles: string[][] = [];
  const finished = new Set<string>();
  const walk = (path: string, trail: readonly string[]): void => {
    if (finished.has(path)) return;
    const start = trail.indexOf(path);
    if (start >= 0) {
      cycles.push(trail.slice(start));
      return;
    }
    for (const target of edges.get(path) ?? []) walk(target, [...trail, path]);
    finished.add(path);
  };
  for (const path of edges.keys()) walk(path, []);
  return cycles;
}
