// Managed disks: created empty, from an image, a snapshot, a restore point or another disk, or for an upload; grown,
// changed and deleted, under Azure's conditions.
import { z } from "zod";
import { locationSchema } from "../arm/location.ts";
import { keep, type Resource, render } from "../arm/resources.ts";
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
import type { Entry } from "../state/entry.ts";
import { beginGetAccess, endGetAccess, refuseWhileShared } from "./disk-access.ts";
import {
  asDisk,
  asResource,
  DISKS,
  type Disk,
  type DiskProperties,
  GIB,
  guidOf,
  MAX_DISK_GIB,
  showDisk,
} from "./disk-model.ts";
import { dropWithVolume } from "./drop-with-volume.ts";
import { asVm, type Vm } from "./vm-model.ts";

const FOOTER_BYTES = 512;
const MIN_UPLOAD_BYTES = 20 * 1024 * 1024 + FOOTER_BYTES;
const MAX_UPLOAD_BYTES = MAX_DISK_GIB * GIB + FOOTER_BYTES;

const tags = z.record(z.string(), z.string()).optional();
const changeable = {
  tags,
  sku: z.looseObject({ name: z.string() }).optional(),
};
const createSchema = z.looseObject({
  location: locationSchema,
  zones: z.array(z.string()).optional(),
  ...changeable,
  properties: z.looseObject({
    creationData: z.looseObject({
      createOption: z.enum([
        "Empty",
        "Copy",
        "Restore",
        "Upload",
        "FromImage",
        "Import",
        "UploadPreparedSecure",
        "ImportSecure",
        "CopyStart",
        "Attach",
      ]),
      sourceResourceId: z.string().optional(),
      uploadSizeBytes: z.number().int().optional(),
      imageReference: z.looseObject({ id: z.string() }).optional(),
    }),
    diskSizeGB: z.number().int().min(1).max(MAX_DISK_GIB).optional(),
    networkAccessPolicy: z.enum(["AllowAll", "AllowPrivate", "DenyAll"]).optional(),
  }),
});
const updateSchema = z.looseObject({
  ...changeable,
  properties: z
    .looseObject({
      diskSizeGB: z.number().int().min(1).max(MAX_DISK_GIB).optional(),
      networkAccessPolicy: z.enum(["AllowAll", "AllowPrivate", "DenyAll"]).optional(),
    })
    .default({}),
});

type CreateBody = z.infer<typeof createSchema>;

export const diskRoutes: ArmRoutes = {
  "GET microsoft.compute/disks": listOf(DISKS, (world, disk) => showDisk(world, asDisk(disk))),
  "GET microsoft.compute/disks/{}": (world, request) =>
    json(200, showDisk(world, asDisk(world.resources.get(request.id)))),
  "PUT microsoft.compute/disks/{}": (world, request) => {
    const existing = world.resources.find(request.id);
    if (existing === undefined) return create(world, request);
    checkEtag(request, existing);
    return update(world, request);
  },
  "PATCH microsoft.compute/disks/{}": (world, request) => update(world, request),
  "DELETE microsoft.compute/disks/{}": (world, request) => remove(world, request),
  "POST microsoft.compute/disks/{}/begingetaccess": beginGetAccess,
  "POST microsoft.compute/disks/{}/endgetaccess": endGetAccess,
};

const create: ArmHandler = (world, request) => {
  const body = bodyOf(request, createSchema);
  return world.disks.atRest(
    () => liveSourcesOf(world, body),
    () => createAtRest(world, request, body),
  );
};

