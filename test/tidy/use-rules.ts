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
  ".ci/count-tests.mjs",
];

/** Parts that stand and are tested before their user does: path → what they wait for. */
export const WAITING_FOR_USE: Readonly<Record<string, string>> = {
  "src/azure/blob-page-source.ts": "the service, which backs up disks behind SAS addresses",
  "src/domain/arm-ids.ts": "the use cases of the service",
  "src/domain/failure-catalog.ts": "the use cases of the service",
  "src/domain/item-id.ts": "the use cases of the service",
  "src/domain/item-states.ts": "the use cases of the service",
  "src/domain/job-id.ts": "the use cases of the service",
  "src/domain/job.ts": "the use cases of the service",
  "src/domain/limits.ts": "the use cases of the service",
  "src/domain/phases.ts": "the use cases of the service",
  "src/domain/point-states.ts": "the use cases of the service",
  "src/domain/policy.ts": "the use cases of the service",
  "src/domain/retention.ts": "the use cases of the service",
  "src/domain/schedule.ts": "the use cases of the service",
  "src/domain/time-zones.ts": "the use cases of the service",
  "src/control/control-deps.ts": "the use cases of the service",
  "src/control/phases.ts": "the use cases of the service",
  "src/control/rows/policy-row.ts": "the use cases of the service",
  "src/domain/calendar.ts": "the use cases of the service",
  "src/domain/consistency.ts": "the use cases of the service",
  "src/domain/default-policies.ts": "the use cases of the service",
  "src/domain/display-strings.ts": "the use cases of the service",
  "src/domain/item-health.ts": "the use cases of the service",
  "src/domain/names-of-things.ts": "the use cases of the service",
  "src/domain/policy-change.ts": "the use cases of the service",
  "src/domain/policy-validation.ts": "the use cases of the service",
  "src/domain/promotion.ts": "the use cases of the service",
  "src/domain/protectability.ts": "the use cases of the service",
  "src/domain/restore-request.ts": "the use cases of the service",
  "src/domain/retention-tags.ts": "the use cases of the service",
  "src/domain/roles.ts": "the use cases of the service",
  "src/domain/vault-rules.ts": "the use cases of the service",
  "src/domain/zoned-time.ts": "the use cases of the service",
  "orchestrations/backup.ts": "the triggers of the service",
  "orchestrations/item-job.ts": "the triggers of the service",
  "orchestrations/policy-run.ts": "the triggers of the service",
  "orchestrations/restore-disk.ts": "the triggers of the service",
  "orchestrations/restore.ts": "the triggers of the service",
  "orchestrations/run-disks.ts": "the triggers of the service",
  "orchestrations/steps.ts": "the triggers of the service",
  "orchestrations/transfer-disk.ts": "the triggers of the service",
  "src/activities/backup-work.ts": "the triggers of the service",
  "src/activities/give-up.ts": "the triggers of the service",
  "src/activities/guest.ts": "the triggers of the service",
  "src/activities/jobs.ts": "the triggers of the service",
  "src/activities/outcome.ts": "the triggers of the service",
  "src/activities/phases.ts": "the triggers of the service",
  "src/activities/points.ts": "the triggers of the service",
  "src/activities/progress.ts": "the triggers of the service",
  "src/activities/restore.ts": "the triggers of the service",
  "src/activities/slots.ts": "the triggers of the service",
  "src/activities/snapshot.ts": "the triggers of the service",
  "src/activities/target-disk.ts": "the triggers of the service",
  "src/activities/transfer-session.ts": "the triggers of the service",
  "src/activities/transfer.ts": "the triggers of the service",
  "src/control/dispatch.ts": "the triggers of the service",
  "src/control/policy-runs.ts": "the triggers of the service",
  "src/control/reconcile.ts": "the triggers of the service",
  "src/control/retention.ts": "the triggers of the service",
  "src/control/rows/fields.ts": "the triggers of the service",
  "src/control/rows/vault-row.ts": "the triggers of the service",
  "src/domain/restore-files.ts": "the triggers of the service",
  "src/control/job-changes.ts": "the use cases of the service",
  "src/control/rows/row-kind.ts": "the use cases of the service",
  "src/control/rows/item-row.ts": "the use cases of the service",
  "src/control/rows/job-row.ts": "the use cases of the service",
  "src/control/rows/point-row.ts": "the use cases of the service",
  "src/control/rows/work-rows.ts": "the use cases of the service",
  "orchestrations/contracts.ts": "the orchestrations and activities",
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
