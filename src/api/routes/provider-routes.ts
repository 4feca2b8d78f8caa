// What the provider says of itself, and whether a vault's name is free.

import { z } from "zod";
import { HoldfastFailure } from "../../base/failure.ts";
import { readRow } from "../../control/rows/row-kind.ts";
import { VAULT_ROWS, vaultKeyOf, vaultPlace } from "../../control/rows/vault-row.ts";
import { OPERATIONS } from "../../domain/roles.ts";
import { requireVaultName } from "../../domain/vault-rules.ts";
import { type Answer, type ApiCall, ok, PATHS, type Route } from "../api-call.ts";
import { parseBody } from "../request-body.ts";
import { featureBody } from "../wire/backup-status.ts";
import { text } from "../wire/text.ts";

export const PROVIDER_ROUTES: readonly Route[] = [
  {
    method: "GET",
    path: "/providers/Microsoft.RecoveryServices/operations",
    operation: "anyone",
    isChange: false,
    handle: listOperations,
  },
  {
    method: "POST",
    path: `${PATHS.group}/locations/{location}/checkNameAvailability`,
    operation: "vaults/read",
    isChange: false,
    handle: checkName,
  },
  {
    method: "POST",
    path: `${PATHS.location}/backupValidateFeatures`,
    operation: "vaults/read",
    isChange: false,
    handle: async (call) => {
      parseBody(featureBody, call.body);
      return ok({ supportStatus: "Supported" });
    },
  },
];

async function listOperations(): Promise<Answer> {
  const value = OPERATIONS.map((operation) => {
    const [resource = ""] = operation.split("/");
    const display = { provider: "Microsoft.RecoveryServices", resource, operation, description: operation };
    return { name: `Microsoft.RecoveryServices/${operation}`, display, origin: "user", properties: null };
  });
  return ok({ value });
}

const question = z.object({ name: text });

async function checkName(call: ApiCall): Promise<Answer> {
  const { name } = parseBody(question, call.body);
  const reason = (await isTaken(call, name)) ? "AlreadyExists" : ruleBrokenBy(name);
  if (reason === undefined) return ok({ nameAvailable: true, reason: null, message: null });
  return ok({ nameAvailable: false, reason, message: `The vault name "${name}" cannot be used: ${reason}` });
}

async function isTaken(call: ApiCall, name: string): Promise<boolean> {
  if (ruleBrokenBy(name) !== undefined) return false;
  const key = vaultKeyOf(call.name("subscription"), name);
  return (await readRow(call.deps.tables, VAULT_ROWS, vaultPlace(key))) !== undefined;
}

function ruleBrokenBy(name: string): "Invalid" | undefined {
  try {
    requireVaultName(name);
    return undefined;
  } catch (cause) {
    if (cause instanceof HoldfastFailure) return "Invalid";
    throw cause;
  }
}
