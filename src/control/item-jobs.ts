// Carrying out short jobs on items. Every step may be repeated, by another process too: a change is a plain assignment to an
// item that names the job, and the item names it until the job has ended. So a job that died between any two steps goes on
// where it stood, and one that its item does not name (its request died before it got that far) ends without doing anything.

import type { JobRef, StepFailure, StepOutcome } from "../../orchestrations/contracts.ts";
import { assert } from "../base/assert.ts";
import { HoldfastFailure } from "../base/failure.ts";
import { nextItemState } from "../domain/item-states.ts";
import { hasEnded } from "../domain/job.ts";
import { formerWeeklyRuleAfter } from "../domain/policy-change.ts";
import { prepareArchive } from "./archive.ts";
import { settleClaim } from "./claims.ts";
import { finishRegistration, finishUnregistration } from "./containers.ts";
import type { ControlDeps } from "./control-deps.ts";
import { type ItemChange, parseItemChange } from "./item-change.ts";
import { heldItem, itemFactsOf } from "./items.ts";
import { moveSubTask, readJob } from "./job-changes.ts";
import { freeItem, keepSurroundings, removeNewItem } from "./protection.ts";
import { purgeItem } from "./purge.ts";
import { ITEM_ROWS, type ItemBody, itemPlace } from "./rows/item-row.ts";
import type { JobBody } from "./rows/job-row.ts";
import { POLICY_ROWS, policyPlace } from "./rows/policy-row.ts";
import { changeRow, readRow } from "./rows/row-kind.ts";

type Progress = "done" | "pending";

/** Called until it says done, or a failure. */
export async function runItemJob(deps: ControlDeps, ref: JobRef): Promise<StepOutcome<{ readonly state: Progress }>> {
  const job = await readJob(deps, ref);
  const change = parseItemChange(job);
  assert(change, `Job ${job.id} changes nothing`);
  if (!hasEnded(job.status)) {
    await moveSubTask(deps, ref, "Work", "start");
    const outcome = await attempt(deps, ref, job, change);
    if (outcome === "pending") return { state: "pending" };
    if (outcome === "done") await moveSubTask(deps, ref, "Work", "complete");
    else await moveSubTask(deps, ref, "Work", "fail", { failure: outcome });
  }
  const ended = await readJob(deps, ref);
  if (ended.failure && change.kind === "enable") await removeNewItem(deps, ref.vault, job.item, job.id);
  await freeItem(deps, { vault: ref.vault, item: job.item }, job.id);
  return ended.failure ? { failure: ended.failure } : { state: "done" };
}

/** Throws only what another attempt may cure. */
async function attempt(
  deps: ControlDeps,
  ref: JobRef,
  job: JobBody,
  change: ItemChange,
): Promise<Progress | StepFailure> {
  try {
    return await carryOut(deps, ref, job, change);
  } catch (cause) {
    if (!(cause instanceof HoldfastFailure) || cause.kind === "throttled" || cause.kind === "unavailable") throw cause;
    return { code: cause.code, message: cause.message };
  }
}

async function carryOut(deps: ControlDeps, ref: JobRef, job: JobBody, change: ItemChange): Promise<Progress> {
  switch (change.kind) {
    case "enable":
      return enable(deps, ref, job, change);
    case "configure":
      return configure(deps, ref, job, change);
    case "stop":
      return assign(deps, ref, job, (item) => ({ policy: null, state: stateAfter(item, "stop-and-retain") }));
    case "suspend":
      return assign(deps, ref, job, (item) => ({ state: stateAfter(item, "suspend") }));
    case "undelete":
      return assign(deps, ref, job, () => ({ deletedAt: null, purgeAt: null, state: "ProtectionStopped" }));
    case "soft-delete": {
      const { deletedAt, purgeAt } = change;
      return assign(deps, ref, job, () => ({ deletedAt, purgeAt, policy: null, state: "ProtectionStopped" }));
    }
    case "purge":
      return purge(deps, ref, job, change.deletedAt);
    case "register":
      return finishRegistration(deps, ref, job, change.machineId);
    case "unregister":
      return finishUnregistration(deps, ref, job, change.machineId);
  }
}

