// Containers: what a vault calls a machine that is registered with it. Protecting a machine registers it; one may also be
// registered by itself, which keeps other vaults from protecting it.

import type { JobRef } from "../../orchestrations/contracts.ts";
import { HoldfastFailure } from "../base/failure.ts";
import {
  parseContainerName,
  renderContainerName,
  renderContainerProperty,
  renderItemName,
  type VmNameParts,
} from "../domain/arm-ids.ts";
import { dropClaim, readClaim, settleClaim, takeClaim } from "./claims.ts";
import type { ControlDeps } from "./control-deps.ts";
import { ALL_DISKS, examineMachine, machineNamesOf } from "./discovery.ts";
import type { JobSubject } from "./new-job.ts";
import type { Page, PageRequest } from "./paging.ts";
import { CONTAINER_ROWS, type ContainerBody, containerPlace } from "./rows/container-row.ts";
import { ITEM_ROWS, type ItemBody, itemPlace } from "./rows/item-row.ts";
import type { JobBody } from "./rows/job-row.ts";
import { insertRow, listRows, readRow, removeRow, replaceRow } from "./rows/row-kind.ts";
import type { VaultBody, VaultKey } from "./rows/vault-row.ts";
import { type Accepted, insertShortJob, startShortJob, takeBackJob } from "./short-jobs.ts";
import { requireVault } from "./vaults.ts";

export type Container = Pick<ContainerBody, "name" | "machineKind" | "machineId" | "machineName">;

export interface ContainerRef {
  readonly vault: VaultKey;
  /** The container's wire name, in any case. */
  readonly container: string;
}

/** Of machines that are protected or registered, soft-deleted ones included. The cursor is a container's name, lower case. */
export async function listContainers(
  deps: ControlDeps,
  { vault, after = "", limit, matches = () => true }: { readonly vault: VaultKey } & PageRequest<Container>,
): Promise<Page<Container>> {
  const { body: owner } = await requireVault(deps, vault);
  const found = new Map<string, Container>();
  for await (const { key, body } of listRows(deps.tables, CONTAINER_ROWS, vault)) {
    if (isOf(owner, body)) found.set(key, body);
  }
  for await (const { body } of listRows(deps.tables, ITEM_ROWS, vault)) {
    found.set(body.containerName.toLowerCase(), containerOf(body));
  }
  const rest = [...found]
    .filter(([key, container]) => key > after && matches(container))
    .sort(([one], [other]) => (one < other ? -1 : 1));
  const shown = rest.slice(0, limit);
  return {
    values: shown.map(([, container]) => container),
    next: rest.length > limit ? shown.at(-1)?.[0] : undefined,
  };
}

export async function getContainer(deps: ControlDeps, { vault, container }: ContainerRef): Promise<Container> {
  const { body: owner } = await requireVault(deps, vault);
  const item = await readRow(deps.tables, ITEM_ROWS, itemPlace(vault, renderItemName(parseContainerName(container))));
  if (item) return containerOf(item.body);
  const held = await readRow(deps.tables, CONTAINER_ROWS, placeOf(vault, parseContainerName(container)));
  if (held && isOf(owner, held.body)) return held.body;
  throw notRegistered(container);
}

/** As with protection (claims.ts): the claim, the container, the claim settled; a job that tells when. */
export async function registerContainer(
  deps: ControlDeps,
  { vault, container, machineId }: ContainerRef & { readonly machineId: string },
): Promise<Accepted> {
  const { body: owner } = await requireVault(deps, vault);
  const names = parseContainerName(container);
  requireSameMachine(container, names, machineId);
  const { machine, refusal } = await examineMachine(deps, { owner, vault, machineId, disks: ALL_DISKS });
  if (refusal) throw refusal;
  if (!machine) throw new HoldfastFailure("not-found", "BCMV2VMNotFound", `There is no machine ${machineId}`);
  const about = { machineKind: machine.kind, machineId: machine.id, machineName: machine.name };
  const job = await insertShortJob(deps, vault, subjectOf(names, about), { kind: "register", machineId: machine.id });
  try {
    await takeClaim(deps, machine.id, {
      ...{ vault, job: job.id },
      ...{ item: renderItemName(names), container: renderContainerName(names) },
    });
    await standContainer(deps, owner, vault, names, about);
    if (!(await settleClaim(deps, machine.id, job.id))) throw lostTo(container);
  } catch (cause) {
    await takeBackJob(deps, vault, job);
    throw cause;
  }
  return startShortJob(deps, vault, job);
}

