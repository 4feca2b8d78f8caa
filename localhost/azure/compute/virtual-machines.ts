// Virtual machines: listed, read with their instance view, made of attached disks, changed, started, stopped, deleted.
import { z } from "zod";
import { locationSchema } from "../arm/location.ts";
import type { OperationFailure } from "../arm/operations.ts";
import { drop, keep } from "../arm/resources.ts";
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
import { json } from "../http/call.ts";
import { refuseWhileShared } from "./disk-access.ts";
import { asResource, guidOf, VIRTUAL_MACHINES } from "./disk-model.ts";
import { dropWithVolume } from "./drop-with-volume.ts";
import { planDetach, planDisks } from "./vm-disks.ts";
import { interfacesOf, planInterfaces, planInterfacesOfLeaving } from "./vm-interfaces.ts";
import {
  asVm,
  type DataDisk,
  instanceView,
  type OsDisk,
  showVm,
  type Vm,
  vmAsResource,
  volumesOf,
} from "./vm-model.ts";

const managedDisk = z.looseObject({ id: z.string().min(1) });
const dataDiskSchema = z.looseObject({
  lun: z.number().int().min(0).max(63),
  createOption: z.string().optional(),
  managedDisk: managedDisk.partial().optional(),
  diskSizeGB: z.number().int().positive().optional(),
  deleteOption: z.enum(["Delete", "Detach"]).optional(),
  name: z.string().optional(),
  toBeDetached: z.boolean().optional(),
});
const osDiskSchema = z.looseObject({
  osType: z.enum(["Windows", "Linux"]).optional(),
  createOption: z.string().optional(),
  managedDisk: managedDisk.partial().optional(),
  deleteOption: z.enum(["Delete", "Detach"]).optional(),
  name: z.string().optional(),
});
const vmSchema = z.looseObject({
  location: locationSchema.optional(),
  tags: z.record(z.string(), z.string()).optional(),
  zones: z.array(z.string()).optional(),
  identity: z.unknown().optional(),
  properties: z
    .looseObject({
      hardwareProfile: z.looseObject({ vmSize: z.string() }).optional(),
      storageProfile: z
        .looseObject({ osDisk: osDiskSchema.optional(), dataDisks: z.array(dataDiskSchema).optional() })
        .optional(),
      networkProfile: z
        .looseObject({ networkInterfaces: z.array(z.looseObject({ id: z.string() })).optional() })
        .optional(),
    })
    .default({}),
});
const attachDetachSchema = z.looseObject({
  dataDisksToAttach: z
    .array(z.looseObject({ diskId: z.string(), lun: z.number().int().min(0).max(63).optional() }))
    .default([]),
  dataDisksToDetach: z.array(z.looseObject({ diskId: z.string() })).default([]),
});

type VmBody = z.infer<typeof vmSchema>;

const VM = "microsoft.compute/virtualmachines";

export const virtualMachineRoutes: ArmRoutes = {
  [`GET ${VM}`]: listOf(VIRTUAL_MACHINES, (world, vm) => showVm(world, asVm(vm), false)),
  [`GET ${VM}/{}`]: (world, request) =>
    json(
      200,
      showVm(
        world,
        asVm(world.resources.get(request.id)),
        request.call.query.get("$expand")?.toLowerCase() === "instanceview",
      ),
    ),
  [`GET ${VM}/{}/instanceview`]: (world, request) =>
    json(200, instanceView(world, asVm(world.resources.get(request.id)))),
  [`PUT ${VM}/{}`]: (world, request) => put(world, request),
  [`PATCH ${VM}/{}`]: (world, request) => put(world, request),
  [`DELETE ${VM}/{}`]: (world, request) => remove(world, request),
  [`POST ${VM}/{}/start`]: power("running"),
  [`POST ${VM}/{}/restart`]: power("running"),
  [`POST ${VM}/{}/poweroff`]: power("stopped"),
  [`POST ${VM}/{}/deallocate`]: power("deallocated"),
  [`POST ${VM}/{}/attachdetachdatadisks`]: (world, request) => attachDetach(world, request),
};

