// Restore point collections, restore points and disk restore points. A restore point freezes all disks of its VM at one
// instant; how consistent it is, consistency.ts tells.
import { z } from "zod";
import { locationSchema } from "../arm/location.ts";
import type { OperationFailure } from "../arm/operations.ts";
import { drop, keep, provisioningState, type Resource, render } from "../arm/resources.ts";
import { nameOf, parentId } from "../arm/target.ts";
import {
  type ArmHandler,
  type ArmRequest,
  type ArmRoutes,
  accepted,
  begin,
  bodyOf,
  checkEtag,
  conflict,
  invalid,
  listOf,
  page,
  type World,
} from "../arm/world.ts";
import { AzureError } from "../http/azure-error.ts";
import { type Answer, json } from "../http/call.ts";
import type { Entry } from "../state/entry.ts";
import { consistencyOf } from "./consistency.ts";
import { beginGetAccess, endGetAccess, refuseWhileShared } from "./disk-access.ts";
import {
  asDisk,
  asResource,
  COLLECTIONS,
  DISK_RESTORE_POINTS,
  type Disk,
  familyOf,
  guidOf,
  RESTORE_POINTS,
  showDiskRestorePoint,
} from "./disk-model.ts";
import { dropWithVolume } from "./drop-with-volume.ts";
import { asVm, type Vm, volumesOf } from "./vm-model.ts";

const collectionSchema = z.looseObject({
  location: locationSchema,
  tags: z.record(z.string(), z.string()).optional(),
  properties: z.looseObject({
    source: z.looseObject({ id: z.string().min(1) }),
    instantAccess: z.boolean().optional(),
  }),
});
const tagsSchema = z.looseObject({ tags: z.record(z.string(), z.string()).optional() });
const pointSchema = z.looseObject({
  properties: z
    .looseObject({
      consistencyMode: z.string().optional(),
      excludeDisks: z.array(z.looseObject({ id: z.string() })).default([]),
      sourceRestorePoint: z.looseObject({ id: z.string() }).optional(),
    })
    .default({ excludeDisks: [] }),
});

type PointBody = z.infer<typeof pointSchema>["properties"];

const COLLECTION = "microsoft.compute/restorepointcollections";
const POINT = `${COLLECTION}/{}/restorepoints`;
const DISK_POINT = `${POINT}/{}/diskrestorepoints`;

export const restorePointRoutes: ArmRoutes = {
  [`GET ${COLLECTION}`]: listOf(COLLECTIONS, (world, collection) => showCollection(world, collection, false)),
  [`GET ${COLLECTION}/{}`]: (world, request) =>
    json(
      200,
      showCollection(
        world,
        world.resources.get(request.id),
        request.call.query.get("$expand")?.toLowerCase() === "restorepoints",
      ),
    ),
  [`PUT ${COLLECTION}/{}`]: (world, request) => putCollection(world, request),
  [`PATCH ${COLLECTION}/{}`]: async (world, request) => {
    const { tags } = bodyOf(request, tagsSchema);
    const collection = world.resources.get(request.id);
    await world.state.commit([keep({ ...collection, tags: tags ?? collection.tags })]);
    return json(200, showCollection(world, world.resources.get(request.id), false));
  },
  [`DELETE ${COLLECTION}/{}`]: (world, request) => removeCollection(world, request),
  [`GET ${POINT}/{}`]: (world, request) => json(200, showPoint(world, world.resources.get(request.id))),
  [`PUT ${POINT}/{}`]: (world, request) => putPoint(world, request),
  [`DELETE ${POINT}/{}`]: (world, request) => removePoint(world, request),
  [`GET ${DISK_POINT}`]: (world, request) => {
    const point = world.resources.get(request.id);
    return page(world, request, world.resources.below(point.id, DISK_RESTORE_POINTS), (one) =>
      showDiskRestorePoint(world, asDisk(one)),
    );
  },
  [`GET ${DISK_POINT}/{}`]: (world, request) =>
    json(200, showDiskRestorePoint(world, asDisk(world.resources.get(request.id)))),
  [`POST ${DISK_POINT}/{}/begingetaccess`]: beginGetAccess,
  [`POST ${DISK_POINT}/{}/endgetaccess`]: endGetAccess,
};

const putCollection: ArmHandler = async (world, request) => {
  const body = bodyOf(request, collectionSchema);
  const existing = world.resources.find(request.id);
  checkEtag(request, existing);
  const vm = world.resources.find(body.properties.source.id);
  if (vm === undefined)
    throw new AzureError(
      404,
      "NotFound",
      `The source ${body.properties.source.id} of the restore point collection is not found.`,
    );
  if (vm.location.toLowerCase() !== body.location.toLowerCase())
    throw invalid("location", `The restore point collection must be in the location of its source: ${vm.location}.`);
  const sourceId = (existing?.properties.source as { id?: string } | undefined)?.id;
  if (sourceId !== undefined && sourceId.toLowerCase() !== vm.id.toLowerCase())
    throw new AzureError(409, "PropertyChangeNotAllowed", "Changing property 'source.id' is not allowed.", {
      target: "source.id",
    });
  const collection: Resource = {
    ...existing,
    id: existing?.id ?? request.id,
    location: body.location,
    tags: body.tags,
    properties: {
      ...body.properties,
      source: { id: vm.id, location: vm.location },
      restorePointCollectionId:
        existing?.properties.restorePointCollectionId ?? guidOf("collection", request.id.toLowerCase(), world.now()),
    },
    inner: { vmId: asVm(vm).properties.vmId },
  };
  await world.state.commit([keep(collection)]);
  return json(existing === undefined ? 201 : 200, showCollection(world, world.resources.get(request.id), false));
};

