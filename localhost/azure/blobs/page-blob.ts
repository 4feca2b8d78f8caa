// A disk's bytes as a page blob: reads, page lists, differences, page writes, each with Azure's checks and refusals. Knows
// nothing of who may do it (blob-surface.ts) and nothing of ARM. A managed disk ends in a VHD footer the disk itself does
// not have; the page where an upload wrote its own footer lies just beyond the disk's end.
import { createHash } from "node:crypto";
import type { DiskStore } from "../disks/disk-store.ts";
import { PAGE_BYTES } from "../disks/page-map.ts";
import { AzureError } from "../http/azure-error.ts";
import { type Answer, type Call, headerOf } from "../http/call.ts";
import { crc64 } from "./crc64.ts";
import { pageListXml } from "./page-list.ts";
import { type ByteRange, pageRangeOf, readRangeOf } from "./ranges.ts";
import { vhdFooter } from "./vhd-footer.ts";

export interface PageBlob {
  readonly volume: number;
  readonly hasFooter: boolean;
  readonly modifiedAt: number;
}

const MAX_PAGE_WRITE_BYTES = 4 * 1024 * 1024;
const MAX_CHECKED_READ_BYTES = 4 * 1024 * 1024;
const STREAM_PIECE_BYTES = 4 * 1024 * 1024;
const MAX_LISTED_RANGES = 10_000;

export function blobSize(disks: DiskStore, blob: PageBlob): number {
  return disks.volume(blob.volume).sizeBytes + (blob.hasFooter ? PAGE_BYTES : 0);
}

export function describeBlob(disks: DiskStore, blob: PageBlob): Record<string, string | number> {
  return {
    ETag: `"0x${disks.revision(blob.volume)}"`,
    "Last-Modified": new Date(blob.modifiedAt).toUTCString(),
    "x-ms-blob-type": "PageBlob",
    "x-ms-blob-sequence-number": 0,
    "x-ms-lease-status": "unlocked",
    "x-ms-lease-state": "available",
    "x-ms-server-encrypted": "true",
    "Accept-Ranges": "bytes",
  };
}

export function headBlob(disks: DiskStore, blob: PageBlob): Answer {
  return {
    status: 200,
    headers: {
      ...describeBlob(disks, blob),
      "Content-Length": blobSize(disks, blob),
      "Content-Type": "application/octet-stream",
    },
  };
}

export async function readBlob(disks: DiskStore, blob: PageBlob, call: Call): Promise<Answer> {
  const size = blobSize(disks, blob);
  const range = readRangeOf(call, size);
  const headers = { ...describeBlob(disks, blob), "Content-Type": "application/octet-stream" };
  const wanted = range ?? { start: 0, end: size };
  const partial = range === undefined ? {} : { "Content-Range": `bytes ${range.start}-${range.end - 1}/${size}` };
  const status = range === undefined ? 200 : 206;
  const length = wanted.end - wanted.start;
  const checks = wantedChecks(call);
  if (checks.length > 0 && (range === undefined || length > MAX_CHECKED_READ_BYTES))
    throw new AzureError(400, "InvalidHeaderValue", "A range checksum needs a range of at most 4 MiB.");
  if (length > 2 * STREAM_PIECE_BYTES)
    return { status, headers: { ...headers, ...partial, "Content-Length": length }, body: pieces(disks, blob, wanted) };
  const body = await readBytes(disks, blob, wanted);
  return { status, headers: { ...headers, ...partial, ...checksums(checks, [body]) }, body };
}

