// Snapshots of Classic machines: a blob snapshot of each of its disks, marked with the name of the whole. The service has no
// word for "all of one moment", so they are taken at the same time, and belong together by a mark of that attempt. An
// attempt that broke off leaves an incomplete set, which is nobody's snapshot; the next one takes a set of its own. Of
// several complete sets the one that was complete first counts: none that comes later can change that.
//
// A Classic machine has no collection; the name of one leads back to the machine it would be of.

import { randomUUID } from "node:crypto";
import type { BlobItem } from "@azure/storage-blob";
import { HoldfastFailure } from "../base/failure.ts";
import { FOOTER_BYTES } from "../base/vhd-footer.ts";
import { restorePointCollectionName } from "../domain/names-of-things.ts";
import type { DiskSource, SnapshotIdentity } from "../ports/disk-source.ts";
import type {
  CollectionRef,
  SnapshotDiskRef,
  SnapshotRef,
  SnapshotRequest,
  SnapshotState,
  Snapshots,
} from "../ports/snapshots.ts";
import type { Arm } from "./arm.ts";
import { asked, found } from "./azure-failures.ts";
import { openPageBlobSource } from "./blob-page-source.ts";
import { classicBlob, classicContainer } from "./classic-blob.ts";
import { type ClassicDisk, listClassicMachines, readClassicDisks } from "./classic-machines.ts";

interface MarkedSnapshot {
  readonly url: string;
  readonly blobUrl: string;
  readonly time: string;
  readonly sizeBytes: number;
  readonly name: string;
  readonly set: string;
  readonly diskCount: number;
  readonly lun: number;
  readonly diskName: string;
}

export class BlobSnapshots implements Snapshots {
  private readonly arm: Arm;

  constructor(arm: Arm) {
    this.arm = arm;
  }

  async begin({ snapshot, machineId, excludedDiskIds }: SnapshotRequest): Promise<void> {
    const all = await readClassicDisks(this.arm, machineId);
    if (all === undefined) throw new HoldfastFailure("not-found", "BCMV2VMNotFound", `${machineId} is not there`);
    if (firstWhole(await this.marked(all, snapshot.name)) !== undefined) return;
    const disks = all.filter(({ url }) => !excludedDiskIds.some((id) => id.toLowerCase() === url.toLowerCase()));
    const set = randomUUID();
    await asked(`Snapshot ${snapshot.name}`, () =>
      Promise.all(
        disks.map((disk) => {
          const metadata = marksOf(snapshot.name, set, disks.length, disk);
          return classicBlob(disk.url, this.arm.credential).createSnapshot({ metadata });
        }),
      ),
    );
  }

  async read(snapshot: SnapshotRef): Promise<SnapshotState | undefined> {
    const marked = await this.find(snapshot);
    if (marked.length === 0) return undefined;
    const whole = firstWhole(marked);
    const common = { consistency: "crash", time: earliest(whole ?? marked) } as const;
    if (whole === undefined) return { ...common, state: "pending", disks: [] };
    const disks = whole.map(({ lun, diskName, sizeBytes, url, blobUrl }) => ({
      ...{ lun, name: diskName, sizeBytes },
      ...{ snapshotDiskId: url, diskUniqueId: blobUrl, skuName: "" },
    }));
    return { ...common, state: "done", disks: disks.sort((left, right) => left.lun - right.lun) };
  }

  async remove(snapshot: SnapshotRef): Promise<"gone" | "going"> {
    for (const { url } of await this.find(snapshot))
      await found(snapshot.name, () => classicBlob(url, this.arm.credential).delete());
    return "gone";
  }

  async *list(collection: CollectionRef): AsyncGenerator<readonly SnapshotRef[]> {
    const disks = await this.disksOf(collection);
    const names = new Set((await this.marked(disks)).map(({ name }) => name));
    yield [...names].map((name) => ({ collection, name }));
  }

  open({ snapshotDiskId, diskUniqueId, snapshotTime }: SnapshotDiskRef): Promise<DiskSource> {
    const blob = classicBlob(snapshotDiskId, this.arm.credential);
    return openPageBlobSource(async () => blob, {
      identity: { diskUniqueId, snapshotId: snapshotDiskId, snapshotTime },
      hasFooter: true,
      base: (since) => this.base(snapshotDiskId, since),
    });
  }

