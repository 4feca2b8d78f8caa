// What can go wrong in ways that users know by a code, as one table: what it means, whose turn it is, and what to do.
// Codes that mean the same as Azure Backup's are spelled like those; ours begin with "Holdfast".

export interface CatalogEntry {
  /** On the wire, an error of a job has a number besides its name. Azure's where it is known, else ours from 900000 on. */
  readonly number: number;
  readonly title: string;
  readonly message: string;
  readonly recommendedActions: readonly string[];
  /** The next run may succeed without anybody doing anything. */
  readonly isTransient: boolean;
  /** Whose turn it is: the machine's owner, or whoever runs the service. */
  readonly fault: "User" | "Service";
}

const RESTART_AGENT = "Restart the VM agent in the machine, or update it.";
const WAIT_AND_RETRY = "Wait until the machine has settled and run the backup again.";
const RESTART_VSS = "Restart the VSS service and the writers that `vssadmin list writers` shows in a bad state.";
const REINSTALL_EXTENSION = "Remove the backup extension from the machine; the next backup installs it anew.";

const entry = (
  number: number,
  title: string,
  message: string,
  recommendedActions: readonly string[],
  { isTransient = false, fault = "User" }: Partial<Pick<CatalogEntry, "isTransient" | "fault">> = {},
): CatalogEntry => ({ number, title, message, recommendedActions, isTransient, fault });

const GONE = entry(400094, "The machine was not found", "The protected machine does not exist any more.", [
  "Re-create the machine with the same name in the same resource group.",
  "Or stop protection, with or without deleting its recovery points; the last point stays until then.",
]);

const STATE = entry(
  400001,
  "The machine is in no state for a backup",
  "Backups need a machine that is running, stopped or deallocated; this one has failed or is between two states.",
  [WAIT_AND_RETRY, "With SELinux enforcing, exclude /var/lib/waagent."],
  { isTransient: true },
);

const BUSY = entry(
  900001,
  "Another operation is running",
  "Another backup of this machine is taking its snapshot.",
  ["Wait until it has ended."],
  { isTransient: true },
);

const COM = entry(
  900002,
  "COM+ does not answer",
  "The extension could not work with the COM+ service of the machine.",
  ["Restart COM+ System Application and Distributed Transaction Coordinator.", REINSTALL_EXTENSION],
);

const NETWORK = entry(
  900003,
  "The extension has no network",
  "The backup extension could not reach the platform from inside the machine.",
  [
    "Let the machine get its address by DHCP.",
    "Allow 168.63.129.16 on ports 80, 443 and 32526.",
    "Where TLS fails, allow strong cryptography for .NET in the registry.",
  ],
);

const VSS = entry(
  900004,
  "VSS is in a bad state",
  "A volume shadow copy writer or the service itself is in a bad state.",
  [RESTART_VSS, "Move the backup to a time when the machine is less busy."],
  { isTransient: true },
);

const EXTENSION = entry(
  900005,
  "The extension is in a bad state",
  "The backup extension is stuck, cannot read its configuration, or misses its runtime.",
  [REINSTALL_EXTENSION, "On Windows, check the access rights of the folder MachineKeys."],
);

const SKU = entry(
  900006,
  "The machine cannot be created",
  "The machine's size or its marketplace plan is not to be had where it is to be restored.",
  ["Restore the disks, and create a machine of another size from them.", "Or drop the plan in the template."],
);

