// Recovery points on the wire. Tiers are words, never numbers: that is what every client derives their place from.

import type { PointBody } from "../../control/rows/point-row.ts";

const CONSISTENCY_WORDS: Readonly<Record<PointBody["consistency"], string>> = {
  application: "AppConsistent",
  "file-system": "FileSystemConsistent",
  crash: "CrashConsistent",
};

export interface RenderedPoint {
  readonly itemPath: string;
  readonly point: PointBody;
  /** Undefined: as long as the item is there. */
  readonly expiresAt: Date | undefined;
}

export function renderPoint({ itemPath, point, expiresAt }: RenderedPoint): unknown {
  const { machine } = point;
  return {
    id: `${itemPath}/recoveryPoints/${point.pointId}`,
    name: point.pointId,
    type: "Microsoft.RecoveryServices/vaults/backupFabrics/protectionContainers/protectedItems/recoveryPoints",
    properties: {
      objectType: "IaasVMRecoveryPoint",
      recoveryPointType: CONSISTENCY_WORDS[point.consistency],
      recoveryPointTime: point.time,
      recoveryPointAdditionalInfo: point.consistencyReason,
      sourceVMStorageType: "NormalStorage",
      isSourceVMEncrypted: false,
      isInstantIlrSessionActive: false,
      recoveryPointTierDetails: tiersOf(point),
      isManagedVirtualMachine: machine.kind !== "classic",
      virtualMachineSize: machine.sizeName,
      originalStorageAccountOption: false,
      osType: machine.osType,
      recoveryPointDiskConfiguration: disksOf(point),
      ...(machine.zones.length > 0 && { zones: machine.zones }),
      recoveryPointMoveReadinessInfo: {
        ArchivedRP: { isReadyForMove: false, additionalInfo: "There is no archive tier." },
      },
      recoveryPointProperties: {
        ...(expiresAt !== undefined && { expiryTime: expiresAt.toISOString() }),
        ...(point.tags.length > 0 && { ruleName: point.tags.join(",") }),
        isSoftDeleted: false,
      },
      securityType: machine.securityType === "" ? "None" : machine.securityType,
      isPrivateAccessEnabledOnAnyDisk: false,
    },
  };
}

function tiersOf({ snapshot, archive }: PointBody) {
  const instant = snapshot.state === "valid" ? "Valid" : "Deleted";
  const hardened = archive === null ? [] : [{ type: "HardenedRP", status: "Valid" }];
  return [{ type: "InstantRP", status: instant }, ...hardened];
}

function disksOf({ snapshot, machine }: PointBody) {
  return {
    numberOfDisksIncludedInBackup: machine.attachedDiskCount - machine.excludedDisks.length,
    numberOfDisksAttachedToVm: machine.attachedDiskCount,
    includedDiskList: snapshot.disks.map(({ lun, name }) => ({ lun, name })),
    excludedDiskList: machine.excludedDisks,
  };
}