export function listPages(disks: DiskStore, blob: PageBlob, previous: PageBlob | undefined, call: Call): Answer {
  const size = blobSize(disks, blob);
  const range = readRangeOf(call, size) ?? { start: 0, end: size };
  const limit = listLimitOf(call);
  const start = Math.max(alignDown(range.start), markerOf(call));
  const end = Math.min(size, alignDown(range.end + PAGE_BYTES - 1));
  const ranges: { start: number; end: number; cleared: boolean }[] = [];
  let next: number | undefined;
  const take = (from: number, to: number, cleared: boolean): boolean => {
    if (ranges.length >= limit) {
      next = from;
      return false;
    }
    ranges.push({ start: from, end: to, cleared });
    return true;
  };
  const disk = disks.volume(blob.volume);
  const diskEnd = Math.min(end, disk.sizeBytes);
  if (start < diskEnd) {
    if (previous === undefined) disks.visitRanges(blob.volume, start, diskEnd - start, (a, b) => take(a, b, false));
    else disks.visitChanges(blob.volume, previous.volume, start, diskEnd - start, take);
  }
  const footerChanged = previous === undefined || disks.volume(previous.volume).sizeBytes !== disk.sizeBytes;
  if (blob.hasFooter && end > disk.sizeBytes && next === undefined && footerChanged) {
    const last = ranges.at(-1);
    if (last !== undefined && last.end === disk.sizeBytes && !last.cleared) last.end = size;
    else take(disk.sizeBytes, size, false);
  }
  return {
    status: 200,
    headers: { ...describeBlob(disks, blob), "x-ms-blob-content-length": size, "Content-Type": "application/xml" },
    body: pageListXml(ranges, next),
  };
}

/** `permit` refuses by throwing when the right to write has gone while the body was on its way. */
export async function writePages(
  disks: DiskStore,
  blob: PageBlob,
  call: Call,
  permit: () => void = () => {},
): Promise<Answer> {
  const range = pageRangeOf(call, blobSize(disks, blob));
  const length = range.end - range.start;
  const declared = headerOf(call, "content-length");
  switch (headerOf(call, "x-ms-page-write")?.toLowerCase()) {
    case "clear":
      if (declared !== undefined && declared !== "0") throw invalidHeader("Content-Length");
      await disks.clear(blob.volume, range.start, length, permit);
      return { status: 201, headers: describeBlob(disks, blob) };
    case "update": {
      if (declared === undefined)
        throw new AzureError(411, "MissingContentLengthHeader", "Content-Length HTTP header is missing.");
      if (length > MAX_PAGE_WRITE_BYTES)
        throw new AzureError(
          413,
          "RequestBodyTooLarge",
          "The request body is too large and exceeds the maximum permissible limit.",
        );
      if (Number(declared) !== length) throw invalidHeader("Content-Length");
      const chunks = await call.body(MAX_PAGE_WRITE_BYTES);
      const checked = verifyBody(call, chunks);
      await disks.write(blob.volume, range.start, chunks, permit);
      return {
        status: 201,
        headers: { ...describeBlob(disks, blob), ...checked, "x-ms-request-server-encrypted": "true" },
      };
    }
    case undefined:
      throw new AzureError(
        400,
        "MissingRequiredHeader",
        "An HTTP header that's mandatory for this request is not specified: x-ms-page-write.",
      );
    default:
      throw invalidHeader("x-ms-page-write");
  }
}

async function* pieces(disks: DiskStore, blob: PageBlob, range: ByteRange): AsyncGenerator<Buffer> {
  for (let at = range.start; at < range.end; at += STREAM_PIECE_BYTES) {
    if (disks.find(blob.volume) === undefined)
      throw new AzureError(404, "BlobNotFound", "The specified blob does not exist."); // gone while it was sent
    yield await readBytes(disks, blob, { start: at, end: Math.min(range.end, at + STREAM_PIECE_BYTES) });
  }
}

async function readBytes(disks: DiskStore, blob: PageBlob, { start, end }: ByteRange): Promise<Buffer> {
  const bytes = await disks.read(blob.volume, start, end - start);
  const footerAt = disks.volume(blob.volume).sizeBytes;
  if (!blob.hasFooter || end <= footerAt || isUploaded(disks, blob, footerAt)) return bytes;
  const footer = vhdFooter(footerAt, blob.volume);
  footer.copy(bytes, Math.max(0, footerAt - start), Math.max(0, start - footerAt), end - footerAt);
  return bytes;
}

