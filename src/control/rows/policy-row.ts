// A policy of a vault. Partition: the vault; key: the policy's name, lower case. What it says is the domain's, checked by the
// domain before it is written; its version counts edits, and is recorded with each run.

import { z } from "zod";
import type { Policy } from "../../domain/policy.ts";
import { instant } from "./fields.ts";
import type { Place, RowKind } from "./row-kind.ts";
import type { VaultKey } from "./vault-row.ts";

const policy = z.custom<Policy>(
  (value) => typeof value === "object" && value !== null && "schedule" in value && "retention" in value,
);

const body = z.object({
  name: z.string(),
  version: z.number().int(),
  changedAt: instant,
  policy,
});

export type PolicyBody = z.infer<typeof body>;

export const POLICY_ROWS: RowKind<PolicyBody> = { table: "policies", schema: body, noun: "policy" };

export const policyPlace = (vault: VaultKey, name: string): Place => ({ partition: vault, key: name.toLowerCase() });