/** Everything is checked here, also what was checked before the wait for the source to come to rest. */
const createAtRest = async (world: World, request: ArmRequest, body: CreateBody): Promise<Answer> => {
  const found = world.resources.find(request.id);
  checkEtag(request, found);
  if (found !== undefined) throw conflict(`Disk ${nameOf(request.id)} is being created by another request.`);
  const content = planContent(world, body);
  const operation = begin(world, request, body.location, "DiskOperations");
  const { creationData, ...rest } = body.properties;
  const properties: DiskProperties = {
    ...content.inherited,
    ...rest,
    creationData,
    diskSizeGB: Math.ceil(content.sizeBytes / GIB),
    diskSizeBytes: content.sizeBytes,
    uniqueId: guidOf("disk", request.id.toLowerCase(), content.volume),
    timeCreated: new Date(world.now()).toISOString(),
    networkAccessPolicy: body.properties.networkAccessPolicy ?? "AllowAll",
    publicNetworkAccess: rest.publicNetworkAccess ?? "Enabled",
    encryption: rest.encryption ?? { type: "EncryptionAtRestWithPlatformKey" },
  };
  const disk: Disk = {
    id: request.id,
    location: body.location,
    tags: body.tags,
    zones: body.zones,
    sku: { tier: "Standard", ...(body.sku ?? { name: "Standard_LRS" }) },
    properties,
    inner: { volume: content.volume, ...(content.awaitsUpload ? { upload: "awaited" } : {}) },
    busyUntil: operation.doneAt,
    busyAs: "Creating",
    failed: operation.failed,
  };
  await world.state.commit([...content.entries, keep(asResource(disk)), ...operation.entries]);
  return json(202, render(asResource(disk), world.now()), operation.headers);
};

/** The live volumes that the content is taken from, at one instant. */
function liveSourcesOf(world: World, { properties: { creationData } }: CreateBody): number[] {
  const { createOption, sourceResourceId = "" } = creationData;
  const source = createOption === "Copy" ? world.resources.find(sourceResourceId) : undefined;
  return /\/disks\/[^/]+$/i.test(sourceResourceId) && source !== undefined ? [asDisk(source).inner.volume] : [];
}

interface Content {
  readonly volume: number;
  readonly sizeBytes: number;
  readonly entries: Entry[];
  readonly inherited: Record<string, unknown>;
  readonly awaitsUpload?: boolean;
}

function planContent(world: World, body: CreateBody): Content {
  const { creationData, diskSizeGB } = body.properties;
  const volume = world.disks.newId();
  switch (creationData.createOption) {
    case "Empty": {
      if (diskSizeGB === undefined)
        throw invalid("disk.diskSizeGB", "Required parameter 'disk.diskSizeGB' is missing (null).");
      const sizeBytes = diskSizeGB * GIB;
      return { volume, sizeBytes, entries: [{ kind: "volume-created", id: volume, sizeBytes }], inherited: {} };
    }
    case "Upload":
    case "UploadPreparedSecure": {
      const uploadBytes = creationData.uploadSizeBytes;
      if (
        uploadBytes === undefined ||
        uploadBytes < MIN_UPLOAD_BYTES ||
        uploadBytes > MAX_UPLOAD_BYTES ||
        uploadBytes % 512 !== 0
      )
        throw invalid(
          "creationData.uploadSizeBytes",
          `uploadSizeBytes must be a multiple of 512 between ${MIN_UPLOAD_BYTES} and ${MAX_UPLOAD_BYTES}, VHD footer included.`,
        );
      const sizeBytes = uploadBytes - FOOTER_BYTES;
      return {
        volume,
        sizeBytes,
        entries: [{ kind: "volume-created", id: volume, sizeBytes }],
        inherited: {},
        awaitsUpload: true,
      };
    }
    case "Copy":
    case "Restore":
      return copyOf(world, body, volume);
    default:
      throw invalid(
        "creationData.createOption",
        `createOption ${creationData.createOption} is not offered by this simulated Azure.`,
      );
  }
}

function copyOf(world: World, body: CreateBody, volume: number): Content {
  const { creationData, diskSizeGB } = body.properties;
  const wanted =
    creationData.createOption === "Restore" ? /\/diskRestorePoints\/[^/]+$/i : /\/(snapshots|disks)\/[^/]+$/i;
  if (creationData.sourceResourceId === undefined || !wanted.test(creationData.sourceResourceId))
    throw invalid("creationData.sourceResourceId", "The value of parameter creationData.sourceResourceId is invalid.");
  const source = world.resources.find(creationData.sourceResourceId);
  if (source === undefined)
    throw new AzureError(404, "NotFound", `Source resource ${creationData.sourceResourceId} is not found.`, {
      target: "creationData.sourceResourceId",
    });
  if (source.location.toLowerCase() !== body.location.toLowerCase())
    throw invalid("location", `Source resource ${source.id} is in ${source.location}, not in ${body.location}.`);
  const disk = asDisk(source);
  if (disk.inner.upload === "awaited") throw conflict(`Disk ${nameOf(disk.id)} is waiting for an upload.`);
  const { sizeBytes: sourceBytes } = world.disks.volume(disk.inner.volume);
  const sizeBytes = diskSizeGB === undefined || diskSizeGB * GIB < sourceBytes ? sourceBytes : diskSizeGB * GIB;
  if (diskSizeGB !== undefined && diskSizeGB < Math.ceil(sourceBytes / GIB))
    throw invalid(
      "diskSizeGB",
      `The disk size ${diskSizeGB} GB is smaller than its source of ${Math.ceil(sourceBytes / GIB)} GB.`,
    );
  const { osType, hyperVGeneration, securityProfile } = disk.properties;
  return {
    volume,
    sizeBytes,
    entries: [{ kind: "volume-created", id: volume, sizeBytes, from: disk.inner.volume }],
    inherited: {
      ...(osType === undefined ? {} : { osType }),
      ...(hyperVGeneration === undefined ? {} : { hyperVGeneration }),
      ...(securityProfile === undefined ? {} : { securityProfile }),
    },
  };
}

