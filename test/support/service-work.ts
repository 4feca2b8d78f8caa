// What people ask of the service: back up, restore. And reading back what came of it, byte for byte.

import { BACKUP } from "../../orchestrations/contracts.ts";
import { newJob } from "../../src/control/new-job.ts";
import { startRestore } from "../../src/control/restores.ts";
import type { ItemBody } from "../../src/control/rows/item-row.ts";
import { type BackupWork, JOB_ROWS, type JobBody, jobPlace, newBackupWork } from "../../src/control/rows/job-row.ts";
import type { PointBody } from "../../src/control/rows/point-row.ts";
import { insertRow } from "../../src/control/rows/row-kind.ts";
import { jobIdOf, pointWireIdOf } from "../../src/domain/job-id.ts";
import type { Workflow } from "../../src/ports/workflow.ts";
import type { Manifest } from "../../src/vault/format/manifest.ts";
import { parseItemId, parseTransferId } from "../../src/vault/format/names.ts";
import type { Vault } from "../../src/vault/open-vault.ts";
import { readManifest } from "../../src/vault/points.ts";
import { GROUP } from "../localhost/azure/support/azure.ts";
import { type TestService, VAULT } from "./service.ts";
import { restoreFrom } from "./vault-fixture.ts";

const STAGING = `${GROUP}/providers/Microsoft.Storage/storageAccounts/demostaging`;
let nonce = 0;

/** An on-demand backup, without the refusals of the use case: two may be started at once. */
export async function startBackup(
  service: TestService,
  item: ItemBody,
  more: Partial<BackupWork> = {},
  onNamed: (job: string) => void = () => {},
): Promise<string> {
  const now = service.now();
  const id = jobIdOf({ kind: "Backup", subject: item.name, at: now, nonce: String(nonce++) });
  const backup = newBackupWork({
    ...{ scheduledAt: null, policy: null, isCatchUp: false, tags: [], goesToVault: true },
    retainUntil: new Date(now.getTime() + 60 * 24 * 3_600_000).toISOString(),
    snapshotGroup: { prefix: "", suffix: "" },
    pointId: pointWireIdOf(id),
  });
  const job = newJob({
    ...{ id, kind: { operation: "Backup" }, subject: item, isUserTriggered: true, now },
    work: { backup: { ...backup, ...more } },
  });
  onNamed(id);
  await insertRow(service.deps.tables, JOB_ROWS, jobPlace(VAULT, id), job);
  await service.deps.workflow.start(BACKUP.name, id, { vault: VAULT, job: id });
  return id;
}

/** A second after what was before, so that points come in the order in which they were asked for. */
export async function backUp(service: TestService, item: ItemBody, more: Partial<BackupWork> = {}): Promise<JobBody> {
  await service.pass(1_000);
  return service.end(await startBackup(service, item, more));
}

export async function beginRestore(
  service: TestService,
  item: ItemBody,
  point: PointBody,
  luns?: readonly number[],
  workflow: Workflow = service.deps.workflow,
): Promise<string> {
  const { jobId } = await startRestore(
    { ...service.deps, workflow },
    {
      vault: VAULT,
      item: item.name,
      pointId: point.pointId,
      request: {
        recoveryType: "RestoreDisks",
        sourceResourceId: item.machineId,
        targetResourceGroupId: GROUP,
        storageAccountId: STAGING,
        ...(luns && { restoreDiskLunList: luns }),
      },
    },
  );
  return jobId;
}

export async function restore(
  service: TestService,
  item: ItemBody,
  point: PointBody,
  luns?: readonly number[],
): Promise<JobBody> {
  return service.end(await beginRestore(service, item, point, luns));
}

export async function manifestOf(
  service: TestService,
  item: ItemBody,
  point: PointBody,
): Promise<{ vault: Vault; manifest: Manifest }> {
  const vault = await openArchive(service);
  const transfer = parseTransferId(point.archive?.transfer ?? "");
  const { manifest } = await readManifest(vault, { item: parseItemId(item.archiveItem), transfer });
  return { vault, manifest };
}

export const openArchive = (service: TestService): Promise<Vault> =>
  service.archive.open({ archive: { containerName: "v-vault1" } } as never);

/** Every disk of the point as the vault has it, in the order of the manifest. */
export async function disksInVault(service: TestService, item: ItemBody, point: PointBody): Promise<Buffer[]> {
  const { vault, manifest } = await manifestOf(service, item, point);
  const disks: Buffer[] = [];
  for (const ordinal of manifest.disks.keys()) disks.push(await restoreFrom(vault, manifest, ordinal));
  return disks;
}
