// Whether a machine is protected, and whether it could be: what clients ask about a machine, not about a vault.

import { z } from "zod";
import type { BackupStatus, PreValidation } from "../../control/discovery.ts";
import { textOf } from "../errors.ts";
import { oneOf, optional, resourceId } from "./text.ts";
import { vaultPathOf } from "./vault.ts";

export interface StatusQuestion {
  readonly machineId: string;
}

const machineQuestion = z.object({ resourceType: oneOf(["VM"]), resourceId: resourceId.min(1) });

export const backupStatusBody: z.ZodType<StatusQuestion> = machineQuestion.transform(({ resourceId }) => ({
  machineId: resourceId,
}));

export interface ProtectQuestion extends StatusQuestion {
  readonly vaultId: string;
}

export const preValidateBody: z.ZodType<ProtectQuestion> = machineQuestion
  .extend({ vaultId: resourceId.min(1), properties: optional(z.string().max(64 * 1024)) })
  .transform(({ resourceId, vaultId }) => ({ machineId: resourceId, vaultId }));

export const featureBody: z.ZodType<unknown> = z.object({
  featureType: oneOf(["AzureVMResourceBackup", "AzureBackupGoals"]),
});

const NOTHING = {
  fabricName: "",
  containerName: "",
  protectedItemName: "",
  policyName: "",
  errorCode: "",
  errorMessage: "",
  registrationStatus: "",
  acquireStorageAccountLock: "",
  protectedItemsCount: 0,
};

export function renderBackupStatus({ status, vault, item }: BackupStatus): unknown {
  if (vault === undefined || item === undefined) return { ...NOTHING, protectionStatus: status, vaultId: "" };
  return {
    ...NOTHING,
    protectionStatus: status,
    vaultId: vaultPathOf(vault),
    fabricName: "Azure",
    containerName: item.containerName,
    protectedItemName: item.name,
    policyName: item.policy ?? "",
    registrationStatus: "Registered",
    protectedItemsCount: 1,
  };
}

export function renderPreValidation({ refusal, containerName, itemName }: PreValidation): unknown {
  return {
    status: refusal === undefined ? "Succeeded" : "Failed",
    errorCode: refusal?.code ?? "",
    errorMessage: refusal === undefined ? "" : textOf(refusal),
    recommendation: refusal?.hint ?? "",
    containerName,
    protectedItemName: itemName,
  };
}
