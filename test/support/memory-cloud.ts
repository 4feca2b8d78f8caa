// Machines, their snapshots, and disks to restore to, in memory: as the ports promise, on the test's own clock. For what
// the simulated Azure is too slow for: hundreds of machines, and a crash at every step.

import { HoldfastFailure } from "../../src/base/failure.ts";
import type { DiskSource, SnapshotIdentity } from "../../src/ports/disk-source.ts";
import type { Machine, Machines } from "../../src/ports/machines.ts";
import type { ByteRange } from "../../src/ports/object-store.ts";
import type { SnapshotDisk, SnapshotRef, SnapshotState, Snapshots } from "../../src/ports/snapshots.ts";
import type { NewDisk, TargetDisk, TargetDisks } from "../../src/ports/target-disks.ts";
import { MemoryDisk, type MemorySource } from "./memory-disk.ts";

export interface CloudPorts {
  readonly machines: Machines;
  readonly snapshots: Snapshots;
  readonly targets: TargetDisks;
}

interface CloudMachine {
  readonly machine: Machine;
  readonly disks: readonly MemoryDisk[];
}

interface CloudSnapshot {
  readonly ref: SnapshotRef;
  readonly time: string;
  readonly readyAtMs: number;
  readonly disks: readonly { readonly disk: SnapshotDisk; readonly source: MemorySource; readonly cloudDisk: string }[];
  goneAtMs: number;
}

interface CloudDisk {
  readonly bytes: Buffer;
  readonly owner: string;
  readonly readyAtMs: number;
  state: "waits-for-upload" | "ready";
  goneAtMs: number;
}

export interface CloudTimes {
  /** So long a snapshot or a disk takes to be there. */
  readonly makingMs?: number;
  readonly removingMs?: number;
}

export class MemoryCloud {
  nowMs: () => number = () => 0;
  readonly machines = new Map<string, CloudMachine>();
  readonly snapshots = new Map<string, CloudSnapshot>();
  readonly targets = new Map<string, CloudDisk>();
  /** Resources whose bytes somebody may read or write at present. */
  readonly openAccess = new Set<string>();
  private readonly times: Required<CloudTimes>;

  constructor(times: CloudTimes = {}) {
    this.times = { makingMs: 0, removingMs: 0, ...times };
  }

  addMachine(id: string, disks: readonly MemoryDisk[]): void {
    this.machines.set(id.toLowerCase(), { machine: machineOf(id, disks), disks });
  }

  disksOf(id: string): readonly MemoryDisk[] {
    return this.machines.get(id.toLowerCase())?.disks ?? [];
  }

  /** A snapshot that is gone without anybody of ours. */
  lose(ref: SnapshotRef): void {
    this.dropSnapshot(keyOf(ref));
  }

  /** Each is another process: it knows only what it opened itself. */
  connect(): CloudPorts {
    const bases = new Map<string, Set<string>>();
    return {
      machines: {
        list: () => {
          throw new Error("nobody lists the machines of this cloud");
        },
        read: async (id) => this.machines.get(id.toLowerCase())?.machine,
      },
      snapshots: this.snapshotsFor(bases),
      targets: this.targetDisks(),
    };
  }

  private snapshotsFor(bases: Map<string, Set<string>>): Snapshots {
    return {
      begin: async ({ snapshot, machineId, excludedDiskIds }) => {
        if (this.find(snapshot)) return;
        const found = this.machines.get(machineId.toLowerCase());
        if (!found) throw new HoldfastFailure("not-found", "VMNotFoundV2", `${machineId} is not there`);
        this.take(snapshot, found, excludedDiskIds);
      },
      read: async (ref) => {
        const found = this.find(ref);
        return found && this.stateOf(found);
      },
      remove: async (ref) => {
        const found = this.find(ref);
        if (!found) return "gone";
        for (const { disk } of found.disks) this.openAccess.delete(disk.snapshotDiskId);
        if (found.goneAtMs === Number.POSITIVE_INFINITY) found.goneAtMs = this.nowMs() + this.times.removingMs;
        return this.find(ref) ? "going" : "gone";
      },
      list: (collection) => this.listed(collection),
      open: async ({ snapshotDiskId, diskUniqueId, snapshotTime }) => {
        const source = this.sourceOf(snapshotDiskId);
        this.openAccess.add(snapshotDiskId);
        const identity = { diskUniqueId, snapshotId: snapshotDiskId, snapshotTime };
        return new CloudSource(this, source, identity, (base) => {
          this.openAccess.add(base);
          bases.set(snapshotDiskId, (bases.get(snapshotDiskId) ?? new Set()).add(base));
        });
      },
      close: async ({ snapshotDiskId }) => {
        for (const id of [snapshotDiskId, ...(bases.get(snapshotDiskId) ?? [])]) this.openAccess.delete(id);
        bases.delete(snapshotDiskId);
      },
    };
  }

