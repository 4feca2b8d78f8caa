// beginGetAccess and endGetAccess, alike for disks, snapshots and disk restore points: who may get at the bytes, and when.
import { z } from "zod";
import type { OperationFailure } from "../arm/operations.ts";
import { keep, type Resource } from "../arm/resources.ts";
import { nameOf } from "../arm/target.ts";
import {
  type ArmHandler,
  type ArmRequest,
  accepted,
  begin,
  bodyOf,
  conflict,
  invalid,
  type World,
} from "../arm/world.ts";
import type { Answer } from "../http/call.ts";
import { asDisk, asResource, DISK_RESTORE_POINTS, DISKS, type Disk, SNAPSHOTS } from "./disk-model.ts";

const FOOTER_BYTES = 512;
const MIN_SECONDS = 60;
const MAX_SECONDS = 4_294_967_295;

const accessSchema = z.looseObject({
  access: z.enum(["Read", "Write", "None"]),
  durationInSeconds: z.number().int(),
  fileFormat: z.enum(["VHD", "VHDX"]).optional(),
});

export const beginGetAccess: ArmHandler = async (world, request) => {
  const asked = bodyOf(request, accessSchema);
  const disk = asDisk(world.resources.get(request.id));
  if (asked.durationInSeconds < MIN_SECONDS || asked.durationInSeconds > MAX_SECONDS)
    throw invalid(
      "durationInSeconds",
      `The value ${asked.durationInSeconds} of parameter durationInSeconds is out of range: ${MIN_SECONDS} to ${MAX_SECONDS}.`,
    );
  if (asked.fileFormat === "VHDX") throw invalid("fileFormat", "Only VHD is offered by this simulated Azure.");
  if (asked.access === "None") throw invalid("access", "The value None of parameter access is not allowed.");
  checkMayAccess(world, disk, asked.access);
  const known = world.grants.active(disk.id, world.now()).find((grant) => grant.access === asked.access);
  const seconds = asked.durationInSeconds * world.grantedShare(request.call);
  const { grant, entry } = world.grants.plan(disk.id, disk.inner.volume, asked.access, world.now(), seconds, {
    ...(known === undefined ? {} : { renews: known }),
    isPrivate: disk.properties.networkAccessPolicy === "AllowPrivate",
  });
  const operation = begin(world, request, disk.location, operationKind(request), {
    result: { accessSAS: world.grants.url(world.dataOrigin(), grant) },
  });
  return accepted(world, [...world.grants.planForget(disk.id, world.now()), entry], operation);
};

export const endGetAccess: ArmHandler = (world, request) => {
  const disk = asDisk(world.resources.get(request.id));
  if (disk.inner.upload === "awaited")
    return world.disks.atRest(
      () => [asDisk(world.resources.get(request.id)).inner.volume],
      () => endUpload(world, request),
    );
  return accepted(
    world,
    world.grants.planRevoke(disk.id),
    begin(world, request, disk.location, operationKind(request)),
  );
};

/** Ends an upload between two writes: none is under way, and those that wait find their grant revoked. */
async function endUpload(world: World, request: ArmRequest): Promise<Answer> {
  const failure = await uploadProblem(world, asDisk(world.resources.get(request.id)));
  const disk = asDisk(world.resources.get(request.id));
  const entries = world.grants.planRevoke(disk.id);
  if (disk.inner.upload === "awaited" && failure === undefined) {
    const { volume } = disk.inner;
    const start = disk.properties.diskSizeBytes / FOOTER_BYTES;
    entries.push({ kind: "pages-cleared", volume, start, end: start + 1 });
    entries.push(keep(asResource({ ...disk, inner: { ...disk.inner, upload: "done" } })));
  }
  return accepted(world, entries, begin(world, request, disk.location, operationKind(request), { failure }));
}

/** Entries that end all access to a resource that goes away, or a refusal while someone uses it. */
export function refuseWhileShared(world: World, disk: Disk): void {
  if (world.grants.active(disk.id, world.now()).length > 0)
    throw conflict(
      `There is an active shared access signature outstanding for disk ${nameOf(disk.id)}. Call EndGetAccess before attaching or deleting the disk. Learn more here: aka.ms/revokeaccessapi.`,
    );
}

function checkMayAccess(world: World, disk: Disk, access: "Read" | "Write"): void {
  const type = kindOf(disk);
  const name = nameOf(disk.id);
  if (access === "Write" && (type !== DISKS || disk.inner.upload !== "awaited"))
    throw conflict(
      `Write access to ${name} is not allowed: it was not created with createOption Upload or its upload is finished.`,
    );
  if (access === "Read" && disk.inner.upload === "awaited")
    throw conflict(`Disk ${name} is waiting for an upload and cannot be read.`);
  if (disk.properties.networkAccessPolicy === "DenyAll")
    throw conflict(`Access to ${name} is denied because its networkAccessPolicy is DenyAll.`);
  const vm = disk.managedBy === undefined ? undefined : world.resources.find(disk.managedBy);
  if (vm?.inner.power === "running")
    throw conflict(`Access not permitted because disk ${name} is currently attached to running VM ${vm.id}.`);
  if (type !== DISKS) checkFamilyLimit(world, disk);
}

/** As many snapshots of one disk may be read at once, and no more. */
function checkFamilyLimit(world: World, disk: Disk): void {
  const now = world.now();
  const { lineage } = world.disks.volume(disk.inner.volume);
  const open = [SNAPSHOTS, DISK_RESTORE_POINTS]
    .flatMap((type) => world.resources.ofType(type))
    .filter(
      ({ id, inner }) =>
        id !== disk.id &&
        world.disks.find(Number(inner.volume))?.lineage === lineage &&
        world.grants.active(id, now).length > 0,
    );
  if (open.length >= world.limits.grantsPerFamily)
    throw conflict(
      `Shared access signatures of ${open.length} snapshots of this disk are active; at most ${world.limits.grantsPerFamily} snapshots of a family can be read at the same time. Call EndGetAccess on one of them.`,
    );
}

/** An upload is only finished with a VHD footer in its last 512 bytes. */
async function uploadProblem(world: World, disk: Disk): Promise<OperationFailure | undefined> {
  const footer = await world.disks.read(disk.inner.volume, disk.properties.diskSizeBytes, FOOTER_BYTES);
  if (footer.toString("latin1", 0, 8) === "conectix") return undefined;
  return {
    status: 400,
    code: "InvalidVhd",
    message: `The specified cookie value in VHD footer indicates that disk '${nameOf(disk.id)}' is not a supported VHD. Disk is expected to have cookie value 'conectix'.`,
  };
}

function kindOf(disk: Pick<Resource, "id">): string {
  const lower = disk.id.toLowerCase();
  if (lower.includes("/diskrestorepoints/")) return DISK_RESTORE_POINTS;
  return lower.includes("/snapshots/") ? SNAPSHOTS : DISKS;
}

function operationKind(request: ArmRequest): string {
  return request.target.parts[0]?.[0].toLowerCase() === "restorepointcollections"
    ? "restorePointOperations"
    : "DiskOperations";
}
