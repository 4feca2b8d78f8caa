// Snapshots of Resource Manager machines: restore points in a collection. All disks of one moment, each with a disk restore
// point whose bytes are read behind a SAS.
//
// Beginning is a PUT under a name that the caller chose before: repeated, or repeated by another process, it finds its own
// point and leaves it alone. A point never changes, so whoever reads it reads what was begun.

import type { DiskRestorePoint, RestorePoint, RestorePointSourceMetadata } from "@azure/arm-compute";
import pMap from "p-map";
import { HoldfastFailure } from "../base/failure.ts";
import type { DiskSource, SnapshotIdentity } from "../ports/disk-source.ts";
import type {
  CollectionRef,
  SnapshotDisk,
  SnapshotDiskRef,
  SnapshotRef,
  SnapshotRequest,
  SnapshotState,
  Snapshots,
} from "../ports/snapshots.ts";
import type { Arm } from "./arm.ts";
import { asked, found } from "./azure-failures.ts";
import { openPageBlobSource } from "./blob-page-source.ts";
import { type DiskAccess, isFamilyLimit } from "./disk-access.ts";
import { parseResourceId, parseTyped } from "./resource-path.ts";
import { snapshotCode, snapshotFailure } from "./snapshot-failures.ts";

export const DISK_RESTORE_POINTS = "Microsoft.Compute/restorePointCollections/restorePoints/diskRestorePoints";
const GROUPS_API_VERSION = "2021-04-01";
const GIB = 2 ** 30;
const AT_ONCE = 8;

export class RestorePoints implements Snapshots {
  private readonly arm: Arm;
  private readonly access: DiskAccess;
  /** Which earlier disk restore points were opened for the difference from which. */
  private readonly bases = new Map<string, Set<string>>();

  constructor(arm: Arm, access: DiskAccess) {
    this.arm = arm;
    this.access = access;
  }

  async begin(request: SnapshotRequest): Promise<void> {
    const { collection, name } = request.snapshot;
    if ((await this.find(request.snapshot)) !== undefined) return;
    try {
      await this.ensureCollection(request);
      const { restorePoints } = this.arm.compute(collection.subscriptionId);
      const body = {
        ...(request.crashConsistentOnly ? { consistencyMode: "CrashConsistent" } : {}),
        ...(request.excludedDiskIds.length === 0
          ? {}
          : { excludeDisks: request.excludedDiskIds.map((id) => ({ id })) }),
      };
      await asked(textOf(request.snapshot), () =>
        restorePoints.create(collection.resourceGroup, collection.name, name, body).submitted(),
      );
    } catch (thrown) {
      // Refused because it is there: another call made it meanwhile, or an answer to our own was lost.
      const isThere = thrown instanceof HoldfastFailure && thrown.kind === "conflict";
      if (isThere && (await this.find(request.snapshot)) !== undefined) return;
      throw snapshotFailure(thrown);
    }
  }

  async read(snapshot: SnapshotRef): Promise<SnapshotState | undefined> {
    const point = await this.find(snapshot);
    if (point === undefined) return undefined;
    const state = stateOf(point);
    const common = {
      state,
      consistency: CONSISTENCIES[point.consistencyMode ?? ""] ?? "crash",
      time: (point.timeCreated ?? new Date(0)).toISOString(),
    };
    if (state === "failed") return { ...common, failure: failureOfPoint(point), disks: [] };
    if (state === "pending") return { ...common, disks: [] };
    const disks = await this.disksOf(snapshot, point.sourceMetadata);
    return disks === undefined ? { ...common, state: "pending", disks: [] } : { ...common, disks };
  }

  async remove(snapshot: SnapshotRef): Promise<"gone" | "going"> {
    const point = await this.find(snapshot);
    if (point === undefined) return "gone";
    if (point.provisioningState === "Deleting") return "going";
    const ids = (point.instanceView?.diskRestorePoints ?? []).flatMap(({ id }) => id ?? []);
    await pMap(ids, (id) => this.access.end(id), { concurrency: AT_ONCE });
    const { collection, name } = snapshot;
    const { restorePoints } = this.arm.compute(collection.subscriptionId);
    await found(textOf(snapshot), () =>
      restorePoints.delete(collection.resourceGroup, collection.name, name).submitted(),
    );
    return (await this.find(snapshot)) === undefined ? "gone" : "going";
  }