  private async *listed(collection: SnapshotRef["collection"]) {
    const refs = [...this.snapshots.values()].map(({ ref }) => ref);
    const here = refs.filter((ref) => keyOf({ ...ref, name: "" }) === keyOf({ collection, name: "" }));
    yield here.filter((ref) => this.find(ref));
  }

  private take(ref: SnapshotRef, { machine, disks }: CloudMachine, excluded: readonly string[]): void {
    const included = machine.disks.filter(({ diskId }) => !excluded.includes(diskId));
    const taken = included.map((disk) => {
      const cloudDisk = disks[machine.disks.indexOf(disk)] as MemoryDisk;
      const source = cloudDisk.snapshot();
      const snapshotDiskId = `${keyOf(ref)}/${disk.name}`;
      const { lun, name, skuName } = disk;
      const described = { lun, name, skuName, sizeBytes: source.sizeBytes, snapshotDiskId, diskUniqueId: cloudDisk.id };
      return { disk: described, source, cloudDisk: cloudDisk.id };
    });
    const nowMs = this.nowMs();
    const time = new Date(nowMs).toISOString();
    const readyAtMs = nowMs + this.times.makingMs;
    this.snapshots.set(keyOf(ref), { ref, time, readyAtMs, disks: taken, goneAtMs: Number.POSITIVE_INFINITY });
  }

  private find(ref: SnapshotRef): CloudSnapshot | undefined {
    const key = keyOf(ref);
    const found = this.snapshots.get(key);
    if (found && found.goneAtMs <= this.nowMs()) this.dropSnapshot(key);
    return this.snapshots.get(key);
  }

  private dropSnapshot(key: string): void {
    for (const { disk } of this.snapshots.get(key)?.disks ?? []) this.openAccess.delete(disk.snapshotDiskId);
    this.snapshots.delete(key);
  }

  private stateOf({ readyAtMs, goneAtMs, time, disks }: CloudSnapshot): SnapshotState {
    const isReady = readyAtMs <= this.nowMs() && goneAtMs === Number.POSITIVE_INFINITY;
    return {
      state: isReady ? "done" : "pending",
      consistency: "file-system",
      time,
      disks: isReady ? disks.map(({ disk }) => disk) : [],
    };
  }

  /** Undefined when that snapshot is not there any more. */
  findSource(snapshotDiskId: string): MemorySource | undefined {
    for (const snapshot of this.snapshots.values()) {
      const found = snapshot.disks.find(({ disk }) => disk.snapshotDiskId === snapshotDiskId);
      if (found && this.find(snapshot.ref)) return found.source;
    }
    return undefined;
  }

  private sourceOf(snapshotDiskId: string): MemorySource {
    const source = this.findSource(snapshotDiskId);
    if (source) return source;
    throw new HoldfastFailure("not-found", "ResourceNotFound", `${snapshotDiskId} is not there`);
  }

  private targetDisks(): TargetDisks {
    return {
      readGroup: async () => ({ location: "westeurope" }),
      read: async (id) => this.readTarget(id),
      beginUpload: async (request) => this.make(request, Buffer.alloc(request.sizeBytes), "waits-for-upload"),
      beginFromSnapshot: async (request) => {
        if (this.findTarget(request.diskId)?.owner === request.owner) return;
        const { sizeBytes } = request;
        const bytes = Buffer.alloc(sizeBytes);
        bytes.set(await this.sourceOf(request.snapshotDiskId).read({ offset: 0, length: sizeBytes }));
        this.make(request, bytes, "ready");
      },
      openForWriting: async (id) => {
        this.waitingTarget(id);
        this.openAccess.add(id);
        return {
          write: async (offset, piece) => void this.waitingTarget(id).bytes.set(piece, offset),
          finish: async () => {},
          discard: async () => {},
        };
      },
      finishUpload: async (id) => {
        const disk = this.findTarget(id);
        if (!disk) throw new HoldfastFailure("not-found", "ResourceNotFound", `${id} is not there`);
        disk.state = "ready";
        this.openAccess.delete(id);
      },
      remove: async (id, owner) => {
        const disk = this.findTarget(id);
        if (!disk || disk.owner !== owner) return "gone";
        this.openAccess.delete(id);
        if (disk.goneAtMs === Number.POSITIVE_INFINITY) disk.goneAtMs = this.nowMs() + this.times.removingMs;
        return this.findTarget(id) ? "going" : "gone";
      },
    };
  }

