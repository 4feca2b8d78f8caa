// Snapshots of disks. In the store they cost nothing and are there at once; `completionPercent` follows the operation.
import { z } from "zod";
import { locationSchema } from "../arm/location.ts";
import { keep, render } from "../arm/resources.ts";
import { nameOf } from "../arm/target.ts";
import {
  type ArmHandler,
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
import { json } from "../http/call.ts";
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

const put: ArmHandler = async (world, request) => {
  const existing = world.resources.find(request.id);
  checkEtag(request, existing);
  if (existing !== undefined) return update(world, request);
  const body = await bodyOf(request, createSchema);
  const { creationData, incremental } = body.properties;
  const source = sourceOf(world, creationData.sourceResourceId);
  if (creationData.createOption === "Copy" && source.location.toLowerCase() !== body.location.toLowerCase())
    throw invalid(
      "location",
      `Source resource ${source.id} is in ${source.location}, not in ${body.location}; use createOption CopyStart.`,
    );
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
  await world.disks.atRest([source.inner.volume], () =>
    world.state.commit([
      { kind: "volume-frozen", id: volume, of: source.inner.volume },
      keep(asResource(snapshot)),
      ...operation.entries,
    ]),
  );
  return json(202, render(asResource(snapshot), world.now()), operation.headers);
};

function sourceOf(world: World, id: string): Disk {
  if (!/\/(snapshots|disks)\/[^/]+$/i.test(id))
    throw invalid("creationData.sourceResourceId", `${id} is neither a disk nor a snapshot.`);
  const source = world.resources.find(id);
  if (source === undefined)
    throw new AzureError(404, "NotFound", `Source resource ${id} is not found.`, {
      target: "creationData.sourceResourceId",
    });
  const disk = asDisk(source);
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
  const body = await bodyOf(request, updateSchema);
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
