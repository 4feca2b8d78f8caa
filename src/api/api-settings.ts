// What a deployment decides about its API. The rest of what the API works with are the use cases' own dependencies.

import type { KeySets } from "../ports/key-sets.ts";
import type { RoleAssignments } from "../ports/role-assignments.ts";

export interface ApiSettings {
  /** As clients see the service: scheme, host, and a path prefix if there is one; no slash at the end. It wins over all else. */
  readonly publicUrl: string | undefined;
  /** Whoever connects is a proxy whose forwarded headers are believed. Configured, for no trigger is told who connected. */
  readonly isBehindProxy: boolean;
  readonly issuers: readonly TrustedIssuer[];
  /** Where callers without a token are sent for one: https://login.microsoftonline.com/<tenant>. */
  readonly authorityUrl: string;
  /** Entries of a list in one answer. */
  readonly pageSize: number;
  readonly maxBodyBytes: number;
}

export interface TrustedIssuer {
  /** The `iss` claim, to the letter. */
  readonly issuer: string;
  readonly keysUrl: string;
  /** The service's own; those of ARM only where the issuer is the simulated Azure, whose tokens open nothing else. */
  readonly audiences: readonly string[];
}

/** The API's own ways to the world, beside those of the use cases. */
export interface ApiPorts {
  readonly keySets: KeySets;
  readonly roleAssignments: RoleAssignments;
  /** Told of every failure that its caller cannot act on; the answer carries the request id alone. */
  readonly onInternalError: (cause: unknown, requestId: string) => void;
}
