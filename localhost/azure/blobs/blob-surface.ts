// The data endpoint: disks, snapshots and restore points behind the SAS URLs that ARM hands out. Only what Azure lets such
// a URL do; everything else is refused with Storage's codes, in XML.
import type { DiskStore } from "../disks/disk-store.ts";
import { AzureError } from "../http/azure-error.ts";
import { type Answer, type Call, headerOf } from "../http/call.ts";
import type { Route, Surface } from "../http/pipeline.ts";
import type { AccessGrants, Grant } from "./access-grants.ts";
import { describeBlob, headBlob, listPages, type PageBlob, readBlob, writePages } from "./page-blob.ts";

const OLDEST_VERSION = "2009-09-19";
const NEWEST_VERSION = "2027-12-31";
const DIFF_NEEDS_VERSION = "2019-07-07";

export interface BlobParts {
  readonly disks: DiskStore;
  readonly grants: AccessGrants;
  readonly now: () => number;
}

export function blobSurface(parts: BlobParts): Surface<Grant> {
  return {
    name: "blob",
    claims: (call) => /^md-[0-9a-f]+$/.test(call.segments[0] ?? ""),
    authenticate: async (call) => parts.grants.verify(call.segments.join("/"), call.query, parts.now()),
    route: (call) => routeOf(parts, call),
    refusal: xmlError,
  };
}

export function xmlError(call: Call, error: AzureError): Answer {
  const version = headerOf(call, "x-ms-version");
  const detail = error.extras.authenticationDetail;
  const message = `${error.message}\nRequestId:${call.requestId}\nTime:${new Date().toISOString()}`;
  const extra = detail === undefined ? "" : `<AuthenticationErrorDetail>${escaped(detail)}</AuthenticationErrorDetail>`;
  return {
    status: error.status,
    headers: {
      "Content-Type": "application/xml",
      "x-ms-error-code": error.code,
      ...(version === undefined ? {} : { "x-ms-version": version }),
      ...error.extras.headers,
    },
    body: `\u{feff}<?xml version="1.0" encoding="utf-8"?><Error><Code>${error.code}</Code><Message>${escaped(message)}</Message>${extra}</Error>`,
  };
}

function routeOf(parts: BlobParts, call: Call): Route<Grant> {
  const comp = call.query.get("comp");
  const { disks } = parts;
  if (comp === undefined && call.method === "HEAD") return route("head", disks, (blob) => headBlob(disks, blob));
  if (comp === undefined && call.method === "GET") return route("read", disks, (blob) => readBlob(disks, blob, call));
  if (comp === "pagelist" && call.method === "GET")
    return route("pagelist", disks, (blob) => listPages(disks, blob, previousOf(parts, call, blob), call));
  if (comp === "page" && call.method === "PUT")
    return route("write", disks, (blob, grant) => {
      if (grant.access !== "Write")
        throw new AzureError(
          403,
          "AuthorizationPermissionMismatch",
          "This request is not authorized to perform this operation using this permission.",
        );
      return writePages(disks, blob, call, () => parts.grants.refuseRevoked(grant));
    });
  return {
    operation: "other",
    handle: async () => {
      throw new AzureError(
        403,
        "AuthorizationPermissionMismatch",
        "This request is not authorized to perform this operation using this permission.",
      );
    },
  };
}

function route(
  operation: string,
  disks: DiskStore,
  work: (blob: PageBlob, grant: Grant) => Answer | Promise<Answer>,
): Route<Grant> {
  return {
    operation,
    handle: async (call, grant) => {
      const version = versionOf(call);
      const blob = blobOf(disks, grant);
      checkConditions(disks, blob, call);
      const answer = await work(blob, grant);
      return { ...answer, headers: { "x-ms-version": version, ...answer.headers } };
    },
  };
}

function blobOf(disks: DiskStore, grant: Grant): PageBlob {
  if (disks.find(grant.volume) === undefined)
    throw new AzureError(404, "BlobNotFound", "The specified blob does not exist.");
  return { volume: grant.volume, hasFooter: true, modifiedAt: grant.startsAt };
}

/** The earlier snapshot of a difference: another SAS URL, valid at the same time, of the same disk. */
function previousOf({ disks, grants, now }: BlobParts, call: Call, blob: PageBlob): PageBlob | undefined {
  if (call.query.has("prevsnapshot"))
    throw new AzureError(
      409,
      "PreviousSnapshotNotFound",
      "The previous snapshot is not found. Managed disks are compared by x-ms-previous-snapshot-url.",
    );
  const text = headerOf(call, "x-ms-previous-snapshot-url");
  if (text === undefined) return undefined;
  if (versionOf(call) < DIFF_NEEDS_VERSION)
    throw new AzureError(
      400,
      "UnsupportedHeader",
      "One of the HTTP headers specified in the request is not supported: x-ms-previous-snapshot-url.",
    );
  if (!URL.canParse(text))
    throw new AzureError(
      400,
      "InvalidHeaderValue",
      "The value for one of the HTTP headers is not in the correct format: x-ms-previous-snapshot-url.",
    );
  const url = new URL(text);
  const path = url.pathname.split("/").filter(Boolean).join("/");
  const previous = blobOf(disks, grants.verify(path, new Map(url.searchParams), now()));
  const [newer, older] = [disks.volume(blob.volume), disks.volume(previous.volume)];
  if (newer.lineage !== older.lineage || !older.frozen)
    throw new AzureError(
      409,
      "PreviousSnapshotOperationNotSupported",
      "Differential Get Page Ranges is not supported on the previous snapshot.",
    );
  if (older.id > newer.id && newer.frozen)
    throw new AzureError(
      400,
      "PreviousSnapshotCannotBeNewer",
      "The prevsnapshot query parameter value cannot be newer than snapshot query parameter value.",
    );
  return previous;
}

function versionOf(call: Call): string {
  const version = headerOf(call, "x-ms-version") ?? call.query.get("sv") ?? DIFF_NEEDS_VERSION;
  if (!/^\d{4}-\d{2}-\d{2}$/.test(version) || version < OLDEST_VERSION || version > NEWEST_VERSION)
    throw new AzureError(
      400,
      "InvalidHeaderValue",
      "The value for one of the HTTP headers is not in the correct format: x-ms-version.",
    );
  return version;
}

function checkConditions(disks: DiskStore, blob: PageBlob, call: Call): void {
  const etag = String(describeBlob(disks, blob).ETag);
  const matches = (header: string) => header === "*" || header.split(",").some((one) => one.trim() === etag);
  const ifMatch = headerOf(call, "if-match");
  if (ifMatch !== undefined && !matches(ifMatch))
    throw new AzureError(
      412,
      "ConditionNotMet",
      "The condition specified using HTTP conditional header(s) is not met.",
    );
  const ifNoneMatch = headerOf(call, "if-none-match");
  if (ifNoneMatch !== undefined && matches(ifNoneMatch))
    throw new AzureError(
      call.method === "PUT" ? 412 : 304,
      "ConditionNotMet",
      "The condition specified using HTTP conditional header(s) is not met.",
    );
}

function escaped(text: string): string {
  return text.replaceAll("&", "&amp;").replaceAll("<", "&lt;").replaceAll(">", "&gt;");
}
