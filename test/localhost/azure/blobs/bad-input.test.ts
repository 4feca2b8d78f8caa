import { createHash } from "node:crypto";
import { request } from "node:http";
import fc from "fast-check";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { GROUP, POLL, pageBlob, startTestAzure, type TestAzure } from "../support/azure.ts";

// Requests for bytes that a client got wrong: Azure's code, and neither the state nor a byte of the disk has changed.
const PAGE = 512;
const MIB = 1024 * 1024;
const DISK_BYTES = 20 * MIB;
const BLOB_BYTES = DISK_BYTES + PAGE;
const LOCATION = "westeurope";
let azure: TestAzure;
let compute: ReturnType<TestAzure["compute"]>;
let write: string;

beforeAll(async () => {
  azure = await startTestAzure();
  compute = azure.compute();
  write = await uploading("written");
  await pageBlob(write).uploadPages(Buffer.alloc(4 * MIB, 7), 0, 4 * MIB);
});

afterAll(async () => {
  expect(azure.defects).toEqual([]);
  await azure.stop();
});

async function uploading(name: string): Promise<string> {
  const creationData = { createOption: "Upload", uploadSizeBytes: BLOB_BYTES };
  await compute.disks.createOrUpdate("demo", name, { location: LOCATION, creationData }, POLL);
  const access = { access: "Write", durationInSeconds: 3600 };
  return (await compute.disks.grantAccess("demo", name, access, POLL)).accessSAS ?? "";
}

/** A request that no client would build: any header, any body. */
function send(
  url: string,
  method: string,
  headers: Record<string, string | number>,
  body: Uint8Array = new Uint8Array(),
) {
  return new Promise<{ status: number; code: string | undefined }>((resolve, reject) => {
    const asked = request(url, { method, headers: { "x-ms-version": "2024-11-04", ...headers } }, (response) => {
      response.resume().once("end", () => {
        const code = response.headers["x-ms-error-code"];
        resolve({ status: response.statusCode ?? 0, code: code === undefined ? undefined : String(code) });
      });
    });
    asked.once("error", reject);
    asked.end(body);
  });
}

const put = (range: string, body: Buffer, more: Record<string, string | number> = {}) =>
  send(
    `${write}&comp=page`,
    "PUT",
    { "x-ms-page-write": "update", "x-ms-range": range, "Content-Length": body.length, ...more },
    body,
  );

/** State, and the bytes of the disk that is written to. */
async function everything(): Promise<unknown> {
  const bytes = Buffer.from(await (await fetch(write)).arrayBuffer());
  expect(bytes.length).toBe(BLOB_BYTES);
  return [await azure.control("GET", "state"), createHash("sha256").update(bytes).digest("hex")];
}

/** Sends what is refused, one after the other, and looks after each whether anything has changed. */
async function refuseWithoutTrace(
  cases: readonly [about: string, code: string, asked: () => Promise<{ code?: string | undefined }>][],
): Promise<void> {
  const before = await everything();
  for (const [about, code, asked] of cases) {
    expect((await asked()).code, about).toBe(code);
    expect(await everything(), about).toEqual(before);
  }
}

