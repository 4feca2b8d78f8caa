import { createHash } from "node:crypto";
import { AnonymousCredential, PageBlobClient } from "@azure/storage-blob";
import { afterAll, afterEach, beforeAll, describe, expect, it } from "vitest";
import { azureSnapshots } from "../../../src/azure/azure-snapshots.ts";
import { DiskAccess } from "../../../src/azure/disk-access.ts";
import type { DiskSource } from "../../../src/ports/disk-source.ts";
import type { ByteRange } from "../../../src/ports/object-store.ts";
import type {
  SnapshotDisk,
  SnapshotRef,
  SnapshotRequest,
  SnapshotState,
  Snapshots,
} from "../../../src/ports/snapshots.ts";
import { GROUP, POLL, SUBSCRIPTION } from "../../localhost/azure/support/azure.ts";
import { type ServiceAzure, startServiceAzure } from "../../support/azure-service.ts";

const MIB = 2 ** 20;
const GIB = 2 ** 30;
const RPG = "AzureBackupRG_westeurope_1";
let azure: ServiceAzure;
let snapshots: Snapshots;

beforeAll(async () => {
  azure = await startServiceAzure();
  snapshots = process_();
});

afterEach(() => azure.noFaults());

afterAll(async () => {
  expect(azure.defects).toEqual([]);
  await azure.stop();
});

/** What another process of the service would have: nothing in memory. */
function process_(): Snapshots {
  const arm = azure.connect();
  return azureSnapshots(arm, new DiskAccess(arm));
}

const machineId = (vm: string) => `${GROUP}/providers/Microsoft.Compute/virtualMachines/${vm}`;

function ref(vm: string, name: string): SnapshotRef {
  return { collection: { subscriptionId: SUBSCRIPTION, resourceGroup: RPG, name: `${vm}-points` }, name };
}

function requestFor(vm: string, name: string, more: Partial<SnapshotRequest> = {}): SnapshotRequest {
  const common = { location: "westeurope", crashConsistentOnly: false, excludedDiskIds: [] };
  return { ...common, snapshot: ref(vm, name), machineId: machineId(vm), ...more };
}

async function taken(vm: string, name: string, more: Partial<SnapshotRequest> = {}): Promise<SnapshotState> {
  await snapshots.begin(requestFor(vm, name, more));
  return expect
    .poll(() => snapshots.read(ref(vm, name)).then((state) => (state?.state === "pending" ? undefined : state)), {
      timeout: 20_000,
    })
    .toBeDefined()
    .then(() => snapshots.read(ref(vm, name))) as Promise<SnapshotState>;
}

function open(state: SnapshotState, lun: number, by = snapshots): Promise<DiskSource> {
  return by.open(refOf(state, lun));
}

function diskOf(state: SnapshotState, lun: number): SnapshotDisk {
  return state.disks.find((disk) => disk.lun === lun) as SnapshotDisk;
}

function refOf(state: SnapshotState, lun: number) {
  const { snapshotDiskId, diskUniqueId } = diskOf(state, lun);
  return { snapshotDiskId, diskUniqueId, snapshotTime: state.time };
}

async function all(ranges: AsyncIterable<ByteRange> | undefined): Promise<ByteRange[]> {
  const found: ByteRange[] = [];
  for await (const range of ranges ?? []) found.push(range);
  return found;
}

/** A disk's content: the digest of each MiB that is not zeros. */
async function content(source: DiskSource): Promise<Map<number, string>> {
  const ranges = await all(source.allocatedRanges());
  const pieces = new Set(
    ranges.flatMap(({ offset, length }) => {
      const [from, to] = [Math.floor(offset / MIB), Math.ceil((offset + length) / MIB)];
      return Array.from({ length: to - from }, (_, index) => from + index);
    }),
  );
  const digests = new Map<number, string>();
  for (const piece of [...pieces].sort((a, b) => a - b))
    digests.set(piece, digest(await source.read({ offset: piece * MIB, length: MIB })));
  return digests;
}

const digest = (bytes: Uint8Array) => createHash("sha256").update(bytes).digest("hex");

