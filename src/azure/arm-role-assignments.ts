// Role assignments as Azure Resource Manager keeps them. Asked for one caller at a time, groups that it is in included, and
// held for some minutes: as long as Azure itself takes to heed a new assignment.

import { z } from "zod";
import type { Clock } from "../ports/clock.ts";
import type { RoleAssignment, RoleAssignments } from "../ports/role-assignments.ts";
import { asked } from "./azure-failures.ts";

/** A request to ARM by path or by link, answered with its body; fails as Azure's clients do. */
export type ReadArm = (pathOrLink: string, apiVersion: string) => Promise<unknown>;

export interface ArmRoleAssignmentsOptions {
  readonly read: ReadArm;
  readonly subscriptionIds: readonly string[];
  readonly clock: Clock;
}

const API_VERSION = "2022-04-01";
const HELD_MS = 5 * 60_000;
/** Built-in roles do not change their names. */
const NAMES_HELD_MS = 24 * 60 * 60_000;
const MAX_CALLERS = 1_000;

const page = z.object({ value: z.array(z.unknown()), nextLink: z.string().nullish() });
const assignment = z.object({
  properties: z.object({ principalId: z.string(), roleDefinitionId: z.string(), scope: z.string() }),
});
const definition = z.object({ name: z.string(), properties: z.object({ roleName: z.string(), type: z.string() }) });

interface Kept<Value> {
  readonly value: Promise<Value>;
  readonly untilMs: number;
}

export function armRoleAssignments(options: ArmRoleAssignmentsOptions): RoleAssignments {
  const callers = new Map<string, Kept<readonly RoleAssignment[]>>();
  const names = new Map<string, Kept<ReadonlyMap<string, string>>>();
  const roleNames = () => keep(options, names, "names", NAMES_HELD_MS, () => readRoleNames(options));
  return {
    of([callerId = ""]) {
      if (callers.size >= MAX_CALLERS) callers.clear();
      return keep(options, callers, callerId, HELD_MS, async () =>
        readAssignments(options, callerId, await roleNames()),
      );
    },
  };
}

/** Callers that come while an answer is under way share it; a failure is not kept. */
function keep<Value>(
  { clock }: ArmRoleAssignmentsOptions,
  kept: Map<string, Kept<Value>>,
  key: string,
  heldMs: number,
  read: () => Promise<Value>,
): Promise<Value> {
  const nowMs = clock.now().getTime();
  const known = kept.get(key);
  if (known !== undefined && known.untilMs > nowMs) return known.value;
  const value = read();
  kept.set(key, { value, untilMs: nowMs + heldMs });
  value.catch(() => kept.delete(key));
  return value;
}

async function readAssignments(
  { read, subscriptionIds }: ArmRoleAssignmentsOptions,
  callerId: string,
  roleNames: ReadonlyMap<string, string>,
): Promise<readonly RoleAssignment[]> {
  // The id comes from a token, whose issuer wrote it; it is put into a filter all the same.
  if (!/^[0-9a-f-]{36}$/i.test(callerId)) return [];
  const found: RoleAssignment[] = [];
  for (const subscriptionId of subscriptionIds) {
    const filter = encodeURIComponent(`assignedTo('${callerId}')`);
    const path = `${authorizationPath(subscriptionId)}/roleAssignments?$filter=${filter}`;
    for await (const { properties } of entriesOf(read, path, assignment)) {
      const { principalId, roleDefinitionId, scope } = properties;
      const role = roleNames.get(lastPartOf(roleDefinitionId));
      if (role !== undefined) found.push({ principalId, role, scope });
    }
  }
  return found;
}

/** By id. Roles that somebody made up may be called anything, so only built-in ones count. */
async function readRoleNames({
  read,
  subscriptionIds,
}: ArmRoleAssignmentsOptions): Promise<ReadonlyMap<string, string>> {
  const names = new Map<string, string>();
  for (const subscriptionId of subscriptionIds.slice(0, 1)) {
    const path = `${authorizationPath(subscriptionId)}/roleDefinitions`;
    for await (const { name, properties } of entriesOf(read, path, definition)) {
      if (properties.type === "BuiltInRole") names.set(name.toLowerCase(), properties.roleName);
    }
  }
  return names;
}

async function* entriesOf<Entry>(read: ReadArm, path: string, schema: z.ZodType<Entry>): AsyncGenerator<Entry> {
  for (let next: string | null | undefined = path; typeof next === "string"; ) {
    const { value, nextLink }: z.infer<typeof page> = page.parse(await ask(read, next));
    for (const entry of value) yield schema.parse(entry);
    next = nextLink;
  }
}

const ask = (read: ReadArm, pathOrLink: string): Promise<unknown> =>
  asked("Role assignments", () => read(pathOrLink, API_VERSION));

const authorizationPath = (subscriptionId: string): string =>
  `/subscriptions/${subscriptionId}/providers/Microsoft.Authorization`;

const lastPartOf = (id: string): string => (id.split("/").at(-1) ?? "").toLowerCase();
