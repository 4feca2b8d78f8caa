// A vault small enough to explore every interleaving over, but with real packs: frames, tables, leaves. One item; its
// oldest point is gone, so that the pack it wrote is half dead, and may be half damaged.
//
//   HALF, of a point that was collected:  x y z w
//   A uses x and y of it; B uses x of it, a chunk of its own, and x once more in its own pack

import { executeCollection } from "../../../src/vault/collect.ts";
import { compact } from "../../../src/vault/compact.ts";
import { readPackDamage, recordDamage } from "../../../src/vault/damage.ts";
import { claimedKind } from "../../../src/vault/format/envelope.ts";
import { encodeFrame, FRAME_HEADER_BYTES } from "../../../src/vault/format/frame.ts";
import {
  type ChunkEntry,
  type ChunkPlace,
  decodeLeaf,
  encodeLeaf,
  type NodeRef,
} from "../../../src/vault/format/index-node.ts";
import { decodeManifest, type Manifest, type ManifestDisk, NO_STATS } from "../../../src/vault/format/manifest.ts";
import {
  type PackId,
  POINTS_PREFIX,
  type PointId,
  packKey,
  packName,
  parsePackName,
  parsePointObject,
  parseTransferId,
  pointName,
  stateName,
} from "../../../src/vault/format/names.ts";
import { decodePackFooter, decodePackTable, PACK_FOOTER_BYTES } from "../../../src/vault/format/pack.ts";
import { PackCounts } from "../../../src/vault/format/pack-counts.ts";
import { decodeRecord, stateRecord } from "../../../src/vault/format/records.ts";
import { nodeRefFromJson, nodeRefToJson } from "../../../src/vault/format/schema.ts";
import { IndexTree } from "../../../src/vault/index-tree.ts";
import { listPoints } from "../../../src/vault/list-points.ts";
import { seal, sha256Of, unseal } from "../../../src/vault/objects.ts";
import type { Vault } from "../../../src/vault/open-vault.ts";
import { PackReader } from "../../../src/vault/pack-reader.ts";
import { PackWriter } from "../../../src/vault/pack-writer.ts";
import { deletePoint, undeletePoint } from "../../../src/vault/point-states.ts";
import {
  abandonTransfer,
  beginTransfer,
  commitTransfer,
  readManifest,
  releaseTransfer,
} from "../../../src/vault/points.ts";
import { repairVault } from "../../../src/vault/repair.ts";
import { verifyVault } from "../../../src/vault/verify.ts";
import type { Actor, World } from "../../support/interleavings.ts";
import { CountingRandom, TestVault, VM } from "../../support/vault-fixture.ts";

const HOUR_MS = 3_600_000;
const CHUNK_BYTES = 65_536;
const pointOf = (digit: string): PointId => ({ item: VM, transfer: parseTransferId(digit.repeat(32)) });
const OWNER = pointOf("1");
export const A = pointOf("a");
/** In listings B comes before A, and T before both: what commits may lie where a listing has already passed. */
export const B = pointOf("5");
export const T = pointOf("0");

/** Chunks are short, so that a run of thousands of requests stays quick; nothing here depends on their length. */
const bytesOf = (name: string) => Buffer.from(`chunk ${name} `.repeat(8));
const idOf = (vault: Vault, name: string) => vault.activeKey.chunkId(bytesOf(name));

export interface GenerationWorld extends World {
  readonly half: PackId;
}

