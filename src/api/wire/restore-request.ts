// What a client asks to be restored, and how. Names of resources are checked where they are used.

import { z } from "zod";
import type { RestoreRequest } from "../../domain/restore-request.ts";
import { oneOf, optional, resourceId, text } from "./text.ts";

/** As the domain takes it; the machine is the item's own where a client leaves it out. */
export type RestoreWish = Omit<RestoreRequest, "sourceResourceId"> & {
  readonly sourceResourceId?: string;
  readonly zones?: readonly string[];
};

const OBJECT_TYPES = ["IaasVMRestoreRequest", "IaasVMRestoreWithRehydrationRequest"] as const;

const fields = z.object({
  objectType: oneOf(OBJECT_TYPES),
  recoveryType: oneOf(["RestoreDisks", "AlternateLocation", "OriginalLocation"]),
  sourceResourceId: optional(resourceId),
  targetVirtualMachineId: optional(resourceId),
  targetResourceGroupId: optional(resourceId),
  storageAccountId: optional(resourceId),
  virtualNetworkId: optional(resourceId),
  subnetId: optional(resourceId),
  region: optional(text),
  restoreDiskLunList: optional(z.array(z.number().int().min(-1).max(63)).max(65)),
  zones: optional(z.array(text).max(3)),
  identityBasedRestoreDetails: optional(z.object({ targetStorageAccountId: optional(resourceId) })),
});

const restoreRequest = fields.transform((wire): RestoreWish => {
  const account = filled(wire.storageAccountId) ?? filled(wire.identityBasedRestoreDetails?.targetStorageAccountId);
  return {
    recoveryType: wire.recoveryType,
    ...named("sourceResourceId", wire.sourceResourceId),
    ...named("targetVirtualMachineId", wire.targetVirtualMachineId),
    ...named("targetResourceGroupId", wire.targetResourceGroupId),
    ...named("storageAccountId", account),
    ...named("virtualNetworkId", wire.virtualNetworkId),
    ...named("subnetId", wire.subnetId),
    ...named("region", wire.region),
    ...(wire.restoreDiskLunList !== undefined && { restoreDiskLunList: wire.restoreDiskLunList }),
    ...(wire.zones !== undefined && { zones: wire.zones }),
  };
});

const named = <Key extends string>(key: Key, value: string | undefined) =>
  (filled(value) === undefined ? {} : { [key]: value }) as { readonly [Name in Key]?: string };

/** Clients clear a field with an empty text. */
const filled = (value: string | undefined): string | undefined => (value === "" ? undefined : value);

export const restoreBody: z.ZodType<RestoreWish> = z
  .object({ properties: restoreRequest })
  .transform(({ properties }) => properties);

export interface ValidationWish {
  readonly wish: RestoreWish;
  readonly pointId: string;
}

const validated = z
  .object({
    objectType: oneOf(["ValidateIaasVMRestoreOperationRequest", "ValidateRestoreOperationRequest"]),
    restoreRequest: z.object({ recoveryPointId: text.min(1) }).loose(),
  })
  .transform(({ restoreRequest: inner }, context): ValidationWish => {
    const parsed = restoreRequest.safeParse(inner);
    if (parsed.success) return { wish: parsed.data, pointId: inner.recoveryPointId.split("/").at(-1) ?? "" };
    for (const { message, path } of parsed.error.issues) {
      context.addIssue({ code: "custom", message, path: ["restoreRequest", ...path] });
    }
    return z.NEVER;
  });

/** The newest client wraps it as a resource with an id of its own; others send what is inside. */
export const validationBody: z.ZodType<ValidationWish> = z.union([
  z.object({ properties: validated }).transform(({ properties }) => properties),
  validated,
]);