const removeCollection: ArmHandler = async (world, request) => {
  const collection = world.resources.find(request.id);
  if (collection === undefined) return { status: 204 };
  const points = world.resources.below(collection.id, RESTORE_POINTS);
  const entries = points.flatMap((point) => dropPoint(world, point, true));
  return accepted(
    world,
    [...entries, drop(collection.id)],
    begin(world, request, collection.location, "restorePointOperations"),
  );
};

const putPoint: ArmHandler = (world, request) => {
  const { properties } = bodyOf(request, pointSchema);
  if (properties.sourceRestorePoint !== undefined)
    throw invalid("sourceRestorePoint", "Copies of restore points are not offered by this simulated Azure.");
  if (properties.consistencyMode !== undefined && properties.consistencyMode !== "CrashConsistent")
    throw invalid(
      "consistencyMode",
      `The value '${properties.consistencyMode}' of parameter consistencyMode is not allowed; only CrashConsistent can be asked for.`,
    );
  // Everything else is checked at the instant of the freeze: of two requests that race for the last place one is refused.
  return world.disks.atRest(
    () => disksToFreeze(world, request, properties).map(({ inner }) => inner.volume),
    () => createPoint(world, request, properties),
  );
};

/** The disks of a new restore point; none when the machine will not freeze. */
function disksToFreeze(world: World, request: ArmRequest, properties: PointBody): Disk[] {
  const collection = world.resources.get(parentId(request.id));
  if (world.resources.find(request.id) !== undefined)
    throw conflict(`Restore point '${nameOf(request.id)}' already exists; restore points cannot be changed.`);
  const vm = sourceOf(world, collection);
  checkPointLimit(world, vm);
  const excluded = new Set(properties.excludeDisks.map(({ id }) => id.toLowerCase()));
  const disks = volumesOf(world, vm).filter(({ disk }) => !excluded.has(disk.id.toLowerCase()));
  if (disks.length === 0) throw invalid("excludeDisks", "A restore point needs at least one disk.");
  return consistencyOf(vm, properties.consistencyMode).failure === undefined ? disks.map(({ disk }) => disk) : [];
}

const createPoint = async (world: World, request: ArmRequest, properties: PointBody): Promise<Answer> => {
  const planned = disksToFreeze(world, request, properties).map((disk) => planDiskPoint(world, request.id, disk));
  const collection = world.resources.get(parentId(request.id));
  const vm = sourceOf(world, collection);
  const consistency = consistencyOf(vm, properties.consistencyMode);
  const operation = begin(world, request, collection.location, "restorePointOperations", {
    failure: consistency.failure,
  });
  const point: Resource = {
    id: request.id,
    location: collection.location,
    properties: {
      ...(properties.excludeDisks.length === 0 ? {} : { excludeDisks: properties.excludeDisks }),
      ...(consistency.mode === undefined ? {} : { consistencyMode: consistency.mode }),
      timeCreated: new Date(world.now()).toISOString(),
      sourceMetadata: sourceMetadata(
        vm,
        new Map(planned.map(({ source: id, point: { id: pointId } }) => [id.toLowerCase(), pointId])),
      ),
    },
    inner: { vmId: vm.properties.vmId, failure: operation.failure },
    busyUntil: operation.doneAt,
    busyAs: "Creating",
    failed: operation.failed,
  };
  await world.state.commit([...planned.flatMap((one) => one.entries), keep(point), ...operation.entries]);
  return json(201, showPoint(world, point), operation.headers);
};

/** The machine of a collection, if it is still the same one. */
function sourceOf(world: World, collection: Resource): Vm {
  const source = world.resources.find((collection.properties.source as { id: string }).id);
  if (source === undefined || asVm(source).properties.vmId !== collection.inner.vmId)
    throw conflict("The source virtual machine of the restore point collection does not exist any more.");
  return asVm(source);
}

const removePoint: ArmHandler = async (world, request) => {
  const point = world.resources.find(request.id);
  if (point === undefined) return { status: 204 };
  return accepted(
    world,
    dropPoint(world, point, false),
    begin(world, request, point.location, "restorePointOperations"),
  );
};

