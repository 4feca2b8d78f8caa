// Snapshots that nobody knows: an execution that nobody waited for any more (its orchestration had been terminated) may ask for
// one after its job gave it up. Each costs its owner money, and takes one of a collection's places.
//
// A snapshot is ours when it bears the name of one of our jobs, and nobody's when that job has ended without its point. The
// order of looking makes that safe: snapshots first, then the job, then the point; for a job's row is there before its
// snapshot, and its point's row before the job has ended. Whatever bears another name is left alone.

import type { JobId } from "../domain/job-id.ts";
import { restorePointName } from "../domain/names-of-things.ts";
import type { CollectionRef, SnapshotRef } from "../ports/snapshots.ts";
import { forEachVault, tryEach } from "./all-vaults.ts";
import type { ControlDeps } from "./control-deps.ts";
import { readPoints } from "./retention.ts";
import { ITEM_ROWS, type ItemBody } from "./rows/item-row.ts";
import { JOB_ROWS, jobPlace } from "./rows/job-row.ts";
import { POINT_ROWS, pointPlace } from "./rows/point-row.ts";
import { listRows, readRow } from "./rows/row-kind.ts";

const JOB_IN_NAME = /[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}$/;

export function removeOrphansOfVaults(deps: ControlDeps): Promise<void> {
  return forEachVault(deps, ({ key }) => removeOrphans(deps, key));
}

export function removeOrphans(deps: ControlDeps, vault: string): Promise<void> {
  return tryEach(listRows(deps.tables, ITEM_ROWS, vault), async ({ body: item }) => {
    for (const collection of await collectionsOf(deps, vault, item)) {
      for await (const page of deps.snapshots.list(collection)) {
        await tryEach(page, async (snapshot) => {
          if (await isOrphan(deps, vault, snapshot)) await deps.snapshots.remove(snapshot);
        });
      }
    }
  });
}

/** Where snapshots of the item's points lie, and that of its last backup, which may have none. */
async function collectionsOf(deps: ControlDeps, vault: string, item: ItemBody): Promise<CollectionRef[]> {
  const last = item.lastBackup
    ? await readRow(deps.tables, JOB_ROWS, jobPlace(vault, item.lastBackup.jobId))
    : undefined;
  const refs = (await readPoints(deps, vault, item)).map(({ snapshot }) => snapshot.ref);
  const collections = [...refs, last?.body.backup?.snapshot].flatMap((ref) => (ref ? [ref.collection] : []));
  return [...new Map(collections.map((one) => [JSON.stringify(one).toLowerCase(), one])).values()];
}

async function isOrphan(deps: ControlDeps, vault: string, { name }: SnapshotRef): Promise<boolean> {
  const id = JOB_IN_NAME.exec(name.toLowerCase())?.[0] as JobId | undefined;
  if (id === undefined || restorePointName(id).toLowerCase() !== name.toLowerCase()) return false;
  const job = await readRow(deps.tables, JOB_ROWS, jobPlace(vault, id));
  if (!job?.body.backup || job.body.endedAt === null) return false;
  const place = pointPlace(vault, job.body.item, job.body.backup.pointId);
  const point = await readRow(deps.tables, POINT_ROWS, place);
  return !point?.body.snapshot.ref;
}
