// Backups and restores by the real orchestrations and activities, against the simulated Azure over HTTP.

import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from "vitest";
import { BACKUP } from "../../orchestrations/contracts.ts";
import { backupJob } from "../../src/control/policy-runs.ts";
import type { ItemBody } from "../../src/control/rows/item-row.ts";
import { JOB_ROWS, type JobBody, jobPlace, newBackupWork } from "../../src/control/rows/job-row.ts";
import type { PointBody } from "../../src/control/rows/point-row.ts";
import { insertRow } from "../../src/control/rows/row-kind.ts";
import { jobIdOf, pointWireIdOf } from "../../src/domain/job-id.ts";
import { parseItemId, parseTransferId } from "../../src/vault/format/names.ts";
import { readManifest } from "../../src/vault/points.ts";
import { type ServiceAzure, startServiceAzure } from "../support/azure-service.ts";
import { startService, type TestService, VAULT } from "../support/service.ts";
import { restoreFrom } from "../support/vault-fixture.ts";

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
  service = await startService(azure);
});

afterEach(async () => {
  await azure.noFaults();
  await service.close();
});

async function backUp(item: ItemBody, more: Partial<JobBody> = {}): Promise<JobBody> {
  const id = await startBackup(item, more);
  return service.end(id);
}

let nonce = 0;

async function startBackup(item: ItemBody, more: Partial<JobBody> = {}): Promise<string> {
  const at = service.deps.clock.now();
  const id = jobIdOf({ kind: "Backup", subject: item.name, at, nonce: String(nonce++) });
  const body: JobBody = {
    ...backupJob(item, id, at),
    isUserTriggered: true,
    backup: newBackupWork({
      scheduledAt: null,
      policy: null,
      isCatchUp: false,
      retainUntil: "2026-05-01T00:00:00Z",
      tags: [],
      goesToVault: true,
      snapshotGroup: { prefix: "", suffix: "" },
      pointId: pointWireIdOf(id),
    }),
    ...more,
  };
  await insertRow(service.deps.tables, JOB_ROWS, jobPlace(VAULT, id), body);
  await service.deps.workflow.start(BACKUP.name, id, { vault: VAULT, job: id });
  return id;
}

/** Each disk of the snapshot, read by SAS, equals the same disk restored from the vault. */
async function compare(item: ItemBody, point: PointBody): Promise<void> {
  const vault = await service.archive.open({ archive: { containerName: "v-vault1" } } as never);
  const transfer = parseTransferId(point.archive?.transfer ?? "");
  const { manifest } = await readManifest(vault, { item: parseItemId(item.archiveItem), transfer });
  expect(manifest.disks.map(({ lun }) => lun)).toEqual(point.snapshot.disks.map(({ lun }) => lun));
  for (const ordinal of point.snapshot.disks.keys()) {
    const restored = await restoreFrom(vault, manifest, ordinal);
    expect(restored.equals(await readSnapshot(point, ordinal))).toBe(true);
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
    const t0=performance.now(); const first = await backUp(item); console.log("first", performance.now()-t0);
    expect(first).toMatchObject({ status: "Completed", failure: null });
    expect(first.endedAt).not.toBeNull();
    await azure.live(20);
    const second = await backUp(item);
    expect(second.status).toBe("Completed");
    const points = await service.points(item);
    expect(points).toHaveLength(2);
    for (const point of points) await compare(item, point);
    expect(await service.item(item)).toMatchObject({ state: "Protected", lastBackup: { status: "Completed" } });
    const vault = service.archive.stores.get("v-vault1");
    expect(vault?.state.names("pins/")).toEqual([]);
  });
});
