// Restoring from a recovery point: every conflict with what is there already is found before anything is created.

import { RESTORE } from "../../orchestrations/contracts.ts";
import { assert } from "../base/assert.ts";
import { HoldfastFailure } from "../base/failure.ts";
import { parseResourceGroupId } from "../domain/arm-ids.ts";
import { nextItemState } from "../domain/item-states.ts";
import { jobIdOf } from "../domain/job-id.ts";
import {
  decideRestore,
  type RestoreConflict,
  type RestorePlan,
  type RestoreRequest,
  type RestoreTarget,
} from "../domain/restore-request.ts";
import { regionKey } from "../domain/vault-rules.ts";
import type { ControlDeps } from "./control-deps.ts";
import { randomNonce } from "./ids.ts";
import { getItem, type ItemRef, itemFactsOf } from "./items.ts";
import { newJob } from "./new-job.ts";
import { createOperation } from "./operations.ts";
import { getPoint, isRestorable } from "./points.ts";
import type { ItemBody } from "./rows/item-row.ts";
import { JOB_ROWS, jobPlace, type RestoreWork } from "./rows/job-row.ts";
import type { PointBody } from "./rows/point-row.ts";
import { insertRow } from "./rows/row-kind.ts";
import type { VaultBody } from "./rows/vault-row.ts";
import type { Accepted } from "./short-jobs.ts";
import { requireVault } from "./vaults.ts";

export interface RestoreOf extends ItemRef {
  readonly pointId: string;
  readonly request: RestoreRequest;
  /** Of the new disks. */
  readonly zones?: readonly string[] | undefined;
}

/** Every conflict, none of them thrown. */
export async function validateRestore(deps: ControlDeps, wanted: RestoreOf): Promise<readonly RestoreConflict[]> {
  const examined = await examine(deps, wanted);
  return "conflicts" in examined ? examined.conflicts : [];
}

export async function startRestore(deps: ControlDeps, wanted: RestoreOf): Promise<Accepted> {
  const { vault } = wanted;
  const examined = await examine(deps, wanted);
  if ("conflicts" in examined) throw refused(examined.conflicts);
  const { owner, item, point, plan } = examined;
  const now = deps.clock.now();
  const subject = `${vault}/${item.name.toLowerCase()}`;
  const id = jobIdOf({ kind: "Restore", subject, at: now, nonce: randomNonce(deps.random) });
  const restore = workOf(owner, point, plan, wanted);
  const job = newJob({
    ...{ id, subject: item, isUserTriggered: true, now, work: { restore } },
    kind: { operation: "Restore", recoveryType: restore.recoveryType },
    properties: propertiesOf(restore, point),
  });
  await insertRow(deps.tables, JOB_ROWS, jobPlace(vault, id), job);
  const { operationId } = await createOperation(deps, vault, { job: id, endsWithJob: false });
  await deps.workflow.start(RESTORE.name, id, { vault, job: id });
  return { jobId: id, operationId };
}

interface Examined {
  readonly owner: VaultBody;
  readonly item: ItemBody;
  readonly point: PointBody;
  readonly plan: RestorePlan;
}

async function examine(
  deps: ControlDeps,
  { vault, item: name, pointId, request }: RestoreOf,
): Promise<Examined | { readonly conflicts: readonly RestoreConflict[] }> {
  const { body: owner } = await requireVault(deps, vault);
  const item = await getItem(deps, { vault, item: name });
  nextItemState(itemFactsOf(item), "restore");
  const point = await getPoint(deps, { vault, item: name, pointId });
  if (!isRestorable(point)) {
    throw new HoldfastFailure(
      "conflict",
      "UserErrorInstantRpNotFound",
      `Nothing of recovery point ${pointId} is left`,
      {
        hint: "Choose another recovery point.",
      },
    );
  }
  const decision = decideRestore(request, await factsOf(deps, owner, item, point, request));
  const placed = decision.verdict === "possible" ? decision.plan.target : undefined;
  const conflicts = [
    ...(decision.verdict === "refused" ? decision.conflicts : []),
    ...(placed ? await targetConflicts(deps, placed) : []),
    ...(await stagingConflicts(deps, owner, request)),
  ];
  if (conflicts.length > 0) return { conflicts };
  assert(decision.verdict === "possible", "A refused restore names its conflicts");
  return { owner, item, point, plan: decision.plan };
}

