// One call of the API, as routes see it: who calls, which names its path holds, its query and body, and what answers are
// made of. A route says what it does as data, so that authorization, audit and documentation come from one table.

import type { ControlDeps } from "../control/control-deps.ts";
import type { Operation } from "../domain/roles.ts";
import type { Caller } from "./authenticate.ts";
import type { Reach } from "./authorize.ts";
import type { Filter } from "./filter.ts";
import type { Links } from "./links.ts";
import type { AskedPage } from "./paging.ts";

export interface ApiCall {
  readonly deps: ControlDeps;
  readonly caller: Caller;
  /** A name from the path, in the casing of the client. */
  name(parameter: string): string;
  /** The path with the names as the client wrote them, keywords as Azure writes them. */
  readonly path: string;
  readonly query: ReadonlyMap<string, string>;
  readonly filter: Filter;
  readonly links: Links;
  readonly page: AskedPage;
  /** Parsed JSON; undefined when there is none. */
  readonly body: unknown;
  /** Throws "denied" unless the caller may do this too, in the vault of the path. */
  requireOperation(operation: Operation): Promise<void>;
  /** Throws "denied" unless the caller itself has rights over something that the request names. */
  requireReach(reach: Reach, id: string): Promise<void>;
}

export interface Answer {
  readonly status: number;
  readonly body?: unknown;
  readonly headers?: Readonly<Record<string, string>>;
}

export type Method = "GET" | "PUT" | "PATCH" | "POST" | "DELETE";

export interface Route {
  readonly method: Method;
  /** Begins with one of the PATHS; parameters are in braces. */
  readonly path: string;
  /** What the caller must be allowed; of some requests only the body tells. */
  readonly operation: Operation | "anyone" | ((call: ApiCall) => Operation);
  /** Changes something: it is written to the audit. */
  readonly isChange: boolean;
  readonly handle: (call: ApiCall) => Promise<Answer>;
}

const GROUP = "/subscriptions/{subscription}/resourceGroups/{group}";
const PROVIDER = "providers/Microsoft.RecoveryServices";
const VAULT = `${GROUP}/${PROVIDER}/vaults/{vault}`;
const CONTAINER = `${VAULT}/backupFabrics/{fabric}/protectionContainers/{container}`;
const ITEM = `${CONTAINER}/protectedItems/{item}`;

export const PATHS = {
  subscription: `/subscriptions/{subscription}/${PROVIDER}`,
  group: `${GROUP}/${PROVIDER}`,
  location: `/subscriptions/{subscription}/${PROVIDER}/locations/{location}`,
  vault: VAULT,
  fabric: `${VAULT}/backupFabrics/{fabric}`,
  container: CONTAINER,
  item: ITEM,
  point: `${ITEM}/recoveryPoints/{point}`,
} as const;

export const ok = (body: unknown): Answer => ({ status: 200, body });
