import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { GROUP, POLL, pageBlob, startTestAzure, type TestAzure, testEstate } from "../support/azure.ts";

const MIB = 1024 * 1024;
const PAGE = 512;
const LOCATION = "westeurope";
let azure: TestAzure;
let compute: ReturnType<TestAzure["compute"]>;

beforeAll(async () => {
  azure = await startTestAzure();
  compute = azure.compute();
});

afterAll(async () => {
  expect(azure.defects).toEqual([]);
  await azure.stop();
});

const id = (type: string, name: string) => `${GROUP}/providers/Microsoft.Compute/${type}/${name}`;

async function uploadDisk(name: string, content: Buffer, options: { footer?: boolean; finish?: boolean } = {}) {
  const uploadSizeBytes = content.length + PAGE;
  await compute.disks.createOrUpdate(
    "demo",
    name,
    {
      location: LOCATION,
      sku: { name: "Premium_LRS" },
      osType: "Linux",
      creationData: { createOption: "Upload", uploadSizeBytes },
    },
    POLL,
  );
  const { accessSAS } = await compute.disks.grantAccess(
    "demo",
    name,
    { access: "Write", durationInSeconds: 3600 },
    POLL,
  );
  const blob = pageBlob(accessSAS);
  for (let at = 0; at < content.length; at += 4 * MIB) {
    const part = content.subarray(at, at + 4 * MIB);
    await blob.uploadPages(part, at, part.length);
  }
  if (options.footer !== false) {
    const footer = Buffer.alloc(PAGE);
    footer.write("conectix");
    await blob.uploadPages(footer, content.length, PAGE);
  }
  if (options.finish !== false) await compute.disks.revokeAccess("demo", name, POLL);
}

