// Rewriting packs that are mostly dead, so that what is dead in them goes. The order of the steps is the proof, as in
// collect.ts, but for single parts of packs instead of whole ones:
//  1 sidecars that say *dropping* are listed
//  2 pins are listed; packs of pinned transfers, and all packs of points that pins name, are left alone
//  3 manifests are listed, with their lists of packs; what no point counts is the collector's
//  4 sidecars are listed again: if one is dropping that was not in 1, this compaction ends here
//  5 the trees of all points of 3 that use a pack to be rewritten are read; if one is gone or damaged, it ends here
//  6 each pack is written as its next generation with the parts that 5 found, then the old one is removed
//
// Lemma: a part that 5 did not find can never be used again. Who could come to use it is a transfer R that commits after
// its place was passed in 3. If R's pin was listed, R has only packs of its own and of points that the pin names: 2 left
// both alone. Else R began after 2, and copied the part's place from a point Q that was live at that time. Take the first
// such R: Q was committed before the listing of 3 passed it, or Q's pin was in 2, or Q is an R itself, and not the first.
// So Q was read in 5, which found the part, or Q had gone before: then 4 or 5 has ended this. Parts only ever leave use;
// a stale plan, a second compactor, a deletion or an undeletion changes nothing about that. What 6 may do at once with
// others is in rewrite-pack.ts.

import { HoldfastFailure, messageOf } from "../base/failure.ts";
import type { Random } from "../ports/clock.ts";
import { listPins } from "./collect.ts";
import {
  type ItemId,
  type PackId,
  POINTS_PREFIX,
  type PointId,
  packKey,
  parsePointObject,
  parseStateName,
  pointName,
  STATES_PREFIX,
  type TransferId,
} from "./format/names.ts";
import { PackCounts } from "./format/pack-counts.ts";
import { isKind, listObjects } from "./objects.ts";
import { requireWritable, type Vault } from "./open-vault.ts";
import { listGenerations } from "./pack-generations.ts";
import { readPackTable } from "./pack-reader.ts";
import { readState } from "./point-states.ts";
import { readManifest, readPoint, readPointPacks } from "./points.ts";
import { rewritePack } from "./rewrite-pack.ts";
import { UsedParts } from "./used-parts.ts";

/**
 * A pack is rewritten when at least this share of its parts is dead: each byte that is read and written again then frees
 * one or more. docs/decisions/0022 has what other shares would free, and cost.
 */
export const COMPACTED_DEAD_SHARE = 0.5;

/** How many packs one run looks at: what is known of their parts fits in some 60 MB. Of more, each run draws others. */
const MAX_PACKS = 10_000;

export interface CompactionPlan {
  readonly packs: readonly PackCompaction[];
  readonly deadBytes: number;
  /** Mostly dead or not, they were left alone: something under way may use them. */
  readonly pinnedPacks: number;
  /** Where the live parts are to be looked for. */
  readonly points: readonly PointId[];
}

export interface PackCompaction {
  readonly pack: PackId;
  readonly name: string;
  readonly sizeBytes: number;
  readonly parts: number;
  /** At most: as the points count them. */
  readonly liveParts: number;
  readonly deadBytes: number;
  readonly reason: string;
}

export interface Compaction {
  readonly packs: readonly CompactedPack[];
  readonly wroteBytes: number;
  readonly freedBytes: number;
}

export interface CompactedPack {
  readonly pack: PackId;
  readonly wroteBytes: number;
  readonly freedBytes: number;
  /** Why the pack was left as it is. */
  readonly failure?: string;
}

/** What compacting would do now, by the points' lists of packs and the packs' own tables. Changes nothing. */
export async function planCompaction(vault: Vault): Promise<CompactionPlan> {
  const dropping = await listDropping(vault);
  const inUse = await listInUse(vault);
  const plan = await planPacks(vault, inUse);
  await refuseIfOthersDropped(vault, dropping);
  return plan;
}

export async function compact(vault: Vault): Promise<Compaction> {
  requireWritable(vault);
  return executeCompaction(vault, await planCompaction(vault));
}

/** However old the plan is: what it found dead stays dead. */
export async function executeCompaction(vault: Vault, plan: CompactionPlan): Promise<Compaction> {
  const live = await findLiveParts(vault, plan);
  const packs: CompactedPack[] = [];
  for (const { pack } of plan.packs) packs.push(await compactPack(vault, pack, live.get(packKey(pack)) ?? new Set()));
  const sum = (of: (pack: CompactedPack) => number) => packs.reduce((total, pack) => total + of(pack), 0);
  return { packs, wroteBytes: sum((pack) => pack.wroteBytes), freedBytes: sum((pack) => pack.freedBytes) };
}

