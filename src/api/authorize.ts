// Whether a caller may do something somewhere: one of its role assignments holds at that scope, and the role allows it.
// What a role of Azure Backup allows is the domain's table; beside those, Azure's general roles count. The same question
// is asked of what a request names besides its own path: the machine that is read, and the group that disks go to.

import { HoldfastFailure } from "../base/failure.ts";
import { isPermitted, notPermitted, type Operation, ROLES, type Role } from "../domain/roles.ts";
import type { RoleAssignment } from "../ports/role-assignments.ts";

/** What else a request may reach for, with the service's own rights: the caller's must suffice too. */
export type Reach = "machine" | "restore-target";

const REACH_ROLES: Readonly<Record<Reach, readonly string[]>> = {
  // A backup role whose scope takes in the machine was granted for that machine; one on the vault alone was not.
  machine: ["Owner", "Contributor", "Virtual Machine Contributor", "Backup Contributor", "Backup Operator"],
  "restore-target": ["Owner", "Contributor", "Virtual Machine Contributor", "Backup Contributor", "Backup Operator"],
};

type Held = readonly RoleAssignment[];

export function requireOperation(held: Held, operation: Operation, scope: string): void {
  if (!held.some((one) => isWithin(scope, one.scope) && allows(one.role, operation)))
    throw notPermitted(operation, scope);
}

export function requireReach(held: Held, reach: Reach, scope: string): void {
  const roles = REACH_ROLES[reach];
  if (held.some((one) => isWithin(scope, one.scope) && roles.includes(one.role))) return;
  const what = reach === "machine" ? "back up or restore the machine" : "create disks in";
  const message = `The client does not have authorization to ${what} "${scope}" through a vault`;
  throw new HoldfastFailure("denied", "LinkedAuthorizationFailed", message, {
    hint: `It takes one of the roles ${roles.join(", ")} there: rights on the vault alone do not reach it.`,
  });
}

function allows(role: string, operation: Operation): boolean {
  if (role === "Owner" || role === "Contributor") return true;
  if (role === "Reader") return isPermitted("Backup Reader", operation);
  return isBackupRole(role) && isPermitted(role, operation);
}

const isBackupRole = (role: string): role is Role => ROLES.some((one) => one === role);

/** Whether an id is a scope or lies below it. */
export function isWithin(id: string, scope: string): boolean {
  const [lower, above] = [id.toLowerCase(), scope.toLowerCase().replace(/\/+$/, "")];
  return above === "" || lower === above || lower.startsWith(`${above}/`);
}
