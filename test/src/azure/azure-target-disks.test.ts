import { createHash, randomBytes } from "node:crypto";
import { afterAll, afterEach, beforeAll, describe, expect, it } from "vitest";
import { azureTargetDisks } from "../../../src/azure/azure-target-disks.ts";
import { DiskAccess } from "../../../src/azure/disk-access.ts";
import { HoldfastFailure } from "../../../src/base/failure.ts";
import type { NewDisk, TargetDisks } from "../../../src/ports/target-disks.ts";
import { GROUP, POLL, pageBlob, SUBSCRIPTION } from "../../localhost/azure/support/azure.ts";
import { everythingIn, type ServiceAzure, startServiceAzure } from "../../support/azure-service.ts";

const MIB = 2 ** 20;
let azure: ServiceAzure;
let targets: TargetDisks;

beforeAll(async () => {
  azure = await startServiceAzure();
  targets = inAnotherProcess();
});

afterEach(() => azure.noFaults());

afterAll(async () => {
  expect(azure.defects).toEqual([]);
  await azure.stop();
});

function inAnotherProcess(): TargetDisks {
  const arm = azure.connect();
  return azureTargetDisks(arm, new DiskAccess(arm));
}

const idOf = (name: string) => `${GROUP}/providers/Microsoft.Compute/disks/${name}`;

function newDisk(name: string, more: Partial<NewDisk> = {}): NewDisk {
  return {
    diskId: idOf(name),
    location: "westeurope",
    zones: [],
    sizeBytes: 64 * MIB,
    skuName: "StandardSSD_LRS",
    osType: undefined,
    hyperVGeneration: undefined,
    owner: "job-1",
    ...more,
  };
}

async function bytesOf(name: string, sizeBytes: number): Promise<Buffer> {
  const access = { access: "Read" as const, durationInSeconds: 600 };
  const { accessSAS } = await azure.compute().disks.grantAccess("demo", name, access, POLL);
  const blob = pageBlob(accessSAS);
  expect((await blob.getProperties()).contentLength).toBe(sizeBytes + 512);
  const bytes = await blob.downloadToBuffer(0, sizeBytes);
  await azure.compute().disks.revokeAccess("demo", name, POLL);
  return bytes;
}

const digest = (bytes: Uint8Array) => createHash("sha256").update(bytes).digest("hex");