function isUploaded(disks: DiskStore, blob: PageBlob, footerAt: number): boolean {
  let found = false;
  disks.visitRanges(blob.volume, footerAt, PAGE_BYTES, () => {
    found = true;
    return false;
  });
  return found;
}

type Check = "md5" | "crc64";

function wantedChecks(call: Call): Check[] {
  const wants = (name: string) => headerOf(call, name)?.toLowerCase() === "true";
  const md5 = wants("x-ms-range-get-content-md5");
  const crc = wants("x-ms-range-get-content-crc64");
  if (md5 && crc) throw invalidHeader("x-ms-range-get-content-crc64");
  return md5 ? ["md5"] : crc ? ["crc64"] : [];
}

function checksums(checks: readonly Check[], chunks: readonly Buffer[]): Record<string, string> {
  if (checks.includes("md5")) return { "Content-MD5": md5Of(chunks) };
  if (checks.includes("crc64")) return { "x-ms-content-crc64": crc64(chunks).toString("base64") };
  return {};
}

/** Compares the body with the checksum that came with it, and returns the header that confirms it. */
function verifyBody(call: Call, chunks: readonly Buffer[]): Record<string, string> {
  const md5 = headerOf(call, "content-md5");
  const crc = headerOf(call, "x-ms-content-crc64");
  if (headerOf(call, "x-ms-structured-body") !== undefined)
    throw new AzureError(
      400,
      "UnsupportedHeader",
      "One of the HTTP headers specified in the request is not supported: x-ms-structured-body.",
    );
  if (md5 !== undefined) {
    if (Buffer.from(md5, "base64").length !== 16)
      throw new AzureError(
        400,
        "InvalidMd5",
        "The MD5 value specified in the request is invalid. MD5 value must be 128 bits and Base64-encoded.",
      );
    if (md5 !== md5Of(chunks))
      throw new AzureError(
        400,
        "Md5Mismatch",
        "The MD5 value specified in the request did not match with the MD5 value calculated by the server.",
      );
    return { "Content-MD5": md5 };
  }
  if (crc === undefined) return {};
  if (crc !== crc64(chunks).toString("base64"))
    throw new AzureError(
      400,
      "Crc64Mismatch",
      "The CRC64 value specified in the request did not match with the CRC64 value calculated by the server.",
    );
  return { "x-ms-content-crc64": crc };
}

function md5Of(chunks: readonly Buffer[]): string {
  const hash = createHash("md5");
  for (const chunk of chunks) hash.update(chunk);
  return hash.digest("base64");
}

function listLimitOf(call: Call): number {
  const asked = call.query.get("maxresults");
  if (asked === undefined) return Number.POSITIVE_INFINITY;
  if (!/^-?\d+$/.test(asked)) throw invalidQuery("maxresults");
  if (Number(asked) <= 0)
    throw new AzureError(
      400,
      "OutOfRangeQueryParameterValue",
      "One of the query parameters specified in the request URI is outside the permissible range.",
    );
  return Math.min(Number(asked), MAX_LISTED_RANGES);
}

function markerOf(call: Call): number {
  const marker = call.query.get("marker");
  if (marker === undefined || marker === "") return 0;
  const position = Number(marker);
  if (!Number.isSafeInteger(position) || position < 0 || position % PAGE_BYTES !== 0) throw invalidQuery("marker");
  return position;
}

function alignDown(position: number): number {
  return position - (position % PAGE_BYTES);
}

function invalidHeader(name: string): AzureError {
  return new AzureError(
    400,
    "InvalidHeaderValue",
    `The value for one of the HTTP headers is not in the correct format: ${name}.`,
  );
}

function invalidQuery(name: string): AzureError {
  return new AzureError(
    400,
    "InvalidQueryParameterValue",
    `Value for one of the query parameters specified in the request URI is invalid: ${name}.`,
  );
}