/** A transfer uses each part it writes: while its own point stands, nothing of its packs is dead. */
async function listOwners(vault: Vault): Promise<ReadonlySet<TransferId>> {
  const owners = new Set<TransferId>();
  for await (const { name } of listObjects(vault.archive, POINTS_PREFIX)) {
    const { kind, point } = parsePointObject(name);
    if (kind === "manifest-or-void") owners.add(point.transfer);
  }
  return owners;
}

/** Step 1. */
async function listDropping(vault: Vault): Promise<ReadonlySet<string>> {
  const dropping = new Set<string>();
  for await (const { name } of listObjects(vault.state, STATES_PREFIX)) {
    if ((await readState(vault, parseStateName(name)))?.body.droppingSince) dropping.add(name);
  }
  return dropping;
}

export interface PacksInUse {
  readonly transfers: ReadonlySet<TransferId>;
  /** By key: all packs of the points that pins name. */
  readonly packs: ReadonlySet<string>;
}

/** Step 2. The points' lists are read now, while the points stand. */
async function listInUse(vault: Vault): Promise<PacksInUse> {
  const { transfers, points } = await listPins(vault);
  const packs = new Set<string>();
  for (const point of points.values()) {
    for (const { pack } of await usesOf(vault, point)) packs.add(packKey(pack));
  }
  return { transfers, packs };
}

/** Step 3, and what the tables of the packs say to it. */
export async function planPacks(vault: Vault, inUse: PacksInUse): Promise<CompactionPlan> {
  const { drawn, points } = await countUses(vault, await listOwners(vault));
  const packs: PackCompaction[] = [];
  let pinnedPacks = 0;
  for (const { pack, live } of drawn.uses.values()) {
    if (inUse.packs.has(packKey(pack)) || inUse.transfers.has(pack.transfer)) pinnedPacks++;
    else packs.push(...(await weigh(vault, pack, live)));
  }
  packs.sort((left, right) => right.deadBytes - left.deadBytes);
  return { packs, deadBytes: packs.reduce((sum, { deadBytes }) => sum + deadBytes, 0), pinnedPacks, points };
}

interface Uses {
  readonly pack: PackId;
  /** The sum over items of the most that one of its points uses: about right while points grow out of each other. */
  live: number;
}

/** Counts of all packs, or of a share of them that fits: the half of the half that a random number picks, and so on. */
export class DrawnPacks {
  readonly uses = new Map<string, Uses>();
  private readonly salt: number;
  private mask = 0;

  constructor(random: Random) {
    this.salt = Buffer.from(random.bytes(4)).readUInt32LE();
  }

  add(pack: PackId, live: number): void {
    if (!this.isDrawn(pack)) return;
    const known = this.uses.get(packKey(pack));
    if (known) known.live += live;
    else this.uses.set(packKey(pack), { pack, live });
    while (this.uses.size > MAX_PACKS) this.drawHalf();
  }

  private isDrawn({ number }: PackId): boolean {
    return ((Number.parseInt(number.slice(0, 8), 16) ^ this.salt) & this.mask) === 0;
  }

  private drawHalf(): void {
    this.mask = this.mask * 2 + 1;
    for (const [key, { pack }] of this.uses) if (!this.isDrawn(pack)) this.uses.delete(key);
  }
}

async function countUses(vault: Vault, standing: ReadonlySet<TransferId>) {
  const drawn = new DrawnPacks(vault.random);
  const points: PointId[] = [];
  let item: { readonly id: ItemId; readonly most: PackCounts } | undefined;
  const endItem = () => {
    for (const { pack, count } of item?.most.list() ?? []) drawn.add(pack, count);
  };
  for await (const { name } of listObjects(vault.archive, POINTS_PREFIX)) {
    const { kind, point } = parsePointObject(name);
    if (kind === "packs" || (await readPoint(vault, point))?.kind !== "manifest") continue;
    points.push(point);
    if (item?.id !== point.item) {
      endItem();
      item = { id: point.item, most: new PackCounts() };
    }
    for (const { pack, count } of await usesOf(vault, point)) {
      const more = count - item.most.of(pack);
      if (more > 0 && !standing.has(pack.transfer)) item.most.add(pack, more);
    }
  }
  endItem();
  return { drawn, points };
}