export const FAILURE_CATALOG = {
  UserErrorVmNotInDesirableState: STATE,
  VmNotInDesirableState: STATE,
  UserErrorVmProvisioningStateFailed: entry(
    900010,
    "The machine's provisioning has failed",
    "An extension has put the machine into a failed provisioning state.",
    ["Remove the extension that failed, and run the backup again."],
  ),
  ResourceNotFound: { ...GONE, number: 320001 },
  BCMV2VMNotFound: GONE,
  VMNotFoundV2: GONE,
  UserErrorGuestAgentStatusUnavailable: entry(
    900011,
    "The VM agent does not report",
    "The VM agent is stopped, old, inconsistent or not installed. Backups go on, crash-consistent.",
    [RESTART_AGENT, "Install the agent if the machine has none."],
    { isTransient: true },
  ),
  GuestAgentSnapshotTaskStatusError: entry(
    900012,
    "No word of the snapshot from the agent",
    "The VM agent did not report how the snapshot went.",
    [RESTART_AGENT, "Check the machine's network and the state of its backup extension."],
    { isTransient: true },
  ),
  ExtensionSnapshotFailedNoNetwork: NETWORK,
  ExtensionSnapshotFailedNoSecureNetwork: NETWORK,
  UserErrorRpCollectionLimitReached: entry(
    900013,
    "Too many restore points",
    "The machine's restore point collection is full. Usually a lock keeps old restore points from being removed.",
    [
      "Remove the lock from the resource group AzureBackupRG_*.",
      "Delete the machine's restore point collection, and run the backup again.",
    ],
  ),
  ExtensionFailedSnapshotLimitReachedError: entry(
    900014,
    "Too many snapshots of a disk",
    "A disk has as many snapshots as Azure allows.",
    ["Delete snapshots that are not needed.", "Do not let replication and backup run at the same time."],
  ),
  UserErrorKeyvaultPermissionsNotConfigured: entry(
    900015,
    "No rights on the key vault",
    "The service may not read the keys that the machine's disks are encrypted with.",
    ["Grant get, list and backup on keys and secrets to the service's identity."],
  ),
  UserErrorFsFreezeFailed: entry(
    900016,
    "The file systems did not freeze",
    "A file system of the machine could not be frozen for the snapshot.",
    ["Check the file systems with fsck.", "Name mounts that cannot freeze in MountsToSkip."],
  ),
  UserErrorUnableToOpenMount: entry(
    900017,
    "A mount is stale",
    "A mount of a former file recovery, or a broken network mount, is in the way.",
    ["Unmount what is stale."],
  ),
  ExtensionFailedVssWriterInBadState: VSS,
  ExtensionFailedVssServiceInBadState: VSS,
  ExtensionSnapshotFailedCOM: COM,
  ExtensionInstallationFailedCOM: COM,
  ExtensionInstallationFailedMDTC: COM,
  ExtensionStuckInDeletionState: EXTENSION,
  ExtensionConfigParsingFailure: EXTENSION,
  ExtensionVCRedistInstallationFailure: EXTENSION,
  ExtensionFailedTimeoutVMNetworkUnresponsive: entry(
    900018,
    "The machine was too busy for a snapshot",
    "The machine did not answer in time while the snapshot was taken.",
    ["Move the backup to a time when the machine is less busy.", "Give the machine a larger size."],
    { isTransient: true },
  ),
  ExtensionSnapshotBitlockerError: entry(
    900019,
    "A volume is locked",
    "A volume of the machine is locked by BitLocker.",
    ["Unlock the volumes, or switch automatic unlocking on."],
  ),
  VMRestorePointInternalError: entry(
    900020,
    "The restore point failed inside the machine",
    "Something in the machine, usually an antivirus program, blocks the backup extension.",
    ["Exclude the extension's folders from antivirus scans."],
    { isTransient: true },
  ),
  AzureVmOffline: entry(
    380008,
    "The machine is off",
    "The backup extension cannot be installed while the machine is off. Backups go on, crash-consistent.",
    ["Start the machine; the next backup installs the extension."],
    { isTransient: true },
  ),
  CopyingVHDsFromBackUpVaultTakingLongTime: entry(
    900021,
    "The copy out of the vault takes too long",
    "The restore could not write to the target in time.",
    ["Use a target account with less load, and start the restore again."],
    { isTransient: true },
  ),
  UserErrorBCMPremiumStorageQuotaError: entry(
    900022,
    "No space to stage the copy",
    "The storage account has no space left for the snapshot's copy.",
    ["Free half of the account's space."],
  ),
  UserErrorBackupOperationInProgress: BUSY,
  SystemBackupOperationInProgress: BUSY,
  BackupOperationInProgress: BUSY,
  UserErrorInstantRpNotFound: entry(
    900023,
    "The snapshot is gone",
    "The recovery point had only its snapshot, and that was deleted.",
    ["Choose another recovery point."],
  ),
  UserErrorVmNotShutDown: entry(
    900024,
    "The machine is running",
    "Disks are replaced only while the machine is deallocated.",
    ["Deallocate the machine, and start the restore again."],
  ),
  UserErrorSkuNotAvailable: SKU,
  UserErrorMarketPlaceVMNotSupported: SKU,
  VMMarketplaceInvalidInput: SKU,
  UserErrorRequestDisallowedByPolicy: entry(
    900025,
    "Azure Policy denies the resource group",
    "A policy of the subscription denies the resource group for restore points, or a resource in it.",
    ["Let the policy modify instead of deny.", "Or create the resource group beforehand."],
  ),
  UserErrorMigrationFromTrustedLaunchVMToNonTrustedVMNotAllowed: entry(
    900026,
    "The name belonged to a machine of another security type",
    "A machine of this name was protected with Trusted Launch, and this one has it not.",
    ["Give the machine a new name.", "Or delete the old item's data for good."],
  ),
  UserErrorUnsupportedDiskSize: entry(
    900027,
    "A disk is too large",
    "A disk of the machine is larger than what can be backed up.",
    ["Exclude the disk from the backup."],
  ),
  BMSUserErrorInvalidPolicyInput: entry(
    900028,
    "The policy cannot be used",
    "The policy breaks rules; the message names each with its field.",
    ["Change the fields that the message names."],
  ),
  HoldfastVaultImmutable: entry(
    900029,
    "The vault is immutable",
    "Destructive operations are not supported in an immutable vault.",
    ["Wait until the date that the message names.", "Or suspend backups: points then end as the policy says."],
  ),
} as const satisfies Readonly<Record<string, CatalogEntry>>;

export type CatalogCode = keyof typeof FAILURE_CATALOG;

/** For a code that the table does not know: what is certain about it. */
export function catalogEntryOf(code: string): CatalogEntry {
  const entries: Readonly<Record<string, CatalogEntry>> = FAILURE_CATALOG;
  if (Object.hasOwn(entries, code)) return entries[code] as CatalogEntry;
  return entry(
    900000,
    code,
    `The operation failed: ${code}`,
    ["Look at the job's message; if it names nothing to do, run the operation again."],
    { fault: "Service" },
  );
}
