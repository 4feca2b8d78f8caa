// Snapshots of disks. In the store they cost nothing and are there at once; `completionPercent` follows the operation.
import { z } from "zod";
import { locationSchema } from "../arm/location.ts";
import { keep, render } from "../arm/resources.ts";
import { nameOf } from "../arm/target.ts";
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
  type World,
} from "../arm/world.ts";
import { AzureError } from "../http/azure-error.ts";
import { type Answer, json } from "../http/call.ts";
import { beginGetAccess, endGetAccess, refuseWhileShared } from "./disk-access.ts";
import { asDisk, asResource, type Disk, familyOf, guidOf, SNAPSHOTS, showSnapshot } from "./disk-model.ts";
import { dropWithVolume } from "./drop-with-volume.ts";

const createSchema = z.looseObject({
  location: locationSchema,
  tags: z.record(z.string(), z.string()).optional(),
  sku: z.looseObject({ name: z.string() }).optional(),
  properties: z.looseObject({
    incremental: z.boolean().default(false),
    creationData: z.looseObject({ createOption: z.enum(["Copy", "CopyStart"]), sourceResourceId: z.string() }),
    networkAccessPolicy: z.enum(["AllowAll", "AllowPrivate", "DenyAll"]).default("AllowAll"),
  }),
});
const updateSchema = z.looseObject({
  tags: z.record(z.string(), z.string()).optional(),
  properties: z
    .looseObject({ networkAccessPolicy: z.enum(["AllowAll", "AllowPrivate", "DenyAll"]).optional() })
    .default({}),
});

type CreateBody = z.infer<typeof createSchema>;

export const snapshotRoutes: ArmRoutes = {
  "GET microsoft.compute/snapshots": listOf(SNAPSHOTS, (world, snapshot) => showSnapshot(world, asDisk(snapshot))),
  "GET microsoft.compute/snapshots/{}": (world, request) =>
    json(200, showSnapshot(world, asDisk(world.resources.get(request.id)))),
  "PUT microsoft.compute/snapshots/{}": (world, request) => put(world, request),
  "PATCH microsoft.compute/snapshots/{}": (world, request) => update(world, request),
  "DELETE microsoft.compute/snapshots/{}": (world, request) => remove(world, request),
  "POST microsoft.compute/snapshots/{}/begingetaccess": beginGetAccess,
  "POST microsoft.compute/snapshots/{}/endgetaccess": endGetAccess,
};

const put: ArmHandler = (world, request) => {
  const existing = world.resources.find(request.id);
  if (existing !== undefined) {
    checkEtag(request, existing);
    return update(world, request);
  }
  const body = bodyOf(request, createSchema);
  const source = () => sourceOf(world, body);
  // Everything is checked at the instant of the snapshot: of two requests that race for the last place one is refused.
  return world.disks.atRest(
    () => [source().inner.volume],
    () => create(world, request, body, source()),
  );
};

const create = async (world: World, request: ArmRequest, body: CreateBody, source: Disk): Promise<Answer> => {
  const found = world.resources.find(request.id);
  checkEtag(request, found);
  if (found !== undefined) throw conflict(`Snapshot ${nameOf(request.id)} is being created by another request.`);
  const { creationData, incremental } = body.properties;
  if (incremental) checkLimit(world, source);
  const volume = world.disks.newId();
  const operation = begin(world, request, body.location, "DiskOperations");
  const { osType, hyperVGeneration, securityProfile } = source.properties;
  const snapshot: Disk = {
    id: request.id,
    location: body.location,
    tags: body.tags,
    sku: { tier: "Standard", ...(body.sku ?? { name: "Standard_LRS" }) },
    properties: {
      ...body.properties,
      ...(osType === undefined ? {} : { osType }),
      ...(hyperVGeneration === undefined ? {} : { hyperVGeneration }),
      ...(securityProfile === undefined ? {} : { securityProfile }),
      creationData: { ...creationData, sourceUniqueId: source.properties.uniqueId },
      diskSizeGB: source.properties.diskSizeGB,
      diskSizeBytes: source.properties.diskSizeBytes,
      uniqueId: guidOf("snapshot", request.id.toLowerCase(), volume),
      timeCreated: new Date(world.now()).toISOString(),
      ...(incremental ? { incrementalSnapshotFamilyId: familyOf(world, source.inner.volume) } : {}),
      encryption: { type: "EncryptionAtRestWithPlatformKey" },
      publicNetworkAccess: "Enabled",
    },
    inner: { volume },
    busyUntil: operation.doneAt,
    busyAs: "Creating",
    failed: operation.failed,
  };
  await world.state.commit([
    { kind: "volume-frozen", id: volume, of: source.inner.volume },
    keep(asResource(snapshot)),
    ...operation.entries,
  ]);
  return json(202, render(asResource(snapshot), world.now()), operation.headers);
};

