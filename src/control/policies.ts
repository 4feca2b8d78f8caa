// Policies of a vault: writing, reading, deleting, and when they run next.

import { isDeepStrictEqual } from "node:util";
import { HoldfastFailure } from "../base/failure.ts";
import { LIMITS } from "../domain/limits.ts";
import type { Policy } from "../domain/policy.ts";
import { formerWeeklyRuleAfter, shortenedRules } from "../domain/policy-change.ts";
import { requireValidPolicy } from "../domain/policy-validation.ts";
import { nextOccurrences } from "../domain/schedule.ts";
import { refuseWhileImmutable } from "../domain/vault-rules.ts";
import type { ControlDeps } from "./control-deps.ts";
import { parseItemChange } from "./item-change.ts";
import { type Page, type PageRequest, pageOfRows } from "./paging.ts";
import { ITEM_ROWS, type ItemBody } from "./rows/item-row.ts";
import { JOB_ROWS, jobPlace } from "./rows/job-row.ts";
import { newPolicy, POLICY_ROWS, type PolicyBody, policyPlace } from "./rows/policy-row.ts";
import { changeRow, insertRow, listRows, readRow, removeHeldRow, replaceRow, swapRow } from "./rows/row-kind.ts";
import type { VaultBody, VaultKey } from "./rows/vault-row.ts";
import { requireVault } from "./vaults.ts";

/** What any client writes: all of a policy but what is ours alone. */
export type WrittenPolicy = Omit<Policy, "everyMinutes">;

export interface PolicyRef {
  readonly vault: VaultKey;
  readonly policy: string;
}

/** A PUT. What is ours alone stays as it is; so does the version when nothing changes. */
export async function putPolicy(
  deps: ControlDeps,
  { vault, policy: name, written }: PolicyRef & { readonly written: WrittenPolicy },
): Promise<{ readonly policy: PolicyBody; readonly isNew: boolean }> {
  requirePolicyName(name);
  for (;;) {
    // Before the vault: so what a later vault of the name has put there is never taken for a leftover, and replaced.
    const found = await readRow(deps.tables, POLICY_ROWS, policyPlace(vault, name));
    const { body: owner } = await requireVault(deps, vault);
    const before = found && isOf(owner, found.body) ? found : undefined;
    if (before) {
      const next = editedPolicy(deps, owner, before.body, written);
      if (await replaceRow(deps.tables, POLICY_ROWS, before, next)) return { policy: next, isNew: false };
      continue;
    }
    requireValidPolicy(written);
    await requireRoom(deps, owner, vault);
    const fresh = newPolicy(name, written, { vaultIncarnation: owner.incarnation, now: nowOf(deps) });
    const isWritten = found
      ? await replaceRow(deps.tables, POLICY_ROWS, found, fresh)
      : await insertRow(deps.tables, POLICY_ROWS, policyPlace(vault, name), fresh);
    if (isWritten) return { policy: fresh, isNew: true };
  }
}

/** The sub-resource that only we have: a run every so many minutes; null takes it away. */
export async function setEveryMinutes(
  deps: ControlDeps,
  { vault, policy: name, everyMinutes }: PolicyRef & { readonly everyMinutes: number | null },
): Promise<PolicyBody> {
  await getPolicy(deps, { vault, policy: name });
  return changeRow(deps.tables, POLICY_ROWS, policyPlace(vault, name), (body) => {
    const { everyMinutes: before = null, ...written } = body.policy;
    if (before === everyMinutes) return undefined;
    const policy = everyMinutes === null ? written : { ...written, everyMinutes };
    requireValidPolicy(policy, body.policy);
    return { ...body, policy, version: body.version + 1, changedAt: nowOf(deps), deletingSince: null };
  });
}

export async function getPolicy(deps: ControlDeps, { vault, policy: name }: PolicyRef): Promise<PolicyBody> {
  const { body: owner } = await requireVault(deps, vault);
  return (await heldPolicy(deps, owner, vault, name)).body;
}

export async function listPolicies(
  deps: ControlDeps,
  { vault, ...page }: { readonly vault: VaultKey } & PageRequest<PolicyBody>,
): Promise<Page<PolicyBody>> {
  const { body: owner } = await requireVault(deps, vault);
  return pageOfRows(deps.tables, POLICY_ROWS, vault, {
    ...page,
    matches: (policy) => isOf(owner, policy) && (page.matches?.(policy) ?? true),
  });
}

/** Flag, look, remove: as with vaults (vaults.ts), with whoever puts an item under the policy. */
export async function deletePolicy(
  deps: ControlDeps,
  { vault, policy: name }: PolicyRef,
): Promise<"deleted" | "absent"> {
  for (;;) {
    const { body: owner } = await requireVault(deps, vault);
    const found = await readRow(deps.tables, POLICY_ROWS, policyPlace(vault, name));
    if (!found || !isOf(owner, found.body)) return "absent";
    const flagged = await swapRow(deps.tables, POLICY_ROWS, found, { ...found.body, deletingSince: nowOf(deps) });
    if (!flagged) continue;
    const users = await usersOf(deps, vault, name);
    if (users.length > 0) {
      await replaceRow(deps.tables, POLICY_ROWS, flagged, { ...flagged.body, deletingSince: null });
      throw policyInUse(found.body.name, users);
    }
    if (await removeHeldRow(deps.tables, POLICY_ROWS, flagged)) return "deleted";
  }
}

