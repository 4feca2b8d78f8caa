import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { GROUP, POLL, pageBlob, startTestAzure, type TestAzure, testEstate } from "../support/azure.ts";

const MIB = 1024 * 1024;
const LOCATION = "westeurope";
let azure: TestAzure;
let compute: ReturnType<TestAzure["compute"]>;

beforeAll(async () => {
  azure = await startTestAzure(testEstate({ limits: { restorePointsPerVm: 6 } }));
  compute = azure.compute();
  for (const vm of ["web-01", "db-01"])
    await compute.restorePointCollections.createOrUpdate("demo", `${vm}-points`, {
      location: LOCATION,
      source: { id: vmId(vm) },
    });
});

afterAll(async () => {
  expect(azure.defects).toEqual([]);
  await azure.stop();
});

function vmId(name: string): string {
  return `${GROUP}/providers/Microsoft.Compute/virtualMachines/${name}`;
}

const point = (vm: string, name: string, body = {}) =>
  compute.restorePoints.create("demo", `${vm}-points`, name, body, POLL);

async function sasOf(vm: string, rp: string, diskPoint: string): Promise<string> {
  const { accessSAS } = await compute.diskRestorePoint.grantAccess(
    "demo",
    `${vm}-points`,
    rp,
    diskPoint,
    { access: "Read", durationInSeconds: 3600 },
    POLL,
  );
  return accessSAS ?? "";
}

async function diskPointsOf(vm: string, rp: string): Promise<string[]> {
  const names: string[] = [];
  for await (const one of compute.diskRestorePoint.listByRestorePoint("demo", `${vm}-points`, rp))
    names.push(one.name ?? "");
  return names;
}