const put: ArmHandler = async (world, request) => {
  const body = bodyOf(request, vmSchema);
  const existing = world.resources.find(request.id);
  checkEtag(request, existing);
  if (existing !== undefined) return change(world, request, asVm(existing), body);
  if (request.call.method === "PATCH") world.resources.get(request.id);
  return create(world, request, body);
};

const create = async (world: World, request: ArmRequest, body: VmBody) => {
  const { location, properties } = body;
  if (location === undefined)
    throw new AzureError(400, "LocationRequired", "The location property is required for this definition.");
  if (properties.hardwareProfile === undefined)
    throw invalid("vmSize", "Required parameter 'vmSize' is missing (null).");
  const osDisk = properties.storageProfile?.osDisk;
  if (osDisk?.createOption !== "Attach" || osDisk.managedDisk?.id === undefined)
    throw invalid(
      "osDisk.createOption",
      "This simulated Azure creates virtual machines from an attached OS disk (createOption Attach, managedDisk.id).",
    );
  if (osDisk.osType === undefined)
    throw invalid("osDisk.osType", "Required parameter 'osDisk.osType' is missing (null).");
  if (properties.osProfile !== undefined)
    throw invalid("osProfile", "Parameter 'osProfile' is not allowed with an attached OS disk.");
  const id = request.id;
  const interfaces = planInterfaces(world, { id, location }, properties.networkProfile?.networkInterfaces ?? [], []);
  const attach = planDisks(
    world,
    { id, location, zones: body.zones },
    [osDisk],
    properties.storageProfile?.dataDisks ?? [],
  );
  const outcome = provisioningOutcome(body);
  const operation = begin(world, request, location, "operations", outcome);
  const vm: Vm = {
    id,
    location,
    tags: body.tags,
    zones: body.zones,
    identity: body.identity,
    properties: {
      ...properties,
      vmId: guidOf("vm", id.toLowerCase(), world.now()),
      hardwareProfile: properties.hardwareProfile,
      storageProfile: {
        ...properties.storageProfile,
        osDisk: attach.disks[0] as OsDisk,
        dataDisks: attach.disks.slice(1) as unknown as DataDisk[],
      },
    },
    inner: {
      power: "running",
      powerSince: world.now(),
      createdAt: world.now(),
      agent: "ready",
      agentVersion: osDisk.osType === "Windows" ? "2.7.41491.1176" : "2.11.1.4",
    },
    busyUntil: operation.doneAt,
    busyAs: "Creating",
    failed: operation.failed,
  };
  await world.state.commit([...attach.entries, ...interfaces, keep(vmAsResource(vm)), ...operation.entries]);
  return json(201, showVm(world, vm, false), operation.headers);
};

const change = async (world: World, request: ArmRequest, vm: Vm, body: VmBody) => {
  const { storageProfile = {}, ...rest } = body.properties;
  const before = vm.properties.storageProfile;
  const osDisk = storageProfile.osDisk?.managedDisk?.id;
  const swapsOs = osDisk !== undefined && osDisk.toLowerCase() !== before.osDisk.managedDisk?.id.toLowerCase();
  if (swapsOs && vm.inner.power !== "deallocated")
    throw conflict(`The OS disk of VM '${nameOf(vm.id)}' can only be swapped while the VM is deallocated.`);
  const wantedData =
    storageProfile.dataDisks?.filter(({ toBeDetached }) => toBeDetached !== true) ?? before.dataDisks ?? [];
  const attach = planDisks(world, vm, [{ ...before.osDisk, ...storageProfile.osDisk }], wantedData);
  const wantedInterfaces = rest.networkProfile?.networkInterfaces ?? interfacesOf(vm);
  const interfaces = planInterfaces(world, vm, wantedInterfaces, interfacesOf(vm));
  const operation = begin(world, request, vm.location, "operations");
  const changed: Vm = {
    ...vm,
    tags: body.tags ?? vm.tags,
    identity: body.identity ?? vm.identity,
    properties: {
      ...vm.properties,
      ...rest,
      hardwareProfile: rest.hardwareProfile ?? vm.properties.hardwareProfile,
      storageProfile: {
        ...before,
        ...storageProfile,
        osDisk: attach.disks[0] as OsDisk,
        dataDisks: attach.disks.slice(1) as unknown as DataDisk[],
      },
    },
    busyUntil: operation.doneAt,
    busyAs: "Updating",
    failed: operation.failed,
  };
  await world.state.commit([
    ...attach.entries,
    ...planDetach(world, vm, attach.disks),
    ...interfaces,
    keep(vmAsResource(changed)),
    ...operation.entries,
  ]);
  return json(200, showVm(world, changed, false), operation.headers);
};