describe("bad requests for bytes", () => {
  it("to write are refused exactly when range, length and alignment are not right, and then write nothing", async () => {
    const edge = fc.oneof(
      fc.constantFrom(0, PAGE, MIB, 4 * MIB, DISK_BYTES, BLOB_BYTES),
      fc.integer({ min: 0, max: BLOB_BYTES / PAGE + 2 }).map((page) => page * PAGE),
    );
    const near = fc.tuple(edge, fc.constantFrom(0, 0, 0, -1, 1, 511, PAGE)).map(([at, by]) => Math.max(0, at + by));
    let refused = 0;
    let before = await everything();
    await fc.assert(
      fc.asyncProperty(near, near, fc.constantFrom(0, 0, 0, -1, 1, PAGE), async (start, end, excess) => {
        const length = Math.min(Math.max(0, end - start + excess), 5 * MIB);
        const isRight =
          end > start &&
          start % PAGE === 0 &&
          end % PAGE === 0 &&
          end <= BLOB_BYTES &&
          end - start <= 4 * MIB &&
          length === end - start;
        const { status, code } = await put(`bytes=${start}-${end - 1}`, Buffer.alloc(length, 9));
        expect(status === 201, `${start}-${end} of ${length}: ${status} ${code}`).toBe(isRight);
        if (isRight) {
          before = await everything();
          return;
        }
        refused += 1;
        expect(status).toBeGreaterThanOrEqual(400);
        expect(status).toBeLessThan(500);
        expect(code).toMatch(/^[A-Z]\w+$/);
        expect(await everything()).toEqual(before);
      }),
      { numRuns: 80 },
    );
    expect(refused).toBeGreaterThan(20);
  }, 90_000);

  it("have Azure's codes", async () => {
    const page = Buffer.alloc(PAGE, 1);
    const md5 = createHash("md5").update("something else").digest("base64");
    const cases: [about: string, code: string, asked: () => Promise<{ code?: string | undefined }>][] = [
      ["ends one byte late", "InvalidPageRange", () => put("bytes=0-512", Buffer.alloc(513))],
      ["ends one byte early", "InvalidPageRange", () => put("bytes=0-510", Buffer.alloc(511))],
      ["begins unaligned", "InvalidPageRange", () => put("bytes=1-512", page)],
      ["beyond the end", "InvalidPageRange", () => put(`bytes=${BLOB_BYTES}-${BLOB_BYTES + 511}`, page)],
      ["across the end", "InvalidPageRange", () => put(`bytes=${DISK_BYTES}-${DISK_BYTES + 1023}`, Buffer.alloc(1024))],
      ["backwards", "InvalidHeaderValue", () => put("bytes=512-0", page)],
      ["not a range", "InvalidHeaderValue", () => put("pages=0-1", page)],
      ["open", "InvalidPageRange", () => put("bytes=0-", page)],
      ["too large", "RequestBodyTooLarge", () => put(`bytes=0-${4 * MIB + 511}`, Buffer.alloc(4 * MIB + PAGE))],
      ["another length", "InvalidHeaderValue", () => put("bytes=0-1023", page)],
      ["a wrong MD5", "Md5Mismatch", () => put("bytes=0-511", page, { "Content-MD5": md5 })],
      ["half an MD5", "InvalidMd5", () => put("bytes=0-511", page, { "Content-MD5": md5.slice(0, 8) })],
      ["a wrong CRC", "Crc64Mismatch", () => put("bytes=0-511", page, { "x-ms-content-crc64": "AAAAAAAAAAA=" })],
      ["neither update nor clear", "InvalidHeaderValue", () => put("bytes=0-511", page, { "x-ms-page-write": "x" })],
      ["clears with a body", "InvalidHeaderValue", () => put("bytes=0-511", page, { "x-ms-page-write": "clear" })],
      ["an older etag", "ConditionNotMet", () => put("bytes=0-511", page, { "If-Match": '"0x1"' })],
      ["an unknown version", "InvalidHeaderValue", () => put("bytes=0-511", page, { "x-ms-version": "1999-01-01" })],
      ["no version at all", "InvalidHeaderValue", () => put("bytes=0-511", page, { "x-ms-version": "latest" })],
      ["creates a blob", "AuthorizationPermissionMismatch", () => send(write, "PUT", { "x-ms-blob-type": "PageBlob" })],
      ["deletes the blob", "AuthorizationPermissionMismatch", () => send(write, "DELETE", {})],
      ["reads beyond the end", "InvalidRange", () => send(write, "GET", { "x-ms-range": `bytes=${BLOB_BYTES}-` })],
      ["no such page", "OutOfRangeQueryParameterValue", () => send(`${write}&comp=pagelist&maxresults=0`, "GET", {})],
      ["a strange marker", "InvalidQueryParameterValue", () => send(`${write}&comp=pagelist&marker=x`, "GET", {})],
      ["tampered", "AuthenticationFailed", () => send(write.replace("sig=", "sig=A"), "GET", {})],
    ];
    await refuseWithoutTrace(cases);
  }, 60_000);

  it("to compare what cannot be compared are refused and change nothing", async () => {
    const snapshot = async (name: string, of: string) => {
      const creationData = {
        createOption: "Copy",
        sourceResourceId: `${GROUP}/providers/Microsoft.Compute/disks/${of}`,
      };
      const body = { location: LOCATION, incremental: true, creationData };
      await compute.snapshots.createOrUpdate("demo", name, body, POLL);
      const access = { access: "Read", durationInSeconds: 3600 };
      return (await compute.snapshots.grantAccess("demo", name, access, POLL)).accessSAS ?? "";
    };
    const first = await snapshot("first", "web-01_OsDisk");
    const second = await snapshot("second", "web-01_OsDisk");
    const stranger = await snapshot("stranger", "db-01_DataDisk_0");
    const diff = async (newer: string, older: string) => {
      const compared = pageBlob(newer).getPageRangesDiffForManagedDisks(0, MIB, older);
      return {
        code: await compared.then(
          () => undefined,
          (error: { code: string }) => error.code,
        ),
      };
    };
    expect((await diff(second, first)).code).toBeUndefined();
    const cases: [about: string, code: string, newer: string, older: string][] = [
      ["another lineage", "PreviousSnapshotOperationNotSupported", second, stranger],
      ["a live disk", "PreviousSnapshotOperationNotSupported", second, write],
      ["the wrong way round", "PreviousSnapshotCannotBeNewer", first, second],
      ["no URL", "InvalidHeaderValue", second, "yesterday"],
      ["no signature", "PublicAccessNotPermitted", second, second.replace(/\?.*/, "")],
      ["a wrong signature", "AuthenticationFailed", second, first.replace("sig=", "sig=A")],
    ];
    await refuseWithoutTrace(cases.map(([about, code, newer, older]) => [about, code, () => diff(newer, older)]));
  });
});