function sourceOf(world: World, { location, properties: { creationData, incremental } }: CreateBody): Disk {
  const { createOption, sourceResourceId: id } = creationData;
  if (!/\/(snapshots|disks)\/[^/]+$/i.test(id))
    throw invalid("creationData.sourceResourceId", `${id} is neither a disk nor a snapshot.`);
  const isCopyStart = createOption === "CopyStart";
  if (isCopyStart && !/\/snapshots\/[^/]+$/i.test(id))
    throw invalid("creationData.sourceResourceId", `Entity not of expected type: ${id} is not a snapshot.`);
  const source = world.resources.find(id);
  if (source === undefined)
    throw new AzureError(404, "NotFound", `Source resource ${id} is not found.`, {
      target: "creationData.sourceResourceId",
    });
  const disk = asDisk(source);
  if (isCopyStart && !(incremental && disk.properties.incremental === true))
    throw invalid("creationData.createOption", "CreateOption.CopyStart is only supported for an incremental snapshot.");
  if (!isCopyStart && disk.location.toLowerCase() !== location.toLowerCase())
    throw invalid(
      "location",
      `Source resource ${disk.id} is in ${disk.location}, not in ${location}; use createOption CopyStart.`,
    );
  if (disk.inner.upload === "awaited") throw conflict(`Disk ${nameOf(id)} is waiting for an upload.`);
  return disk;
}

function checkLimit(world: World, source: Disk): void {
  const { lineage } = world.disks.volume(source.inner.volume);
  const count = world.resources
    .ofType(SNAPSHOTS)
    .filter(
      ({ properties, inner }) =>
        properties.incremental === true && world.disks.find(Number(inner.volume))?.lineage === lineage,
    ).length;
  if (count >= world.limits.snapshotsPerDisk)
    throw conflict(
      `The number of incremental snapshots of disk ${nameOf(source.id)} cannot exceed ${world.limits.snapshotsPerDisk}. Delete existing snapshots first.`,
    );
}

const update: ArmHandler = async (world, request) => {
  const body = bodyOf(request, updateSchema);
  const snapshot = asDisk(world.resources.get(request.id));
  const { networkAccessPolicy } = body.properties;
  const operation = begin(world, request, snapshot.location, "DiskOperations");
  const changed: Disk = {
    ...snapshot,
    tags: body.tags ?? snapshot.tags,
    properties: { ...snapshot.properties, ...(networkAccessPolicy === undefined ? {} : { networkAccessPolicy }) },
    busyUntil: operation.doneAt,
    busyAs: "Updating",
    failed: operation.failed,
  };
  await world.state.commit([keep(asResource(changed)), ...operation.entries]);
  return json(202, render(asResource(changed), world.now()), operation.headers);
};

const remove: ArmHandler = async (world, request) => {
  const found = world.resources.find(request.id);
  if (found === undefined) return { status: 204 };
  const snapshot = asDisk(found);
  refuseWhileShared(world, snapshot);
  return accepted(world, dropWithVolume(world, snapshot), begin(world, request, snapshot.location, "DiskOperations"));
};
