import { createHash } from "node:crypto";
import { AnonymousCredential, PageBlobClient } from "@azure/storage-blob";
import { afterAll, afterEach, beforeAll, describe, expect, it } from "vitest";
import { azureSnapshots } from "../../../src/azure/azure-snapshots.ts";
import { azureTargetDisks } from "../../../src/azure/azure-target-disks.ts";
import { DiskAccess } from "../../../src/azure/disk-access.ts";
import { HoldfastFailure } from "../../../src/base/failure.ts";
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
import { everythingIn, type ServiceAzure, startServiceAzure } from "../../support/azure-service.ts";

const MIB = 2 ** 20;
const GIB = 2 ** 30;
const RPG = "AzureBackupRG_westeurope_1";
let azure: ServiceAzure;
let snapshots: Snapshots;

beforeAll(async () => {
  azure = await startServiceAzure();
  snapshots = inAnotherProcess();
});

afterEach(() => azure.noFaults());

afterAll(async () => {
  expect(azure.defects).toEqual([]);
  await azure.stop();
});

/** What another process of the service would have: nothing in memory. */
function inAnotherProcess(): Snapshots {
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
  const isOver = async () => ["done", "failed"].includes((await snapshots.read(ref(vm, name)))?.state ?? "");
  await expect.poll(isOver, { timeout: 20_000 }).toBe(true);
  return (await snapshots.read(ref(vm, name))) as SnapshotState;
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

/** A disk's content: the digest of each MiB that is not zeros, or of the first few. */
async function content(source: DiskSource, atMost = Number.POSITIVE_INFINITY): Promise<Map<number, string>> {
  const ranges = await all(source.allocatedRanges());
  const pieces = new Set(
    ranges.flatMap(({ offset, length }) => {
      const [from, to] = [Math.floor(offset / MIB), Math.ceil((offset + length) / MIB)];
      return Array.from({ length: to - from }, (_, index) => from + index);
    }),
  );
  const digests = new Map<number, string>();
  for (const piece of [...pieces].sort((a, b) => a - b).slice(0, atMost))
    digests.set(piece, digest(await source.read({ offset: piece * MIB, length: MIB })));
  return digests;
}

const digest = (bytes: Uint8Array) => createHash("sha256").update(bytes).digest("hex");

describe("A snapshot of a running machine", () => {
  it("holds every disk of one moment, in a group and collection made for it, and is begun only once", async () => {
    await snapshots.begin(requestFor("db-01", "first"));
    await Promise.all([
      snapshots.begin(requestFor("db-01", "first")),
      inAnotherProcess().begin(requestFor("db-01", "first")),
    ]);
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

  it("is what an earlier one becomes with the changes in between, though the machine wrote all the while", async () => {
    const first = await taken("db-01", "older");
    await azure.live(25);
    const second = await taken("db-01", "newer");
    await azure.live(5);
    let changedBytes = 0;
    for (const lun of [-1, 0, 1, 2]) {
      const [older, newer] = [await open(first, lun), await open(second, lun)];
      const ranges = await all(await newer.changedRanges(older.identity));
      changedBytes += ranges.reduce((sum, { length }) => sum + length, 0);
      expect(await patched(older, newer, ranges)).toEqual(await content(newer));
      expect(await newer.changedRanges({ ...older.identity, diskUniqueId: "another" })).toBeUndefined();
      await snapshots.close(refOf(second, lun));
      await snapshots.close(refOf(first, lun));
    }
    expect(changedBytes).toBeGreaterThan(MIB);
  });

  it("of a disk that grew holds the new end, and what changed there", async () => {
    const first = await taken("web-01", "small");
    const { disks, virtualMachines } = azure.compute();
    await virtualMachines.deallocate("demo", "web-01", POLL);
    await disks.update("demo", "web-01_OsDisk", { diskSizeGB: 2 }, POLL);
    await virtualMachines.start("demo", "web-01", POLL);
    await azure.live(10);
    const second = await taken("web-01", "grown");
    const [older, newer] = [await open(first, -1), await open(second, -1)];
    expect([older.sizeBytes, newer.sizeBytes]).toEqual([GIB, 2 * GIB]);
    const changed = await newer.changedRanges(older.identity);
    // Either Azure tells, or everything is compared.
    if (changed !== undefined) {
      const ranges = await all(changed);
      const grown = { ...older, read: readPadded(older), allocatedRanges: () => older.allocatedRanges() };
      expect(await patched(grown as DiskSource, newer, ranges)).toEqual(await content(newer));
    }
    for (const state of [first, second]) await snapshots.close(refOf(state, -1));
  });
});

describe("A disk that is not whole GiB", () => {
  it("is told of, and read, to its last byte", async () => {
    const arm = azure.connect();
    const targets = azureTargetDisks(arm, new DiskAccess(arm));
    const diskId = `${GROUP}/providers/Microsoft.Compute/disks/uploaded`;
    const disk = { diskId, location: "westeurope", zones: [], sizeBytes: 70 * MIB, skuName: "Standard_LRS" };
    await targets.beginUpload({ ...disk, osType: "Linux", hyperVGeneration: "V2", owner: "job" });
    const tail = Buffer.alloc(MIB, 9);
    await (await targets.openForWriting(diskId)).write(69 * MIB, tail);
    await targets.finishUpload(diskId);
    const osDisk = { osType: "Linux" as const, createOption: "Attach", managedDisk: { id: diskId } };
    const machine = { location: "westeurope", hardwareProfile: { vmSize: "Standard_B1s" }, storageProfile: { osDisk } };
    await azure.compute().virtualMachines.createOrUpdate("demo", "small-01", machine, POLL);
    const state = await taken("small-01", "odd");
    expect(diskOf(state, -1).sizeBytes).toBe(70 * MIB);
    const source = await open(state, -1);
    expect(source.sizeBytes).toBe(70 * MIB);
    expect(await all(source.allocatedRanges())).toEqual([{ offset: 69 * MIB, length: MIB }]);
    expect(tail.equals(await source.read({ offset: 69 * MIB, length: MIB }))).toBe(true);
    await snapshots.close(refOf(state, -1));
  });
});

describe("Access to a snapshot's bytes", () => {
  it("is asked for once, however many read, and again when another process ended it", async () => {
    const state = await taken("web-01", "accessed");
    await azure.fault("count", { kind: "latency", latencyMs: 0 }, { operation: "begingetaccess" });
    const granted = async () => {
      const { value } = (await azure.control("GET", "faults")) as { value: { injected: number }[] };
      return value[0]?.injected;
    };
    const source = await open(state, -1);
    const read = () => source.read({ offset: 0, length: MIB }).then(digest);
    const once = await read();
    await Promise.all([read(), read(), all(source.allocatedRanges()), open(state, -1)]);
    expect(await granted()).toBe(1);
    await inAnotherProcess().close(refOf(state, -1));
    expect(await Promise.all([read(), read(), read()])).toEqual([once, once, once]);
    expect(await granted()).toBe(2);
    await snapshots.close(refOf(state, -1));
  });

  it("that ends before its time is asked for again, for both sides of a difference", async () => {
    const first = await taken("web-01", "early-1");
    await azure.live(3);
    const second = await taken("web-01", "early-2");
    await azure.fault("early", { kind: "sas-expires-early", share: 0 }, { operation: "begingetaccess", times: 2 });
    const newer = await open(second, -1);
    const since = { ...refOf(first, -1), snapshotId: diskOf(first, -1).snapshotDiskId };
    await azure.fault("early", { kind: "sas-expires-early", share: 0 }, { operation: "begingetaccess", times: 1 });
    const ranges = await all(await newer.changedRanges(since));
    expect(ranges.reduce((sum, { length }) => sum + length, 0)).toBe(3 * 65_536);
    await snapshots.close(refOf(second, -1));
    await azure.fault("never", { kind: "sas-expires-early", share: 0 }, { operation: "begingetaccess" });
    await expect(open(second, -1)).rejects.toMatchObject({ kind: "denied", code: "HoldfastSourceDenied" });
    await azure.noFaults();
    await snapshots.close(refOf(second, -1));
  });

  it("is renewed before it ends", async () => {
    const state = await taken("web-01", "renewed");
    const arm = azure.connect();
    const hasty = new DiskAccess(arm, { grantedSeconds: 60, renewBeforeMs: 60_000, operationMs: 30_000 });
    const lasting = new DiskAccess(arm, { grantedSeconds: 7200, renewBeforeMs: 60_000, operationMs: 30_000 });
    await azure.fault("count", { kind: "latency", latencyMs: 0 }, { operation: "begingetaccess" });
    for (const access of [hasty, lasting]) {
      const source = await azureSnapshots(arm, access).open(refOf(state, -1));
      for (let index = 0; index < 3; index += 1) await source.read({ offset: index * MIB, length: MIB });
    }
    const { value } = (await azure.control("GET", "faults")) as { value: { injected: number }[] };
    expect(value[0]?.injected).toBe(4 + 1);
    await snapshots.close(refOf(state, -1));
  });

  it("that other processes left behind is ended when Azure allows no more of it", async () => {
    const states: SnapshotState[] = [];
    for (const name of ["f1", "f2", "f3", "f4", "f5", "f6", "f7"]) states.push(await taken("web-01", name));
    const [kept, ...others] = states;
    const reading = await open(kept as SnapshotState, -1);
    const before = digest(await reading.read({ offset: 0, length: MIB }));
    for (const state of others.slice(0, 4)) await open(state, -1, inAnotherProcess());
    const sixth = await open(others[4] as SnapshotState, -1);
    expect(digest(await sixth.read({ offset: 0, length: MIB }))).toBe(before);
    expect(digest(await reading.read({ offset: 0, length: MIB }))).toBe(before);
    for (const state of states) await snapshots.close(refOf(state, -1));
  });

  it("also to the earlier snapshot of a difference ends with it, and then nothing keeps either from going", async () => {
    const first = await taken("web-01", "chain-1");
    await azure.live(2);
    const second = await taken("web-01", "chain-2");
    const newer = await open(second, -1);
    const since = { ...refOf(first, -1), snapshotId: diskOf(first, -1).snapshotDiskId };
    await all(await newer.changedRanges(since));
    await snapshots.close(refOf(second, -1));
    await snapshots.close(refOf(second, -1));
    for (const name of ["chain-1", "chain-2"])
      await azure.compute().restorePoints.delete(RPG, "web-01-points", name, POLL);
    expect(await snapshots.read(ref("web-01", "chain-1"))).toBeUndefined();
  });
});

describe("A snapshot that goes", () => {
  it("as the base of a difference leaves everything to be compared, before and while it is asked", async () => {
    const first = await taken("web-01", "base-1");
    await azure.live(3);
    const second = await taken("web-01", "base-2");
    const since = { ...refOf(first, -1), snapshotId: diskOf(first, -1).snapshotDiskId };
    const newer = await open(second, -1);
    expect(await newer.changedRanges(since)).toBeDefined();
    // Its grant is known here, so that only the comparison itself finds out.
    await inAnotherProcess().remove(ref("web-01", "base-1"));
    expect(await newer.changedRanges(since)).toBeUndefined();
    expect(await (await open(second, -1, inAnotherProcess())).changedRanges(since)).toBeUndefined();
    await snapshots.close(refOf(second, -1));
  });

  it("is removed though it is being read, and is then gone for everybody", async () => {
    const state = await taken("web-01", "leaving");
    const source = await open(state, -1, inAnotherProcess());
    await expect.poll(() => snapshots.remove(ref("web-01", "leaving"))).toBe("gone");
    expect(await snapshots.remove(ref("web-01", "leaving"))).toBe("gone");
    expect(await snapshots.read(ref("web-01", "leaving"))).toBeUndefined();
    await snapshots.close(refOf(state, -1));
    await expect(source.read({ offset: 0, length: MIB })).rejects.toMatchObject({ kind: "not-found" });
    await expect(open(state, -1)).rejects.toMatchObject({ kind: "not-found" });
  });

  it("suddenly, while it is read, is a failure that says so", async () => {
    const state = await taken("web-01", "vanishing");
    const source = await open(state, -1);
    await azure.fault("vanish", { kind: "snapshot-vanishes" }, { surface: "blob", times: 1 });
    await expect(source.read({ offset: 0, length: MIB })).rejects.toMatchObject({
      kind: "not-found",
      code: "HoldfastSourceGone",
    });
  });
});

describe("A machine that allows no snapshot", () => {
  it("says why, in words that users know", async () => {
    await azure.control("PATCH", "virtual-machine", { id: machineId("db-01"), agent: "absent" });
    expect(await taken("db-01", "no-agent")).toMatchObject({
      state: "failed",
      failure: { code: "UserErrorGuestAgentStatusUnavailable", message: expect.stringMatching(/agent/) },
    });
    expect(await taken("db-01", "no-agent-crash", { crashConsistentOnly: true })).toMatchObject({ state: "done" });
    await azure.control("PATCH", "virtual-machine", { id: machineId("db-01"), agent: "ready", freeze: "fails" });
    expect(await taken("db-01", "no-freeze")).toMatchObject({
      state: "failed",
      failure: { code: "ExtensionFailedVssWriterInBadState" },
    });
    await azure.control("PATCH", "virtual-machine", { id: machineId("db-01"), freeze: "succeeds" });
    await expect(snapshots.begin(requestFor("gone-01", "x"))).rejects.toMatchObject({
      kind: "not-found",
      code: "BCMV2VMNotFound",
    });
    await azure.fault("inner", { kind: "operation-fails" }, { operation: "PUT .*restorepoints$" });
    expect(await taken("db-01", "inner")).toMatchObject({ state: "failed" });
  });
});

describe("Azure that answers badly", () => {
  const BAD = [
    { kind: "throttle", retryAfterSeconds: 0 },
    { kind: "error", status: 500 },
    { kind: "error", status: 503 },
    { kind: "drop" },
    { kind: "truncate" },
    { kind: "lost-answer" },
  ];

  it.each(BAD)("once in each call, by $kind $status, changes nothing but the time it takes", async (fault) => {
    const name = `once-${fault.kind}-${fault.status ?? ""}`;
    const since = refOf(await taken("db-01", `${name}-base`), 0);
    await azure.live(4);
    const during = async <Answer>(operation: string, work: () => Promise<Answer>): Promise<Answer> => {
      await azure.fault("bad", fault, { operation, times: 1 });
      const answer = await work();
      const { value } = (await azure.control("GET", "faults")) as { value: { injected: number }[] };
      expect(value[0]?.injected, operation).toBe(1);
      await azure.noFaults();
      return answer;
    };
    await during("PUT .*restorepoints$", () => snapshots.begin(requestFor("db-01", name)));
    const state = await taken("db-01", name);
    expect(await during("GET .*/restorepoints$", () => snapshots.read(ref("db-01", name)))).toEqual(state);
    expect(await during("GET .*diskrestorepoints$", () => snapshots.read(ref("db-01", name)))).toEqual(state);
    const clean = await content(await open(state, 0, inAnotherProcess()), 4);
    for (const operation of ["begingetaccess", "GET operation", "^head$", "^pagelist$", "^read$"]) {
      const read = async () => content(await inAnotherProcess().open(refOf(state, 0)), 4);
      expect(await during(operation, read), operation).toEqual(clean);
    }
    const mine = inAnotherProcess();
    const source = await mine.open(refOf(state, 0));
    const earlier = { ...since, snapshotId: since.snapshotDiskId };
    const changed = await during("^pagelist$", async () => all(await source.changedRanges(earlier)));
    expect(changed).not.toEqual([]);
    expect(changed).toEqual(await all(await source.changedRanges(earlier)));
    await during("endgetaccess", () => mine.close(refOf(state, 0)));
    for (const one of [name, `${name}-base`]) {
      await during("DELETE .*restorepoints$", () => mine.remove(ref("db-01", one)));
      await expect.poll(() => mine.remove(ref("db-01", one))).toBe("gone");
    }
  });

  it("at random in every call, comes right for whoever tries again", async () => {
    const since = refOf(await taken("db-01", "storm-base"), 0);
    await azure.live(4);
    const mine = inAnotherProcess();
    for (const [index, fault] of BAD.entries())
      for (const surface of ["arm", "blob"])
        await azure.fault(`${surface}-${index}`, fault, { surface, probability: 0.04, seed: 7 * index });
    const failures: string[] = [];
    const stubborn = async <Answer>(call: () => Promise<Answer>): Promise<Answer> => {
      for (let attempt = 1; ; attempt += 1) {
        try {
          return await call();
        } catch (thrown) {
          failures.push(everythingIn(thrown));
          const kind = thrown instanceof HoldfastFailure ? thrown.kind : "";
          if (attempt === 20 || !["throttled", "unavailable"].includes(kind)) throw thrown;
        }
      }
    };
    await stubborn(() => mine.begin(requestFor("db-01", "storm")));
    const isOver = async () => (await stubborn(() => mine.read(ref("db-01", "storm"))))?.state;
    await expect.poll(isOver, { timeout: 30_000 }).toBe("done");
    const state = (await stubborn(() => mine.read(ref("db-01", "storm")))) as SnapshotState;
    const earlier = { ...since, snapshotId: since.snapshotDiskId };
    const seen = await stubborn(async () => content(await mine.open(refOf(state, 0)), 8));
    const changed = await stubborn(async () => all(await (await mine.open(refOf(state, 0))).changedRanges(earlier)));
    await azure.noFaults();
    const calm = await open(state, 0, inAnotherProcess());
    expect(seen).toEqual(await content(calm, 8));
    expect(changed).toEqual(await all(await calm.changedRanges(earlier)));
    expect(failures.join("")).not.toMatch(/sig(=|%3D)/i);
    for (const name of ["storm", "storm-base"]) await mine.remove(ref("db-01", name));
    expect(await mine.read(ref("db-01", "storm"))).toBeUndefined();
  }, 120_000);

  it("always, is a failure of the right kind in every call, without any address in it", async () => {
    const state = await taken("db-01", "always");
    for (const { kinds, ...fault } of [
      { kind: "throttle", retryAfterSeconds: 30, kinds: ["throttled"] },
      { kind: "error", status: 500, kinds: ["unavailable"] },
      { kind: "drop", kinds: ["unavailable"] },
      { kind: "truncate", kinds: ["unavailable"] },
      { kind: "lost-answer", kinds: ["unavailable"] },
      { kind: "operation-fails", kinds: ["unavailable"], code: "InternalExecutionError" },
    ]) {
      const fresh = inAnotherProcess();
      const source = await fresh.open(refOf(state, 1));
      const calls: Record<string, () => Promise<unknown>> = {
        begin: () => fresh.begin(requestFor("db-01", `always-${fault.kind}`)),
        read: () => fresh.read(ref("db-01", "always")),
        list: () => all(fresh.list(ref("db-01", "always").collection) as never),
        open: () => inAnotherProcess().open(refOf(state, 0)),
        bytes: () => source.read({ offset: 0, length: MIB }),
        ranges: () => all(source.allocatedRanges()),
        remove: () => fresh.remove(ref("db-01", "always")),
        close: () => fresh.close(refOf(state, 0)),
      };
      const only = fault.kind === "operation-fails" ? ["open", "close"] : Object.keys(calls);
      await azure.fault("bad", fault, { operation: "^(?!token)" });
      for (const name of only) {
        const thrown = await (calls[name] as () => Promise<unknown>)().then(
          () => undefined,
          (error: unknown) => error,
        );
        expect(thrown, `${name} under ${fault.kind}`).toBeInstanceOf(HoldfastFailure);
        expect(kinds, `${name} under ${fault.kind}`).toContain((thrown as HoldfastFailure).kind);
        expect(everythingIn(thrown), `${name} under ${fault.kind}`).not.toMatch(/sig(=|%3D)/i);
      }
      await azure.noFaults();
    }
    await azure.fault("half", { kind: "truncate" }, { operation: "GET operation" });
    const thrown = await inAnotherProcess()
      .open(refOf(state, 0))
      .catch((error: unknown) => error);
    expect(thrown).toMatchObject({ kind: "unavailable" });
    expect(everythingIn(thrown)).not.toMatch(/sig(=|%3D)/i);
    await azure.noFaults();
    await expect.poll(() => snapshots.remove(ref("db-01", "always"))).toBe("gone");
  }, 120_000);
});

/** The earlier disk with the changed ranges of the later one, read one by one, put into it. */
async function patched(
  older: DiskSource,
  newer: DiskSource,
  ranges: readonly ByteRange[],
): Promise<Map<number, string>> {
  const changes = new Map<number, { at: number; bytes: Uint8Array }[]>();
  for (const range of ranges) {
    const bytes = await newer.read(range);
    for (let done = 0; done < range.length; ) {
      const offset = range.offset + done;
      const piece = Math.floor(offset / MIB);
      const length = Math.min(range.length - done, (piece + 1) * MIB - offset);
      const list = changes.get(piece) ?? [];
      changes.set(piece, [...list, { at: offset - piece * MIB, bytes: bytes.subarray(done, done + length) }]);
      done += length;
    }
  }
  const result = new Map<number, string>();
  for (const piece of new Set([...(await content(older)).keys(), ...changes.keys()])) {
    const bytes = Buffer.from(await older.read({ offset: piece * MIB, length: MIB }));
    for (const { at, bytes: change } of changes.get(piece) ?? []) bytes.set(change, at);
    result.set(piece, digest(bytes));
  }
  return new Map([...result].sort(([a], [b]) => a - b));
}

function readPadded(source: DiskSource): DiskSource["read"] {
  return ({ offset, length }) =>
    offset >= source.sizeBytes ? Promise.resolve(new Uint8Array(length)) : source.read({ offset, length });
}
