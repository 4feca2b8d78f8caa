// Asking for changes of a machine's protection: each is checked here, written down as a short job, and carried out by it
// (item-jobs.ts).
//
// Order of writes: the job, then the item, which from then on names the job as the one that changes it. That second write
// decides: of two requests one names its job there, and a job that its item does not name changes nothing. Only afterwards
// a request makes sure of vault and policy, for whoever deletes them looks at the items before.

import { HoldfastFailure } from "../base/failure.ts";
import { parseItemName, renderContainerName, renderContainerProperty, renderItemName } from "../domain/arm-ids.ts";
import { itemIdOf } from "../domain/item-id.ts";
import { type ItemEvent, nextItemState, purgeTimeOf } from "../domain/item-states.ts";
import { deletionEventOf, refuseWhileImmutable } from "../domain/vault-rules.ts";
import type { Machine } from "../ports/machines.ts";
import { settleClaim, takeClaim } from "./claims.ts";
import type { ControlDeps } from "./control-deps.ts";
import { ALL_DISKS, type DiskChoice, examineMachine, machineNamesOf } from "./discovery.ts";
import type { ItemChange } from "./item-change.ts";
import { heldItem, type ItemRef, itemFactsOf } from "./items.ts";
import { isJobOver } from "./jobs.ts";
import { getPolicy, keepPolicy } from "./policies.ts";
import { ITEM_ROWS, type ItemBody, itemPlace } from "./rows/item-row.ts";
import type { JobBody } from "./rows/job-row.ts";
import { changeRow, type Held, insertRow, readRow, removeHeldRow, replaceRow } from "./rows/row-kind.ts";
import type { VaultBody, VaultKey } from "./rows/vault-row.ts";
import { type Accepted, insertShortJob, startShortJob, takeBackJob } from "./short-jobs.ts";
import { keepVault, requireVault } from "./vaults.ts";

export interface ProtectRequest extends ItemRef {
  readonly machineId: string;
  /** The policy's name. */
  readonly policy: string;
  /** Absent: all disks of a new item, those of before of another one. */
  readonly disks?: DiskChoice | undefined;
}

/** Enables protection, changes policy or disks, or resumes: the item's state tells which. */
export async function protectMachine(deps: ControlDeps, request: ProtectRequest): Promise<Accepted> {
  const { vault, item, policy } = request;
  const { body: owner } = await requireVault(deps, vault);
  requireSameMachine(item, request.machineId);
  const { name: policyName } = await getPolicy(deps, { vault, policy });
  const found = await readRow(deps.tables, ITEM_ROWS, itemPlace(vault, item));
  if (!found) return enable(deps, owner, { ...request, policy: policyName });
  return changeItem(deps, request, (body) => ({
    event: isStopped(body) ? "resume" : "reconfigure",
    change: { kind: "configure", policy: policyName, disks: request.disks ?? body.disks },
    properties: { "Policy Name": policyName },
  }));
}

/** Every recovery point is kept for good. */
export function stopProtection(deps: ControlDeps, ref: ItemRef): Promise<Accepted> {
  return changeItem(deps, ref, () => ({ event: "stop-and-retain", change: { kind: "stop" } }));
}

/** Recovery points go as the policy says, but for the last. */
export function suspendBackups(deps: ControlDeps, ref: ItemRef): Promise<Accepted> {
  return changeItem(deps, ref, () => ({ event: "suspend", change: { kind: "suspend" } }));
}

export function undeleteItem(deps: ControlDeps, ref: ItemRef): Promise<Accepted> {
  const properties = { "Undelete flag": "True" };
  return changeItem(deps, ref, () => ({ event: "undelete", change: { kind: "undelete" }, properties }));
}

/** Stops protection and deletes its data: for a while so that it can be undone, as the vault is set. */
export async function deleteItem(deps: ControlDeps, ref: ItemRef): Promise<Accepted> {
  const { body: owner } = await requireVault(deps, ref.vault);
  const event = deletionEventOf({ state: owner.softDelete.state, retentionDays: owner.softDelete.days });
  return changeItem(deps, ref, (item) => {
    refuseWhileImmutable(owner.immutability, "Deleting backup data", undefined);
    const now = deps.clock.now();
    const deletedAt = item.deletedAt ?? now.toISOString();
    if (event === "purge") return { event, change: { kind: "purge", deletedAt } };
    const purgeAt = item.purgeAt ?? purgeTimeOf(now, owner.softDelete.days).toISOString();
    return { event, change: { kind: "soft-delete", deletedAt, purgeAt } };
  });
}

interface Decision {
  readonly event: ItemEvent;
  readonly change: ItemChange;
  readonly properties?: JobBody["properties"];
}

async function enable(deps: ControlDeps, owner: VaultBody, request: ProtectRequest): Promise<Accepted> {
  const { vault, policy, disks = ALL_DISKS } = request;
  const { machine, refusal } = await examineMachine(deps, { owner, vault, machineId: request.machineId, disks });
  if (refusal) throw refusal;
  if (!machine) throw new HoldfastFailure("not-found", "BCMV2VMNotFound", `There is no machine ${request.machineId}`);
  const fresh = newItem(machine, policy, disks);
  const change: ItemChange = { kind: "enable", policy, disks };
  const job = await insertShortJob(deps, vault, fresh, change, { "Policy Name": policy });
  const item: ItemBody = { ...fresh, changingJob: job.id };
  try {
    await standItem(deps, vault, item, job.id);
    await keepSurroundings(deps, vault, change);
  } catch (cause) {
    // Nothing was promised to anybody yet. A crash leaves the same to the job, which finds out for itself.
    await removeNewItem(deps, vault, item.name, job.id);
    await takeBackJob(deps, vault, job);
    throw cause;
  }
  return startShortJob(deps, vault, job);
}