describe("A snapshot of a running machine", () => {
  it("holds every disk of one moment, in a group and collection made for it, and is begun only once", async () => {
    await snapshots.begin(requestFor("db-01", "first"));
    await Promise.all([snapshots.begin(requestFor("db-01", "first")), process_().begin(requestFor("db-01", "first"))]);
    const state = await taken("db-01", "first");
    expect(state).toMatchObject({ state: "done", consistency: "application" });
    expect(Date.now() - Date.parse(state.time)).toBeLessThan(60_000);
    expect(state.disks.map(({ lun, name, sizeBytes, skuName }) => [lun, name, sizeBytes, skuName])).toEqual([
      [-1, "db-01_OsDisk", 2 * GIB, "Premium_LRS"],
      [0, "db-01_DataDisk_0", GIB, "Premium_LRS"],
      [1, "db-01_DataDisk_1", GIB, "Premium_LRS"],
      [2, "db-01_DataDisk_2", 2 * GIB, "Premium_LRS"],
    ]);
    expect(diskOf(state, 0).diskUniqueId).toBe((await azure.compute().disks.get("demo", "db-01_DataDisk_0")).uniqueId);
    const listed = [];
    for await (const page of snapshots.list(ref("db-01", "first").collection)) listed.push(...page);
    expect(listed).toEqual([ref("db-01", "first")]);
  });

  it("leaves out the disks it is told to, and is no more consistent than it is told to be", async () => {
    const excluded = `${GROUP}/providers/Microsoft.Compute/disks/db-01_DataDisk_1`;
    const state = await taken("db-01", "partial", { excludedDiskIds: [excluded], crashConsistentOnly: true });
    expect(state).toMatchObject({ state: "done", consistency: "crash" });
    expect(state.disks.map(({ lun }) => lun)).toEqual([-1, 0, 2]);
  });

  it("is read as what a direct look at its bytes shows, without the footer that is not part of the disk", async () => {
    const state = await taken("db-01", "bytes");
    const source = await open(state, 0);
    expect(source.sizeBytes).toBe(GIB);
    expect(source.identity).toEqual({
      diskUniqueId: diskOf(state, 0).diskUniqueId,
      snapshotId: diskOf(state, 0).snapshotDiskId,
      snapshotTime: state.time,
    });
    const [, , , , group = "", , , , collection = "", , point = "", , disk = ""] = diskOf(
      state,
      0,
    ).snapshotDiskId.split("/");
    const { accessSAS = "" } = await azure
      .compute()
      .diskRestorePoint.grantAccess(group, collection, point, disk, { access: "Read", durationInSeconds: 600 }, POLL);
    const direct = new PageBlobClient(accessSAS, new AnonymousCredential());
    expect((await direct.getProperties()).contentLength).toBe(GIB + 512);
    const seen = await content(source);
    expect(seen.size).toBeGreaterThan(3);
    for (const [piece, hash] of seen) expect(digest(await direct.downloadToBuffer(piece * MIB, MIB))).toBe(hash);
    const ranges = await all(source.allocatedRanges());
    expect(Math.max(...ranges.map(({ offset, length }) => offset + length))).toBeLessThanOrEqual(GIB);
    const zeros = await source.read({ offset: GIB - MIB, length: MIB });
    expect(zeros.every((byte) => byte === 0)).toBe(true);
    await snapshots.close(refOf(state, 0));
  });

  it("with what changed since another gives all that it holds, though the machine wrote all the while", async () => {
    const first = await taken("db-01", "older");
    await azure.live(25);
    const second = await taken("db-01", "newer");
    await azure.live(5);
    for (const lun of [-1, 0, 1, 2]) {
      const [older, newer] = [await open(first, lun), await open(second, lun)];
      const changed = await newer.changedRanges(older.identity);
      expect(changed).toBeDefined();
      const ranges = await all(changed);
      const [before, after] = [await content(older), await content(newer)];
      const touched = new Set(ranges.flatMap(({ offset, length }) => piecesOf(offset, length)));
      for (const piece of new Set([...before.keys(), ...after.keys()]))
        if (!touched.has(piece)) expect(after.get(piece)).toBe(before.get(piece));
      for (const { offset, length } of ranges) {
        expect(length % 512).toBe(0);
        expect(offset + length).toBeLessThanOrEqual(newer.sizeBytes);
      }
      expect(await newer.changedRanges({ ...older.identity, diskUniqueId: "another" })).toBeUndefined();
      await snapshots.close(refOf(second, lun));
      await snapshots.close(refOf(first, lun));
    }
  });

  const piecesOf = (offset: number, length: number) => {
    const from = Math.floor(offset / MIB);
    return Array.from({ length: Math.ceil((offset + length) / MIB) - from }, (_, index) => from + index);
  };
});
