// What each role may do, as one table. As in Azure: a Reader looks; an Operator runs backups and restores, enables and
// stops protection, but removes no backup and manages neither policies nor vaults; a Contributor does all that.

import { HoldfastFailure } from "../base/failure.ts";

export const ROLES = ["Backup Contributor", "Backup Operator", "Backup Reader"] as const;
export type Role = (typeof ROLES)[number];

export const OPERATIONS = [
  "vaults/read",
  "vaults/write",
  "vaults/delete",
  "vaults/settings/read",
  "vaults/settings/write",
  "policies/read",
  "policies/write",
  "policies/delete",
  "containers/read",
  "containers/write",
  "containers/delete",
  "containers/refresh",
  "items/read",
  "items/enable",
  "items/reconfigure",
  /** To put an item under a policy that keeps less: that removes backups, if later. */
  "items/shorten",
  "items/stop",
  "items/resume",
  "items/delete",
  "items/undelete",
  "items/backup",
  "points/read",
  "points/restore",
  "points/hold",
  "points/delete",
  "jobs/read",
  "jobs/cancel",
  "jobs/export",
] as const;
export type Operation = (typeof OPERATIONS)[number];

const READS = OPERATIONS.filter((operation) => operation.endsWith("/read"));

const RUNS: readonly Operation[] = [
  "containers/refresh",
  "containers/write",
  "items/enable",
  "items/reconfigure",
  "items/stop",
  "items/resume",
  "items/undelete",
  "items/backup",
  "points/restore",
  "jobs/cancel",
  "jobs/export",
];

const PERMITTED: Readonly<Record<Role, ReadonlySet<Operation>>> = {
  "Backup Reader": new Set([...READS, "jobs/export"]),
  "Backup Operator": new Set([...READS, ...RUNS]),
  // Giving access is no operation of ours at all: assignments are made where the roles are.
  "Backup Contributor": new Set(OPERATIONS),
};

export const isPermitted = (role: Role, operation: Operation): boolean => PERMITTED[role].has(operation);

/** The least role that may do it, for the message of a refusal. */
export function leastRoleFor(operation: Operation): Role {
  return ROLES.findLast((role) => isPermitted(role, operation)) ?? "Backup Contributor";
}

export function notPermitted(operation: Operation, scope: string): HoldfastFailure {
  return new HoldfastFailure(
    "denied",
    "AuthorizationFailed",
    `The client does not have authorization to perform "${operation}" over scope "${scope}"`,
    { hint: `It takes the role ${leastRoleFor(operation)} on this scope, or on the group or subscription around it.` },
  );
}
