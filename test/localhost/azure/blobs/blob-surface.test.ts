import { createHash } from "node:crypto";
import { request } from "node:http";
import { AnonymousCredential, PageBlobClient } from "@azure/storage-blob";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { crc64 } from "../../../../localhost/azure/blobs/crc64.ts";
import { type DiskEndpoint, startDiskEndpoint } from "../support/disk-endpoint.ts";

const PAGE = 512;
const MIB = 1024 * 1024;
let azure: DiskEndpoint;

beforeAll(async () => {
  azure = await startDiskEndpoint();
});

afterAll(async () => {
  expect(azure.defects).toEqual([]);
  await azure.close();
});

function client(sas: string): PageBlobClient {
  return new PageBlobClient(sas, new AnonymousCredential(), { retryOptions: { maxTries: 1 } });
}

async function bytesOf(blob: PageBlobClient, offset: number, count: number): Promise<Buffer> {
  return blob.downloadToBuffer(offset, count, { concurrency: 1 });
}

function page(fill: number, pages = 1): Buffer {
  return Buffer.alloc(pages * PAGE, fill);
}

describe("a disk behind a SAS, through the official client", () => {
  it("is a page blob of the disk's size and a fixed VHD footer", async () => {
    const disk = await azure.disk(8 * MIB);
    const blob = client(await azure.sas(disk));
    const properties = await blob.getProperties();
    expect(properties.contentLength).toBe(8 * MIB + PAGE);
    expect(properties.blobType).toBe("PageBlob");
    const footer = await bytesOf(blob, 8 * MIB - PAGE, 2 * PAGE);
    expect(footer.subarray(0, PAGE).equals(page(0))).toBe(true);
    expect(footer.toString("latin1", PAGE, PAGE + 8)).toBe("conectix");
    expect(footer.readBigUInt64BE(PAGE + 48)).toBe(BigInt(8 * MIB));
    const sum = [...footer.subarray(PAGE)].reduce((total, byte, at) => total + (at >= 64 && at < 68 ? 0 : byte), 0);
    expect(footer.readUInt32BE(PAGE + 64)).toBe(~sum >>> 0);
  });

  it("gives back what was put, by any range, and refuses a broken body", async () => {
    const disk = await azure.disk(16 * MIB);
    const writer = client(await azure.sas(disk, "Write"));
    const body = Buffer.from(Array.from({ length: 4 * MIB }, (_, index) => (index * 7) & 255));
    await writer.uploadPages(body, 4 * MIB, body.length);
    const md5 = createHash("md5").update(page(9)).digest();
    await writer.uploadPages(page(9), 0, PAGE, { transactionalContentMD5: md5 });
    await writer.uploadPages(page(8), PAGE, PAGE, { transactionalContentCrc64: crc64([page(8)]) });
    await expect(writer.uploadPages(page(7), PAGE, PAGE, { transactionalContentMD5: md5 })).rejects.toMatchObject({
      statusCode: 400,
      code: "Md5Mismatch",
    });
    await expect(
      writer.uploadPages(page(7), PAGE, PAGE, { transactionalContentCrc64: Buffer.alloc(8) }),
    ).rejects.toMatchObject({ statusCode: 400, code: "Crc64Mismatch" });
    expect((await bytesOf(writer, 0, 2 * PAGE)).equals(Buffer.concat([page(9), page(8)]))).toBe(true);
    expect(
      (await bytesOf(writer, 4 * MIB - 3, 1000)).equals(Buffer.concat([Buffer.alloc(3), body.subarray(0, 997)])),
    ).toBe(true);
    const whole = await writer.downloadToBuffer();
    expect(whole.length).toBe(16 * MIB + PAGE);
    expect(whole.subarray(4 * MIB, 8 * MIB).equals(body)).toBe(true);
    const checked = await writer.download(4 * MIB, 1024, { rangeGetContentMD5: true });
    expect(
      Buffer.from(checked.contentMD5 ?? []).equals(createHash("md5").update(body.subarray(0, 1024)).digest()),
    ).toBe(true);
    await writer.clearPages(4 * MIB, PAGE);
    expect((await bytesOf(writer, 4 * MIB, PAGE)).equals(page(0))).toBe(true);
  });

  it("lists allocated ranges, in pages of any size, footer included", async () => {
    const disk = await azure.disk(MIB);
    for (const at of [0, 1, 4, 9, 2047]) await azure.disks.write(disk, at * PAGE, [page(1)]);
    const blob = client(await azure.sas(await azure.snapshot(disk)));
    const expected = [
      [0, 1023],
      [2048, 2559],
      [4608, 5119],
      [2047 * PAGE, MIB + PAGE - 1],
    ];
    for (const maxPageSize of [1, 3, 100]) {
      const found: number[][] = [];
      for await (const result of blob.listPageRanges(0, undefined, {}).byPage({ maxPageSize })) {
        expect((result.pageRange ?? []).length).toBeLessThanOrEqual(maxPageSize);
        for (const range of result.pageRange ?? []) found.push([range.start, range.end]);
      }
      expect(found).toEqual(expected);
    }
    const window = await blob.getPageRanges(2 * PAGE, 4 * PAGE);
    expect(window.pageRange).toEqual([{ offset: 2048, count: 511 }]);
  });

  it("lists what changed since an earlier snapshot, page and clear ranges interleaved", async () => {
    const disk = await azure.disk(MIB);
    await azure.disks.write(disk, 0, [page(1, 100)]);
    const first = await azure.snapshot(disk);
    await azure.disks.write(disk, 5 * PAGE, [page(2)]);
    await azure.disks.clear(disk, 10 * PAGE, 2 * PAGE);
    await azure.disks.write(disk, 20 * PAGE, [page(2, 3)]);
    await azure.disks.clear(disk, 30 * PAGE, PAGE);
    const second = await azure.snapshot(disk);
    const [older, newer] = [await azure.sas(first), await azure.sas(second)];
    const response = await fetch(`${newer}&comp=pagelist`, {
      headers: { "x-ms-version": "2024-11-04", "x-ms-previous-snapshot-url": older },
    });
    expect(await response.text()).toBe(
      '<?xml version="1.0" encoding="utf-8"?><PageList>' +
        "<PageRange><Start>2560</Start><End>3071</End></PageRange><ClearRange><Start>5120</Start><End>6143</End></ClearRange>" +
        "<PageRange><Start>10240</Start><End>11775</End></PageRange><ClearRange><Start>15360</Start><End>15871</End></ClearRange></PageList>",
    );
    const diff = await client(newer).getPageRangesDiffForManagedDisks(0, MIB + PAGE, older);
    // The client reports one byte less than the length.
    expect(diff.pageRange).toEqual([
      { offset: 2560, count: 511 },
      { offset: 10240, count: 1535 },
    ]);
    expect(diff.clearRange).toEqual([
      { offset: 5120, count: 1023 },
      { offset: 15360, count: 511 },
    ]);
    const same = await client(newer).getPageRangesDiffForManagedDisks(0, MIB + PAGE, newer);
    expect([...(same.pageRange ?? []), ...(same.clearRange ?? [])]).toEqual([]);
  });

  it("refuses to compare other disks, newer snapshots and strange URLs", async () => {
    const disk = await azure.disk(MIB);
    const first = await azure.snapshot(disk);
    const second = await azure.snapshot(disk);
    const copy = await azure.snapshot(await azure.disk(MIB, first));
    const diff = async (newer: number, older: string) =>
      client(await azure.sas(newer)).getPageRangesDiffForManagedDisks(0, MIB, older);
    await expect(diff(copy, await azure.sas(first))).rejects.toMatchObject({
      statusCode: 409,
      code: "PreviousSnapshotOperationNotSupported",
    });
    await expect(diff(first, await azure.sas(second))).rejects.toMatchObject({
      statusCode: 400,
      code: "PreviousSnapshotCannotBeNewer",
    });
    await expect(diff(second, "no url")).rejects.toMatchObject({ statusCode: 400, code: "InvalidHeaderValue" });
    await expect(diff(second, (await azure.sas(first)).replace("sig=", "sig=x"))).rejects.toMatchObject({
      statusCode: 403,
    });
    await expect(
      client(await azure.sas(second)).getPageRangesDiff(0, MIB, new Date().toISOString()),
    ).rejects.toMatchObject({
      statusCode: 409,
    });
  });

  it("refuses a SAS that is tampered with, expired, revoked, or only for reading", async () => {
    const disk = await azure.disk(MIB);
    const sas = await azure.sas(disk);
    const refused = (url: string) => expect(client(url).getPageRanges(0, PAGE)).rejects;
    await refused(sas.replace(/sig=./, (found) => (found === "sig=A" ? "sig=B" : "sig=A"))).toMatchObject({
      statusCode: 403,
      code: "AuthenticationFailed",
    });
    await refused(sas.replace(/si=[^&]*/, `si=${crypto.randomUUID()}`)).toMatchObject({ statusCode: 403 });
    await refused(sas.replace("/abcd", "/abce")).toMatchObject({ statusCode: 403 });
    await refused(sas.replace(/&sig=.*/, "")).toMatchObject({ statusCode: 409, code: "PublicAccessNotPermitted" });
    const other = await azure.sas(await azure.disk(MIB));
    await refused(sas.replace(/si=[^&]*/, /si=[^&]*/.exec(other)?.[0] ?? "")).toMatchObject({ statusCode: 403 });
    await expect(client(sas).uploadPages(page(1), 0, PAGE)).rejects.toMatchObject({
      statusCode: 403,
      code: "AuthorizationPermissionMismatch",
    });
    await expect(client(sas).delete()).rejects.toMatchObject({ statusCode: 403 });
    await client(sas).getPageRanges(0, PAGE);
    azure.clock.aheadMs = 3600_001;
    await refused(sas).toMatchObject({ statusCode: 403, code: "AuthenticationFailed" });
    expect(await (await fetch(sas)).text()).toContain("Signature not valid in the specified time frame");
    azure.clock.aheadMs = 0;
    await azure.state.commit(azure.grants.planRevoke(`volume/${disk}`));
    await refused(sas).toMatchObject({ statusCode: 403, code: "AuthenticationFailed" });
    azure.clock.aheadMs = 0;
  });

  it("answers ranges that are off by one, unaligned, oversized or malformed as Azure does, and changes nothing", async () => {
    const disk = await azure.disk(8 * MIB);
    const size = 8 * MIB + PAGE;
    const sas = await azure.sas(disk, "Write");
    const before = azure.state.journalBytes;
    const put = (range: string | undefined, body: Buffer | undefined, headers: Record<string, string> = {}) =>
      fetch(`${sas}&comp=page`, {
        method: "PUT",
        headers: { "x-ms-page-write": "update", ...(range === undefined ? {} : { "x-ms-range": range }), ...headers },
        ...(body === undefined ? {} : { body: new Uint8Array(body) }),
      });
    const cases: [Promise<Response>, number, string][] = [
      [put("bytes=0-512", Buffer.alloc(513)), 416, "InvalidPageRange"],
      [put("bytes=1-512", page(1)), 416, "InvalidPageRange"],
      [put("bytes=0-510", Buffer.alloc(511)), 416, "InvalidPageRange"],
      [put(`bytes=${size}-${size + 511}`, page(1)), 416, "InvalidPageRange"],
      [put(`bytes=${size - 512}-${size + 511}`, page(1, 2)), 416, "InvalidPageRange"],
      [put("bytes=0-4194815", Buffer.alloc(4 * MIB + 512)), 413, "RequestBodyTooLarge"],
      [put("bytes=0-1023", page(1)), 400, "InvalidHeaderValue"],
      [put("bytes=512-0", page(1)), 400, "InvalidHeaderValue"],
      [put("pages=0-1", page(1)), 400, "InvalidHeaderValue"],
      [put(undefined, page(1)), 400, "MissingRequiredHeader"],
      [put("bytes=0-511", page(1), { "x-ms-page-write": "scribble" }), 400, "InvalidHeaderValue"],
      [put("bytes=0-511", page(1), { "x-ms-page-write": "clear" }), 400, "InvalidHeaderValue"],
      [put("bytes=0-511", page(1), { "content-md5": "AAAA" }), 400, "InvalidMd5"],
      [fetch(sas, { headers: { "x-ms-range": `bytes=${size}-` } }), 416, "InvalidRange"],
      [fetch(sas, { headers: { range: "bytes=5-4" } }), 400, "InvalidHeaderValue"],
      [
        fetch(sas, { headers: { "x-ms-range": "bytes=0-4194304", "x-ms-range-get-content-md5": "true" } }),
        400,
        "InvalidHeaderValue",
      ],
      [fetch(sas, { headers: { "if-match": '"0x1"' } }), 412, "ConditionNotMet"],
      [fetch(`${sas}&comp=pagelist&maxresults=0`), 400, "OutOfRangeQueryParameterValue"],
      [fetch(`${sas}&comp=pagelist&marker=7`), 400, "InvalidQueryParameterValue"],
      [fetch(sas, { headers: { "x-ms-version": "yesterday" } }), 400, "InvalidHeaderValue"],
      [fetch(`${sas}&comp=metadata`), 403, "AuthorizationPermissionMismatch"],
    ];
    for (const [asked, status, code] of cases) {
      const response = await asked;
      const text = await response.text();
      expect([response.status, response.headers.get("x-ms-error-code"), /<Code>(\w+)</.exec(text)?.[1]]).toEqual([
        status,
        code,
        code,
      ]);
    }
    expect(azure.state.journalBytes).toBe(before);
    const tail = await fetch(sas, { headers: { "x-ms-range": `bytes=${size - 1}-${size + 10_000}` } });
    expect([tail.status, tail.headers.get("content-range")]).toEqual([206, `bytes ${size - 1}-${size - 1}/${size}`]);
  });

  it("takes nothing from a writer that goes away in the middle of a page write", async () => {
    const disk = await azure.disk(MIB);
    const sas = new URL(`${await azure.sas(disk, "Write")}&comp=page`);
    const headers = { "x-ms-page-write": "update", "x-ms-range": "bytes=0-65535", "content-length": "65536" };
    const cut = request({
      host: sas.hostname,
      port: sas.port,
      path: sas.pathname + sas.search,
      method: "PUT",
      headers,
    });
    cut.on("error", () => {});
    await new Promise((resolve) => cut.write(Buffer.alloc(30_000, 1), resolve));
    cut.destroy();
    const ranges = await client(await azure.sas(disk)).getPageRanges(0, MIB);
    expect(ranges.pageRange).toEqual([]);
  });

  it("refuses a write that waited for a snapshot and lost its disk meanwhile", async () => {
    const disk = await azure.disk(MIB);
    const writer = client(await azure.sas(disk, "Write"));
    let waiting: Promise<unknown> | undefined;
    await azure.disks.atRest(
      () => [disk],
      async () => {
        waiting = expect(writer.uploadPages(page(1), 0, PAGE)).rejects.toMatchObject({ statusCode: 409 });
        await new Promise((resolve) => setTimeout(resolve, 100)); // the write must have arrived at the gate
        await azure.state.commit([{ kind: "volume-deleted", id: disk }]);
      },
    );
    await waiting;
  });

  it("keeps a snapshot's ETag and changes a disk's with each write", async () => {
    const disk = await azure.disk(MIB);
    const frozen = client(await azure.sas(await azure.snapshot(disk)));
    const live = client(await azure.sas(disk, "Write"));
    const before = [(await frozen.getProperties()).etag, (await live.getProperties()).etag];
    await live.uploadPages(page(1), 0, PAGE);
    await live.uploadPages(page(2), 0, PAGE);
    expect((await frozen.getProperties()).etag).toBe(before[0]);
    expect((await live.getProperties()).etag).not.toBe(before[1]);
  });
});
