// The page blobs of classic machines: `/<account>/vhds/<blob>.vhd`, with blob snapshots (`comp=snapshot`, `snapshot=`) and
// differences between them (`prevsnapshot=`), and the listing of their container, for callers with a token for Storage.

import type { World } from "../arm/world.ts";
import { xmlError } from "../blobs/blob-surface.ts";
import { blobSize, headBlob, listPages, type PageBlob, readBlob } from "../blobs/page-blob.ts";
import { AzureError } from "../http/azure-error.ts";
import { type Answer, type Call, headerOf } from "../http/call.ts";
import type { Route, Surface } from "../http/pipeline.ts";
import type { Principal } from "../identity/principals.ts";
import type { Tokens } from "../identity/tokens.ts";
import { blobListXml } from "./blob-list.ts";
import { CLASSIC_VMS, type ClassicDisk } from "./classic-arm.ts";

interface BlobSnapshot {
  readonly blob: string;
  readonly time: string;
  readonly volume: number;
  readonly metadata?: Readonly<Record<string, string>>;
}

const KEY = "blob-snapshot/";
const AUDIENCE = "https://storage.azure.com";

export function classicBlobSurface(world: World, tokens: Tokens): Surface<Principal> {
  return {
    name: "classic-blob",
    claims: (call) => call.segments[1] === "vhds" && (call.segments.length === 3 || isListing(call)),
    authenticate: async (call) => {
      const caller = await tokens.check(call, [AUDIENCE]);
      if (
        caller.roles.some(
          ({ role }) => role === "Owner" || role === "Contributor" || role.startsWith("Storage Blob Data "),
        )
      )
        return caller;
      throw new AzureError(
        403,
        "AuthorizationPermissionMismatch",
        "This request is not authorized to perform this operation using this permission.",
      );
    },
    route: (call) => routeOf(world, call),
    refusal: xmlError,
  };
}

function routeOf(world: World, call: Call): Route<Principal> {
  const comp = call.query.get("comp");
  const route = (operation: string, work: () => Promise<Answer> | Answer): Route<Principal> => ({
    operation,
    handle: async () => {
      const answer = await work();
      return {
        ...answer,
        headers: { "x-ms-version": headerOf(call, "x-ms-version") ?? "2021-12-02", ...answer.headers },
      };
    },
  });
  if (isListing(call)) return route("list", () => listBlobs(world, call));
  const snapshot = call.query.get("snapshot");
  if (comp === undefined && call.method === "HEAD")
    return route("head", () => headBlob(world.disks, blobOf(world, call, snapshot)));
  if (comp === undefined && call.method === "GET")
    return route("read", () => readBlob(world.disks, blobOf(world, call, snapshot), call));
  if (comp === "pagelist" && call.method === "GET")
    return route("pagelist", () =>
      listPages(world.disks, blobOf(world, call, snapshot), previousOf(world, call, snapshot), call),
    );
  if (comp === "snapshot" && call.method === "PUT") return route("snapshot", () => takeSnapshot(world, call));
  if (comp === undefined && call.method === "DELETE" && snapshot !== undefined)
    return route("delete-snapshot", () => dropSnapshot(world, call, snapshot));
  return route("other", () => {
    throw new AzureError(
      409,
      "LeaseIdMissing",
      "There is currently a lease on the blob and no lease ID was specified in the request.",
    );
  });
}

async function takeSnapshot(world: World, call: Call): Promise<Answer> {
  const { volume } = diskOf(world, call);
  const id = world.disks.newId();
  const blob = pathOf(call);
  const resting = () => [volume];
  const time = await world.disks.atRest(resting, async () => {
    const now = timeNotTaken(world, blob);
    const value: BlobSnapshot = { blob, time: now, volume: id, metadata: metadataOf(call) };
    await world.state.commit([
      { kind: "volume-frozen", id, of: volume },
      { kind: "document", key: keyOf(blob, now), value },
    ]);
    return now;
  });
  return {
    status: 201,
    headers: {
      "x-ms-snapshot": time,
      ETag: `"0x${world.disks.revision(id)}"`,
      "Last-Modified": new Date(world.now()).toUTCString(),
    },
  };
}

function isListing({ segments, query, method }: Call): boolean {
  return (
    method === "GET" && segments.length === 2 && query.get("restype") === "container" && query.get("comp") === "list"
  );
}

function metadataOf({ headers }: Call): Record<string, string> {
  const named = Object.entries(headers).filter(([name]) => name.startsWith("x-ms-meta-"));
  return Object.fromEntries(named.map(([name, value]) => [name.slice("x-ms-meta-".length), String(value)]));
}