async function factsOf(
  deps: ControlDeps,
  owner: VaultBody,
  item: ItemBody,
  point: PointBody,
  { recoveryType, targetVirtualMachineId }: RestoreRequest,
) {
  const machine = recoveryType === "OriginalLocation" ? await deps.machines.read(item.machineId) : undefined;
  const target = targetVirtualMachineId === undefined ? undefined : await deps.machines.read(targetVirtualMachineId);
  return {
    region: owner.location,
    disks: point.snapshot.disks,
    original: machine && {
      id: machine.id,
      isDeallocated: machine.power === "deallocated",
      luns: machine.disks.map(({ lun }) => lun),
    },
    targetExists: target !== undefined,
  };
}

async function targetConflicts(deps: ControlDeps, target: RestoreTarget): Promise<RestoreConflict[]> {
  if (target.kind !== "disks") {
    const message =
      "this release restores disks into a resource group; name one, and make the machine from its template";
    return [{ code: "HoldfastRecoveryTypeNotSupported", field: "recoveryType", message }];
  }
  const field = "targetResourceGroupId";
  const { subscriptionId, resourceGroup } = parseResourceGroupId(target.resourceGroupId);
  if (!deps.settings.subscriptionIds.some((known) => known.toLowerCase() === subscriptionId.toLowerCase())) {
    const message = `this deployment does not serve the subscription ${subscriptionId}`;
    return [{ code: "HoldfastSubscriptionNotServed", field, message }];
  }
  if (await deps.targets.readGroup(subscriptionId, resourceGroup)) return [];
  return [{ code: "ResourceGroupNotFound", field, message: `there is no resource group ${resourceGroup}` }];
}

/** The configuration and the template are written there, whatever is restored. */
async function stagingConflicts(
  deps: ControlDeps,
  owner: VaultBody,
  { storageAccountId: id }: RestoreRequest,
): Promise<RestoreConflict[]> {
  const field = "storageAccountId";
  if (id === undefined) {
    return [{ code: "HoldfastRestoreTargetIncomplete", field, message: "a storage account takes the configuration" }];
  }
  const account = await deps.staging.readAccount(id);
  if (!account) return [{ code: "ResourceNotFound", field, message: `there is no storage account ${id}` }];
  if (regionKey(account.location) === regionKey(owner.location)) return [];
  const message = `the storage account is in ${account.location}, and the vault in ${owner.location}`;
  return [{ code: "HoldfastOtherRegion", field, message }];
}

function workOf(owner: VaultBody, point: PointBody, { target }: RestorePlan, wanted: RestoreOf): RestoreWork {
  const { request, zones = [] } = wanted;
  assert(target.kind === "disks" && request.storageAccountId !== undefined, "Only what was examined is restored");
  const { subscriptionId, resourceGroup } = parseResourceGroupId(target.resourceGroupId);
  return {
    ...{ pointId: point.pointId, recoveryType: request.recoveryType },
    ...{ targetSubscriptionId: subscriptionId, targetResourceGroup: resourceGroup },
    ...{ location: owner.location, zones: [...zones], stagingAccountId: request.storageAccountId },
    luns: request.restoreDiskLunList === undefined ? null : [...request.restoreDiskLunList],
    disks: [],
  };
}

/** Under the names that Azure Backup uses; scripts read them. */
function propertiesOf(restore: RestoreWork, point: PointBody): Record<string, string> {
  return {
    "Job Type": "Recover disks",
    "Target VM Name": "vmName",
    "Target Storage Account Name": restore.stagingAccountId.split("/").at(-1) ?? "",
    "Recovery point time ": point.time,
    "Target resource group": restore.targetResourceGroup,
  };
}

function refused(conflicts: readonly RestoreConflict[]): HoldfastFailure {
  const [first] = conflicts;
  assert(first, "A refused restore names its conflicts");
  const all = conflicts.map(({ field, message }) => `${field}: ${message}`).join("; ");
  const isThere = first.code === "HoldfastTargetExists" || first.code === "UserErrorVmNotShutDown";
  return new HoldfastFailure(isThere ? "conflict" : "invalid", first.code, `The restore cannot be carried out. ${all}`);
}
