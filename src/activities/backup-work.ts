// Reading and changing what a backup's job has decided, and the item it is of.

import type { JobRef } from "../../orchestrations/contracts.ts";
import { HoldfastFailure } from "../base/failure.ts";
import type { ControlDeps } from "../control/control-deps.ts";
import { changeJob } from "../control/job-changes.ts";
import { ITEM_ROWS, type ItemBody, itemPlace } from "../control/rows/item-row.ts";
import type { BackupWork, JobBody } from "../control/rows/job-row.ts";
import { readRow } from "../control/rows/row-kind.ts";
import { VAULT_ROWS, type VaultBody, vaultPlace } from "../control/rows/vault-row.ts";

export function backupOf(job: JobBody): BackupWork {
  if (job.backup) return job.backup;
  throw new HoldfastFailure("corrupt", "HoldfastJobIncomplete", `Job ${job.id} is no backup`);
}

export function changeBackup(
  deps: ControlDeps,
  ref: JobRef,
  change: (backup: BackupWork) => Partial<BackupWork> | undefined,
): Promise<JobBody> {
  return changeJob(deps, ref, (job) => {
    const news = change(backupOf(job));
    return news && { backup: { ...backupOf(job), ...news } };
  });
}

export async function readItem(deps: Pick<ControlDeps, "tables">, vault: string, item: string): Promise<ItemBody> {
  const held = await readRow(deps.tables, ITEM_ROWS, itemPlace(vault, item));
  if (held) return held.body;
  throw new HoldfastFailure("not-found", "BMSUserErrorDataSourceObjectNotFound", `There is no protected item ${item}`);
}

export async function readVault(deps: Pick<ControlDeps, "tables">, vault: string): Promise<VaultBody> {
  const held = await readRow(deps.tables, VAULT_ROWS, vaultPlace(vault));
  if (held) return held.body;
  throw new HoldfastFailure("not-found", "ResourceNotFound", `There is no vault ${vault}`);
}
