import { createHash } from "node:crypto";
import { afterAll, afterEach, beforeAll, describe, expect, it } from "vitest";
import { azureSnapshots } from "../../../src/azure/azure-snapshots.ts";
import { DiskAccess } from "../../../src/azure/disk-access.ts";
import { HoldfastFailure } from "../../../src/base/failure.ts";
import { restorePointCollectionName } from "../../../src/domain/names-of-things.ts";
import type { DiskSource } from "../../../src/ports/disk-source.ts";
import type { ByteRange } from "../../../src/ports/object-store.ts";
import type { SnapshotRequest, SnapshotState, Snapshots } from "../../../src/ports/snapshots.ts";
import { GROUP, SUBSCRIPTION } from "../../localhost/azure/support/azure.ts";
import { type ServiceAzure, startServiceAzure } from "../../support/azure-service.ts";

const MIB = 2 ** 20;
const MACHINE = `${GROUP}/providers/Microsoft.ClassicCompute/virtualMachines/classic-01`;
const collection = {
  subscriptionId: SUBSCRIPTION,
  resourceGroup: "AzureBackupRG_westeurope_1",
  name: restorePointCollectionName(MACHINE),
};
let azure: ServiceAzure;
let snapshots: Snapshots;

beforeAll(async () => {
  azure = await startServiceAzure({
    subscriptions: [
      {
        id: SUBSCRIPTION,
        name: "Test",
        groups: [
          {
            name: "demo",
            location: "westeurope",
            classicMachines: [
              {
                name: "classic-01",
                cloudService: "demo-classic",
                storageAccount: "democlassic",
                image: "windows",
                dataDisksGiB: [1],
              },
            ],
          },
        ],
      },
    ],
  });
  snapshots = inAnotherProcess();
});

afterEach(() => azure.noFaults());

afterAll(async () => {
  expect(azure.defects).toEqual([]);
  await azure.stop();
});

function inAnotherProcess(): Snapshots {
  const arm = azure.connect();
  return azureSnapshots(arm, new DiskAccess(arm));
}

const ref = (name: string) => ({ collection, name });

const requestFor = (name: string, excludedDiskIds: string[] = []): SnapshotRequest => ({
  snapshot: ref(name),
  machineId: MACHINE,
  location: "westeurope",
  crashConsistentOnly: false,
  excludedDiskIds,
});

async function taken(name: string, excluded: string[] = []): Promise<SnapshotState> {
  await snapshots.begin(requestFor(name, excluded));
  return (await snapshots.read(ref(name))) as SnapshotState;
}

function refOf(state: SnapshotState, index: number) {
  const { snapshotDiskId = "", diskUniqueId = "" } = state.disks[index] ?? {};
  return { snapshotDiskId, diskUniqueId, snapshotTime: state.time };
}

async function all(ranges: AsyncIterable<ByteRange> | undefined): Promise<ByteRange[]> {
  const found: ByteRange[] = [];
  for await (const range of ranges ?? []) found.push(range);
  return found;
}

async function firstMib(source: DiskSource): Promise<string> {
  const [range] = await all(source.allocatedRanges());
  const bytes = await source.read({ offset: range?.offset ?? 0, length: MIB });
  return createHash("sha256").update(bytes).digest("hex");
}

/** As an activity does it: again, while another attempt may help. */
async function stubborn<Answer>(call: () => Promise<Answer>): Promise<Answer> {
  for (let attempt = 1; ; attempt += 1) {
    try {
      return await call();
    } catch (thrown) {
      if (attempt === 3 || !(thrown instanceof HoldfastFailure) || thrown.kind !== "unavailable") throw thrown;
    }
  }
}

async function names(): Promise<string[]> {
  const found: string[] = [];
  for await (const page of snapshots.list(collection)) found.push(...page.map(({ name }) => name));
  return found.sort();
}

