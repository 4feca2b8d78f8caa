// Whether a machine is protected, and whether it could be: what clients ask about a machine, not about a vault.

import { z } from "zod";
import type { ItemBody } from "../../control/rows/item-row.ts";
import type { HoldfastFailure } from "../../base/failure.ts";
import { textOf } from "../errors.ts";
import { oneOf, optional, text } from "./text.ts";

export interface StatusQuestion {
  readonly machineId: string;
}

const machineQuestion = z.object({ resourceType: oneOf(["VM"]), resourceId: text.min(1) });

export const backupStatusBody: z.ZodType<StatusQuestion> = machineQuestion.transform(({ resourceId }) => ({
  machineId: resourceId,
}));

export interface ProtectQuestion extends StatusQuestion {
  readonly vaultId: string;
}

export const preValidateBody: z.ZodType<ProtectQuestion> = machineQuestion
  .extend({ vaultId: text.min(1), properties: optional(z.string().max(64 * 1024)) })
  .transform(({ resourceId, vaultId }) => ({ machineId: resourceId, vaultId }));

export const featureBody: z.ZodType<unknown> = z.object({ featureType: oneOf(["AzureVMResourceBackup", "AzureBackupGoals"]) });

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

export const UNPROTECTED = { ...NOTHING, protectionStatus: "NotProtected", vaultId: "" };

export function renderBackupStatus(vaultPath: string, item: ItemBody): unknown {
  return {
    ...NOTHING,
    protectionStatus: item.protectedAt === null ? "Protecting" : "Protected",
    vaultId: vaultPath,
    fabricName: "Azure",
    containerName: item.containerName,
    protectedItemName: item.name,
    policyName: item.policy ?? "",
    registrationStatus: "Registered",
    protectedItemsCount: 1,
  };
}

/** `refusal`: the first reason against it. */
export function renderPreValidation(names: { container: string; item: string }, refusal: HoldfastFailure | undefined): unknown {
  return {
    status: refusal === undefined ? "Succeeded" : "Failed",
    errorCode: refusal?.code ?? "",
    errorMessage: refusal === undefined ? "" : textOf(refusal),
    recommendation: refusal?.hint ?? "",
    containerName: names.container,
    protectedItemName: names.item,
  };
}
