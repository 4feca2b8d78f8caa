// What a client asks to be restored, and how. Names of resources are checked where they are used.

import { z } from "zod";
import { oneOf, optional, text } from "./text.ts";

export interface RestoreWish {
  readonly recoveryType: "RestoreDisks" | "AlternateLocation" | "OriginalLocation";
  readonly sourceResourceId: string | undefined;
  /** Where the configuration and the template are written. */
  readonly stagingAccountId: string | undefined;
  /** Absent: the disks are written into the staging account. */
  readonly targetResourceGroupId: string | undefined;
  readonly targetMachineId: string | undefined;
  readonly virtualNetworkId: string | undefined;
  readonly subnetId: string | undefined;
  readonly region: string | undefined;
  /** Data disks that are restored with the disk of the operating system, by lun; absent: all. */
  readonly luns: readonly number[] | undefined;
  readonly zones: readonly string[] | undefined;
  readonly diskEncryptionSetId: string | undefined;
}

const OBJECT_TYPES = ["IaasVMRestoreRequest", "IaasVMRestoreWithRehydrationRequest"] as const;

const fields = z.object({
  objectType: oneOf(OBJECT_TYPES),
  recoveryPointId: optional(text),
  recoveryType: oneOf(["RestoreDisks", "AlternateLocation", "OriginalLocation"]),
  sourceResourceId: optional(text),
  targetVirtualMachineId: optional(text),
  targetResourceGroupId: optional(text),
  storageAccountId: optional(text),
  virtualNetworkId: optional(text),
  subnetId: optional(text),
  region: optional(text),
  restoreDiskLunList: optional(z.array(z.number().int().min(-1).max(63)).max(65)),
  diskEncryptionSetId: optional(text),
  zones: optional(z.array(text).max(3)),
  identityBasedRestoreDetails: optional(z.object({ targetStorageAccountId: optional(text) })),
});

const restoreRequest = fields.transform(
  (wire): RestoreWish => ({
    recoveryType: wire.recoveryType,
    sourceResourceId: filled(wire.sourceResourceId),
    stagingAccountId: filled(wire.storageAccountId) ?? filled(wire.identityBasedRestoreDetails?.targetStorageAccountId),
    targetResourceGroupId: filled(wire.targetResourceGroupId),
    targetMachineId: filled(wire.targetVirtualMachineId),
    virtualNetworkId: filled(wire.virtualNetworkId),
    subnetId: filled(wire.subnetId),
    region: filled(wire.region),
    luns: wire.restoreDiskLunList,
    zones: wire.zones,
    diskEncryptionSetId: filled(wire.diskEncryptionSetId),
  }),
);

/** Clients clear a field with an empty text. */
const filled = (value: string | undefined): string | undefined => (value === "" ? undefined : value);

export const restoreBody: z.ZodType<RestoreWish> = z
  .object({ properties: restoreRequest })
  .transform(({ properties }) => properties);

const validated = z.object({
  objectType: oneOf(["ValidateIaasVMRestoreOperationRequest", "ValidateRestoreOperationRequest"]),
  restoreRequest,
});

/** The newest client wraps it as a resource with an id of its own; others send what is inside. */
export const validationBody: z.ZodType<RestoreWish> = z
  .union([z.object({ properties: validated }).transform(({ properties }) => properties), validated])
  .transform((wire) => wire.restoreRequest);