/** How many items each policy has, by its name in lower case; soft-deleted and stopped ones have none. */
export async function countItemsByPolicy(deps: ControlDeps, vault: VaultKey): Promise<ReadonlyMap<string, number>> {
  const counts = new Map<string, number>();
  for await (const { body } of listRows(deps.tables, ITEM_ROWS, vault)) {
    if (body.policy === null) continue;
    const key = body.policy.toLowerCase();
    counts.set(key, (counts.get(key) ?? 0) + 1);
  }
  return counts;
}

export function nextRunTimes(deps: ControlDeps, policy: PolicyBody, count: number): Date[] {
  return nextOccurrences(policy.policy, deps.clock.now(), count).map(({ scheduledAt }) => scheduledAt);
}

export function nextRunTime(deps: ControlDeps, policy: PolicyBody): Date | undefined {
  return nextRunTimes(deps, policy, 1)[0];
}

/** For who has put an item under a policy: it is there, and whoever was about to delete it looks again. */
export async function keepPolicy(deps: ControlDeps, { vault, policy: name }: PolicyRef): Promise<void> {
  for (;;) {
    const { body: owner } = await requireVault(deps, vault);
    const held = await heldPolicy(deps, owner, vault, name);
    if (held.body.deletingSince === null) return;
    await replaceRow(deps.tables, POLICY_ROWS, held, { ...held.body, deletingSince: null });
  }
}

async function heldPolicy(deps: ControlDeps, owner: VaultBody, vault: VaultKey, name: string) {
  const held = await readRow(deps.tables, POLICY_ROWS, policyPlace(vault, name));
  if (held && isOf(owner, held.body)) return held;
  throw new HoldfastFailure("not-found", "BMSUserErrorPolicyNotFound", `There is no policy "${name}" in this vault`);
}

function editedPolicy(deps: ControlDeps, owner: VaultBody, before: PolicyBody, written: WrittenPolicy): PolicyBody {
  const { everyMinutes } = before.policy;
  const policy: Policy = everyMinutes === undefined ? written : { ...written, everyMinutes };
  requireValidPolicy(policy, before.policy);
  if (shortenedRules(before.policy.retention, policy.retention).length > 0) {
    refuseWhileImmutable(owner.immutability, "Shortening retention", undefined);
  }
  if (isDeepStrictEqual(before.policy, policy)) return { ...before, deletingSince: null };
  const former = formerWeeklyRuleAfter(before.policy, policy, before.formerWeeklyRule ?? undefined);
  return {
    ...before,
    policy,
    version: before.version + 1,
    changedAt: nowOf(deps),
    deletingSince: null,
    formerWeeklyRule: former ?? null,
  };
}

async function requireRoom(deps: ControlDeps, owner: VaultBody, vault: VaultKey): Promise<void> {
  let count = 0;
  for await (const { body } of listRows(deps.tables, POLICY_ROWS, vault)) if (isOf(owner, body)) count++;
  if (count < LIMITS.policiesPerVault) return;
  throw new HoldfastFailure(
    "conflict",
    "HoldfastTooManyPolicies",
    `The vault has ${count} policies, and ${LIMITS.policiesPerVault} are the most`,
  );
}

/** Names of items that are under a policy, or are about to be: a job that puts one there has its row before the item's. */
async function usersOf(deps: ControlDeps, vault: VaultKey, name: string): Promise<string[]> {
  const users: string[] = [];
  for await (const { body } of listRows(deps.tables, ITEM_ROWS, vault)) {
    if (sameText(body.policy, name) || (await isChangingTo(deps, vault, body, name))) users.push(body.name);
  }
  return users;
}

async function isChangingTo(deps: ControlDeps, vault: VaultKey, item: ItemBody, name: string): Promise<boolean> {
  if (item.changingJob === null) return false;
  const job = await readRow(deps.tables, JOB_ROWS, jobPlace(vault, item.changingJob));
  const change = job && parseItemChange(job.body);
  return change !== undefined && "policy" in change && sameText(change.policy, name);
}

function policyInUse(name: string, users: readonly string[]): HoldfastFailure {
  return new HoldfastFailure(
    "invalid",
    "BMSUserErrorPolicyInUse",
    `The policy ${name} cannot be deleted: ${users.length} items use it, ${users.slice(0, 3).join(", ")} among them`,
    { hint: "Give them another policy, or stop their protection." },
  );
}

function requirePolicyName(name: string): void {
  if (/^[a-z][a-z0-9_!-]{2,149}$/i.test(name)) return;
  throw new HoldfastFailure(
    "invalid",
    "BMSUserErrorInvalidPolicyInput",
    `The policy name "${name}" cannot be used: it begins with a letter and has 3 to 150 letters, digits and - _ !`,
  );
}

/** A row that an earlier vault of this name left behind is no policy of this one. */
const isOf = (owner: VaultBody, policy: PolicyBody): boolean => policy.vaultIncarnation === owner.incarnation;
const sameText = (one: string | null | undefined, other: string): boolean => one?.toLowerCase() === other.toLowerCase();
const nowOf = (deps: ControlDeps): string => deps.clock.now().toISOString();