const attachDetach: ArmHandler = async (world, request) => {
  const body = bodyOf(request, attachDetachSchema);
  const vm = asVm(world.resources.get(request.id));
  const leaving = new Set(body.dataDisksToDetach.map(({ diskId }) => diskId.toLowerCase()));
  const staying = (vm.properties.storageProfile.dataDisks ?? []).filter(
    ({ managedDisk: disk }) => !leaving.has(disk?.id.toLowerCase() ?? ""),
  );
  const free = Array.from({ length: 64 }, (_, lun) => lun).filter((lun) => !staying.some((disk) => disk.lun === lun));
  const coming = body.dataDisksToAttach.map(({ diskId, lun }) => ({
    lun: lun ?? free.shift() ?? 0,
    createOption: "Attach",
    managedDisk: { id: diskId },
  }));
  const attach = planDisks(world, vm, [vm.properties.storageProfile.osDisk], [...staying, ...coming]);
  const changed: Vm = {
    ...vm,
    properties: {
      ...vm.properties,
      storageProfile: { ...vm.properties.storageProfile, dataDisks: attach.disks.slice(1) as unknown as DataDisk[] },
    },
  };
  const operation = begin(world, request, vm.location, "operations", { result: changed.properties.storageProfile });
  const busy = { busyUntil: operation.doneAt, busyAs: "Updating" };
  return accepted(
    world,
    [...attach.entries, ...planDetach(world, vm, attach.disks), keep(vmAsResource({ ...changed, ...busy }))],
    operation,
  );
};

const remove: ArmHandler = async (world, request) => {
  const found = world.resources.find(request.id);
  if (found === undefined) return { status: 204 };
  const vm = asVm(found);
  const { osDisk, dataDisks = [] } = vm.properties.storageProfile;
  const doomed = new Set(
    [osDisk, ...dataDisks].flatMap(({ deleteOption, managedDisk: disk }) =>
      deleteOption === "Delete" && disk !== undefined ? [disk.id.toLowerCase()] : [],
    ),
  );
  const entries = volumesOf(world, vm).flatMap(({ disk }) => {
    if (!doomed.has(disk.id.toLowerCase())) return [keep(asResource({ ...disk, managedBy: undefined }))];
    refuseWhileShared(world, disk);
    return dropWithVolume(world, disk);
  });
  const extensions = world.resources.below(vm.id, `${VIRTUAL_MACHINES}/extensions`).map(({ id }) => drop(id));
  return accepted(
    world,
    [...entries, ...extensions, ...planInterfacesOfLeaving(world, vm), drop(vm.id)],
    begin(world, request, vm.location, "operations"),
  );
};

function power(to: Vm["inner"]["power"]): ArmHandler {
  return async (world, request) => {
    const vm = asVm(world.resources.get(request.id));
    if (to === "running" && vm.inner.power !== "running")
      for (const { disk } of volumesOf(world, vm)) refuseWhileShared(world, disk);
    const operation = begin(world, request, vm.location, "operations");
    const changed: Vm = {
      ...vm,
      inner: { ...vm.inner, power: to, powerSince: world.now() },
      busyUntil: operation.doneAt,
      busyAs: "Updating",
      failed: false,
    };
    return accepted(world, [keep(vmAsResource(changed))], operation);
  };
}

/** A VM tagged `simulated-provisioning: fails` fails to provision, after Azure has accepted it. */
function provisioningOutcome(body: VmBody): { failure?: OperationFailure } {
  if (body.tags?.["simulated-provisioning"] !== "fails") return {};
  return {
    failure: {
      status: 409,
      code: "AllocationFailed",
      message: "Allocation failed. We do not have sufficient capacity for the requested VM size in this region.",
    },
  };
}
