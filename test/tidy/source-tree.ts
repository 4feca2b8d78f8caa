// The project's files as the tidy rules see them: paths with "/" and texts, read once. Rules are functions of such a
// tree, so a few lines of made-up files are enough to try them.

import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";

/** Path relative to the project's folder → text. */
export type SourceTree = ReadonlyMap<string, string>;

/** One broken rule at one place: `path:line: what is wrong`, with what to do where it is not obvious. */
export type Finding = string;

export interface TidyRule {
  readonly name: string;
  /** Why the rule exists; printed with every finding, because a rule without its reason is removed in a hurry. */
  readonly reason: string;
  find(tree: SourceTree): readonly Finding[];
}

export function treeOf(files: Readonly<Record<string, string>>): SourceTree {
  return new Map(Object.entries(files));
}

/** All files of a project but those its .gitignore names, and git's own. Works without git. */
export function readSourceTree(root: string): SourceTree {
  const isIgnored = parseGitignore(readFileSync(join(root, ".gitignore"), "utf8"));
  const tree = new Map<string, string>();
  const visit = (folder: string): void => {
    for (const entry of readdirSync(join(root, folder), { withFileTypes: true })) {
      if (entry.name === ".git" || isIgnored(entry.name, entry.isDirectory())) continue;
      const path = folder === "" ? entry.name : `${folder}/${entry.name}`;
      if (entry.isDirectory()) visit(path);
      else if (entry.isFile()) tree.set(path, readFileSync(join(root, path), "utf8"));
    }
  };
  visit("");
  return tree;
}

/** Understands what ours holds: `name`, `folder/` and `*.extension`, at any depth. */
function parseGitignore(text: string): (name: string, isFolder: boolean) => boolean {
  const patterns = text.split(/\r?\n/).filter((line) => line !== "" && !line.startsWith("#"));
  const names = new Set(patterns.filter((pattern) => /^[\w.-]+\/?$/.test(pattern)));
  const endings = patterns.filter((pattern) => /^\*\.\w+$/.test(pattern)).map((pattern) => pattern.slice(1));
  if (names.size + endings.length !== patterns.length) throw new Error(".gitignore holds a pattern tidy cannot read");
  return (name, isFolder) =>
    names.has(isFolder ? `${name}/` : name) || names.has(name) || endings.some((ending) => name.endsWith(ending));
}

export function isSourceFile(path: string): boolean {
  return /\.(ts|tsx|mjs|cjs)$/.test(path) && !isSampleApp(path);
}

/** Sample apps stand for users' projects: they follow the habits out there, not ours. */
export function isSampleApp(path: string): boolean {
  return /^(test|bench)\/apps\//.test(path);
}

export function isUnder(path: string, folderOrFile: string): boolean {
  return path === folderOrFile || path.startsWith(`${folderOrFile}/`);
}
