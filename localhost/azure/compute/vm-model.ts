// Virtual machines as resources: what is stored of one, and what its instance view says about power, agent and disks.
import { provisioningState, type Resource, render } from "../arm/resources.ts";
import { nameOf } from "../arm/target.ts";
import type { World } from "../arm/world.ts";
import { asDisk, type Disk } from "./disk-model.ts";

export interface AttachedDisk {
  readonly [property: string]: unknown;
  readonly name?: string | undefined;
  readonly managedDisk?: { readonly id: string; readonly [more: string]: unknown } | undefined;
  readonly deleteOption?: string | undefined;
}

export interface OsDisk extends AttachedDisk {
  readonly osType: string;
}

export interface DataDisk extends AttachedDisk {
  readonly lun: number;
}

export interface VmProperties {
  readonly [property: string]: unknown;
  readonly vmId: string;
  readonly hardwareProfile: { readonly vmSize: string; readonly [more: string]: unknown };
  readonly storageProfile: {
    readonly [more: string]: unknown;
    readonly osDisk: OsDisk;
    readonly dataDisks?: readonly DataDisk[] | undefined;
  };
}

export type AgentCondition = "ready" | "stale" | "absent";

export interface VmInner {
  readonly [property: string]: unknown;
  readonly power: "running" | "stopped" | "deallocated";
  readonly agent: AgentCondition;
  readonly agentVersion: string;
  /** How an application-consistent freeze goes. */
  readonly freeze?: "succeeds" | "degrades" | "fails" | undefined;
  readonly freezeScripts?: boolean | undefined;
  readonly workload?: unknown;
  readonly hyperVGeneration?: string | undefined;
  readonly provisioningFails?: boolean | undefined;
  /** Since when the machine is in this power state. */
  readonly powerSince: number;
}

export type Vm = Resource<VmProperties, VmInner>;

export function asVm(resource: Resource): Vm {
  return resource as unknown as Vm;
}

export function vmAsResource(vm: Vm): Resource {
  return vm as unknown as Resource;
}

/** The agent answers only in a running machine. */
export function agentState(vm: Vm): AgentCondition {
  return vm.inner.power === "running" ? vm.inner.agent : "absent";
}

/** OS disk first, then data disks by LUN; disks that are gone are left out. */
export function volumesOf(world: World, vm: Vm): { lun: number; disk: Disk }[] {
  const { osDisk, dataDisks = [] } = vm.properties.storageProfile;
  const attached = [
    { lun: -1, id: osDisk.managedDisk?.id },
    ...dataDisks.map(({ lun, managedDisk }) => ({ lun, id: managedDisk?.id })),
  ];
  return attached.flatMap(({ lun, id }) => {
    const disk = id === undefined ? undefined : world.resources.find(id);
    return disk === undefined ? [] : [{ lun, disk: asDisk(disk) }];
  });
}

export function showVm(world: World, vm: Vm, withView: boolean): unknown {
  const state = { timeCreated: new Date(Number(vm.inner.createdAt ?? 0)).toISOString() };
  return render(vmAsResource(vm), world.now(), withView ? { ...state, instanceView: instanceView(world, vm) } : state);
}

export function instanceView(world: World, vm: Vm): Record<string, unknown> {
  const state = provisioningState(vmAsResource(vm), world.now());
  const now = new Date(world.now()).toISOString();
  const { osDisk } = vm.properties.storageProfile;
  const windows = osDisk.osType === "Windows";
  const power = { running: "VM running", stopped: "VM stopped", deallocated: "VM deallocated" }[vm.inner.power];
  const agent = agentView(vm, now);
  return {
    ...(vm.inner.power === "running"
      ? {
          computerName: nameOf(vm.id),
          osName: windows ? "Windows Server 2022 Datacenter" : "ubuntu",
          osVersion: windows ? "10.0.20348" : "24.04",
        }
      : {}),
    hyperVGeneration: vm.inner.hyperVGeneration ?? "V2",
    ...(agent === undefined ? {} : { vmAgent: agent }),
    disks: volumesOf(world, vm).map(({ disk }) => ({
      name: nameOf(disk.id),
      statuses: [
        { code: "ProvisioningState/succeeded", level: "Info", displayStatus: "Provisioning succeeded", time: now },
      ],
    })),
    statuses: [
      {
        code: `ProvisioningState/${state.toLowerCase()}`,
        level: state === "Failed" ? "Error" : "Info",
        displayStatus: state === "Succeeded" ? "Provisioning succeeded" : state,
        time: now,
      },
      { code: `PowerState/${vm.inner.power}`, level: "Info", displayStatus: power },
    ],
  };
}

function agentView(vm: Vm, time: string): Record<string, unknown> | undefined {
  if (vm.inner.power !== "running") return undefined;
  const status = (code: string, displayStatus: string, message: string) => ({
    code,
    level: code.endsWith("succeeded") ? "Info" : "Warning",
    displayStatus,
    message,
    time,
  });
  if (vm.inner.agent === "ready")
    return {
      vmAgentVersion: vm.inner.agentVersion,
      extensionHandlers: [],
      statuses: [
        status("ProvisioningState/succeeded", "Ready", "GuestAgent is running and processing the extensions."),
      ],
    };
  const unknown = vm.inner.agent === "absent" ? "Unknown" : vm.inner.agentVersion;
  return {
    vmAgentVersion: unknown,
    statuses: [status("ProvisioningState/Unavailable", "Not Ready", "VM status blob is found but not yet populated.")],
  };
}
