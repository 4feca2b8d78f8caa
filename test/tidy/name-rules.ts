// Names of files and of what they export.

import { type ESTree, Visitor } from "rolldown/utils";
import { sourceFilesOf } from "./source-file.ts";
import { isSampleApp, isSourceFile, type TidyRule } from "./source-tree.ts";

const KEBAB_FILE = /^[a-z0-9]+(-[a-z0-9]+)*(\.(test|bench|contract|config))?\.(ts|tsx|mjs|cjs)$/;
const KEBAB_FOLDER = /^\.?[a-z0-9]+(-[a-z0-9]+)*$/;

export const fileNameRule: TidyRule = {
  name: "files and folders of code are named in lower-case words joined by hyphens",
  reason: "one spelling works on every file system and can be guessed from the idea",
  find: (tree) =>
    [...tree.keys()].filter(isSourceFile).filter((path) => {
      const names = path.split("/");
      return !names.every((name, index) => (index === names.length - 1 ? KEBAB_FILE : KEBAB_FOLDER).test(name));
    }),
};

const EMPTY_WORDS = ["util", "utils", "helper", "helpers", "manager", "managers", "common", "misc"];

export const emptyWordRule: TidyRule = {
  name: "no name says utils, helpers, manager, common or misc",
  reason: "such a name fits anything, so everything ends up there; say what the thing is or does",
  find(tree) {
    const paths = [...tree.keys()].filter((path) => isSourceFile(path) && wordsOf(path).some(isEmptyWord));
    const exported = [...sourceFilesOf(tree).values()].flatMap(({ path, program, lineOf }) =>
      exportedNamesOf(program)
        .filter(({ name }) => wordsOf(name).some(isEmptyWord))
        .map(({ name, start }) => `${path}:${lineOf(start)}: ${name}`),
    );
    return [...paths, ...exported];
  },
};

function isEmptyWord(word: string): boolean {
  return EMPTY_WORDS.includes(word.toLowerCase());
}

function wordsOf(name: string): string[] {
  return name.match(/[A-Z]+(?![a-z])|[A-Z]?[a-z]+/g) ?? [];
}

export const interfaceNameRule: TidyRule = {
  name: "no interface is called IThing",
  reason: "the idea deserves the plain name; what implements it carries the technology in its own",
  find: (tree) =>
    [...sourceFilesOf(tree).values()].flatMap(({ path, program, lineOf }) =>
      exportedNamesOf(program)
        .filter(({ name, isType }) => isType && /^I[A-Z][a-z]/.test(name))
        .map(({ name, start }) => `${path}:${lineOf(start)}: ${name}`),
    ),
};

export const namedExportRule: TidyRule = {
  name: "no default exports",
  reason: "a named export has one name everywhere, found by searching for it",
  find: (tree) =>
    [...sourceFilesOf(tree).values()]
      .filter(({ path }) => !path.endsWith(".config.ts") && !isSampleApp(path))
      .flatMap(({ path, program, lineOf }) =>
        program.body
          .filter((statement) => statement.type === "ExportDefaultDeclaration")
          .map((statement) => `${path}:${lineOf(statement.start)}`),
      ),
};

interface ExportedName {
  readonly name: string;
  readonly isType: boolean;
  readonly start: number;
}

function exportedNamesOf(program: ESTree.Program): ExportedName[] {
  const names: ExportedName[] = [];
  const visitor = new Visitor({
    ExportNamedDeclaration({ declaration, specifiers }) {
      if (declaration?.type === "VariableDeclaration") {
        for (const { id } of declaration.declarations) {
          if (id.type === "Identifier") names.push({ name: id.name, isType: false, start: id.start });
        }
      } else if (declaration && "id" in declaration && declaration.id?.type === "Identifier") {
        const isType = declaration.type.startsWith("TS");
        names.push({ name: declaration.id.name, isType, start: declaration.id.start });
      }
      for (const { exported, start } of specifiers) {
        if (exported.type === "Identifier") names.push({ name: exported.name, isType: false, start });
      }
    },
  });
  visitor.visit(program);
  return names;
}