/** A point in use by a SAS stays, unless its whole collection goes. */
export function dropPoint(world: World, point: Resource, byForce: boolean): Entry[] {
  const diskPoints = world.resources.below(point.id, DISK_RESTORE_POINTS).map(asDisk);
  if (!byForce) for (const diskPoint of diskPoints) refuseWhileShared(world, diskPoint);
  return [...diskPoints.flatMap((diskPoint) => dropWithVolume(world, diskPoint)), drop(point.id)];
}

function checkPointLimit(world: World, vm: Vm): void {
  const count = world.resources.ofType(RESTORE_POINTS).filter(({ inner }) => inner.vmId === vm.properties.vmId).length;
  if (count >= world.limits.restorePointsPerVm)
    throw conflict(
      `The number of restore points across restore point collections and resource groups for a VM cannot exceed ${world.limits.restorePointsPerVm}. To create a new restore point, please delete existing restore points.`,
    );
}

function planDiskPoint(world: World, pointId: string, disk: Disk) {
  const frozen = world.disks.newId();
  const { osType, hyperVGeneration, securityProfile, encryption, networkAccessPolicy } = disk.properties;
  const point: Disk = {
    id: `${pointId}/diskRestorePoints/${nameOf(disk.id)}_${guidOf("disk-restore-point", pointId.toLowerCase(), disk.id.toLowerCase())}`,
    location: disk.location,
    properties: {
      ...(osType === undefined ? {} : { osType }),
      ...(hyperVGeneration === undefined ? {} : { hyperVGeneration }),
      ...(securityProfile === undefined ? {} : { securityProfile }),
      encryption,
      networkAccessPolicy,
      publicNetworkAccess: disk.properties.publicNetworkAccess,
      sourceResourceId: disk.id,
      sourceResourceLocation: disk.location,
      sourceUniqueId: disk.properties.uniqueId,
      familyId: familyOf(world, disk.inner.volume),
      timeCreated: new Date(world.now()).toISOString(),
      replicationState: "Succeeded",
      completionPercent: 100,
      snapshotAccessState: "Available",
      logicalSectorSize: 512,
      creationData: { createOption: "Copy", sourceResourceId: disk.id },
      diskSizeGB: disk.properties.diskSizeGB,
      diskSizeBytes: disk.properties.diskSizeBytes,
      uniqueId: guidOf("drp", frozen, disk.properties.uniqueId),
    },
    inner: { volume: frozen },
  };
  const entries: Entry[] = [{ kind: "volume-frozen", id: frozen, of: disk.inner.volume }, keep(asResource(point))];
  return { source: disk.id, point, entries };
}

/** The VM as it was, with the restore point of each disk beside it. */
function sourceMetadata(vm: Vm, points: ReadonlyMap<string, string>) {
  const {
    storageProfile,
    hardwareProfile,
    osProfile,
    securityProfile,
    diagnosticsProfile,
    licenseType,
    vmId,
    userData,
  } = vm.properties;
  const withPoint = <D extends { managedDisk?: { id: string } | undefined }>(disk: D) => {
    const point = disk.managedDisk === undefined ? undefined : points.get(disk.managedDisk.id.toLowerCase());
    return point === undefined ? disk : { ...disk, diskRestorePoint: { id: point } };
  };
  const optional = { osProfile, securityProfile, diagnosticsProfile, licenseType, userData };
  return {
    hardwareProfile,
    storageProfile: {
      osDisk: withPoint(storageProfile.osDisk),
      dataDisks: (storageProfile.dataDisks ?? []).map(withPoint),
    },
    ...Object.fromEntries(Object.entries(optional).filter(([, value]) => value !== undefined)),
    hyperVGeneration: vm.inner.hyperVGeneration ?? "V2",
    location: vm.location,
    vmId,
  };
}

function showPoint(world: World, point: Resource): unknown {
  const { id, name, type, etag, properties } = render(point, world.now());
  const diskRestorePoints = world.resources.below(point.id, DISK_RESTORE_POINTS).map((one) => ({
    id: one.id,
    snapshotAccessState: "Available",
    replicationStatus: {
      completionPercent: 100,
      status: { code: "ReplicationState/succeeded", level: "Info", displayStatus: "Succeeded" },
    },
  }));
  const instanceView = { diskRestorePoints, ...failureStatuses(point, world.now()) };
  return { id, name, type, etag, properties: { ...(properties as object), instanceView } };
}

/** Whoever did not wait for the operation reads here why it failed. */
function failureStatuses(point: Resource, now: number): object {
  const failure = point.inner.failure as OperationFailure | undefined;
  if (failure === undefined || provisioningState(point, now) !== "Failed") return {};
  const { code, message } = failure;
  const displayStatus = "Provisioning failed";
  return { statuses: [{ code: `ProvisioningState/failed/${code}`, level: "Error", displayStatus, message }] };
}

function showCollection(world: World, collection: Resource, expanded: boolean): unknown {
  const points = expanded
    ? { restorePoints: world.resources.below(collection.id, RESTORE_POINTS).map((point) => showPoint(world, point)) }
    : {};
  return render(collection, world.now(), points);
}
