// The lock file must install on every system, whichever made it.

import type { Finding, SourceTree, TidyRule } from "./source-tree.ts";

interface LockedPackage {
  readonly dependencies?: Readonly<Record<string, string>>;
  readonly devDependencies?: Readonly<Record<string, string>>;
  readonly optionalDependencies?: Readonly<Record<string, string>>;
}

export const completeLockFileRule: TidyRule = {
  name: "the lock file names every package for every system",
  reason:
    "npm leaves out platform packages it cannot find when it writes the lock file, and then refuses to install from " +
    "it elsewhere; choose a version whose packages all exist",
  find: findMissing,
};

function findMissing(tree: SourceTree): Finding[] {
  const text = tree.get("package-lock.json");
  if (text === undefined) return ["package-lock.json is missing"];
  const { packages }: { packages: Record<string, LockedPackage> } = JSON.parse(text);
  return Object.entries(packages).flatMap(([path, locked]) =>
    Object.keys({ ...locked.dependencies, ...locked.optionalDependencies, ...locked.devDependencies })
      .filter((name) => !isFoundFrom(path, name, packages))
      .map((name) => `package-lock.json: ${path || "the project"} needs ${name}`),
  );
}

/** As Node looks for a package: in the folder's own node_modules, then in those of the folders above. */
function isFoundFrom(path: string, name: string, packages: Readonly<Record<string, LockedPackage>>): boolean {
  const folder = path === "" ? "node_modules" : `${path}/node_modules`;
  if (packages[`${folder}/${name}`] !== undefined) return true;
  if (path === "") return false;
  return isFoundFrom(path.slice(0, Math.max(0, path.lastIndexOf("/node_modules/"))), name, packages);
}
