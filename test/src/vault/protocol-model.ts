// A vault small enough to explore every interleaving over: one item with two points that share a pack, and actors that do
// what services do to it through the real protocol code. No chunks: a pack is a name that must exist.

import { executeCollection } from "../../../src/vault/collect.ts";
import { claimedKind } from "../../../src/vault/format/envelope.ts";
import { NO_STATS } from "../../../src/vault/format/manifest.ts";
import {
  type PackId,
  type PackNumber,
  POINTS_PREFIX,
  type PointId,
  packName,
  parseItemId,
  parsePointObject,
  parseTransferId,
  stateName,
  type TransferId,
} from "../../../src/vault/format/names.ts";
import { decodePointPacks, PackCounts } from "../../../src/vault/format/pack-counts.ts";
import { decodeRecord, stateRecord } from "../../../src/vault/format/records.ts";
import { md5Of, unseal } from "../../../src/vault/objects.ts";
import type { Vault } from "../../../src/vault/open-vault.ts";
import { deletePoint, holdPoint, undeletePoint } from "../../../src/vault/point-states.ts";
import { abandonTransfer, beginTransfer, commitTransfer, releaseTransfer } from "../../../src/vault/points.ts";
import type { Actor, World } from "../../support/interleavings.ts";
import { TestVault, VM } from "../../support/vault-fixture.ts";

export const HOUR_MS = 3_600_000;
const transferOf = (digit: string) => parseTransferId(digit.repeat(32));
export const A: PointId = { item: VM, transfer: transferOf("a") };
export const B: PointId = { item: VM, transfer: transferOf("b") };
export const T: PointId = { item: VM, transfer: transferOf("e") };

export const BETWEEN: PointId = { item: parseItemId("vm-0a"), transfer: transferOf("c") };
export const R: PointId = { item: parseItemId("vm-0"), transfer: transferOf("f") };

const packOf = (transfer: TransferId, digit: string): PackId => ({ transfer, number: digit.repeat(16) as PackNumber });
/** Only A needs it. */
export const OF_A = packOf(A.transfer, "1");
/** A and B need it. */
export const SHARED = packOf(A.transfer, "2");
export const OF_B = packOf(B.transfer, "3");
export const OF_T = packOf(T.transfer, "4");
export const OF_R = packOf(R.transfer, "5");

const bodyOf = (pack: PackId) => Buffer.from(packName(pack));

/** Points A and B, committed a day ago; deletions take effect at once, so that every race is a race. */
export async function makeWorld(pageSize?: number): Promise<World> {
  const fixture = await TestVault.create({ suite: "none", softDeleteDays: 0 }, { pageSize });
  await writePoint(fixture.vault, A, [], [OF_A, SHARED], [OF_A, SHARED]);
  await writePoint(fixture.vault, B, [], [OF_B], [OF_B, SHARED]);
  // With pages of one object: something to list between the relative, which comes first, and A.
  if (pageSize === 1) await writePoint(fixture.vault, BETWEEN, [], [], []);
  fixture.advance(24 * HOUR_MS);
  const { vault, archive, state } = fixture;
  return { vault, archive, state };
}

/** The protocol of a transfer that stores `own` and refers to `uses`. */
export async function writePoint(
  vault: Vault,
  point: PointId,
  borrowed: readonly PointId[],
  own: readonly PackId[],
  uses: readonly PackId[],
): Promise<void> {
  await beginTransfer(vault, point, borrowed);
  for (const pack of own) await storePack(vault, pack);
  await finishPoint(vault, point, own, uses);
}

async function storePack(vault: Vault, pack: PackId): Promise<void> {
  await vault.archive.create(packName(pack), bodyOf(pack)).catch(() => undefined);
}

async function finishPoint(
  vault: Vault,
  point: PointId,
  own: readonly PackId[],
  uses: readonly PackId[],
): Promise<void> {
  const counts = new PackCounts();
  for (const pack of uses) counts.add(pack, 1);
  const written = own.map((pack) => ({
    number: pack.number,
    sizeBytes: bodyOf(pack).length,
    md5: md5Of(bodyOf(pack)),
  }));
  await commitTransfer(vault, {
    point,
    key: vault.activeKey,
    manifest: manifestOf(vault, point),
    packCounts: [counts],
    written,
  });
  await releaseTransfer(vault, point);
}

