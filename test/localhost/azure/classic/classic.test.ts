import { ContainerClient, PageBlobClient } from "@azure/storage-blob";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { GROUP, overPlainHttp, SUBSCRIPTION, startTestAzure, type TestAzure } from "../support/azure.ts";

const MIB = 1024 * 1024;
let azure: TestAzure;

beforeAll(async () => {
  azure = await startTestAzure();
});

afterAll(async () => {
  expect(azure.defects).toEqual([]);
  await azure.stop();
});

async function client<Client extends object = PageBlobClient>(
  url: string,
  clientId = "owner",
  kind: new (url: string, credential: never, options: object) => Client = PageBlobClient as never,
): Promise<Client> {
  const token = await azure.token(clientId, "https://storage.azure.com");
  const blob = new kind(url, undefined as never, { retryOptions: { maxTries: 1 } });
  const inner = (blob as unknown as { storageClientContext: { pipeline: never } }).storageClientContext;
  overPlainHttp(inner as never, async () => token);
  return blob;
}

describe("a classic machine", () => {
  it("is found like any other, and says where its disks are", async () => {
    const { body } = await azure.arm(
      "GET",
      `/subscriptions/${SUBSCRIPTION}/providers/Microsoft.ClassicCompute/virtualMachines`,
    );
    const [vm] = body.value as {
      id: string;
      properties: { storageProfile: { operatingSystemDisk: { vhdUri: string } } };
    }[];
    expect(vm).toMatchObject({
      id: `${GROUP}/providers/Microsoft.ClassicCompute/virtualMachines/classic-01`,
      type: "Microsoft.ClassicCompute/virtualMachines",
      properties: { domainName: { name: "demo-classic" }, instanceView: { powerState: "Started" } },
    });
    expect(vm?.properties.storageProfile.operatingSystemDisk.vhdUri).toBe(
      `${azure.origin}/democlassic/vhds/classic-01-os.vhd`,
    );
    expect((await azure.arm("POST", `${vm?.id}/shutdown`)).status).toBe(202);
    expect((await azure.arm("GET", vm?.id ?? "")).body).toMatchObject({
      properties: { instanceView: { powerState: "Stopped" } },
    });
  });

  it("has its disk snapshotted, read, compared and forgotten as a page blob", async () => {
    const disk = await client(`${azure.origin}/democlassic/vhds/classic-01-os.vhd`);
    expect((await disk.getProperties()).contentLength).toBe(2 * 1024 * MIB + 512);
    const [first, second] = [await disk.createSnapshot(), await disk.createSnapshot()];
    expect(first.snapshot).not.toBe(second.snapshot);
    const newer = await client(`${azure.origin}/democlassic/vhds/classic-01-os.vhd?snapshot=${second.snapshot}`);
    const ranges = (await newer.getPageRanges()).pageRange ?? [];
    expect(ranges.reduce((sum, { count = 0 }) => sum + count + 1, 0)).toBe(8 * MIB + 512);
    expect((await newer.getPageRangesDiff(0, MIB, first.snapshot ?? "")).pageRange).toEqual([]);
    await expect(newer.getPageRangesDiff(0, MIB, "2020-01-01T00:00:00.0000000Z")).rejects.toMatchObject({
      code: "PreviousSnapshotNotFound",
    });
    const [here] = ranges;
    const bytes = await newer.downloadToBuffer(here?.offset ?? 0, 4096);
    expect(bytes.equals(await disk.downloadToBuffer(here?.offset ?? 0, 4096))).toBe(true);
    await newer.delete();
    await expect(newer.getProperties()).rejects.toMatchObject({ statusCode: 404 });
    await expect(disk.delete()).rejects.toMatchObject({ statusCode: 409 });
    await expect((await client(disk.url, "reader")).getProperties()).rejects.toMatchObject({ statusCode: 403 });
  });

  it("has its disks and their snapshots listed, each with what it was marked with", async () => {
    const disk = await client(`${azure.origin}/democlassic/vhds/classic-01-os.vhd`);
    const { snapshot } = await disk.createSnapshot({ metadata: { job: "a & b" } });
    await disk.createSnapshot();
    const container = await client(`${azure.origin}/democlassic/vhds`, "owner", ContainerClient);
    const listed = [];
    for await (const blob of container.listBlobsFlat({
      prefix: "classic-01",
      includeSnapshots: true,
      includeMetadata: true,
    }))
      listed.push(blob);
    expect(listed.find((blob) => blob.snapshot === snapshot)).toMatchObject({
      name: "classic-01-os.vhd",
      metadata: { job: "a & b" },
      properties: { contentLength: 2 * 1024 * MIB + 512, blobType: "PageBlob" },
    });
    expect(listed.at(-1)).toMatchObject({ name: "classic-01-os.vhd", snapshot: undefined });
    const pages = [];
    for await (const page of container.listBlobsFlat({ includeSnapshots: true }).byPage({ maxPageSize: 1 }))
      pages.push(page.segment.blobItems.length);
    expect(pages).toEqual(listed.map(() => 1));
    const none = container.listBlobsFlat({ prefix: "other", includeSnapshots: true }).byPage();
    expect((await none.next()).value.segment.blobItems).toEqual([]);
  });
});