  /** Nobody was granted anything: the service reads as itself. */
  async close(): Promise<void> {}

  private async base(snapshotDiskId: string, since: SnapshotIdentity): Promise<{ snapshot: string } | undefined> {
    const [here, earlier] = [new URL(snapshotDiskId), new URL(since.snapshotId)];
    const snapshot = earlier.searchParams.get("snapshot");
    if (snapshot === null || earlier.pathname !== here.pathname || earlier.host !== here.host) return undefined;
    const blob = classicBlob(since.snapshotId, this.arm.credential);
    const properties = await found(since.snapshotId, () => blob.getProperties());
    return properties === undefined ? undefined : { snapshot };
  }

  private async find({ collection, name }: SnapshotRef): Promise<readonly MarkedSnapshot[]> {
    return this.marked(await this.disksOf(collection), name);
  }

  private async disksOf({ subscriptionId, name }: CollectionRef): Promise<readonly ClassicDisk[]> {
    for await (const machines of listClassicMachines(this.arm, subscriptionId)) {
      const machine = machines.find(({ id }) => restorePointCollectionName(id) === name);
      if (machine !== undefined) return (await readClassicDisks(this.arm, machine.id)) ?? [];
    }
    return [];
  }

  private async marked(disks: readonly ClassicDisk[], name?: string): Promise<MarkedSnapshot[]> {
    const perDisk = await Promise.all(disks.map((disk) => this.markedOf(disk)));
    return perDisk.flat().filter((one) => name === undefined || one.name === name);
  }

  private async markedOf({ url }: ClassicDisk): Promise<MarkedSnapshot[]> {
    const blobName = decodeURIComponent(new URL(url).pathname.split("/").at(-1) ?? "");
    const container = classicContainer(url, this.arm.credential);
    const options = { prefix: blobName, includeSnapshots: true, includeMetadata: true };
    const all: MarkedSnapshot[] = [];
    await asked(url, async () => {
      for await (const item of container.listBlobsFlat(options)) {
        const one = item.name === blobName ? readMarks(url, item) : undefined;
        if (one !== undefined) all.push(one);
      }
    });
    return all;
  }
}

const PREFIX = "holdfast";

function marksOf(name: string, set: string, diskCount: number, { lun, name: diskName }: ClassicDisk) {
  return {
    [`${PREFIX}snapshot`]: name,
    [`${PREFIX}set`]: set,
    [`${PREFIX}disks`]: String(diskCount),
    [`${PREFIX}lun`]: String(lun),
    // Marks are headers, and headers are ASCII.
    [`${PREFIX}disk`]: encodeURIComponent(diskName),
  };
}

function readMarks(blobUrl: string, { snapshot, metadata = {}, properties }: BlobItem): MarkedSnapshot | undefined {
  const mark = (what: string): string => metadata[`${PREFIX}${what}`] ?? "";
  if (!snapshot || mark("snapshot") === "") return undefined;
  return {
    url: `${blobUrl}?snapshot=${snapshot}`,
    blobUrl,
    time: snapshot,
    sizeBytes: (properties.contentLength ?? 0) - FOOTER_BYTES,
    name: mark("snapshot"),
    set: mark("set"),
    diskCount: Number(mark("disks")),
    lun: Number(mark("lun")),
    diskName: decodeURIComponent(mark("disk")),
  };
}

/**
 * Times of snapshots are of one length, so that they sort as texts. When an answer was lost, the client has asked again, and
 * a disk has two snapshots of one set: the earlier counts.
 */
function firstWhole(marked: readonly MarkedSnapshot[]): readonly MarkedSnapshot[] | undefined {
  const inOrder = marked.toSorted((left, right) => (left.time < right.time ? -1 : 1));
  const sets = [...Map.groupBy(inOrder, ({ set }) => set).values()].map((set) =>
    set.filter((one) => set.find(({ lun }) => lun === one.lun) === one),
  );
  const whole = sets.filter((set) => set.length === set[0]?.diskCount);
  return whole.sort((left, right) => (latest(left) < latest(right) ? -1 : 1))[0];
}

const times = (marked: readonly MarkedSnapshot[]): string[] => marked.map(({ time }) => time).sort();
const earliest = (marked: readonly MarkedSnapshot[]): string => times(marked)[0] ?? "";
const latest = (marked: readonly MarkedSnapshot[]): string => times(marked).at(-1) ?? "";
