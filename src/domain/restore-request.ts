// What a restore request means, and whether it can be carried out: which disks, where to, and every conflict at once,
// from facts that were gathered before anything is created.

import { sameArmId } from "./arm-ids.ts";
import type { RecoveryType } from "./job.ts";
import { regionKey } from "./vault-rules.ts";

/** As a client sent it, with the names of the wire. */
export interface RestoreRequest {
  readonly recoveryType: RecoveryType;
  readonly sourceResourceId: string;
  readonly targetVirtualMachineId?: string;
  readonly targetResourceGroupId?: string;
  readonly storageAccountId?: string;
  readonly virtualNetworkId?: string;
  readonly subnetId?: string;
  readonly region?: string;
  /** Absent: all disks. Empty: the disk of the operating system. Else these and that of the operating system. */
  readonly restoreDiskLunList?: readonly number[];
}

/** The disk of the operating system has no LUN; clients write -1. */
export const OS_DISK_LUN = -1;

export interface RestorableDisk {
  readonly lun: number;
  readonly name: string;
}

export interface RestoreFacts {
  readonly region: string;
  /** Disks of the recovery point, that of the operating system included. */
  readonly disks: readonly RestorableDisk[];
  /** The item's machine, as it is now; undefined when it is gone. */
  readonly original:
    | { readonly id: string; readonly isDeallocated: boolean; readonly luns: readonly number[] }
    | undefined;
  /** Whether something of the target's id is there already. */
  readonly targetExists: boolean;
}

export type RestoreTarget =
  /** Managed disks in a group, and the machine's template beside them. */
  | { readonly kind: "disks"; readonly resourceGroupId: string }
  /** VHDs in the storage account, as clients expect that name no group. */
  | { readonly kind: "vhds"; readonly storageAccountId: string }
  | {
      readonly kind: "new-machine";
      readonly vmId: string;
      readonly resourceGroupId: string;
      readonly subnetId: string;
      readonly virtualNetworkId: string;
    }
  /** The disks of the machine itself are replaced; what was there is kept. */
  | { readonly kind: "original"; readonly vmId: string };

export interface RestorePlan {
  readonly target: RestoreTarget;
  readonly disks: readonly RestorableDisk[];
}

export interface RestoreConflict {
  readonly code: string;
  /** As on the wire, below `properties`. */
  readonly field: string;
  readonly message: string;
}

export type RestoreDecision =
  | { readonly verdict: "possible"; readonly plan: RestorePlan }
  | { readonly verdict: "refused"; readonly conflicts: readonly RestoreConflict[] };

export function decideRestore(request: RestoreRequest, facts: RestoreFacts): RestoreDecision {
  const target = targetOf(request);
  const conflicts = [
    ...("kind" in target ? conflictsOf(target, request, facts) : target),
    ...regionConflicts(request, facts),
    ...unknownLuns(request, facts),
  ];
  if (conflicts.length > 0 || !("kind" in target)) return { verdict: "refused", conflicts };
  return { verdict: "possible", plan: { target, disks: chosenDisks(request.restoreDiskLunList, facts.disks) } };
}

export function chosenDisks(luns: readonly number[] | undefined, disks: readonly RestorableDisk[]): RestorableDisk[] {
  return disks.filter(({ lun }) => luns === undefined || lun === OS_DISK_LUN || luns.includes(lun));
}

/** Where to, or what is missing to say so. */
function targetOf(request: RestoreRequest): RestoreTarget | RestoreConflict[] {
  const { targetVirtualMachineId, targetResourceGroupId, storageAccountId, virtualNetworkId, subnetId } = request;
  switch (request.recoveryType) {
    case "RestoreDisks":
      if (targetResourceGroupId !== undefined) return { kind: "disks", resourceGroupId: targetResourceGroupId };
      if (storageAccountId !== undefined) return { kind: "vhds", storageAccountId };
      return [missing("storageAccountId", "restoring disks takes a resource group or a storage account")];
    case "AlternateLocation":
      if (
        targetVirtualMachineId === undefined ||
        targetResourceGroupId === undefined ||
        virtualNetworkId === undefined ||
        subnetId === undefined
      ) {
        const fields = { targetVirtualMachineId, targetResourceGroupId, virtualNetworkId, subnetId };
        const absent = Object.entries(fields).filter(([, value]) => value === undefined);
        return absent.map(([field]) => missing(field, "a new machine takes its id, group, network and subnet"));
      }
      return {
        kind: "new-machine",
        vmId: targetVirtualMachineId,
        resourceGroupId: targetResourceGroupId,
        virtualNetworkId,
        subnetId,
      };
    case "OriginalLocation":
      return { kind: "original", vmId: request.sourceResourceId };
  }
}

function conflictsOf(target: RestoreTarget, request: RestoreRequest, facts: RestoreFacts): RestoreConflict[] {
  if (target.kind === "new-machine" && facts.targetExists) {
    return [conflict("targetVirtualMachineId", "HoldfastTargetExists", `${target.vmId} is there already`)];
  }
  return target.kind === "original" ? originalConflicts(request, facts) : [];
}

function originalConflicts(request: RestoreRequest, { original, disks }: RestoreFacts): RestoreConflict[] {
  const field = "sourceResourceId";
  if (original === undefined || !sameArmId(original.id, request.sourceResourceId)) {
    return [conflict(field, "BCMV2VMNotFound", "the machine is gone: restore to a new machine, or its disks")];
  }
  const conflicts: RestoreConflict[] = [];
  if (!original.isDeallocated) {
    conflicts.push(
      conflict(field, "UserErrorVmNotShutDown", "the machine is not deallocated, so no disk can be replaced"),
    );
  }
  const detached = chosenDisks(request.restoreDiskLunList, disks).filter(
    ({ lun }) => lun !== OS_DISK_LUN && !original.luns.includes(lun),
  );
  if (detached.length > 0) {
    const luns = detached.map(({ lun }) => lun).join(", ");
    const message = `the machine has no disk at LUN ${luns} any more: restore these disks, and attach them`;
    conflicts.push(conflict("restoreDiskLunList", "HoldfastLunNotAttached", message));
  }
  return conflicts;
}

function regionConflicts({ region }: RestoreRequest, facts: RestoreFacts): RestoreConflict[] {
  if (region === undefined || regionKey(region) === regionKey(facts.region)) return [];
  return [conflict("region", "HoldfastOtherRegion", `the vault restores in ${facts.region}, not in ${region}`)];
}

function unknownLuns({ restoreDiskLunList = [] }: RestoreRequest, { disks }: RestoreFacts): RestoreConflict[] {
  const unknown = restoreDiskLunList.filter((lun) => lun !== OS_DISK_LUN && !disks.some((disk) => disk.lun === lun));
  if (unknown.length === 0) return [];
  const message = `the recovery point has no disk at LUN ${unknown.join(", ")}`;
  return [conflict("restoreDiskLunList", "HoldfastLunNotInPoint", message)];
}

const conflict = (field: string, code: string, message: string): RestoreConflict => ({ code, field, message });
const missing = (field: string, message: string): RestoreConflict =>
  conflict(field, "HoldfastRestoreTargetIncomplete", message);