const update: ArmHandler = async (world, request) => {
  const body = bodyOf(request, updateSchema);
  const disk = asDisk(world.resources.get(request.id));
  const {
    diskSizeGB,
    creationData,
    networkAccessPolicy = disk.properties.networkAccessPolicy,
    ...rest
  } = body.properties;
  const createOption = (creationData as { createOption?: unknown } | undefined)?.createOption;
  if (createOption !== undefined && createOption !== disk.properties.creationData.createOption)
    throw new AzureError(
      409,
      "PropertyChangeNotAllowed",
      "Changing property 'creationData.createOption' is not allowed.",
      { target: "creationData.createOption" },
    );
  const growth = planGrowth(world, disk, diskSizeGB);
  const operation = begin(world, request, disk.location, "DiskOperations");
  const changed: Disk = {
    ...disk,
    tags: body.tags ?? disk.tags,
    sku: body.sku === undefined ? disk.sku : { tier: "Standard", ...body.sku },
    properties: {
      ...disk.properties,
      ...rest,
      networkAccessPolicy,
      ...(diskSizeGB === undefined || growth.length === 0 ? {} : { diskSizeGB, diskSizeBytes: diskSizeGB * GIB }),
    },
    busyUntil: operation.doneAt,
    busyAs: "Updating",
    failed: operation.failed,
  };
  await world.state.commit([...growth, keep(asResource(changed)), ...operation.entries]);
  return json(202, render(asResource(changed), world.now()), operation.headers);
};

function planGrowth(world: World, disk: Disk, diskSizeGB: number | undefined): Entry[] {
  if (diskSizeGB === undefined || diskSizeGB === disk.properties.diskSizeGB) return [];
  if (diskSizeGB < disk.properties.diskSizeGB)
    throw new AzureError(400, "BadRequest", "New disk size should be bigger than or equal to the old disk size.", {
      target: "disk.diskSizeGB",
    });
  if (disk.inner.upload === "awaited")
    throw conflict(`Disk ${nameOf(disk.id)} is waiting for an upload and cannot be resized.`);
  refuseWhileShared(world, disk);
  const vm = disk.managedBy === undefined ? undefined : world.resources.find(disk.managedBy);
  if (vm !== undefined && isBootDisk(asVm(vm), disk) && vm.inner.power !== "deallocated")
    throw conflict(
      `Cannot resize disk ${nameOf(disk.id)} while it is attached to running VM ${vm.id}. Resizing a disk of an Azure Virtual Machine requires the virtual machine to be deallocated. Please stop your VM and retry the operation.`,
    );
  return [{ kind: "volume-grown", id: disk.inner.volume, sizeBytes: diskSizeGB * GIB }];
}

function isBootDisk(vm: Vm, { id }: Disk): boolean {
  return vm.properties.storageProfile.osDisk.managedDisk?.id.toLowerCase() === id.toLowerCase();
}

const remove: ArmHandler = async (world, request) => {
  const found = world.resources.find(request.id);
  if (found === undefined) return { status: 204 };
  checkEtag(request, found as Resource);
  const disk = asDisk(found);
  if (disk.managedBy !== undefined) throw conflict(`Disk ${nameOf(disk.id)} is attached to VM ${disk.managedBy}.`);
  refuseWhileShared(world, disk);
  return accepted(world, dropWithVolume(world, disk), begin(world, request, disk.location, "DiskOperations"));
};
