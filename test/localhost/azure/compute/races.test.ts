import { request } from "node:http";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { GROUP, POLL, pageBlob, startTestAzure, type TestAzure, testEstate } from "../support/azure.ts";

// Requests that arrive together: for the last place one of them is refused, whatever the others do to the same disk.
const LOCATION = "westeurope";
const MIB = 1024 * 1024;
let azure: TestAzure;
let compute: ReturnType<TestAzure["compute"]>;

beforeAll(async () => {
  azure = await startTestAzure(
    testEstate({ limits: { snapshotsPerDisk: 3, restorePointsPerVm: 3, grantsPerFamily: 2 } }),
  );
  compute = azure.compute();
});

afterAll(async () => {
  expect(azure.defects).toEqual([]);
  await azure.stop();
});

const id = (type: string, name: string) => `${GROUP}/providers/Microsoft.Compute/${type}/${name}`;

function snapshot(name: string, source = id("disks", "web-01_OsDisk")) {
  const creationData = { createOption: "Copy", sourceResourceId: source };
  return compute.snapshots.createOrUpdate("demo", name, { location: LOCATION, incremental: true, creationData }, POLL);
}

/** How many of the requests succeeded, and the codes of those that did not. */
async function outcomes(requests: Promise<unknown>[]): Promise<{ succeeded: number; codes: string[] }> {
  const settled = await Promise.allSettled(requests);
  return {
    succeeded: settled.filter(({ status }) => status === "fulfilled").length,
    codes: settled.flatMap((one) => (one.status === "rejected" ? [(one.reason as { code: string }).code] : [])),
  };
}

const refused = (times: number) => Array.from({ length: times }, () => "OperationNotAllowed");

/** The machine writes as fast as it can, so that whoever wants its disk at rest has to wait. */
async function whileWriting<T>(work: () => Promise<T>): Promise<T> {
  const disk = encodeURIComponent(id("disks", "web-01_OsDisk"));
  const bytes = Buffer.alloc(4 * MIB, 5);
  let isOver = false;
  const writers = Array.from({ length: 4 }, async (_, writer) => {
    while (!isOver) {
      const url = `${azure.origin}/control/guest-pages?disk=${disk}&offset=${writer * 4 * MIB}`;
      expect((await fetch(url, { method: "PUT", body: bytes })).status).toBe(200);
    }
  });
  try {
    return await work();
  } finally {
    isOver = true;
    await Promise.all(writers);
  }
}

describe("requests that arrive together", () => {
  it("get as many snapshots of a disk as there may be, and no more", async () => {
    const names = Array.from({ length: 24 }, (_, index) => `race-${index}`);
    const { succeeded, codes } = await whileWriting(() => outcomes(names.map((name) => snapshot(name))));
    expect(succeeded).toBe(3);
    expect(codes).toEqual(refused(21));
    const made: string[] = [];
    for await (const { name = "" } of compute.snapshots.listByResourceGroup("demo")) made.push(name);
    expect(made).toHaveLength(3);
    for (const name of made) await compute.snapshots.delete("demo", name, POLL);
  });

  it("get as many restore points of a machine as there may be, in two collections together", async () => {
    for (const collection of ["one", "two"])
      await compute.restorePointCollections.createOrUpdate("demo", collection, {
        location: LOCATION,
        source: { id: id("virtualMachines", "web-01") },
      });
    const names = Array.from({ length: 24 }, (_, index) => [index % 2 === 0 ? "one" : "two", `race-${index}`] as const);
    const { succeeded, codes } = await whileWriting(() =>
      outcomes(names.map(([collection, name]) => compute.restorePoints.create("demo", collection, name, {}, POLL))),
    );
    expect(succeeded).toBe(3);
    expect(codes).toEqual(refused(21));
    for (const collection of ["one", "two"]) await compute.restorePointCollections.delete("demo", collection, POLL);
  });

  it("of one name make one thing", async () => {
    const volumes = async () => ((await azure.control("GET", "state")).volumes as unknown[]).length;
    const creationData = { createOption: "Copy", sourceResourceId: id("disks", "web-01_OsDisk") };
    const copy = () => compute.disks.createOrUpdate("demo", "twin", { location: LOCATION, creationData }, POLL);
    const before = await volumes();
    for (const make of [() => snapshot("twin"), copy]) {
      // Who comes while it is being made is refused; who comes later changes what is there.
      const { succeeded, codes } = await whileWriting(() => outcomes([make(), make(), make(), make()]));
      expect(succeeded).toBeGreaterThan(0);
      expect(codes).toEqual(refused(4 - succeeded));
    }
    expect(await volumes()).toBe(before + 2);
    await compute.snapshots.delete("demo", "twin", POLL);
    await compute.disks.delete("demo", "twin", POLL);
    expect(await volumes()).toBe(before);
  });

  it("read as many snapshots of a family as may be read", async () => {
    const names = ["read-1", "read-2", "read-3"];
    for (const name of names) await snapshot(name);
    const grant = (name: string) =>
      compute.snapshots.grantAccess("demo", name, { access: "Read", durationInSeconds: 600 }, POLL);
    expect(await outcomes(names.map(grant))).toEqual({ succeeded: 2, codes: refused(1) });
    for (const name of names) {
      await compute.snapshots.revokeAccess("demo", name, POLL);
      await compute.snapshots.delete("demo", name, POLL);
    }
  });

  it("find a source that went away while they waited for it", async () => {
    const empty = { location: LOCATION, diskSizeGB: 1, creationData: { createOption: "Empty" } };
    await compute.disks.createOrUpdate("demo", "leaving", empty, POLL);
    const { codes } = await outcomes([
      compute.disks.delete("demo", "leaving", POLL),
      snapshot("of-leaving", id("disks", "leaving")),
    ]);
    for (const code of codes) expect(code).toBe("NotFound");
    await expect(compute.disks.get("demo", "leaving")).rejects.toMatchObject({ statusCode: 404 });
  });

  it("do not change a disk once its upload has ended, however late their bytes arrive", async () => {
    const creationData = { createOption: "Upload", uploadSizeBytes: 20 * MIB + 512 };
    await compute.disks.createOrUpdate("demo", "uploaded", { location: LOCATION, creationData }, POLL);
    const write = { access: "Write", durationInSeconds: 600 };
    const { accessSAS = "" } = await compute.disks.grantAccess("demo", "uploaded", write, POLL);
    const footer = Buffer.alloc(512);
    footer.write("conectix");
    await pageBlob(accessSAS).uploadPages(footer, 20 * MIB, 512);
    const headers = { "x-ms-version": "2024-11-04", "x-ms-page-write": "update", "x-ms-range": "bytes=0-1023" };
    const late = request(`${accessSAS}&comp=page`, { method: "PUT", headers: { ...headers, "content-length": 1024 } });
    const answered = new Promise<number | undefined>((resolve, reject) => {
      late.once("response", (response) => resolve(response.resume().statusCode)).once("error", reject);
    });
    await new Promise((resolve) => late.write(Buffer.alloc(512, 9), resolve));
    await compute.disks.revokeAccess("demo", "uploaded", POLL);
    late.end(Buffer.alloc(512, 9));
    expect(await answered).toBe(403);
    const read = await compute.disks.grantAccess("demo", "uploaded", { access: "Read", durationInSeconds: 600 }, POLL);
    expect((await pageBlob(read.accessSAS).getPageRanges(0, 20 * MIB)).pageRange).toEqual([]);
  });
});