  async *list(collection: CollectionRef): AsyncGenerator<readonly SnapshotRef[]> {
    const { restorePointCollections } = this.arm.compute(collection.subscriptionId);
    const answer = await found(`Collection ${collection.name}`, () =>
      restorePointCollections.get(collection.resourceGroup, collection.name, { expand: "restorePoints" }),
    );
    yield (answer?.restorePoints ?? []).map(({ name = "" }) => ({ collection, name }));
  }

  open(disk: SnapshotDiskRef): Promise<DiskSource> {
    const { snapshotDiskId, diskUniqueId, snapshotTime } = disk;
    return openPageBlobSource(() => this.granted(snapshotDiskId, (id) => this.access.blob(id, "Read")), {
      identity: { diskUniqueId, snapshotId: snapshotDiskId, snapshotTime },
      hasFooter: true,
      base: (since) => this.base(snapshotDiskId, since),
      refused: (url) => this.access.refused(url),
    });
  }

  async close({ snapshotDiskId }: SnapshotDiskRef): Promise<void> {
    const key = snapshotDiskId.toLowerCase();
    const bases = this.bases.get(key) ?? [];
    await pMap([snapshotDiskId, ...bases], (id) => this.access.end(id), { concurrency: AT_ONCE });
    this.bases.delete(key);
  }

  async hasCollection({ subscriptionId, resourceGroup, name }: CollectionRef): Promise<boolean> {
    const { restorePointCollections } = this.arm.compute(subscriptionId);
    return (await found(name, () => restorePointCollections.get(resourceGroup, name))) !== undefined;
  }

  private find({ collection, name }: SnapshotRef): Promise<RestorePoint | undefined> {
    const { restorePoints } = this.arm.compute(collection.subscriptionId);
    return found(name, () =>
      restorePoints.get(collection.resourceGroup, collection.name, name, { expand: "instanceView" }),
    );
  }

  private async ensureCollection({ snapshot: { collection }, machineId, location }: SnapshotRequest): Promise<void> {
    if (await this.hasCollection(collection)) return;
    const { subscriptionId, resourceGroup, name } = collection;
    const { restorePointCollections } = this.arm.compute(subscriptionId);
    const group = `/subscriptions/${subscriptionId}/resourceGroups/${resourceGroup}`;
    const hasGroup = await found(group, () => this.arm.request("GET", group, GROUPS_API_VERSION));
    if (hasGroup === undefined)
      await asked(group, () => this.arm.request("PUT", group, GROUPS_API_VERSION, { location }));
    await asked(`Collection ${name}`, () =>
      restorePointCollections.createOrUpdate(resourceGroup, name, { location, source: { id: machineId } }),
    );
  }

  /** Undefined while one of them cannot be read yet. */
  private async disksOf(
    snapshot: SnapshotRef,
    metadata: RestorePointSourceMetadata | undefined,
  ): Promise<readonly SnapshotDisk[] | undefined> {
    const { collection, name } = snapshot;
    const { diskRestorePoint } = this.arm.compute(collection.subscriptionId);
    const points = await asked(textOf(snapshot), () =>
      allOf(diskRestorePoint.listByRestorePoint(collection.resourceGroup, collection.name, name)),
    );
    const byId = new Map(points.map((point) => [point.id?.toLowerCase(), point]));
    const { osDisk, dataDisks = [] } = metadata?.storageProfile ?? {};
    const all = [...(osDisk === undefined ? [] : [{ ...osDisk, lun: -1 }]), ...dataDisks];
    const pairs = all.flatMap(({ diskRestorePoint: { id } = {}, ...disk }) =>
      id === undefined ? [] : [{ id, disk, point: byId.get(id.toLowerCase()) }],
    );
    if (!pairs.every(({ point }) => point !== undefined && isReadable(point))) return undefined;
    return pMap(
      pairs,
      async ({ id, disk, point }) => ({
        lun: disk.lun ?? 0,
        name: disk.name ?? "",
        sizeBytes: await this.sizeOf(disk.diskSizeGB ?? 0, point?.sourceResourceId),
        snapshotDiskId: id,
        diskUniqueId: point?.sourceUniqueId ?? "",
        skuName: disk.managedDisk?.storageAccountType ?? "",
      }),
      { concurrency: AT_ONCE },
    );
  }

  /** The restore point knows whole GiB alone; the disk knows bytes, unless it was resized since. */
  private async sizeOf(sizeGib: number, diskId: string | undefined): Promise<number> {
    if (diskId !== undefined) {
      const { subscriptionId, resourceGroup, names } = parseResourceId(diskId);
      const { disks } = this.arm.compute(subscriptionId);
      const disk = await found(diskId, () => disks.get(resourceGroup, names[0] ?? ""));
      if (disk?.diskSizeBytes !== undefined && Math.ceil(disk.diskSizeBytes / GIB) === sizeGib)
        return disk.diskSizeBytes;
    }
    return sizeGib * GIB;
  }