export async function makeGenerationWorld(
  options: { readonly damaged?: boolean; readonly pageSize?: number | undefined } = {},
): Promise<GenerationWorld> {
  const { pageSize } = options;
  const fixture = await TestVault.create({ suite: "none", softDeleteDays: 0 }, { pageSize });
  const { vault, archive, state } = fixture;
  const own = await writePoint(vault, OWNER, [], ["x", "y", "z", "w"], async () => []);
  const [x, y] = own as [ChunkPlace, ChunkPlace];
  await writePoint(vault, A, [OWNER], [], async () => [x, y]);
  await writePoint(vault, B, [OWNER], ["b", "x"], async (written) => [x, ...written]);
  await deletePoint(vault, OWNER, { reason: "expired" });
  for (let round = 0; round < 2; round++) {
    fixture.advance(40 * 24 * HOUR_MS);
    await executeCollection(vault, { force: true });
  }
  fixture.advance(24 * HOUR_MS);
  const half = x.pack;
  if (options.damaged) {
    damage(archive, packName(half), x);
    await recordDamage(vault, half, false, [x.chunkId.toString("hex")]);
  }
  return { vault, archive, state, half };
}

/** A world in which somebody has rewritten the pack, and died before the first generation was removed. */
export async function makeUnfinishedWorld(): Promise<GenerationWorld> {
  const world = await makeGenerationWorld();
  const first = world.archive.bodyOf(packName(world.half)) as Uint8Array;
  await compact(world.vault);
  await world.archive.create(packName(world.half), first);
  return world;
}

export function damage(archive: World["archive"], name: string, { offset }: { offset: number }): void {
  const body = Uint8Array.from(archive.bodyOf(name) as Uint8Array);
  const at = offset + FRAME_HEADER_BYTES + 3;
  body[at] = (body[at] as number) ^ 1;
  archive.corrupt(name, body);
}

/** The protocol of a transfer that stores chunks, and one leaf with what `choose` takes of them and of other points. */
async function writePoint(
  vault: Vault,
  point: PointId,
  borrowed: readonly PointId[],
  names: readonly string[],
  choose: (written: readonly ChunkPlace[]) => Promise<readonly ChunkPlace[]>,
): Promise<readonly ChunkPlace[]> {
  await beginTransfer(vault, point, borrowed);
  return storeAndCommit(vault, point, names, choose);
}

/** Executed again, it makes the same packs, as one would that finds the fragments of the first. */
async function storeAndCommit(
  asker: Vault,
  point: PointId,
  names: readonly string[],
  choose: (written: readonly ChunkPlace[]) => Promise<readonly ChunkPlace[]>,
): Promise<readonly ChunkPlace[]> {
  const vault = { ...asker, random: new CountingRandom(point.transfer) };
  const key = vault.activeKey;
  const data = new PackWriter(vault, key, point.transfer, "data");
  const written: ChunkPlace[] = [];
  for (const name of names) {
    const [chunkId, raw] = [idOf(vault, name), bytesOf(name)];
    const frame = encodeFrame(key, chunkId, raw.length, { payload: raw, codec: 0 }, new Uint8Array(12));
    written.push({ ...(await data.append(frame, chunkId, raw.length)), chunkId });
  }
  const packs = [...(await data.finish())];
  const used = [...(await choose(written))];
  const places = used.length > 0 ? used : written;
  const entries = places.map((place): ChunkEntry => ({ kind: "data", ...place }));
  const index = new PackWriter(vault, key, point.transfer, "index");
  const sealed = seal(vault, key, { kind: "leaf", ...point }, encodeLeaf({ leafIndex: 0, entries }));
  const root = { ...(await index.append(sealed, sha256Of(sealed), 0)), digest: sha256Of(sealed) };
  packs.push(...(await index.finish()));
  const counts = new PackCounts();
  for (const { pack } of [...places, root]) counts.add(pack, 1);
  const manifest = manifestOf(vault, point, root, places.length);
  await commitTransfer(vault, { point, key, manifest, packCounts: [counts], written: packs });
  await releaseTransfer(vault, point);
  return written;
}