function manifestOf(vault: Vault, point: PointId) {
  const at = "2026-01-01T00:00:00.000Z";
  const base = { diskUniqueId: "d", snapshotId: "s", snapshotTime: at };
  const disk = {
    ...{ lun: -1, name: "os", uniqueId: "d", sizeBytes: 512, logicalSectorBytes: 512, physicalSectorBytes: 512 },
    ...{ chunkBytes: 65_536, root: null, base, unreadable: [], stats: NO_STATS },
  };
  return {
    ...point,
    ...{
      keyId: vault.activeKey.keyId,
      pointId: point.transfer,
      sequence: 1,
      committedBy: "test",
      pointTime: at,
      createdAt: at,
    },
    ...{
      parent: null,
      consistency: "crash" as const,
      consistencyReason: "",
      tags: [],
      reason: "",
      machine: null,
      disks: [disk],
    },
  };
}

/** A transfer that builds on A: it borrows both of A's packs and brings one of its own. */
export const transfer: Actor = {
  name: "transfer",
  run: (vault) => writePoint(vault, T, [A], [OF_T], [OF_A, SHARED, OF_T]),
};
/** The first backup of a machine that is listed before the other one, and shares A's packs as its relative. */
export const relativeTransfer: Actor = {
  name: "relative's transfer",
  run: (vault) => writePoint(vault, R, [A], [OF_R], [OF_A, SHARED, OF_R]),
};
/** The rest of it, when its pin is there already. */
export const relativeGoesOn: Actor = {
  name: "relative's transfer",
  async run(vault) {
    await storePack(vault, OF_R);
    await finishPoint(vault, R, [OF_R], [OF_A, SHARED, OF_R]);
  },
};
/** The same transfer, executed a second time: activities run at least once. */
export const transferAgain: Actor = { ...transfer, name: "transfer again" };
export const abandon: Actor = { name: "abandon", run: (vault) => abandonTransfer(vault, T, "gone quiet") };
export const deleteA: Actor = { name: "delete A", run: (vault) => deletePoint(vault, A, { reason: "expired" }) };
export const deleteB: Actor = { name: "delete B", run: (vault) => deletePoint(vault, B, { reason: "expired" }) };
export const undeleteA: Actor = { name: "undelete A", run: (vault) => undeletePoint(vault, A) };
export const holdA: Actor = { name: "hold A", run: (vault) => holdPoint(vault, A, "legal") };
export const collector: Actor = { name: "collector", run: (vault) => executeCollection(vault, { force: true }) };
export const collectorAgain: Actor = { ...collector, name: "collector again" };

export interface Standing {
  readonly point: PointId;
  readonly state: ReturnType<typeof stateOf>;
  readonly packs: readonly PackId[];
}

/** Points that anybody may still rely on: committed, and not dropping. */
export function standingPoints({ vault, archive, state }: World): Standing[] {
  return archive.names(POINTS_PREFIX).flatMap((name) => {
    const found = parsePointObject(name);
    const body = archive.bodyOf(name);
    if (found.kind !== "manifest-or-void" || !body || claimedKind(body, name) === "void") return [];
    const sidecar = stateOf(vault, state, found.point);
    if (sidecar?.droppingSince) return [];
    const list = archive.bodyOf(`${name}.packs`);
    if (!list) throw new Error(`${name} stands without its list of packs`);
    const counts = decodePointPacks(unseal(vault, { kind: "packs", ...found.point }, list), name);
    return [
      { point: found.point, state: sidecar, packs: counts.flatMap((disk) => [...disk.list()].map(({ pack }) => pack)) },
    ];
  });
}

function stateOf(vault: Vault, state: World["state"], point: PointId) {
  const body = state.bodyOf(stateName(point));
  return body && decodeRecord(stateRecord, vault.keyOf, vault.vaultId, stateName(point), body);
}

/** The invariant of the whole design: what a standing point needs is there. */
export function nothingIsLost(world: World): void {
  for (const { point, packs } of standingPoints(world)) {
    for (const pack of packs) {
      if (world.archive.bodyOf(packName(pack)) === undefined) {
        throw new Error(`point ${point.transfer.slice(0, 2)} has lost pack ${pack.number}`);
      }
    }
  }
}

/** A protected item keeps a point that is not even deleted. */
export function aPointRemains(world: World): void {
  const alive = standingPoints(world).filter(({ point, state }) => point.item === VM && !state?.deletedAt);
  if (alive.length === 0) throw new Error("no point is left");
}
