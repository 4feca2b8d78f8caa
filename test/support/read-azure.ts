// Reading disks of the simulated Azure as anybody would: by SAS, and only where they are allocated.

import type { PointBody } from "../../src/control/rows/point-row.ts";
import { POLL, pageBlob } from "../localhost/azure/support/azure.ts";
import type { ServiceAzure } from "./azure-service.ts";
import type { TestService } from "./service.ts";

const PIECE_BYTES = 4 * 2 ** 20;
const READ = { access: "Read" as const, durationInSeconds: 3600 };

export async function readSnapshot(service: TestService, point: PointBody, ordinal: number): Promise<Buffer> {
  const { snapshotDiskId, diskUniqueId } = point.snapshot.disks[ordinal] as PointBody["snapshot"]["disks"][number];
  const ref = { snapshotDiskId, diskUniqueId, snapshotTime: point.time };
  const source = await service.deps.snapshots.open(ref);
  const bytes = Buffer.alloc(source.sizeBytes);
  for await (const { offset, length } of source.allocatedRanges()) {
    for (let at = offset; at < offset + length; at += PIECE_BYTES) {
      const piece = { offset: at, length: Math.min(PIECE_BYTES, offset + length - at) };
      bytes.set(await source.read(piece), at);
    }
  }
  await service.deps.snapshots.close(ref);
  return bytes;
}

export async function readDisk(azure: ServiceAzure, diskId: string): Promise<Buffer> {
  const name = diskId.split("/").at(-1) ?? "";
  const { disks } = azure.compute();
  const { accessSAS } = await disks.grantAccess("demo", name, READ, POLL);
  const bytes = await readBehind(accessSAS);
  await disks.revokeAccess("demo", name, POLL);
  return bytes;
}

/** What the machine's disks hold now, in the order of their LUNs: of a restore point of the test's own, which goes again. */
export async function readMachine(azure: ServiceAzure, machineId: string): Promise<Buffer[]> {
  const { restorePointCollections, restorePoints, diskRestorePoint } = azure.compute();
  const collection = `witness-of-${machineId.split("/").at(-1)}`;
  await restorePointCollections.createOrUpdate("demo", collection, {
    location: "westeurope",
    source: { id: machineId },
  });
  const { sourceMetadata } = await restorePoints.create("demo", collection, "witness", {}, POLL);
  const { osDisk, dataDisks = [] } = sourceMetadata?.storageProfile ?? {};
  const disks: Buffer[] = [];
  for (const disk of [osDisk, ...dataDisks]) {
    const name = disk?.diskRestorePoint?.id?.split("/").at(-1) ?? "";
    const { accessSAS } = await diskRestorePoint.grantAccess("demo", collection, "witness", name, READ, POLL);
    disks.push(await readBehind(accessSAS));
  }
  await restorePointCollections.delete("demo", collection, POLL);
  return disks;
}

async function readBehind(sas: string | undefined): Promise<Buffer> {
  const blob = pageBlob(sas);
  const { contentLength = 0 } = await blob.getProperties();
  const bytes = Buffer.alloc(contentLength - 512);
  for await (const { start, end, isClear } of blob.listPageRanges(0, bytes.length)) {
    if (isClear) continue;
    for (let at = start; at <= end; at += PIECE_BYTES) {
      const length = Math.min(PIECE_BYTES, end + 1 - at);
      await blob.downloadToBuffer(bytes.subarray(at, at + length), at, length);
    }
  }
  return bytes;
}