export async function unregisterContainer(deps: ControlDeps, ref: ContainerRef): Promise<Accepted> {
  const { vault, container } = ref;
  const names = parseContainerName(container);
  const about = await getContainer(deps, ref);
  await requireNoItem(deps, vault, names);
  const job = await insertShortJob(deps, vault, subjectOf(names, about), {
    kind: "unregister",
    machineId: about.machineId,
  });
  return startShortJob(deps, vault, job);
}

/** What a request that died has left undone. */
export async function finishRegistration(
  deps: ControlDeps,
  { vault }: JobRef,
  job: JobBody,
  machineId: string,
): Promise<"done"> {
  const { body: owner } = await requireVault(deps, vault);
  const names = parseContainerName(job.containerName);
  const claim = await readClaim(deps, machineId, vault);
  if (claim?.body.job === job.id) {
    const machineKind = names.platform === "Classic" ? "classic" : "resource-manager";
    await standContainer(deps, owner, vault, names, { machineKind, machineId, machineName: job.machineName });
    if (await settleClaim(deps, machineId, job.id)) return "done";
  }
  const standing = await readRow(deps.tables, CONTAINER_ROWS, placeOf(vault, names));
  if (claim && standing && isOf(owner, standing.body)) return "done";
  throw lostTo(job.containerName);
}

export async function finishUnregistration(
  deps: ControlDeps,
  { vault }: JobRef,
  job: JobBody,
  machineId: string,
): Promise<"done"> {
  const names = parseContainerName(job.containerName);
  const claim = await readClaim(deps, machineId, vault);
  await requireNoItem(deps, vault, names);
  const { partition, key } = placeOf(vault, names);
  await removeRow(deps.tables, CONTAINER_ROWS, { partition, key });
  // Somebody who protects the machine meanwhile has written the claim anew, and keeps it.
  await dropClaim(deps, claim);
  return "done";
}

async function standContainer(
  deps: ControlDeps,
  owner: VaultBody,
  vault: VaultKey,
  names: VmNameParts,
  about: Omit<Container, "name">,
): Promise<void> {
  const { incarnation: vaultIncarnation } = owner;
  const registeredAt = deps.clock.now().toISOString();
  const body: ContainerBody = { name: renderContainerName(names), ...about, registeredAt, vaultIncarnation };
  if (await insertRow(deps.tables, CONTAINER_ROWS, placeOf(vault, names), body)) return;
  const found = await readRow(deps.tables, CONTAINER_ROWS, placeOf(vault, names));
  if (!found || isOf(owner, found.body)) return;
  // What an earlier vault of the name has left; read before the vault, so that it is not what a later one has put there.
  const { body: now } = await requireVault(deps, vault);
  if (now.incarnation !== owner.incarnation) throw lostTo(body.name);
  await replaceRow(deps.tables, CONTAINER_ROWS, found, body);
}

async function requireNoItem(deps: ControlDeps, vault: VaultKey, names: VmNameParts): Promise<void> {
  if (!(await readRow(deps.tables, ITEM_ROWS, itemPlace(vault, renderItemName(names))))) return;
  throw new HoldfastFailure(
    "conflict",
    "HoldfastContainerInUse",
    `${names.name} has backup data in this vault, and stays registered as long as it has`,
    { hint: "Stop its protection with deletion of the data first; soft-deleted data counts until it is gone." },
  );
}

function subjectOf(names: VmNameParts, about: Omit<Container, "name">): JobSubject {
  return { ...about, name: renderItemName(names), containerName: renderContainerName(names) };
}

function requireSameMachine(container: string, names: VmNameParts, machineId: string): void {
  const [wanted, given] = [names, machineNamesOf(machineId)].map((one) => renderContainerProperty(one).toLowerCase());
  if (wanted === given) return;
  throw new HoldfastFailure(
    "invalid",
    "BMSUserErrorInvalidConfigureProtectionRequest",
    `The container ${container} is not the one of the machine ${machineId}`,
  );
}

function containerOf({ containerName: name, machineKind, machineId, machineName }: ItemBody): Container {
  return { name, machineKind, machineId, machineName };
}

const isOf = (owner: VaultBody, container: ContainerBody): boolean => container.vaultIncarnation === owner.incarnation;

const placeOf = (vault: VaultKey, names: VmNameParts) => containerPlace(vault, renderContainerName(names));

function notRegistered(container: string): HoldfastFailure {
  return new HoldfastFailure(
    "not-found",
    "BMSUserErrorContainerObjectNotFound",
    `There is no container "${container}" in this vault`,
  );
}

function lostTo(container: string): HoldfastFailure {
  return new HoldfastFailure(
    "conflict",
    "BMSUserErrorConflictingProtectionOperation",
    `Another request claims the machine of ${container} at this moment`,
    { hint: "Try again." },
  );
}
