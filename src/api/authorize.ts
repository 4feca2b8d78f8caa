// Whether a caller may do something somewhere: one of its role assignments holds at that scope, and the role allows it.
// The same question is asked of the resources that a request names besides its own: the machine, and where disks go.

import { HoldfastFailure } from "../base/failure.ts";
import { mayDo } from "../domain/roles.ts";
import type { RoleAssignments } from "../ports/role-assignments.ts";
import type { Caller } from "./authenticate.ts";

export async function demand(
  assignments: RoleAssignments,
  caller: Caller,
  action: string,
  scope: string,
): Promise<void> {
  const held = await assignments.of(caller.principalIds);
  if (held.some((one) => isWithin(scope, one.scope) && mayDo(one.role, action))) return;
  throw new HoldfastFailure(
    "denied",
    "AuthorizationFailed",
    `The client '${caller.displayName}' with object id '${caller.objectId}' may not perform '${action}' over '${scope}'`,
    { hint: "It needs a role assignment there, or above; a new one may take some minutes to be seen." },
  );
}

/** Whether an id is a scope or lies below it. */
export function isWithin(id: string, scope: string): boolean {
  const [lower, above] = [id.toLowerCase(), scope.toLowerCase().replace(/\/+$/, "")];
  return above === "" || lower === above || lower.startsWith(`${above}/`);
}