function manifestOf(vault: Vault, point: PointId, root: NodeRef, chunks: number): Manifest {
  const at = "2026-01-01T00:00:00.000Z";
  const disk = {
    ...{ lun: -1, name: "os", uniqueId: "d", sizeBytes: chunks * CHUNK_BYTES, chunkBytes: CHUNK_BYTES },
    ...{
      logicalSectorBytes: 512,
      physicalSectorBytes: 512,
      root: nodeRefToJson(root),
      unreadable: [],
      stats: NO_STATS,
    },
    base: { diskUniqueId: "d", snapshotId: "s", snapshotTime: at },
  };
  const about = {
    pointId: "p",
    sequence: 1,
    committedBy: "test",
    pointTime: at,
    createdAt: at,
    parent: null,
    reason: "",
  };
  const rest = { consistency: "crash" as const, consistencyReason: "", tags: [], machine: null };
  return { ...point, ...about, ...rest, keyId: vault.activeKey.keyId, disks: [disk] };
}

/** Takes the place of y, which nobody but A uses, from A's leaf: as a slice does. */
export const backup: Actor = {
  name: "backup",
  run: (vault) => writePoint(vault, T, [A], ["t"], async (written) => [...(await borrowY(vault)), ...written]),
};
/** The end of it, when its pin is there already. */
export const commit: Actor = {
  name: "commit",
  run: (vault) => storeAndCommit(vault, T, ["t"], async (written) => [...(await borrowY(vault)), ...written]),
};

async function borrowY(vault: Vault): Promise<readonly ChunkPlace[]> {
  const { manifest } = await readManifest(vault, A);
  const tree = IndexTree.ofDisk(vault, manifest, manifest.disks[0] as ManifestDisk);
  return (await tree.leaf(0)).leaf.entries.filter((entry) => entry.kind === "data").slice(1, 2);
}

/** T has its pin, nothing else. */
export async function makeWorldWithTPinned(pageSize?: number): Promise<GenerationWorld> {
  const world = await makeGenerationWorld({ pageSize });
  await beginTransfer(world.vault, T, [A]);
  return world;
}

export const abandon: Actor = { name: "abandon", run: (vault) => abandonTransfer(vault, T, "gone quiet") };
export const deleteA: Actor = { name: "delete", run: (vault) => deletePoint(vault, A, { reason: "expired" }) };
export const undeleteA: Actor = { name: "undelete", run: (vault) => undeletePoint(vault, A) };
export const collector: Actor = { name: "collect", run: (vault) => executeCollection(vault, { force: true }) };
export const compactor: Actor = { name: "compact", run: (vault) => compact(vault) };
export const repairer: Actor = { name: "repair", run: (vault) => repairVault(vault) };

/** Everything that every point has, as long as it stands: whoever reads a point may rely on nothing else. */
export const reader: Actor = {
  name: "read",
  async run(vault) {
    const packs = new PackReader(vault);
    for await (const { point, manifest } of listPoints(vault)) {
      try {
        await readAll(vault, packs, manifest);
      } catch (cause) {
        const isGone = !(await vault.archive.read(pointName(point)).catch(() => undefined));
        if (!isGone) throw cause;
      }
    }
  },
};

async function readAll(vault: Vault, packs: PackReader, manifest: Manifest): Promise<void> {
  for (const disk of manifest.disks) {
    const { leaf } = await IndexTree.ofDisk(vault, manifest, disk, packs).leaf(0);
    for (const entry of leaf.entries) {
      if (entry.kind !== "data") continue;
      const bytes = await packs.read(entry.pack, { ...entry, id: entry.chunkId });
      if (!isFrameOf(vault, bytes, entry.chunkId)) throw new Error("read something else");
    }
  }
}

/** Its findings, as text: empty when nothing is wrong. */
export const verifier: Actor = {
  name: "verify",
  async run(vault) {
    const { findings } = await verifyVault(vault, { data: "all", record: true });
    if (findings.length > 0) throw new Error(`found ${findings.map(({ object }) => object)}`);
  },
};

function isFrameOf(vault: Vault, bytes: Uint8Array, id: Buffer): boolean {
  return vault.activeKey.chunkId(bytes.subarray(FRAME_HEADER_BYTES)).equals(id);
}

