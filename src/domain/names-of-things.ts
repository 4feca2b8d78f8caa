// Names of what the service creates in a subscription. They follow from what they are for, so that a step that is
// repeated finds what it made before, and a person finds whose it is.

import { createHash } from "node:crypto";
import { armIdKey, parseVmId } from "./arm-ids.ts";
import type { JobId } from "./job-id.ts";
import type { SnapshotGroupAffixes } from "./policy.ts";
import { regionKey } from "./vault-rules.ts";

const DIGEST_DIGITS = 12;
/** Azure's, for a restore point collection and for a disk. */
const MAX_RESOURCE_NAME = 80;

/** The group for restore points: `AzureBackupRG_<region>_<n>`, or a policy's own affixes around the number. */
export function snapshotGroupName(region: string, number: number, { prefix, suffix }: SnapshotGroupAffixes): string {
  return prefix === "" ? `AzureBackupRG_${regionKey(region)}_${number}` : `${prefix}${number}${suffix}`;
}

/** Of a machine: `AzureBackup_<name>_<digest of its id>`, since names repeat among groups. */
export function restorePointCollectionName(vmId: string): string {
  const digest = createHash("sha256").update(armIdKey(vmId)).digest("hex").slice(0, DIGEST_DIGITS);
  const room = MAX_RESOURCE_NAME - "AzureBackup__".length - DIGEST_DIGITS;
  return `AzureBackup_${parseVmId(vmId).name.slice(0, room)}_${digest}`;
}

/** Of the job that takes it. */
export const restorePointName = (job: JobId): string => `AzureBackup_${job}`;

/** 17 + 36 characters: a container's name has 63 at most. */
export const restoreContainerName = (job: JobId): string => `holdfast-restore-${job}`;

export const vhdBlobName = (diskName: string): string => `${diskName}.vhd`;
export const CONFIG_BLOB_NAME = "config.json";
export const TEMPLATE_BLOB_NAME = "azuredeploy.json";

/** A disk that a restore creates: recognisable, and another one for another restore of the same disk. */
export function restoredDiskName(sourceDiskName: string, job: JobId): string {
  // The end of a job's id: its beginning is the time, which jobs of one moment share.
  const mark = job.slice(-DIGEST_DIGITS);
  return `${sourceDiskName.slice(0, MAX_RESOURCE_NAME - mark.length - 1)}-${mark}`;
}