/** How often a point uses each of its packs, over all its disks. */
async function usesOf(vault: Vault, point: PointId): Promise<readonly { pack: PackId; count: number }[]> {
  const uses = new PackCounts();
  for (const disk of await readPackLists(vault, point)) uses.addAll(disk);
  return [...uses.list()];
}

async function readPackLists(vault: Vault, point: PointId): Promise<readonly PackCounts[]> {
  try {
    return await readPointPacks(vault, point);
  } catch (cause) {
    if (await readPoint(vault, point)) throw cause;
    throw pointIsGoing(pointName(point));
  }
}

/** Step 4. */
async function refuseIfOthersDropped(vault: Vault, before: ReadonlySet<string>): Promise<void> {
  for (const name of await listDropping(vault)) if (!before.has(name)) throw pointIsGoing(name);
}

function pointIsGoing(name: string): HoldfastFailure {
  return new HoldfastFailure("conflict", "HoldfastCollectionOverlaps", `A collection is at work: it removes ${name}`, {
    hint: "Nothing is wrong; compact again later.",
  });
}

async function weigh(vault: Vault, pack: PackId, live: number): Promise<PackCompaction[]> {
  const generations = await listGenerations(vault.archive, pack);
  const highest = generations.at(-1);
  if (!highest) return [];
  const parts = await readPackTable(vault, pack, highest).then(({ entries }) => entries.length, zeroIfUnreadable);
  const liveParts = Math.min(live, parts);
  const deadShare = 1 - liveParts / parts;
  const isUnfinished = generations.length > 1;
  if (parts === 0 || (deadShare < COMPACTED_DEAD_SHARE && !isUnfinished)) return [];
  const { name, sizeBytes } = highest;
  const lowerBytes = generations.slice(0, -1).reduce((sum, lower) => sum + lower.sizeBytes, 0);
  const deadBytes = Math.round(sizeBytes * deadShare) + lowerBytes;
  const reason = isUnfinished
    ? "it was rewritten, but the earlier generation still stands"
    : `${parts - liveParts} of ${parts} parts are used by no point`;
  return [{ pack, name, sizeBytes, parts, liveParts, deadBytes, reason }];
}

/** A damaged pack, or one that is being rewritten, waits. */
function zeroIfUnreadable(cause: unknown): number {
  if (isKind(cause, "corrupt") || isKind(cause, "not-found")) return 0;
  throw cause;
}

/** Step 5. */
async function findLiveParts(vault: Vault, { packs, points }: Pick<CompactionPlan, "packs" | "points">) {
  const live = new Map(packs.map(({ pack }) => [packKey(pack), new Set<string>()]));
  const used = new UsedParts(vault, "fails");
  const note = (pack: PackId, id: Buffer) => live.get(packKey(pack))?.add(id.toString("hex"));
  for (const point of live.size === 0 ? [] : points) {
    try {
      if (!(await usesOf(vault, point)).some(({ pack }) => live.has(packKey(pack)))) continue;
      const { manifest } = await readManifest(vault, point);
      for await (const { ref, chunks } of used.of(manifest)) {
        note(ref.pack, ref.digest);
        for (const { pack, chunkId } of chunks) note(pack, chunkId);
      }
    } catch (cause) {
      if (await readPoint(vault, point)) throw cause;
      throw pointIsGoing(pointName(point));
    }
  }
  return live;
}

/** Step 6. */
async function compactPack(vault: Vault, pack: PackId, live: ReadonlySet<string>): Promise<CompactedPack> {
  const unchanged = { pack, wroteBytes: 0, freedBytes: 0 };
  try {
    const rewriting = { found: [], mayHoldMore: false, key: vault.activeKey, lost: new Set<string>() };
    const rewritten = await rewritePack(vault, pack, { ...rewriting, keeps: (id) => live.has(id) });
    return rewritten ? { pack, wroteBytes: rewritten.wroteBytes, freedBytes: rewritten.freedBytes } : unchanged;
  } catch (cause) {
    const isOfPack =
      isKind(cause, "corrupt") || (cause instanceof HoldfastFailure && cause.code === "HoldfastContended");
    if (!isOfPack) throw cause;
    return { ...unchanged, failure: messageOf(cause) };
  }
}