interface Need {
  readonly point: PointId;
  readonly pack: PackId;
  readonly offset: number;
  readonly length: number;
  readonly id: Buffer;
}

/** What standing points need and readers would not get, as texts. Looks at the stores' bytes, not through the reader. */
export function lostParts(world: World): string[] {
  return standingManifests(world).flatMap((manifest) => {
    const point = { item: manifest.item, transfer: manifest.transfer };
    const root = nodeRefFromJson(manifest.disks[0]?.root as never);
    const node = partOf(world, { point, ...root, id: root.digest });
    if (!node || !sha256Of(node).equals(root.digest)) return [`the leaf of ${point.transfer.slice(0, 1)}`];
    const { entries } = decodeLeaf(unseal(world.vault, { kind: "leaf", ...point }, node), 0);
    return entries.flatMap((entry) => {
      if (entry.kind !== "data") return [];
      const frame = partOf(world, { point, ...entry, id: entry.chunkId });
      if (frame && isFrameOf(world.vault, frame, entry.chunkId)) return [];
      const name = ["x", "y", "b", "t"].find((candidate) => idOf(world.vault, candidate).equals(entry.chunkId));
      return [`${name} of ${point.transfer.slice(0, 1)}`];
    });
  });
}

export function nothingIsLost(world: World): void {
  const lost = lostParts(world);
  if (lost.length > 0) throw new Error(`lost ${lost.join(", ")}`);
}

/** Where x was damaged from the beginning. */
export function nothingElseIsLost(world: World): void {
  const lost = lostParts(world).filter((what) => !what.startsWith("x of "));
  if (lost.length > 0) throw new Error(`lost ${lost.join(", ")}`);
}

function partOf({ vault, archive }: World, { pack, offset, length, id }: Need): Uint8Array | undefined {
  const first = archive.bodyOf(packName(pack));
  if (first) return first.subarray(offset, offset + length);
  const highest = generationsOf({ archive }, pack).at(-1);
  const body = highest === undefined ? undefined : Buffer.from(archive.bodyOf(packName(pack, highest)) as Uint8Array);
  if (!body) return undefined;
  const footerAt = body.length - PACK_FOOTER_BYTES;
  const sealed = body.subarray(footerAt - decodePackFooter(body.subarray(footerAt), body.length, ""), footerAt);
  const table = unseal(vault, { kind: "pack-table", item: null, transfer: pack.transfer }, sealed);
  const entry = decodePackTable(table, pack.number).find((candidate) => candidate.id.equals(id));
  return entry && body.subarray(entry.offset, entry.offset + entry.length);
}

export function generationsOf({ archive }: Pick<World, "archive">, pack: PackId): number[] {
  const all = archive.names(`packs/${pack.transfer}/`).map(parsePackName);
  return all
    .filter((found) => packKey(found.pack) === packKey(pack))
    .map(({ generation }) => generation)
    .sort((left, right) => left - right);
}

function standingManifests({ vault, archive, state }: World): Manifest[] {
  return archive.names(POINTS_PREFIX).flatMap((name) => {
    const { kind, point } = parsePointObject(name);
    const body = archive.bodyOf(name);
    if (kind === "packs" || !body || claimedKind(body, name) === "void") return [];
    const sidecar = state.bodyOf(stateName(point));
    const record = sidecar && decodeRecord(stateRecord, vault.keyOf, vault.vaultId, stateName(point), sidecar);
    if (record?.droppingSince) return [];
    return [decodeManifest(unseal(vault, { kind: "manifest", ...point }, body), name)];
  });
}

/** Whether the damage that was recorded is gone from the record. */
export async function isHealed(world: GenerationWorld): Promise<boolean> {
  const record = await readPackDamage(world.vault, world.half);
  return record !== undefined && !record.whole && record.chunkIds.length === 0;
}