/** The machine claimed, the item inserted, the claim settled: see claims.ts for why in this order. */
async function standItem(deps: ControlDeps, vault: VaultKey, item: ItemBody, job: string): Promise<void> {
  await takeClaim(deps, item.machineId, { vault, item: item.name, container: item.containerName, job });
  if (!(await insertRow(deps.tables, ITEM_ROWS, itemPlace(vault, item.name), item))) {
    const standing = await readRow(deps.tables, ITEM_ROWS, itemPlace(vault, item.name));
    if (standing?.body.changingJob !== job) throw conflicting(item.name, standing?.body.changingJob ?? undefined);
  }
  if (!(await settleClaim(deps, item.machineId, job))) throw conflicting(item.name, undefined);
}

/** An item that this job has made, and that nothing was done with yet. */
export async function removeNewItem(deps: ControlDeps, vault: VaultKey, name: string, job: string): Promise<void> {
  const held = await readRow(deps.tables, ITEM_ROWS, itemPlace(vault, name));
  if (held?.body.changingJob === job && held.body.protectedAt === null)
    await removeHeldRow(deps.tables, ITEM_ROWS, held);
}

async function changeItem(deps: ControlDeps, ref: ItemRef, decide: (item: ItemBody) => Decision): Promise<Accepted> {
  const { vault } = ref;
  const decisionOn = async ({ body }: Held<ItemBody>): Promise<Decision> => {
    const decision = decide(body);
    nextItemState(itemFactsOf(body), decision.event);
    await requireUnchanging(deps, vault, body);
    return decision;
  };
  let held = await heldItem(deps, ref);
  const { change, properties } = await decisionOn(held);
  const job = await insertShortJob(deps, vault, held.body, change, properties);
  try {
    while (!(await replaceRow(deps.tables, ITEM_ROWS, held, { ...held.body, changingJob: job.id }))) {
      held = await heldItem(deps, ref);
      if (held.body.changingJob === job.id) break;
      await decisionOn(held);
    }
    await keepSurroundings(deps, vault, change);
  } catch (cause) {
    await freeItem(deps, ref, job.id);
    await takeBackJob(deps, vault, job);
    throw cause;
  }
  return startShortJob(deps, vault, job);
}

/** The item no longer names the job as the one that changes it. */
export async function freeItem(deps: ControlDeps, { vault, item }: ItemRef, job: string): Promise<void> {
  if (!(await readRow(deps.tables, ITEM_ROWS, itemPlace(vault, item)))) return;
  await changeRow(deps.tables, ITEM_ROWS, itemPlace(vault, item), (body) =>
    body.changingJob === job ? { ...body, changingJob: null } : undefined,
  );
}

/** Of an item that was written: its vault and its policy are there, and stay. */
export async function keepSurroundings(deps: ControlDeps, vault: VaultKey, change: ItemChange): Promise<void> {
  if (change.kind === "enable") await keepVault(deps, vault);
  if ("policy" in change) await keepPolicy(deps, { vault, policy: change.policy });
}

async function requireUnchanging(deps: ControlDeps, vault: VaultKey, item: ItemBody): Promise<void> {
  if (item.isPurging) {
    throw new HoldfastFailure(
      "conflict",
      "HoldfastItemBeingPurged",
      `The data of ${item.machineName} is being removed`,
      {
        hint: "Wait until it is gone.",
      },
    );
  }
  const { changingJob: job } = item;
  if (job !== null && !(await isJobOver(deps, { vault, job }))) throw conflicting(item.name, job);
}

function conflicting(item: string, job: string | undefined): HoldfastFailure {
  const what = job === undefined ? "Another request" : `The job ${job}`;
  return new HoldfastFailure(
    "conflict",
    "BMSUserErrorConflictingProtectionOperation",
    `${what} changes the protection of ${item} at this moment`,
    { hint: "Wait until it has ended, and try again." },
  );
}

function newItem(machine: Machine, policy: string, disks: DiskChoice): ItemBody {
  const names = machineNamesOf(machine.id);
  return {
    name: renderItemName(names),
    containerName: renderContainerName(names),
    machineKind: machine.kind,
    machineId: machine.id,
    machineName: machine.name,
    archiveItem: itemIdOf(machine.id),
    ...{ policy, disks, state: "IRPending", protectedAt: null, lastBackup: null, lastPointAt: null },
    ...{ deletedAt: null, purgeAt: null, isPurging: false, formerWeeklyRule: null },
    ...{ extensionNote: null, changingJob: null, collectionNumber: 1 },
  };
}

function requireSameMachine(item: string, machineId: string): void {
  const names = parseItemName(item);
  if (
    renderContainerProperty(names).toLowerCase() === renderContainerProperty(machineNamesOf(machineId)).toLowerCase()
  ) {
    return;
  }
  throw new HoldfastFailure(
    "invalid",
    "BMSUserErrorInvalidConfigureProtectionRequest",
    `The item ${item} is not the one of the machine ${machineId}`,
  );
}

const isStopped = ({ state }: ItemBody): boolean => state === "ProtectionStopped" || state === "BackupsSuspended";