describe("A disk that a restore fills", () => {
  it("waits for its bytes, takes them from several processes at once, and is then an ordinary disk", async () => {
    const disk = Buffer.alloc(64 * MIB);
    randomBytes(11 * MIB).copy(disk, 0);
    randomBytes(2 * MIB).copy(disk, 62 * MIB);
    const request = newDisk("filled", { osType: "Windows", hyperVGeneration: "V2" });
    await targets.beginUpload(request);
    await targets.beginUpload(request);
    await expect.poll(() => targets.read(idOf("filled"))).toEqual({ state: "waits-for-upload", owner: "job-1" });
    const [one, two] = [
      await targets.openForWriting(idOf("filled")),
      await inAnotherProcess().openForWriting(idOf("filled")),
    ];
    // Slices may run twice, and at once.
    await Promise.all([
      one.write(0, disk.subarray(0, 11 * MIB)),
      two.write(0, disk.subarray(0, 5 * MIB)),
      two.write(62 * MIB, disk.subarray(62 * MIB)),
    ]);
    await Promise.all([one.finish(), two.finish()]);
    expect(await targets.read(idOf("filled"))).toEqual({ state: "waits-for-upload", owner: "job-1" });
    await inAnotherProcess().finishUpload(idOf("filled"));
    await targets.finishUpload(idOf("filled"));
    expect(await targets.read(idOf("filled"))).toEqual({ state: "ready", owner: "job-1" });
    expect(await azure.compute().disks.get("demo", "filled")).toMatchObject({
      diskState: "Unattached",
      diskSizeBytes: 64 * MIB,
      osType: "Windows",
      hyperVGeneration: "V2",
      sku: { name: "StandardSSD_LRS" },
    });
    expect(digest(await bytesOf("filled", 64 * MIB))).toBe(digest(disk));
    await expect(one.write(0, disk.subarray(0, 512))).rejects.toMatchObject({ kind: "conflict" });
  });

  it("of a length that is not whole sectors ends in zeros", async () => {
    await targets.beginUpload(newDisk("odd", { sizeBytes: 30 * MIB + 100 }));
    const sink = await targets.openForWriting(idOf("odd"));
    const tail = Buffer.alloc(MIB + 100, 7);
    await sink.write(29 * MIB, tail);
    await targets.finishUpload(idOf("odd"));
    const bytes = await bytesOf("odd", 30 * MIB + 512);
    expect(bytes.subarray(29 * MIB).equals(Buffer.concat([tail, Buffer.alloc(412)]))).toBe(true);
  });

  it("of somebody else is neither written over, nor marked, nor removed", async () => {
    await azure
      .compute()
      .disks.createOrUpdate(
        "demo",
        "theirs",
        { location: "westeurope", creationData: { createOption: "Empty" }, diskSizeGB: 1, tags: { mine: "yes" } },
        POLL,
      );
    await expect(targets.beginUpload(newDisk("theirs"))).rejects.toMatchObject({
      kind: "conflict",
      code: "HoldfastDiskExists",
    });
    await targets.beginUpload(newDisk("of-job-2", { owner: "job-2" }));
    await expect(targets.beginUpload(newDisk("of-job-2"))).rejects.toMatchObject({ code: "HoldfastDiskExists" });
    expect(await targets.remove(idOf("theirs"), "job-1")).toBe("gone");
    expect(await targets.remove(idOf("of-job-2"), "job-1")).toBe("gone");
    expect((await azure.compute().disks.get("demo", "theirs")).tags).toEqual({ mine: "yes" });
    expect((await targets.read(idOf("of-job-2")))?.owner).toBe("job-2");
  });

  it("belongs to the first of two jobs that begin it at the same time", async () => {
    for (let round = 0; round < 5; round += 1) {
      const owners = ["job-a", "job-b", "job-c"];
      const begun = await Promise.allSettled(
        owners.map((owner) => inAnotherProcess().beginUpload(newDisk(`raced-${round}`, { owner }))),
      );
      const winner = (await targets.read(idOf(`raced-${round}`)))?.owner;
      const told = owners.filter((_, index) => begun[index]?.status === "fulfilled");
      expect(told).toEqual([winner]);
    }
  });

  it("is removed whatever its state, by its owner alone, and leaves nothing", async () => {
    await targets.beginUpload(newDisk("dropped"));
    const sink = await targets.openForWriting(idOf("dropped"));
    await sink.write(0, Buffer.alloc(MIB, 1));
    await sink.discard();
    await expect.poll(() => inAnotherProcess().remove(idOf("dropped"), "job-1")).toBe("gone");
    expect(await targets.read(idOf("dropped"))).toBeUndefined();
    expect(await targets.remove(idOf("dropped"), "job-1")).toBe("gone");
    await expect(targets.finishUpload(idOf("dropped"))).rejects.toMatchObject({ kind: "not-found" });
  });

  it("in use by a machine is not removed", async () => {
    await azure.compute().disks.update("demo", "web-01_OsDisk", { tags: { "holdfast-job": "job-1" } }, POLL);
    await expect(targets.remove(idOf("web-01_OsDisk"), "job-1")).rejects.toMatchObject({ kind: "conflict" });
  });
});

describe("A disk that a restore makes of a snapshot", () => {
  it("has the snapshot's bytes, and its owner's mark", async () => {
    const machine = `${GROUP}/providers/Microsoft.Compute/virtualMachines/db-01`;
    const compute = azure.compute();
    await compute.restorePointCollections.createOrUpdate("demo", "points", {
      location: "westeurope",
      source: { id: machine },
    });
    const point = await compute.restorePoints.create("demo", "points", "p", {}, POLL);
    const snapshotDiskId = point.sourceMetadata?.storageProfile?.dataDisks?.[0]?.diskRestorePoint?.id ?? "";
    await targets.beginFromSnapshot({ ...newDisk("restored", { sizeBytes: 1024 * MIB }), snapshotDiskId });
    await targets.beginFromSnapshot({ ...newDisk("restored", { sizeBytes: 1024 * MIB }), snapshotDiskId });
    await expect.poll(() => targets.read(idOf("restored"))).toEqual({ state: "ready", owner: "job-1" });
    const access = { access: "Read" as const, durationInSeconds: 600 };
    const [disk = ""] = snapshotDiskId.split("/").slice(-1);
    const made = pageBlob((await compute.disks.grantAccess("demo", "restored", access, POLL)).accessSAS);
    const from = pageBlob(
      (await compute.diskRestorePoint.grantAccess("demo", "points", "p", disk, access, POLL)).accessSAS,
    );
    const [{ pageRange = [] }, of] = [await made.getPageRanges(), await from.getPageRanges()];
    expect(pageRange).toEqual(of.pageRange);
    const [first] = pageRange;
    const [offset = 0, length] = [first?.offset, (first?.count ?? 0) + 1];
    expect(length).toBe(4 * MIB);
    expect(digest(await made.downloadToBuffer(offset, length))).toBe(
      digest(await from.downloadToBuffer(offset, length)),
    );
    await compute.disks.revokeAccess("demo", "restored", POLL);
    const gone = { ...newDisk("never"), snapshotDiskId: `${snapshotDiskId}-gone` };
    await expect(targets.beginFromSnapshot(gone)).rejects.toMatchObject({ kind: "not-found" });
    await expect.poll(() => targets.remove(idOf("restored"), "job-1")).toBe("gone");
  });
});

