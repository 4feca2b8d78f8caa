// Machines, their snapshots, and where restores go, in memory: as much as use cases ask of them.

import type { DiskSource } from "../../src/ports/disk-source.ts";
import type { Machine, MachineSummary, Machines } from "../../src/ports/machines.ts";
import type {
  CollectionRef,
  SnapshotDiskRef,
  SnapshotRef,
  SnapshotRequest,
  SnapshotState,
  Snapshots,
} from "../../src/ports/snapshots.ts";
import { MemoryDisk } from "./memory-disk.ts";

export const SUBSCRIPTION = "33333333-4444-4555-8666-777777777777";

export const vmIdOf = (name: string, group = "apps", subscription = SUBSCRIPTION): string =>
  `/subscriptions/${subscription}/resourceGroups/${group}/providers/Microsoft.Compute/virtualMachines/${name}`;

export const itemNameOf = (name: string, group = "apps"): string => `VM;iaasvmcontainerv2;${group};${name}`;

/** A running machine with two disks; a test says what is different. */
export function machineOf(name: string, more: Partial<Machine> = {}): Machine {
  const disk = (lun: number) => ({
    ...{ lun, name: `${name}-disk${lun}`, diskId: `${vmIdOf(name)}-disk${lun}`, sizeBytes: 1 << 20 },
    ...{ skuName: "Standard_LRS", imageReference: undefined, isReadable: true },
  });
  return {
    ...{ id: vmIdOf(name), kind: "resource-manager", name, resourceGroup: "apps", location: "westeurope" },
    ...{ vmId: `id-of-${name}`, sizeName: "Standard_B2s", osType: "Linux", power: "running" },
    ...{ provisioning: "succeeded", agent: { state: "ready", version: "2.9" }, securityType: "None", zones: [] },
    ...{ disks: [disk(-1), disk(0)], configuration: "{}" },
    ...more,
  };
}

export class MemoryMachines implements Machines {
  private readonly machines = new Map<string, Machine>();

  add(...machines: readonly Machine[]): void {
    for (const machine of machines) this.machines.set(machine.id.toLowerCase(), machine);
  }

  remove(machineId: string): void {
    this.machines.delete(machineId.toLowerCase());
  }

  async *list(subscriptionId: string): AsyncIterable<readonly MachineSummary[]> {
    const start = `/subscriptions/${subscriptionId}/`.toLowerCase();
    // A page for each machine: whoever reads only the first page is found out.
    for (const [id, machine] of this.machines) if (id.startsWith(start)) yield [machine];
  }

  async read(machineId: string): Promise<Machine | undefined> {
    return this.machines.get(machineId.toLowerCase());
  }
}

/** Snapshots that are done at once, and take two calls to go. */
export class MemorySnapshots implements Snapshots {
  private readonly taken = new Map<
    string,
    { readonly ref: SnapshotRef; readonly state: SnapshotState; isGoing: boolean }
  >();

  async begin({ snapshot, machineId }: SnapshotRequest): Promise<void> {
    const disk = { lun: -1, name: "os", sizeBytes: 1 << 20, diskUniqueId: machineId, skuName: "Standard_LRS" };
    const disks = [{ ...disk, snapshotDiskId: `${keyOf(snapshot)}/os` }];
    const state = { state: "done", consistency: "crash", time: "2026-03-01T12:00:00Z", disks } as const;
    if (!this.taken.has(keyOf(snapshot))) this.taken.set(keyOf(snapshot), { ref: snapshot, state, isGoing: false });
  }

  async read(snapshot: SnapshotRef): Promise<SnapshotState | undefined> {
    return this.taken.get(keyOf(snapshot))?.state;
  }

  async remove(snapshot: SnapshotRef): Promise<"gone" | "going"> {
    const found = this.taken.get(keyOf(snapshot));
    if (!found) return "gone";
    if (found.isGoing) this.taken.delete(keyOf(snapshot));
    found.isGoing = true;
    return this.taken.has(keyOf(snapshot)) ? "going" : "gone";
  }

  async *list({ name }: CollectionRef): AsyncIterable<readonly SnapshotRef[]> {
    yield [...this.taken.values()].filter(({ ref }) => ref.collection.name === name).map(({ ref }) => ref);
  }

  async open({ diskUniqueId }: SnapshotDiskRef): Promise<DiskSource> {
    return new MemoryDisk(1 << 20, diskUniqueId).snapshot();
  }

  async close(): Promise<void> {}
}

const keyOf = ({ collection, name }: SnapshotRef): string =>
  [collection.subscriptionId, collection.resourceGroup, collection.name, name].join("/").toLowerCase();