  /** The address of an earlier snapshot of the same disk, if it still exists. */
  private async base(snapshotDiskId: string, since: SnapshotIdentity): Promise<{ url: string } | undefined> {
    const { subscriptionId, resourceGroup, names } = parseTyped(since.snapshotId, DISK_RESTORE_POINTS);
    const [collection = "", point = "", disk = ""] = names;
    const { diskRestorePoint } = this.arm.compute(subscriptionId);
    if (!this.access.has(since.snapshotId)) {
      const earlier = await found(since.snapshotId, () => diskRestorePoint.get(resourceGroup, collection, point, disk));
      if (earlier?.sourceUniqueId !== since.diskUniqueId) return undefined;
    }
    const key = snapshotDiskId.toLowerCase();
    this.bases.set(key, (this.bases.get(key) ?? new Set()).add(since.snapshotId));
    try {
      return { url: await this.granted(since.snapshotId, (id) => this.access.url(id, "Read")) };
    } catch (thrown) {
      // Gone, or not to be had: comparing everything takes longer, and is right as well.
      if (thrown instanceof HoldfastFailure && ["not-found", "conflict"].includes(thrown.kind)) return undefined;
      throw thrown;
    }
  }

  /** When Azure lets no more snapshots of the disk be read, those that nobody here reads have been left behind. */
  private async granted<Access>(
    snapshotDiskId: string,
    ask: (snapshotDiskId: string) => Promise<Access>,
  ): Promise<Access> {
    try {
      return await ask(snapshotDiskId);
    } catch (thrown) {
      if (!isFamilyLimit(thrown)) throw thrown;
      await this.endForgottenAccess(snapshotDiskId);
      return ask(snapshotDiskId);
    }
  }

  private async endForgottenAccess(snapshotDiskId: string): Promise<void> {
    const { subscriptionId, resourceGroup, names } = parseTyped(snapshotDiskId, DISK_RESTORE_POINTS);
    const [collection = "", point = "", name = ""] = names;
    const { diskRestorePoint } = this.arm.compute(subscriptionId);
    const own = await asked(name, () => diskRestorePoint.get(resourceGroup, collection, point, name));
    for await (const refs of this.list({ subscriptionId, resourceGroup, name: collection })) {
      await pMap(
        refs,
        async (ref) => {
          const listed = diskRestorePoint.listByRestorePoint(resourceGroup, collection, ref.name);
          const all = (await found(ref.name, () => allOf(listed))) ?? [];
          const others = all.filter(
            ({ id = "", sourceUniqueId }) => sourceUniqueId === own.sourceUniqueId && !this.access.has(id),
          );
          for (const { id } of others) if (id !== undefined) await this.access.end(id);
        },
        { concurrency: AT_ONCE },
      );
    }
  }
}

const CONSISTENCIES: Readonly<Record<string, SnapshotState["consistency"]>> = {
  ApplicationConsistent: "application",
  FileSystemConsistent: "file-system",
  CrashConsistent: "crash",
};

function stateOf({ provisioningState }: RestorePoint): SnapshotState["state"] {
  if (provisioningState === "Succeeded") return "done";
  return provisioningState === "Failed" || provisioningState === "Canceled" ? "failed" : "pending";
}

function isReadable({ completionPercent = 100, snapshotAccessState }: DiskRestorePoint): boolean {
  return completionPercent >= 100 && snapshotAccessState !== "Pending" && snapshotAccessState !== "InstantAccess";
}

function failureOfPoint({ instanceView }: RestorePoint): { readonly code: string; readonly message: string } {
  const failed = (instanceView?.statuses ?? []).find(
    ({ code = "", level }) => level === "Error" || /failed/i.test(code),
  );
  const code = failed?.code?.split("/").at(-1) ?? "HoldfastSnapshotFailed";
  const message = failed?.message ?? failed?.displayStatus ?? "Azure accepted the snapshot, and failed to take it";
  return { code: snapshotCode(/^failed$/i.test(code) ? "HoldfastSnapshotFailed" : code, message), message };
}

async function allOf<Item>(items: AsyncIterable<Item>): Promise<Item[]> {
  const all: Item[] = [];
  for await (const item of items) all.push(item);
  return all;
}

function textOf({ collection, name }: SnapshotRef): string {
  return `Restore point ${name} of ${collection.name}`;
}
