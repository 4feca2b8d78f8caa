// Who holds which role where, as the platform's own role assignments say. An implementation may answer from a cache of a
// few minutes. Failures: "throttled" and "unavailable" (try again later), "denied" (the service may not read them).

export interface RoleAssignments {
  /** Every assignment of any of these principals: a caller's own object id, and the groups it is in. */
  of(principalIds: readonly string[]): Promise<readonly RoleAssignment[]>;
}

export interface RoleAssignment {
  readonly principalId: string;
  /** The role's name as the platform shows it: "Backup Operator". */
  readonly role: string;
  /** "/", or the ARM id of a subscription, group or resource. It holds for all that lies below. */
  readonly scope: string;
}
