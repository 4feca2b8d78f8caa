// One source file, parsed: what it imports, which names it declares for others, what it mentions. The parser is Vite's
// (Rolldown), which is here for the tests anyway and reads TypeScript as it is.

import { dirname, posix } from "node:path";
import { type ESTree, parseSync, Visitor } from "rolldown/utils";
import { isSourceFile, type SourceTree } from "./source-tree.ts";

export interface ImportEdge {
  /** As written: `./bytes.ts`, `node:fs`, `zod`. */
  readonly specifier: string;
  /** Erased before the program runs. */
  readonly typeOnly: boolean;
  readonly line: number;
}

export interface SourceFile {
  readonly path: string;
  readonly imports: readonly ImportEdge[];
  /** All string literals, import specifiers aside: files are also started by their names. */
  readonly strings: readonly string[];
  readonly program: ESTree.Program;
  lineOf(offset: number): number;
}

const parsed = new WeakMap<SourceTree, Map<string, SourceFile>>();

/** The parsed source files of a tree, sample apps left out. */
export function sourceFilesOf(tree: SourceTree): ReadonlyMap<string, SourceFile> {
  const known = parsed.get(tree);
  if (known !== undefined) return known;
  const files = new Map(
    [...tree].filter(([path]) => isSourceFile(path)).map(([path, text]) => [path, parse(path, text)]),
  );
  parsed.set(tree, files);
  return files;
}

function parse(path: string, text: string): SourceFile {
  const { program, errors } = parseSync(path, text, { sourceType: "module" });
  const error = errors[0];
  if (error !== undefined) throw new Error(`${path}: ${error.message}`);
  const imports: ImportEdge[] = [];
  const strings: string[] = [];
  const lineOf = (offset: number): number => text.slice(0, offset).split("\n").length;
  const add = (source: ESTree.Node | null, typeOnly: boolean): void => {
    if (source?.type !== "Literal" || typeof source.value !== "string") return;
    imports.push({ specifier: source.value, typeOnly, line: lineOf(source.start) });
  };
  const visitor = new Visitor({
    ImportDeclaration: (node) => add(node.source, node.importKind === "type"),
    ExportNamedDeclaration: (node) => add(node.source, node.exportKind === "type"),
    ExportAllDeclaration: (node) => add(node.source, node.exportKind === "type"),
    ImportExpression: (node) => add(node.source, false),
    TSImportType: (node) => add(node.source, true),
    Literal: (node) => {
      if (typeof node.value === "string") strings.push(node.value);
    },
    TemplateElement: (node) => {
      strings.push(node.value.raw);
    },
  });
  visitor.visit(program);
  return { path, imports, strings, program, lineOf };
}

/** The project's file an import leads to, or undefined for packages and node built-ins. */
export function targetOf(importer: string, specifier: string): string | undefined {
  if (!specifier.startsWith(".")) return undefined;
  return posix.normalize(posix.join(dirname(importer), specifier));
}