describe("restore points, through the official client", () => {
  it("hold the machine's configuration and a frozen copy of every disk, with what a backup needs to know of each", async () => {
    const made = await point("db-01", "first");
    expect(made).toMatchObject({ consistencyMode: "ApplicationConsistent", provisioningState: "Succeeded" });
    const read = await compute.restorePoints.get("demo", "db-01-points", "first", { expand: "instanceView" });
    const profile = read.sourceMetadata?.storageProfile;
    expect(profile?.osDisk).toMatchObject({
      osType: "Windows",
      diskSizeGB: 2,
      managedDisk: { id: expect.stringContaining("db-01_OsDisk") },
    });
    expect(profile?.dataDisks?.map(({ lun }) => lun)).toEqual([0, 1, 2]);
    expect(read.sourceMetadata).toMatchObject({
      location: LOCATION,
      hardwareProfile: { vmSize: "Standard_D2s_v5" },
      hyperVGeneration: "V2",
    });
    const names = await diskPointsOf("db-01", "first");
    expect(names).toHaveLength(4);
    expect(profile?.osDisk?.diskRestorePoint?.id).toContain(names[0]);
    const disk = await compute.disks.get("demo", "db-01_OsDisk");
    expect(await compute.diskRestorePoint.get("demo", "db-01-points", "first", names[0] ?? "")).toMatchObject({
      sourceUniqueId: disk.uniqueId,
      sourceResourceId: disk.id,
      osType: "Windows",
      completionPercent: 100,
      snapshotAccessState: "Available",
    });
    expect(read.instanceView?.diskRestorePoints).toHaveLength(4);
  });

  it("differ by what the machine wrote in between, and by nothing else", async () => {
    await point("web-01", "before");
    const [before = ""] = await diskPointsOf("web-01", "before");
    const { written } = await azure.control("POST", "advance-life", { ticks: 20 });
    expect(written).toBeGreaterThan(0);
    await point("web-01", "after");
    const [after = ""] = await diskPointsOf("web-01", "after");
    const [older, newer] = [await sasOf("web-01", "before", before), await sasOf("web-01", "after", after)];
    const diff = await pageBlob(newer).getPageRangesDiffForManagedDisks(0, 1024 ** 3, older);
    const changed = (diff.pageRange ?? []).map(({ offset, count = 0 }) => ({ offset, length: count + 1 }));
    expect(changed.reduce((sum, { length }) => sum + length, 0)).toBe(20 * 65_536);
    // The image lies at the front of the disk, the log in its middle.
    for (const [from, length] of [
      [0, 16 * MIB],
      [512 * MIB, 4 * MIB],
    ] as const) {
      const [was, is] = await Promise.all([older, newer].map((sas) => pageBlob(sas).downloadToBuffer(from, length)));
      for (const { offset, length: pages } of changed)
        if (offset >= from && offset < from + length)
          is?.copy(was as Buffer, offset - from, offset - from, offset - from + pages);
      expect(was?.equals(is as Buffer)).toBe(true);
    }
    for (const [rp, name] of [
      ["before", before],
      ["after", after],
    ] as const)
      await compute.diskRestorePoint.revokeAccess("demo", "web-01-points", rp, name, POLL);
  });

  it("become disks again", async () => {
    const made = await point("db-01", "restorable");
    const from = made.sourceMetadata?.storageProfile?.dataDisks?.[0]?.diskRestorePoint?.id ?? "";
    const disk = await compute.disks.createOrUpdate(
      "demo",
      "restored",
      { location: LOCATION, creationData: { createOption: "Restore", sourceResourceId: from } },
      POLL,
    );
    expect(disk).toMatchObject({ diskSizeGB: 1, diskState: "Unattached" });
    const { accessSAS } = await compute.disks.grantAccess(
      "demo",
      "restored",
      { access: "Read", durationInSeconds: 600 },
      POLL,
    );
    const frozen = await sasOf("db-01", "restorable", from.split("/").at(-1) ?? "");
    const rangesOf = async (sas: string | undefined) => (await pageBlob(sas).getPageRanges(0, 1024 * MIB)).pageRange;
    expect((await rangesOf(accessSAS))?.length).toBeGreaterThan(0);
    expect(await rangesOf(accessSAS)).toEqual(await rangesOf(frozen));
    await compute.diskRestorePoint.revokeAccess(
      "demo",
      "db-01-points",
      "restorable",
      from.split("/").at(-1) ?? "",
      POLL,
    );
  });

  it("leave out the disks they are told to", async () => {
    const excludeDisks = [{ id: `${GROUP}/providers/microsoft.compute/DISKS/db-01_datadisk_1` }];
    const made = await point("db-01", "partial", { excludeDisks });
    expect(await diskPointsOf("db-01", "partial")).toHaveLength(3);
    expect(
      made.sourceMetadata?.storageProfile?.dataDisks?.map(({ diskRestorePoint }) => diskRestorePoint === undefined),
    ).toEqual([false, true, false]);
  });

  it("are as consistent as the machine allows: power, agent, freeze, and what was asked", async () => {
    const outcome = async (vm: string, change: object, body = {}) => {
      await azure.control("PATCH", "virtual-machine", {
        id: vmId(vm),
        agent: "ready",
        freeze: "succeeds",
        freezeScripts: false,
        ...change,
      });
      const name = `c-${Math.random()}`;
      const made = await point(vm, name, body).catch((error: Error) => error);
      const found = await compute.restorePoints.get("demo", `${vm}-points`, name, { expand: "instanceView" });
      await compute.restorePoints.delete("demo", `${vm}-points`, name, POLL);
      const told = found.instanceView?.statuses?.[0]?.code?.split("/").at(-1);
      if (made instanceof Error) expect(made.message).toContain(told);
      return made instanceof Error ? `${found.provisioningState}: ${told}` : made.consistencyMode;
    };
    expect(await outcome("db-01", {})).toBe("ApplicationConsistent");
    expect(await outcome("web-01", {})).toBe("FileSystemConsistent");
    expect(await outcome("web-01", { freezeScripts: true })).toBe("ApplicationConsistent");
    expect(await outcome("db-01", {}, { consistencyMode: "CrashConsistent" })).toBe("CrashConsistent");
    expect(await outcome("db-01", { freeze: "degrades" })).toBe("FileSystemConsistent");
    expect(await outcome("db-01", { freeze: "fails" })).toBe("Failed: OsSnapshotWriteError");
    expect(await outcome("db-01", { agent: "absent" })).toBe("Failed: VMAgentStatusCommunicationError");
    expect(await outcome("db-01", { agent: "stale" }, { consistencyMode: "CrashConsistent" })).toBe("CrashConsistent");
    await compute.virtualMachines.deallocate("demo", "db-01", POLL);
    expect(await outcome("db-01", { agent: "absent" })).toBe("CrashConsistent");
    await compute.virtualMachines.start("demo", "db-01", POLL);
    await azure.control("PATCH", "virtual-machine", { id: vmId("db-01"), agent: "ready", freeze: "succeeds" });
  });

  it("are limited in number for a machine, in all its collections together", async () => {
    await compute.restorePointCollections.createOrUpdate("demo", "more-points", {
      location: LOCATION,
      source: { id: vmId("web-01") },
    });
    const had = (
      (await compute.restorePointCollections.get("demo", "web-01-points", { expand: "restorePoints" })).restorePoints ??
      []
    ).length;
    for (let index = had; index < 6; index += 1)
      await compute.restorePoints.create("demo", "more-points", `p${index}`, {}, POLL);
    await expect(point("web-01", "one-too-many")).rejects.toMatchObject({
      code: "OperationNotAllowed",
      message: expect.stringContaining("cannot exceed 6"),
    });
    await compute.restorePointCollections.delete("demo", "more-points", POLL);
    await expect(compute.restorePointCollections.get("demo", "more-points")).rejects.toMatchObject({ statusCode: 404 });
    await point("web-01", "room-again");
  });

  it("are not deleted while one is being read, are refused twice, and for machines elsewhere or gone", async () => {
    const [name = ""] = await diskPointsOf("db-01", "first");
    await sasOf("db-01", "first", name);
    await expect(compute.restorePoints.delete("demo", "db-01-points", "first", POLL)).rejects.toMatchObject({
      code: "OperationNotAllowed",
    });
    await compute.diskRestorePoint.revokeAccess("demo", "db-01-points", "first", name, POLL);
    await expect(point("db-01", "first")).rejects.toMatchObject({ statusCode: 409 });
    await expect(point("db-01", "odd", { consistencyMode: "ApplicationConsistent" })).rejects.toMatchObject({
      code: "InvalidParameter",
    });
    const elsewhere = { location: LOCATION, source: { id: vmId("web-north-01").replace("/demo/", "/north/") } };
    await expect(compute.restorePointCollections.createOrUpdate("demo", "elsewhere", elsewhere)).rejects.toMatchObject({
      code: "InvalidParameter",
    });
    await expect(
      compute.restorePointCollections.createOrUpdate("demo", "gone", {
        location: LOCATION,
        source: { id: vmId("gone") },
      }),
    ).rejects.toMatchObject({ statusCode: 404 });
    await compute.restorePoints.delete("demo", "db-01-points", "first", POLL);
    expect(
      await compute.restorePoints
        .get("demo", "db-01-points", "first")
        .catch((error: { statusCode: number }) => error.statusCode),
    ).toBe(404);
  });
});
