// Every file of the product is reached from something that starts: an entry point, by imports or by its file name in a
// string (child processes and resolved modules are started that way). Files that only tests reach are not in use.

import { basename } from "node:path";
import { sourceFilesOf, targetOf } from "./source-file.ts";
import { isSourceFile, type SourceTree, type TidyRule } from "./source-tree.ts";

/** What people and machines start. */
const ENTRY_POINTS = [
  "functions/index.ts",
  "localhost/bootstrap.mjs",
  "localhost/main.ts",
  "localhost/host.ts",
  "localhost/azure.ts",
  "cli/main.ts",
  "cli/holdfast.mjs",
  "portal/main.tsx",
  "build.ts",
  "vitest.config.ts",
  "bench/main.ts",
  "test/golden/make-golden.ts",
  "test/histories/record.ts",
  ".ci/count-tests.mjs",
];

/** Parts that stand and are tested before their user does: path → what they wait for. */
export const WAITING_FOR_USE: Readonly<Record<string, string>> = {
  "src/domain/display-strings.ts": "the portal, which shows people what the wire spells otherwise",
};

export const unusedFileRule: TidyRule = {
  name: "no unused files",
  reason: "code that nothing starts is read, kept and believed for nothing; only its own tests hold it alive",
  find: (tree) => findUnused(tree, WAITING_FOR_USE),
};

export function findUnused(tree: SourceTree, waiting: Readonly<Record<string, string>>): string[] {
  const paths = [...tree.keys()].filter(isSourceFile);
  const isTest = (path: string): boolean => path.startsWith("test/");
  const isBench = (path: string): boolean => path.startsWith("bench/");
  const entries = paths.filter((path) => ENTRY_POINTS.includes(path));
  const tests = paths.filter((path) => path.endsWith(".test.ts"));
  const benches = paths.filter((path) => path.endsWith(".bench.ts"));

  const product = reachable(tree, [...entries, ...Object.keys(waiting)]);
  const all = reachable(tree, [...product, ...benches, ...tests]);
  const unused = paths.filter((path) => !(isTest(path) || isBench(path) ? all : product).has(path));
  const gone = Object.keys(waiting).filter((path) => !tree.has(path));
  return [...unused, ...gone.map((path) => `${path}: in the list of files that wait for their use, but not there`)];
}

function reachable(tree: SourceTree, from: readonly string[]): Set<string> {
  const files = sourceFilesOf(tree);
  const pathsByName = Map.groupBy(files.keys(), (path) => basename(path));
  const reached = new Set<string>();
  const open = [...from];
  for (let path = open.pop(); path !== undefined; path = open.pop()) {
    const file = files.get(path);
    if (file === undefined || reached.has(path)) continue;
    reached.add(path);
    for (const { specifier } of file.imports) open.push(targetOf(path, specifier) ?? "");
    for (const text of file.strings) open.push(...(pathsByName.get(basename(text)) ?? []));
  }
  return reached;
}