describe("Resource groups", () => {
  it("say where they are, or that they are not there", async () => {
    expect(await targets.readGroup(SUBSCRIPTION, "north")).toEqual({ location: "northeurope" });
    expect(await targets.readGroup(SUBSCRIPTION, "no-such-group")).toBeUndefined();
  });
});

describe("Azure that answers badly", () => {
  const BAD = [
    { kind: "throttle", retryAfterSeconds: 0 },
    { kind: "error", status: 500 },
    { kind: "drop" },
    { kind: "truncate" },
    { kind: "lost-answer" },
  ];

  it.each(BAD)("once in each call, by $kind, leaves a disk with all its bytes", async (fault) => {
    const name = `badly-${fault.kind}`;
    const disk = randomBytes(24 * MIB);
    const request = newDisk(name, { sizeBytes: disk.length });
    const during = async <Answer>(operation: string, work: () => Promise<Answer>): Promise<Answer> => {
      await azure.fault("bad", fault, { operation, times: 1 });
      const answer = await work();
      await azure.noFaults();
      return answer;
    };
    await during("PUT .*disks$", () => targets.beginUpload(request));
    expect(await during("GET .*disks$", () => targets.read(idOf(name)))).toMatchObject({ state: "waits-for-upload" });
    const sink = await during("begingetaccess", () => targets.openForWriting(idOf(name)));
    for (let offset = 0; offset < disk.length; offset += 8 * MIB)
      await during("^write$", () => sink.write(offset, disk.subarray(offset, offset + 8 * MIB)));
    await during("^write$", () => inAnotherProcess().finishUpload(idOf(name)));
    await during("endgetaccess", () => targets.finishUpload(idOf(name)));
    expect(digest(await bytesOf(name, disk.length))).toBe(digest(disk));
    await during("DELETE .*disks$", () => targets.remove(idOf(name), "job-1"));
    await expect.poll(() => targets.remove(idOf(name), "job-1")).toBe("gone");
  });

  it("with access that ends early is asked again, and written to all the same", async () => {
    await targets.beginUpload(newDisk("early", { sizeBytes: 24 * MIB }));
    await azure.fault("early", { kind: "sas-expires-early", share: 0 }, { operation: "begingetaccess", times: 2 });
    const sink = await targets.openForWriting(idOf("early"));
    await sink.write(0, Buffer.alloc(9 * MIB, 3));
    await targets.finishUpload(idOf("early"));
    expect((await bytesOf("early", 24 * MIB)).subarray(0, 9 * MIB).every((byte) => byte === 3)).toBe(true);
  });

  it("always, is a failure of the right kind without any address in it", async () => {
    await targets.beginUpload(newDisk("always"));
    for (const { kinds, ...fault } of [
      { kind: "throttle", retryAfterSeconds: 30, kinds: ["throttled"] },
      { kind: "error", status: 500, kinds: ["unavailable"] },
      { kind: "lost-answer", kinds: ["unavailable"] },
    ]) {
      const sink = await inAnotherProcess().openForWriting(idOf("always"));
      await azure.fault("bad", fault, { operation: "^(?!token)" });
      for (const [name, call] of Object.entries({
        begin: () => targets.beginUpload(newDisk("always-new")),
        read: () => targets.read(idOf("always")),
        write: () => sink.write(0, Buffer.alloc(512, 1)),
        open: () => inAnotherProcess().openForWriting(idOf("always")),
        finish: () => targets.finishUpload(idOf("always")),
        remove: () => targets.remove(idOf("always"), "job-1"),
      })) {
        const thrown = await (call() as Promise<unknown>).then(
          () => undefined,
          (error: unknown) => error,
        );
        expect(thrown, name).toBeInstanceOf(HoldfastFailure);
        expect(kinds, name).toContain((thrown as HoldfastFailure).kind);
        expect(everythingIn(thrown), name).not.toMatch(/sig(=|%3D)/i);
      }
      await azure.noFaults();
    }
  }, 120_000);
});