  private make({ diskId, owner }: NewDisk, bytes: Buffer, state: CloudDisk["state"]): void {
    const known = this.findTarget(diskId);
    if (known?.owner === owner) return;
    if (known) throw new HoldfastFailure("conflict", "HoldfastDiskExists", `${diskId} is there already`);
    const readyAtMs = this.nowMs() + this.times.makingMs;
    this.targets.set(diskId, { bytes, owner, readyAtMs, state, goneAtMs: Number.POSITIVE_INFINITY });
  }

  private readTarget(id: string): TargetDisk | undefined {
    const disk = this.findTarget(id);
    return disk && { owner: disk.owner, state: disk.readyAtMs > this.nowMs() ? "pending" : disk.state };
  }

  findTarget(id: string): CloudDisk | undefined {
    const disk = this.targets.get(id);
    if (disk && disk.goneAtMs <= this.nowMs()) this.targets.delete(id);
    return this.targets.get(id);
  }

  private waitingTarget(id: string): CloudDisk {
    const disk = this.findTarget(id);
    if (disk?.state === "waits-for-upload") return disk;
    throw new HoldfastFailure("conflict", "OperationNotAllowed", `${id} does not wait for bytes`);
  }
}

/** A snapshot's disk: a difference is offered from what is still there. */
class CloudSource implements DiskSource {
  readonly sizeBytes: number;
  readonly identity: SnapshotIdentity;
  private readonly cloud: MemoryCloud;
  private readonly source: MemorySource;
  private readonly openedBase: (id: string) => void;

  constructor(
    cloud: MemoryCloud,
    source: MemorySource,
    identity: SnapshotIdentity,
    openedBase: (snapshotDiskId: string) => void,
  ) {
    this.cloud = cloud;
    this.source = source;
    this.sizeBytes = source.sizeBytes;
    this.identity = identity;
    this.openedBase = openedBase;
  }

  allocatedRanges(): AsyncIterable<ByteRange> {
    return this.source.allocatedRanges();
  }

  async changedRanges(since: SnapshotIdentity): Promise<AsyncIterable<ByteRange> | undefined> {
    const base = this.cloud.findSource(since.snapshotId);
    if (base?.identity.diskUniqueId !== since.diskUniqueId) return undefined;
    this.openedBase(since.snapshotId);
    return this.source.changedRanges(base.identity);
  }

  read(range: ByteRange): Promise<Uint8Array> {
    if (this.cloud.findSource(this.identity.snapshotId)) return this.source.read(range);
    throw new HoldfastFailure("not-found", "ResourceNotFound", `${this.identity.snapshotId} is not there`);
  }
}

function machineOf(id: string, disks: readonly MemoryDisk[]): Machine {
  const parts = id.split("/");
  return {
    id,
    kind: "resource-manager",
    name: parts.at(-1) ?? "",
    resourceGroup: parts[4] ?? "",
    location: "westeurope",
    vmId: `vm of ${id}`,
    sizeName: "Standard_D2s_v5",
    osType: "Linux",
    power: "running",
    provisioning: "succeeded",
    agent: { state: "ready", version: "2.9.1.1" },
    securityType: "Standard",
    zones: [],
    disks: disks.map(({ id: diskId, bytes }, at) => ({
      lun: at - 1,
      name: diskId,
      diskId: `/disks/${diskId}`,
      sizeBytes: bytes.length,
      skuName: "Premium_LRS",
      imageReference: undefined,
      isReadable: true,
    })),
    configuration: JSON.stringify({ id, properties: { hardwareProfile: { vmSize: "Standard_D2s_v5" } } }),
  };
}

function keyOf({ collection, name }: SnapshotRef): string {
  return `${collection.resourceGroup}/${collection.name}/${name}`.toLowerCase();
}

export function memoryDisk(id: string, sizeBytes: number, seed: number): MemoryDisk {
  const disk = new MemoryDisk(sizeBytes, id);
  disk.fill(0, 64 * 1024, seed);
  disk.fill(sizeBytes / 2, 96 * 1024, seed + 1);
  return disk;
}