describe("A snapshot of a classic machine", () => {
  it("holds its disks, is taken once however often it is begun, and is found by name in another process", async () => {
    const state = await taken("first");
    await Promise.all([snapshots.begin(requestFor("first")), inAnotherProcess().begin(requestFor("first"))]);
    expect(await inAnotherProcess().read(ref("first"))).toEqual(state);
    expect(state).toMatchObject({ state: "done", consistency: "crash" });
    expect(state.disks.map(({ lun, sizeBytes }) => [lun, sizeBytes])).toEqual([
      [-1, 2048 * MIB],
      [0, 1024 * MIB],
    ]);
    expect(await names()).toEqual(["first"]);
    expect(await snapshots.read(ref("second"))).toBeUndefined();
  });

  it("leaves out disks that it is told to", async () => {
    const [os] = (await taken("whole")).disks;
    const state = await taken("partial", [os?.diskUniqueId ?? ""]);
    expect(state).toMatchObject({ state: "done", disks: [{ lun: 0 }] });
  });

  it("is read without its footer, and compared with an earlier one as long as that is there", async () => {
    const older = await taken("older");
    const newer = await taken("newer");
    const source = await snapshots.open(refOf(newer, 0));
    expect(source.sizeBytes).toBe(2048 * MIB);
    const since = { ...refOf(older, 0), snapshotId: refOf(older, 0).snapshotDiskId };
    // Nothing writes to a classic machine here: no range has changed, and that is known without a comparison.
    expect(await source.changedRanges(since)).toBeDefined();
    expect(await all(await source.changedRanges(since))).toEqual([]);
    expect(await firstMib(source)).toBe(await firstMib(await snapshots.open(refOf(older, 0))));
    const dataSince = { ...refOf(older, 1), snapshotId: refOf(older, 1).snapshotDiskId };
    expect(await source.changedRanges({ ...since, snapshotId: dataSince.snapshotId })).toBeUndefined();
    await snapshots.remove(ref("older"));
    expect(await source.changedRanges(since)).toBeUndefined();
    await snapshots.close(refOf(newer, 0));
  });

  it("that broke off in the middle is no snapshot; the next attempt takes all disks anew", async () => {
    await azure.fault("cut", { kind: "drop" }, { surface: "classic-blob", operation: "^snapshot$", url: "-os" });
    await expect(snapshots.begin(requestFor("broken"))).rejects.toMatchObject({ kind: "unavailable" });
    await azure.noFaults();
    await expect.poll(() => snapshots.read(ref("broken"))).toMatchObject({ state: "pending", disks: [] });
    const broken = await snapshots.read(ref("broken"));
    const state = await taken("broken");
    expect(state).toMatchObject({ state: "done", disks: [{ lun: -1 }, { lun: 0 }] });
    expect(Date.parse(state.time)).toBeGreaterThanOrEqual(Date.parse(broken?.time ?? ""));
    expect(state.time).not.toBe(broken?.time);
  });

  it.each(["lost-answer", "drop", "truncate"])(
    "is taken and removed though an answer is spoilt by %s",
    async (kind) => {
      await azure.fault("once", { kind }, { surface: "classic-blob", operation: "^snapshot$", times: 1 });
      const state = await stubborn(() => taken(`spoilt-${kind}`));
      expect(state).toMatchObject({ state: "done", disks: [{ lun: -1 }, { lun: 0 }] });
      await azure.noFaults();
      for (const operation of ["^list$", "^head$", "^pagelist$", "^read$"]) {
        await azure.fault("once", { kind }, { surface: "classic-blob", operation, times: 1 });
        expect(await stubborn(() => inAnotherProcess().read(ref(`spoilt-${kind}`)))).toEqual(state);
        expect(await firstMib(await snapshots.open(refOf(state, 0)))).toMatch(/^[0-9a-f]{64}$/);
        await azure.noFaults();
      }
      await azure.fault("once", { kind }, { surface: "classic-blob", operation: "delete", times: 1 });
      expect(await stubborn(() => snapshots.remove(ref(`spoilt-${kind}`)))).toBe("gone");
      expect(await names()).not.toContain(`spoilt-${kind}`);
    },
  );

  it("is removed with all that its attempts left, and nothing else", async () => {
    await taken("kept");
    expect(await snapshots.remove(ref("broken"))).toBe("gone");
    expect(await snapshots.remove(ref("broken"))).toBe("gone");
    expect(await snapshots.read(ref("broken"))).toBeUndefined();
    expect(await names()).not.toContain("broken");
    expect(await names()).toContain("kept");
    for (const name of await names()) await snapshots.remove(ref(name));
    expect(await names()).toEqual([]);
  });

  it("of a machine that is gone is a failure that says so", async () => {
    const gone = { ...requestFor("x"), machineId: `${MACHINE}-gone` };
    await expect(snapshots.begin(gone)).rejects.toMatchObject({ kind: "not-found", code: "BCMV2VMNotFound" });
  });
});