function listBlobs(world: World, call: Call): Answer {
  const container = pathOf(call);
  const [prefix = "", include = ""] = [call.query.get("prefix"), call.query.get("include")];
  const isAsked = (blob: string) => blob.startsWith(`${container}/${prefix}`);
  const listed = ({ volume, hasFooter, modifiedAt }: PageBlob, blob: string, more: Partial<BlobSnapshot> = {}) => ({
    name: blob.slice(container.length + 1),
    snapshot: more.time,
    sizeBytes: blobSize(world.disks, { volume, hasFooter, modifiedAt }),
    modifiedAt,
    etag: `0x${world.disks.revision(volume)}`,
    metadata: include.includes("metadata") ? (more.metadata ?? {}) : {},
  });
  const snapshots = [...world.state.documents()]
    .filter(([key]) => key.startsWith(KEY) && include.includes("snapshots"))
    .map(([, value]) => value as BlobSnapshot)
    .filter(({ blob }) => isAsked(blob))
    .map((one) => listed({ volume: one.volume, hasFooter: true, modifiedAt: Date.parse(one.time) }, one.blob, one));
  const disks = world.resources
    .ofType(CLASSIC_VMS)
    .filter(({ inner }) => (inner.account as { name: string }).name === call.segments[0])
    .flatMap(({ inner }) => inner.disks as readonly ClassicDisk[])
    .map(({ blob, volume }) => listed({ volume, hasFooter: true, modifiedAt: world.now() }, `${container}/${blob}`))
    .filter(({ name }) => isAsked(`${container}/${name}`));
  const order = (one: { name: string; snapshot: string | undefined }) => `${one.name}\n${one.snapshot ?? "~"}`;
  const all = [...snapshots, ...disks].sort((left, right) => (order(left) < order(right) ? -1 : 1));
  const start = Number(call.query.get("marker") ?? 0);
  const end = start + Number(call.query.get("maxresults") ?? 5000);
  const body = blobListXml(container, all.slice(start, end), end < all.length ? String(end) : undefined);
  return { status: 200, headers: { "Content-Type": "application/xml" }, body };
}

async function dropSnapshot(world: World, call: Call, time: string): Promise<Answer> {
  const { volume } = snapshotOf(world, call, time);
  await world.state.commit([
    { kind: "document-removed", key: keyOf(pathOf(call), time) },
    { kind: "volume-deleted", id: volume },
  ]);
  world.disks.sweepSoon();
  return { status: 202 };
}

function blobOf(world: World, call: Call, snapshot: string | undefined): PageBlob {
  const volume = snapshot === undefined ? diskOf(world, call).volume : snapshotOf(world, call, snapshot).volume;
  return { volume, hasFooter: true, modifiedAt: snapshot === undefined ? world.now() : Date.parse(snapshot) };
}

function previousOf(world: World, call: Call, snapshot: string | undefined): PageBlob | undefined {
  const time = call.query.get("prevsnapshot");
  if (time === undefined) return undefined;
  const found = world.state.document(keyOf(pathOf(call), time)) as BlobSnapshot | undefined;
  if (found === undefined) throw new AzureError(409, "PreviousSnapshotNotFound", "The previous snapshot is not found.");
  if (snapshot !== undefined && snapshot < time)
    throw new AzureError(
      400,
      "PreviousSnapshotCannotBeNewer",
      "The prevsnapshot query parameter value cannot be newer than snapshot query parameter value.",
    );
  return { volume: found.volume, hasFooter: true, modifiedAt: Date.parse(time) };
}

function snapshotOf(world: World, call: Call, time: string): BlobSnapshot {
  const found = world.state.document(keyOf(pathOf(call), time)) as BlobSnapshot | undefined;
  if (found === undefined) throw new AzureError(404, "BlobNotFound", "The specified blob does not exist.");
  return found;
}

function diskOf(world: World, call: Call): ClassicDisk {
  const [account, , blob] = call.segments;
  for (const vm of world.resources.ofType(CLASSIC_VMS)) {
    if ((vm.inner.account as { name: string }).name !== account) continue;
    const disk = (vm.inner.disks as readonly ClassicDisk[]).find((one) => one.blob === blob);
    if (disk !== undefined) return disk;
  }
  throw new AzureError(404, "BlobNotFound", "The specified blob does not exist.");
}

function pathOf(call: Call): string {
  return call.segments.join("/");
}

function keyOf(blob: string, time: string): string {
  return `${KEY}${blob}/${time}`;
}

/** Snapshots of one blob have different times, to 100 ns. */
function timeNotTaken(world: World, blob: string): string {
  const now = new Date(world.now()).toISOString().replace("Z", "");
  for (let tick = 0; ; tick += 1) {
    const time = `${now}${String(tick).padStart(4, "0")}Z`;
    if (world.state.document(keyOf(blob, time)) === undefined) return time;
  }
}