describe("disks, through the official client", () => {
  it("are uploaded by SAS, page by page, and become an ordinary disk when access ends", async () => {
    const content = Buffer.alloc(24 * MIB);
    for (let at = 0; at < content.length; at += 1000) content[at] = at / 1000;
    await uploadDisk("uploaded", content, { finish: false });
    expect((await compute.disks.get("demo", "uploaded")).diskState).toBe("ActiveUpload");
    await expect(
      compute.disks.grantAccess("demo", "uploaded", { access: "Read", durationInSeconds: 60 }, POLL),
    ).rejects.toMatchObject({ code: "OperationNotAllowed" });
    await compute.disks.revokeAccess("demo", "uploaded", POLL);
    const disk = await compute.disks.get("demo", "uploaded");
    expect(disk).toMatchObject({
      diskState: "Unattached",
      provisioningState: "Succeeded",
      diskSizeGB: 1,
      diskSizeBytes: 24 * MIB,
      osType: "Linux",
    });
    const { accessSAS } = await compute.disks.grantAccess(
      "demo",
      "uploaded",
      { access: "Read", durationInSeconds: 3600 },
      POLL,
    );
    expect((await compute.disks.get("demo", "uploaded")).diskState).toBe("ActiveSAS");
    const back = await pageBlob(accessSAS).downloadToBuffer();
    expect(back.subarray(0, -PAGE).equals(content)).toBe(true);
    expect(back.readBigUInt64BE(back.length - PAGE + 48)).toBe(BigInt(24 * MIB));
    await compute.disks.revokeAccess("demo", "uploaded", POLL);
    await expect(pageBlob(accessSAS).getProperties()).rejects.toMatchObject({ statusCode: 403 });
    await expect(
      compute.disks.grantAccess("demo", "uploaded", { access: "Write", durationInSeconds: 60 }, POLL),
    ).rejects.toMatchObject({ statusCode: 409 });
  });

  it("refuse an upload without a VHD footer and go on waiting for it", async () => {
    await uploadDisk("footless", Buffer.alloc(20 * MIB), { footer: false, finish: false });
    await expect(compute.disks.revokeAccess("demo", "footless", POLL)).rejects.toMatchObject({
      message: expect.stringContaining("InvalidVhd"),
    });
    expect((await compute.disks.get("demo", "footless")).diskState).toBe("ReadyToUpload");
  });

  it("are snapshotted incrementally, and the differences rebuild the newer from the older", async () => {
    const content = Buffer.alloc(20 * MIB, 7);
    await uploadDisk("diffed", content);
    const snapshot = (name: string) =>
      compute.snapshots.createOrUpdate(
        "demo",
        name,
        {
          location: LOCATION,
          incremental: true,
          sku: { name: "Standard_ZRS" },
          creationData: { createOption: "Copy", sourceResourceId: id("disks", "diffed") },
        },
        POLL,
      );
    const first = await snapshot("diffed-1");
    const second = await snapshot("diffed-2");
    expect(first).toMatchObject({
      incremental: true,
      completionPercent: 100,
      diskState: "Unattached",
      diskSizeBytes: content.length,
    });
    expect(second.incrementalSnapshotFamilyId).toBe(first.incrementalSnapshotFamilyId);
    expect(second.creationData?.sourceUniqueId).toBe((await compute.disks.get("demo", "diffed")).uniqueId);
    const older =
      (await compute.snapshots.grantAccess("demo", "diffed-1", { access: "Read", durationInSeconds: 600 }, POLL))
        .accessSAS ?? "";
    const newer =
      (await compute.snapshots.grantAccess("demo", "diffed-2", { access: "Read", durationInSeconds: 600 }, POLL))
        .accessSAS ?? "";
    const diff = await pageBlob(newer).getPageRangesDiffForManagedDisks(0, content.length, older);
    expect([diff.pageRange, diff.clearRange]).toEqual([[], []]);
    await expect(compute.snapshots.delete("demo", "diffed-1", POLL)).rejects.toMatchObject({
      code: "OperationNotAllowed",
      message: expect.stringContaining("EndGetAccess"),
    });
    await compute.snapshots.revokeAccess("demo", "diffed-1", POLL);
    await compute.snapshots.delete("demo", "diffed-1", POLL);
    await expect(compute.snapshots.get("demo", "diffed-1")).rejects.toMatchObject({
      statusCode: 404,
      code: "ResourceNotFound",
    });
    await compute.snapshots.revokeAccess("demo", "diffed-2", POLL);
  });

  it("are copied to another region only from one incremental snapshot to another", async () => {
    const copyStart = (name: string, source: string, incremental = true) =>
      compute.snapshots.createOrUpdate(
        "demo",
        name,
        {
          location: "northeurope",
          incremental,
          creationData: { createOption: "CopyStart", sourceResourceId: source },
        },
        POLL,
      );
    const snapshot = (name: string, incremental: boolean) =>
      compute.snapshots.createOrUpdate(
        "demo",
        name,
        {
          location: LOCATION,
          incremental,
          creationData: { createOption: "Copy", sourceResourceId: id("disks", "web-01_OsDisk") },
        },
        POLL,
      );
    await snapshot("full", false);
    await snapshot("small", true);
    const cases: [Promise<unknown>, string][] = [
      [copyStart("far", id("disks", "web-01_OsDisk")), "Entity not of expected type"],
      [copyStart("far", id("snapshots", "full")), "only supported for an incremental snapshot"],
      [copyStart("far", id("snapshots", "small"), false), "only supported for an incremental snapshot"],
    ];
    for (const [asked, message] of cases)
      await expect(asked).rejects.toMatchObject({
        statusCode: 400,
        code: "InvalidParameter",
        message: expect.stringContaining(message),
      });
    await expect(compute.snapshots.get("demo", "far")).rejects.toMatchObject({ statusCode: 404 });
    await expect(
      compute.snapshots.createOrUpdate(
        "demo",
        "far",
        {
          location: "northeurope",
          incremental: true,
          creationData: { createOption: "Copy", sourceResourceId: id("snapshots", "small") },
        },
        POLL,
      ),
    ).rejects.toMatchObject({ code: "InvalidParameter" });
    expect(await copyStart("far", id("snapshots", "small"))).toMatchObject({
      location: "northeurope",
      incremental: true,
      completionPercent: 100,
    });
    for (const name of ["full", "small", "far"]) await compute.snapshots.delete("demo", name, POLL);
  });

  it("become other disks: from a snapshot, larger, and independent of it", async () => {
    await uploadDisk("source", Buffer.alloc(20 * MIB, 9));
    await compute.snapshots.createOrUpdate(
      "demo",
      "source-1",
      {
        location: LOCATION,
        incremental: true,
        creationData: { createOption: "Copy", sourceResourceId: id("disks", "source") },
      },
      POLL,
    );
    const copy = await compute.disks.createOrUpdate(
      "demo",
      "copy",
      {
        location: LOCATION,
        diskSizeGB: 2,
        creationData: { createOption: "Copy", sourceResourceId: id("snapshots", "source-1") },
      },
      POLL,
    );
    expect(copy).toMatchObject({ diskSizeGB: 2, osType: "Linux" });
    await compute.disks.delete("demo", "source", POLL);
    await compute.snapshots.delete("demo", "source-1", POLL);
    const { accessSAS } = await compute.disks.grantAccess(
      "demo",
      "copy",
      { access: "Read", durationInSeconds: 600 },
      POLL,
    );
    expect(
      (await pageBlob(accessSAS).downloadToBuffer(20 * MIB - PAGE, 2 * PAGE)).equals(
        Buffer.concat([Buffer.alloc(PAGE, 9), Buffer.alloc(PAGE)]),
      ),
    ).toBe(true);
    expect((await pageBlob(accessSAS).getProperties()).contentLength).toBe(2 * 1024 * MIB + PAGE);
  });

  it("grow and never shrink, and not while someone reads them", async () => {
    await compute.disks.createOrUpdate(
      "demo",
      "growing",
      { location: LOCATION, diskSizeGB: 4, creationData: { createOption: "Empty" } },
      POLL,
    );
    expect((await compute.disks.update("demo", "growing", { diskSizeGB: 32_767 }, POLL)).diskSizeBytes).toBe(
      32_767 * 1024 ** 3,
    );
    await expect(compute.disks.update("demo", "growing", { diskSizeGB: 4 }, POLL)).rejects.toMatchObject({
      statusCode: 400,
    });
    const { accessSAS } = await compute.disks.grantAccess(
      "demo",
      "growing",
      { access: "Read", durationInSeconds: 600 },
      POLL,
    );
    expect((await pageBlob(accessSAS).getPageRanges()).pageRange).toEqual([{ offset: 32_767 * 1024 ** 3, count: 511 }]);
    await expect(compute.disks.delete("demo", "growing", POLL)).rejects.toMatchObject({ code: "OperationNotAllowed" });
    await compute.disks.revokeAccess("demo", "growing", POLL);
    await compute.disks.delete("demo", "growing", POLL);
  });

  it("that a machine boots from grow only while it is deallocated; its data disks grow at any time", async () => {
    const grow = (name: string) => compute.disks.update("demo", name, { diskSizeGB: 6 }, POLL);
    await expect(grow("db-01_OsDisk")).rejects.toMatchObject({
      statusCode: 409,
      code: "OperationNotAllowed",
      message: expect.stringContaining("requires the virtual machine to be deallocated"),
    });
    expect((await grow("db-01_DataDisk_1")).diskSizeGB).toBe(6);
    await compute.virtualMachines.deallocate("demo", "db-01", POLL);
    expect((await grow("db-01_OsDisk")).diskSizeGB).toBe(6);
    await compute.virtualMachines.start("demo", "db-01", POLL);
  });

  it("can be closed to the public", async () => {
    await compute.disks.createOrUpdate(
      "demo",
      "private",
      { location: LOCATION, diskSizeGB: 1, networkAccessPolicy: "DenyAll", creationData: { createOption: "Empty" } },
      POLL,
    );
    await expect(
      compute.disks.grantAccess("demo", "private", { access: "Read", durationInSeconds: 600 }, POLL),
    ).rejects.toMatchObject({ statusCode: 409 });
    await compute.disks.update("demo", "private", { networkAccessPolicy: "AllowPrivate" }, POLL);
    const { accessSAS } = await compute.disks.grantAccess(
      "demo",
      "private",
      { access: "Read", durationInSeconds: 600 },
      POLL,
    );
    await expect(pageBlob(accessSAS).getPageRanges()).rejects.toMatchObject({
      statusCode: 403,
      code: "AuthorizationFailure",
    });
  });

  it("of a running machine are not read directly, and an attached disk is not deleted", async () => {
    await expect(
      compute.disks.grantAccess("demo", "web-01_OsDisk", { access: "Read", durationInSeconds: 600 }, POLL),
    ).rejects.toMatchObject({
      code: "OperationNotAllowed",
      message: expect.stringContaining("currently attached to running VM"),
    });
    await expect(compute.disks.delete("demo", "web-01_OsDisk", POLL)).rejects.toMatchObject({
      code: "OperationNotAllowed",
    });
    expect((await compute.disks.get("demo", "web-01_OsDisk")).diskState).toBe("Attached");
  });

  it("give the same URL to whoever asks again for the same access", async () => {
    await compute.disks.createOrUpdate(
      "demo",
      "twice",
      { location: LOCATION, diskSizeGB: 1, creationData: { createOption: "Empty" } },
      POLL,
    );
    const ask = async () =>
      (await compute.disks.grantAccess("demo", "twice", { access: "Read", durationInSeconds: 600 }, POLL)).accessSAS;
    expect(await ask()).toBe(await ask());
  });

  it("let five snapshots of a family be read at once and refuse the sixth", async () => {
    await compute.disks.createOrUpdate(
      "demo",
      "family",
      { location: LOCATION, diskSizeGB: 1, creationData: { createOption: "Empty" } },
      POLL,
    );
    for (let index = 0; index < 6; index += 1)
      await compute.snapshots.createOrUpdate(
        "demo",
        `family-${index}`,
        {
          location: LOCATION,
          incremental: true,
          creationData: { createOption: "Copy", sourceResourceId: id("disks", "family") },
        },
        POLL,
      );
    const grant = (index: number) =>
      compute.snapshots.grantAccess("demo", `family-${index}`, { access: "Read", durationInSeconds: 600 }, POLL);
    for (let index = 0; index < 5; index += 1) await grant(index);
    await expect(grant(5)).rejects.toMatchObject({ statusCode: 409 });
    await compute.snapshots.revokeAccess("demo", "family-0", POLL);
    await grant(5);
  });

  it("have at most so many incremental snapshots", async () => {
    const limited = await startTestAzure(testEstate({ limits: { snapshotsPerDisk: 2 } }));
    const take = (name: string, incremental = true) =>
      limited.compute().snapshots.createOrUpdate(
        "demo",
        name,
        {
          location: LOCATION,
          incremental,
          creationData: { createOption: "Copy", sourceResourceId: id("disks", "web-01_OsDisk") },
        },
        POLL,
      );
    await take("one");
    await take("two");
    await expect(take("three")).rejects.toMatchObject({
      statusCode: 409,
      message: expect.stringContaining("cannot exceed 2"),
    });
    await take("full", false);
    await limited.compute().snapshots.delete("demo", "one", POLL);
    await take("three");
    await limited.stop();
  });

  it("refuse what does not make sense with Azure's codes, and change nothing", async () => {
    const put = (name: string, body: unknown) => azure.arm("PUT", id("disks", name), body);
    const location = LOCATION;
    const cases: [Promise<{ status: number; code: string | undefined }>, number, string][] = [
      [put("bad", "{ not json"), 400, "InvalidRequestContent"],
      [put("bad", { properties: { creationData: { createOption: "Empty" }, diskSizeGB: 1 } }), 400, "InvalidParameter"],
      [put("bad", { location, properties: { creationData: { createOption: "Empty" } } }), 400, "InvalidParameter"],
      [
        put("bad", { location, properties: { creationData: { createOption: "Empty" }, diskSizeGB: 32_768 } }),
        400,
        "InvalidParameter",
      ],
      [put("bad", { location, properties: { creationData: { createOption: "Magic" } } }), 400, "InvalidParameter"],
      [
        put("bad", {
          location,
          properties: { creationData: { createOption: "Upload", uploadSizeBytes: 20 * MIB + 100 } },
        }),
        400,
        "InvalidParameter",
      ],
      [
        put("bad", {
          location,
          properties: { creationData: { createOption: "Copy", sourceResourceId: id("snapshots", "none") } },
        }),
        404,
        "NotFound",
      ],
      [
        put("bad", {
          location,
          properties: { creationData: { createOption: "Restore", sourceResourceId: id("snapshots", "none") } },
        }),
        400,
        "InvalidParameter",
      ],
      [
        azure.arm("POST", `${id("disks", "none")}/beginGetAccess`, { access: "Read", durationInSeconds: 600 }),
        404,
        "ResourceNotFound",
      ],
      [
        azure.arm("POST", `${id("disks", "web-01_OsDisk")}/beginGetAccess`, { access: "Read", durationInSeconds: 5 }),
        400,
        "InvalidParameter",
      ],
      [
        azure.arm("POST", `${id("disks", "web-01_OsDisk")}/beginGetAccess`, { access: "Read" }),
        400,
        "InvalidParameter",
      ],
    ];
    for (const [asked, status, code] of cases) expect(await asked).toMatchObject({ status, code });
    expect((await azure.arm("GET", id("disks", "bad"))).status).toBe(404);
  });
});
