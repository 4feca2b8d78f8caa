// What may stand in tracked files: nothing of one machine, no registry, and links and file names that lead somewhere.

import { dirname, posix } from "node:path";
import { type Finding, isSampleApp, type SourceTree, type TidyRule } from "./source-tree.ts";

const TRACES: readonly (readonly [RegExp, string])[] = [
  // /home/site/wwwroot is the app's folder in Azure, the same for everyone.
  [/\/(?:home|Users)\/(?!site\b)[a-z]/i, "a home folder"],
  [/\/root\//, "a home folder"],
  [/[A-Z]:\\Users\\/i, "a home folder"],
  [/\bregistry\.[a-z0-9.-]+\.(?:org|com|net|io)\b/i, "a package registry's host"],
  [/"resolved": "http/, "the address a package was fetched from"],
];

export const machineTraceRule: TidyRule = {
  name: "no trace of a machine or a registry",
  reason:
    "another clone lives elsewhere and fetches from elsewhere; a lock file with addresses is mended by " +
    "`npm install --package-lock-only` (.npmrc has the setting)",
  find: (tree) => findTraces(tree, import.meta.dirname.replace(/\/test\/tidy$/, "")),
};

export function findTraces(tree: SourceTree, projectFolder: string): Finding[] {
  const findings: Finding[] = [];
  // A project right below the root may have a name that is a word of any text: /src, /app.
  const isTelling = projectFolder.split("/").length > 2;
  for (const [path, text] of tree) {
    if (path === "test/tidy/text-rules.ts" || path === "test/tidy/text-rules.test.ts") continue;
    for (const [index, line] of text.split("\n").entries()) {
      const trace =
        isTelling && line.includes(projectFolder) ? "this project's folder" : TRACES.find(([at]) => at.test(line))?.[1];
      if (trace !== undefined) findings.push(`${path}:${index + 1}: ${trace}`);
    }
  }
  return findings;
}

export const linkRule: TidyRule = {
  name: "links in documents lead somewhere",
  reason: "a reader who meets a dead link trusts the rest less",
  find: (tree) =>
    documentsOf(tree).flatMap(([path, text]) =>
      linksOf(text)
        .filter(({ target }) => !leadsSomewhere(tree, path, target))
        .map(({ target, line }) => `${path}:${line}: ${target}`),
    ),
};

function leadsSomewhere(tree: SourceTree, from: string, target: string): boolean {
  if (/^[a-z]+:/.test(target)) return true;
  const [file = "", anchor] = target.split("#");
  const path = file === "" ? from : posix.normalize(posix.join(dirname(from), decodeURI(file)));
  const isFolder = [...tree.keys()].some((known) => known.startsWith(path.endsWith("/") ? path : `${path}/`));
  const text = tree.get(path);
  if (anchor === undefined || anchor === "") return text !== undefined || isFolder;
  return text !== undefined && anchorsOf(text).includes(anchor);
}

function linksOf(text: string): { target: string; line: number }[] {
  return proseLinesOf(text).flatMap(({ line, prose }) =>
    [...prose.matchAll(/\]\(\s*<?([^)\s>]+)>?(?:\s+"[^"]*")?\s*\)/g)].map(([, target = ""]) => ({ target, line })),
  );
}

/** Anchors as GitHub makes them from headings. */
function anchorsOf(text: string): string[] {
  return proseLinesOf(text)
    .map(({ prose }) => /^#+\s+(.*)$/.exec(prose)?.[1])
    .filter((heading) => heading !== undefined)
    .map((heading) =>
      heading
        .toLowerCase()
        .replace(/[^\p{L}\p{N}\s_-]/gu, "")
        .trim()
        .replace(/\s/g, "-"),
    );
}

/** Lines outside fenced code. */
function proseLinesOf(text: string): { line: number; prose: string }[] {
  let fenced = false;
  return text.split("\n").flatMap((prose, index) => {
    if (/^\s*(```|~~~)/.test(prose)) fenced = !fenced;
    return fenced ? [] : [{ line: index + 1, prose }];
  });
}

const OUR_PATH = /`((?:functions|orchestrations|src|localhost|cli|portal|infra|bench|test|docs|\.ci)\/[\w./-]*\.\w+)`/g;

export const namedFileRule: TidyRule = {
  name: "documents name files that exist",
  reason: "docs tell what is true now; what was is in docs/decisions and CHANGELOG.md",
  find: (tree) =>
    documentsOf(tree)
      .filter(([path]) => path !== "CHANGELOG.md" && !path.startsWith("docs/decisions/"))
      .flatMap(([path, text]) =>
        proseLinesOf(text).flatMap(({ line, prose }) =>
          [...prose.matchAll(OUR_PATH)]
            .filter(([, named = ""]) => !tree.has(named))
            .map(([, named = ""]) => `${path}:${line}: ${named}`),
        ),
      ),
};

function documentsOf(tree: SourceTree): [string, string][] {
  return [...tree].filter(([path]) => path.endsWith(".md") && !isSampleApp(path));
}
