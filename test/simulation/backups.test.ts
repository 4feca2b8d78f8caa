// Backups and restores by the real orchestrations and activities, against the simulated Azure over HTTP: what is read back
// through Azure itself equals what the snapshot held.

import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from "vitest";
import type { ItemBody } from "../../src/control/rows/item-row.ts";
import type { PointBody } from "../../src/control/rows/point-row.ts";
import { type ServiceAzure, startServiceAzure } from "../support/azure-service.ts";
import { TestService } from "../support/service.ts";
import { backUp, disksInVault } from "../support/service-work.ts";

const PIECE_BYTES = 4 * 2 ** 20;
let azure: ServiceAzure;
let service: TestService;

beforeAll(async () => {
  azure = await startServiceAzure();
});

afterAll(async () => {
  expect(azure.defects).toEqual([]);
  await azure.stop();
});

beforeEach(async () => {
  service = await TestService.start(azure);
});

afterEach(async () => {
  await azure.noFaults();
  await service.close();
});

/** Each disk of the snapshot, read by SAS, equals the same disk as the vault has it. */
async function expectSameInVault(item: ItemBody, point: PointBody): Promise<void> {
  const inVault = await disksInVault(service, item, point);
  expect(inVault).toHaveLength(point.snapshot.disks.length);
  for (const [ordinal, disk] of inVault.entries()) {
    expect(disk.equals(await readSnapshot(point, ordinal))).toBe(true);
  }
}

async function readSnapshot(point: PointBody, ordinal: number): Promise<Buffer> {
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

describe("A backup", () => {
  it("takes a snapshot and brings it into the vault byte for byte, again and again while the machine writes", async () => {
    const item = await service.protect("web-01");
    const first = await backUp(service, item);
    expect(first).toMatchObject({ status: "Completed", failure: null });
    expect(first.endedAt).not.toBeNull();
    await azure.live(20);
    const second = await backUp(service, item);
    expect(second.status).toBe("Completed");
    const points = await service.points(item);
    expect(points).toHaveLength(2);
    for (const point of points) await expectSameInVault(item, point);
    expect(await service.item(item)).toMatchObject({ state: "Protected", lastBackup: { status: "Completed" } });
    const vault = service.archive.stores.get("v-vault1");
    expect(vault?.state.names("pins/")).toEqual([]);
  });
});
