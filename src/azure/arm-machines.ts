// Resource Manager machines, as their own instance view and their disks tell of them.

import type { Disk, ImageReference, VirtualMachine, VirtualMachineInstanceView } from "@azure/arm-compute";
import pMap from "p-map";
import type { Machine, MachineAgent, MachineDisk, MachineSummary } from "../ports/machines.ts";
import type { Arm } from "./arm.ts";
import { failureOf, found } from "./azure-failures.ts";
import { parseResourceId, parseTyped } from "./resource-path.ts";

export const VIRTUAL_MACHINES = "Microsoft.Compute/virtualMachines";
const GIB = 2 ** 30;
/** Disks asked about at once; a machine has up to 65. */
const DISKS_AT_ONCE = 8;

export async function* listArmMachines(arm: Arm, subscriptionId: string): AsyncGenerator<readonly MachineSummary[]> {
  try {
    for await (const page of arm.compute(subscriptionId).virtualMachines.listAll().byPage())
      yield page.map((vm) => summaryOf(vm));
  } catch (thrown) {
    throw failureOf(thrown, `The machines of subscription ${subscriptionId}`);
  }
}

export async function readArmMachine(arm: Arm, machineId: string): Promise<Machine | undefined> {
  const { subscriptionId, resourceGroup, name } = parseTyped(machineId, VIRTUAL_MACHINES);
  let configuration = "";
  const vm = await found(machineId, () =>
    arm.compute(subscriptionId).virtualMachines.get(resourceGroup, name, {
      expand: "instanceView",
      onResponse: ({ bodyAsText }) => {
        configuration = bodyAsText ?? "";
      },
    }),
  );
  if (vm === undefined) return undefined;
  const view = vm.instanceView;
  const power = statusOf(view, "PowerState") ?? "unknown";
  return {
    ...summaryOf(vm),
    vmId: vm.vmId ?? "",
    sizeName: vm.hardwareProfile?.vmSize ?? "",
    osType: vm.storageProfile?.osDisk?.osType === "Windows" ? "Windows" : "Linux",
    power,
    provisioning: (vm.provisioningState ?? "unknown").toLowerCase(),
    agent: agentOf(view, power),
    securityType: vm.securityProfile?.securityType ?? "Standard",
    zones: vm.zones ?? [],
    disks: await disksOf(arm, vm),
    configuration,
  };
}

function summaryOf({ id = "", name = "", location = "" }: VirtualMachine): MachineSummary {
  const { resourceGroup } = parseResourceId(id);
  return { id, kind: "resource-manager", name, resourceGroup, location };
}

function statusOf(view: VirtualMachineInstanceView | undefined, kind: string): string | undefined {
  const codes = (view?.statuses ?? []).map(({ code = "" }) => code.split("/"));
  return codes.find(([of]) => of?.toLowerCase() === kind.toLowerCase())?.[1]?.toLowerCase();
}

/** A machine that is off says nothing of its agent, which may be there all the same. */
function agentOf(view: VirtualMachineInstanceView | undefined, power: string): MachineAgent {
  const { vmAgentVersion = "", statuses = [] } = view?.vmAgent ?? {};
  const version = vmAgentVersion === "Unknown" ? "" : vmAgentVersion;
  if (statuses.some(({ code = "" }) => /^ProvisioningState\/succeeded$/i.test(code)))
    return { state: "ready", version };
  return { state: version === "" && power === "running" ? "absent" : "not-ready", version };
}

interface AttachedDisk {
  readonly lun: number;
  readonly name: string;
  readonly id: string | undefined;
  readonly url: string | undefined;
  readonly sizeGib: number;
  readonly skuName: string;
  readonly image: string | undefined;
}

function attachedTo({ storageProfile }: VirtualMachine): AttachedDisk[] {
  const { osDisk, dataDisks = [], imageReference } = storageProfile ?? {};
  const all = [...(osDisk === undefined ? [] : [{ ...osDisk, lun: -1 }]), ...dataDisks];
  return all.map(({ lun = 0, name = "", managedDisk, vhd, diskSizeGB = 0 }) => ({
    lun,
    name,
    id: managedDisk?.id,
    url: vhd?.uri,
    sizeGib: diskSizeGB,
    skuName: managedDisk?.storageAccountType ?? "",
    image: lun === -1 ? imageText(imageReference) : undefined,
  }));
}

function imageText(image: ImageReference | undefined): string | undefined {
  if (image === undefined) return undefined;
  const { id, publisher, offer, sku, exactVersion, version } = image;
  return id ?? [publisher, offer, sku, exactVersion ?? version].join(":");
}

function disksOf(arm: Arm, vm: VirtualMachine): Promise<MachineDisk[]> {
  return pMap(attachedTo(vm), (disk) => describeDisk(arm, disk), { concurrency: DISKS_AT_ONCE });
}

async function describeDisk(arm: Arm, attached: AttachedDisk): Promise<MachineDisk> {
  const { lun, name, id, url = "", sizeGib, skuName, image } = attached;
  // The machine says little of its disks, and nothing of their size while it is off.
  const { subscriptionId, resourceGroup, names } = id === undefined ? NO_DISK : parseResourceId(id);
  const disk =
    id === undefined
      ? undefined
      : await found(id, () => arm.compute(subscriptionId).disks.get(resourceGroup, names[0] ?? ""));
  return {
    lun,
    name: name || (names[0] ?? ""),
    diskId: id ?? url,
    sizeBytes: disk?.diskSizeBytes ?? (disk?.diskSizeGB ?? sizeGib) * GIB,
    skuName: disk?.sku?.name ?? skuName,
    imageReference: disk?.creationData?.imageReference?.id ?? image,
    isReadable: disk !== undefined && isReadable(disk),
  };
}

const NO_DISK = { subscriptionId: "", resourceGroup: "", names: [] as readonly string[] };

/** Access is by public addresses; a disk that allows none of them, or only private ones, is out of reach. */
function isReadable({ networkAccessPolicy = "AllowAll", publicNetworkAccess = "Enabled" }: Disk): boolean {
  return networkAccessPolicy === "AllowAll" && publicNetworkAccess === "Enabled";
}