async function enable(
  deps: ControlDeps,
  ref: JobRef,
  job: JobBody,
  change: Extract<ItemChange, { kind: "enable" }>,
): Promise<Progress> {
  const { body: item } = await heldItem(deps, { vault: ref.vault, item: job.item });
  requireNamed(item, job);
  // The request may have died before it came to this.
  if (!(await settleClaim(deps, item.machineId, job.id))) throw superseded(job);
  await keepSurroundings(deps, ref.vault, change);
  await prepareArchive(deps, ref.vault);
  const extensionNote = noteOf(await deps.machines.read(item.machineId));
  const protectedAt = deps.clock.now().toISOString();
  return assign(deps, ref, job, (body) => ({ extensionNote, protectedAt: body.protectedAt ?? protectedAt }));
}

/** The extension is put in place with a machine's first backup for which its agent is ready. */
function noteOf(machine: { readonly power: string; readonly agent: { readonly state: string } } | undefined) {
  if (machine?.agent.state === "ready") return null;
  if (machine?.power === "running") return "Pending: the agent of the machine is not ready";
  return "Pending: the machine is not running";
}

async function configure(
  deps: ControlDeps,
  ref: JobRef,
  job: JobBody,
  change: Extract<ItemChange, { kind: "configure" }>,
): Promise<Progress> {
  const { policy, disks } = change;
  await keepSurroundings(deps, ref.vault, change);
  const item = await heldItem(deps, { vault: ref.vault, item: job.item });
  const before = item.body.policy === null ? undefined : await readPolicy(deps, ref, item.body.policy);
  const after = await readPolicy(deps, ref, policy);
  const former = item.body.formerWeeklyRule ?? before?.formerWeeklyRule ?? undefined;
  const formerWeeklyRule =
    before && after ? (formerWeeklyRuleAfter(before.policy, after.policy, former) ?? null) : item.body.formerWeeklyRule;
  return assign(deps, ref, job, (body) => {
    const isStopped = body.state === "ProtectionStopped" || body.state === "BackupsSuspended";
    return { policy, disks, formerWeeklyRule, state: stateAfter(body, isStopped ? "resume" : "reconfigure") };
  });
}

async function readPolicy(deps: ControlDeps, { vault }: JobRef, name: string) {
  return (await readRow(deps.tables, POLICY_ROWS, policyPlace(vault, name)))?.body;
}

async function purge(deps: ControlDeps, ref: JobRef, job: JobBody, deletedAt: string): Promise<Progress> {
  const held = await readRow(deps.tables, ITEM_ROWS, itemPlace(ref.vault, job.item));
  // Only this job removes an item that names it; without a name there, somebody else has removed it before.
  if (!held) return "done";
  await assign(deps, ref, job, (item) => ({
    ...{ deletedAt: item.deletedAt ?? deletedAt, purgeAt: item.purgeAt ?? deletedAt },
    ...{ isPurging: true, policy: null, state: "ProtectionStopped" as const },
  }));
  return purgeItem(deps, { vault: ref.vault, item: job.item });
}

/** Only on an item that names the job. */
async function assign(
  deps: ControlDeps,
  { vault }: JobRef,
  job: JobBody,
  change: (item: ItemBody) => Partial<ItemBody>,
): Promise<"done"> {
  await heldItem(deps, { vault, item: job.item });
  await changeRow(deps.tables, ITEM_ROWS, itemPlace(vault, job.item), (item) => {
    requireNamed(item, job);
    return { ...item, ...change(item) };
  });
  return "done";
}

function requireNamed(item: ItemBody, job: JobBody): void {
  if (item.changingJob !== job.id) throw superseded(job);
}

function superseded({ id, item }: JobBody): HoldfastFailure {
  return new HoldfastFailure("conflict", "HoldfastJobSuperseded", `The job ${id} does not change ${item} any more`, {
    hint: "Ask again for what you want.",
  });
}

function stateAfter(
  item: ItemBody,
  event: "stop-and-retain" | "suspend" | "resume" | "reconfigure",
): ItemBody["state"] {
  const state = nextItemState(itemFactsOf(item), event);
  assert(state !== "NotProtected" && state !== "SoftDeleted", `${event} does not lead to ${state}`);
  return state;
}
