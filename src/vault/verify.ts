// Whether a vault still holds what it promises. Structure: every manifest, list of packs and index node opens, and every
// entry lies within a pack that exists. Data: every frame of the chosen packs is read, authenticated, unpacked and compared
// with its id. Findings are values: what is bad, and which ranges of which disks of which points it takes away.

import pMap from "p-map";
import { messageOf } from "../base/failure.ts";
import { recordDamage } from "./damage.ts";
import type { ChunkPlace, NodeRef } from "./format/index-node.ts";
import type { Manifest, ManifestDisk } from "./format/manifest.ts";
import {
  PACKS_PREFIX,
  type PackId,
  POINTS_PREFIX,
  type PointId,
  packKey,
  packName,
  parsePackName,
  parsePointObject,
  pinName,
  pointName,
} from "./format/names.ts";
import { chunkLength, LEAF_ENTRIES, leavesUnder, NODE_CHILDREN } from "./format/tree-shape.ts";
import { IndexTree } from "./index-tree.ts";
import { isKind, listObjects, readIfPresent } from "./objects.ts";
import type { Vault } from "./open-vault.ts";
import { listGenerations, readersChoice, storedGeneration } from "./pack-generations.ts";
import { readState } from "./point-states.ts";
import { readPoint, readPointPacks } from "./points.ts";
import { isGone, LaterTables, type PackFlaw, PackVerdict, type StoredPack, verifyPack } from "./verify-pack.ts";
import { verifyRecords } from "./verify-records.ts";

const PACKS_AT_ONCE = 2;

export interface VerifyOptions {
  /** Which packs to read: none (structure only), all, or the part-th of `parts` equal shares, chosen by pack number. */
  readonly data: "none" | "all" | { readonly part: number; readonly parts: number };
  /** Write damage records, so that the next backups heal what can be healed. */
  readonly record?: boolean;
  readonly onProgress?: (done: { readonly packs: number; readonly bytes: number }) => void;
}

export interface AffectedRange {
  readonly point: PointId;
  readonly disk: string;
  readonly offset: number;
  readonly length: number;
}

export interface Finding {
  readonly kind: PackFlaw | "point-damaged" | "record-damaged";
  readonly object: string;
  readonly message: string;
  readonly affected: readonly AffectedRange[];
}

export interface Verification {
  readonly points: number;
  readonly packs: number;
  readonly readPacks: number;
  readonly readBytes: number;
  readonly findings: readonly Finding[];
}

export async function verifyVault(vault: Vault, options: VerifyOptions): Promise<Verification> {
  const packs = await storedPacks(vault);
  const bad = new Map<string, PackVerdict>();
  const progress = { packs: 0, bytes: 0 };
  const chosen = [...packs.values()].filter(({ pack }) => isChosen(pack, options));
  await pMap(
    chosen,
    async (stored) => {
      const found = await verifyPack(vault, stored);
      if (found) bad.set(packKey(stored.pack), found);
      progress.packs++;
      progress.bytes += stored.sizeBytes;
      options.onProgress?.(progress);
    },
    { concurrency: PACKS_AT_ONCE },
  );
  const walk = new StructureWalk(vault, packs, bad);
  await walk.run();
  if (options.record) await recordFindings(vault, bad);
  const records = await verifyRecords(vault);
  return {
    points: walk.pointCount,
    packs: packs.size,
    readPacks: chosen.length,
    readBytes: progress.bytes,
    findings: [
      ...walk.findings(),
      ...records.map((record): Finding => ({ kind: "record-damaged", ...record, affected: [] })),
    ],
  };
}

function isChosen(pack: PackId, { data }: VerifyOptions): boolean {
  if (data === "none") return false;
  if (data === "all") return true;
  return Number.parseInt(pack.number.slice(0, 8), 16) % data.parts === data.part;
}

/** Of each pack the generation that readers take. */
async function storedPacks(vault: Vault): Promise<Map<string, StoredPack>> {
  const packs = new Map<string, StoredPack>();
  for await (const object of listObjects(vault.archive, PACKS_PREFIX)) {
    const { pack } = parsePackName(object.name);
    const known = packs.get(packKey(pack));
    const stored = { ...storedGeneration(object), pack };
    packs.set(packKey(pack), readersChoice(known ? [known, stored] : [stored]) as StoredPack);
  }
  return packs;
}

async function recordFindings(vault: Vault, bad: ReadonlyMap<string, PackVerdict>): Promise<void> {
  for (const { pack, isWhole, badIds } of bad.values()) await recordDamage(vault, pack, isWhole, badIds);
}

/** One disk on the way through its tree. */
interface Walk {
  readonly point: PointId;
  readonly disk: ManifestDisk;
  readonly tree: IndexTree;
  readonly isListed: (pack: PackId) => boolean;
}

/** Walks every tree of every point, and notes which ranges each bad or missing part takes away. */
class StructureWalk {
  pointCount = 0;
  private readonly vault: Vault;
  private readonly packs: Map<string, StoredPack>;
  private readonly bad: Map<string, PackVerdict>;
  private readonly tables: LaterTables;
  private readonly affected = new Map<string, AffectedRange[]>();
  private readonly brokenPoints: Finding[] = [];

  constructor(vault: Vault, packs: Map<string, StoredPack>, bad: Map<string, PackVerdict>) {
    this.vault = vault;
    this.packs = packs;
    this.bad = bad;
    this.tables = new LaterTables(vault);
  }

  async run(): Promise<void> {
    let last = "";
    for await (const { name } of listObjects(this.vault.archive, POINTS_PREFIX)) {
      const { kind, point } = parsePointObject(name);
      if (kind === "manifest-or-void") await this.walkPoint(point);
      else if (last !== pointName(point)) await this.checkManifestOf(point);
      last = name;
    }
  }

  findings(): Finding[] {
    const ofPacks = [...this.bad].map(([key, { pack, kind, message }]) => ({
      ...{ kind, object: packName(pack, this.packs.get(key)?.generation), message },
      affected: joined(this.affected.get(key) ?? []),
    }));
    return [...this.brokenPoints, ...ofPacks];
  }

  private async walkPoint(point: PointId): Promise<void> {
    const manifest = await this.manifestOf(point);
    if (!manifest || (await this.isDropping(point))) return;
    this.pointCount++;
    const isListed = await this.listedPacks(point);
    const before = new Set(this.bad.keys());
    for (const disk of manifest.disks) {
      const tree = IndexTree.ofDisk(this.vault, manifest, disk);
      await this.walkNode({ point, disk, tree, isListed }, tree.shape.rootLevel, 0, tree.root);
    }
    if (this.bad.size > before.size && (await this.isLeaving(point))) this.forget(point, before);
  }

  private async manifestOf(point: PointId): Promise<Manifest | undefined> {
    try {
      const content = await readPoint(this.vault, point);
      return content?.kind === "manifest" ? content.manifest : undefined;
    } catch (cause) {
      if (!isKind(cause, "corrupt") && !isKind(cause, "invalid")) throw cause;
      this.breakPoint(point, messageOf(cause));
      return undefined;
    }
  }

  /** Who wrote a list of packs wrote the manifest next, or was given up, which leaves a void, before its pin went. */
  private async checkManifestOf(point: PointId): Promise<void> {
    const { archive, state } = this.vault;
    const isRunning = (await readIfPresent(state, pinName(point.transfer))) !== undefined;
    if (isRunning || (await readIfPresent(archive, pointName(point)))) return;
    if ((await this.isDropping(point)) || !(await this.hasList(point))) return;
    this.breakPoint(point, "its manifest is missing");
  }

  private async hasList(point: PointId): Promise<boolean> {
    return (await readIfPresent(this.vault.archive, `${pointName(point)}.packs`)) !== undefined;
  }

  /** A point that was collected while it was looked at has not lost anything. */
  private async isLeaving(point: PointId): Promise<boolean> {
    return (await this.isDropping(point)) || !(await readIfPresent(this.vault.archive, pointName(point)));
  }

  private async isDropping(point: PointId): Promise<boolean> {
    try {
      return Boolean((await readState(this.vault, point))?.body.droppingSince);
    } catch (cause) {
      // Named with the other records.
      if (!isKind(cause, "corrupt")) throw cause;
      return false;
    }
  }

  private forget(point: PointId, before: ReadonlySet<string>): void {
    for (const key of this.bad.keys()) if (!before.has(key)) this.bad.delete(key);
    for (const [key, ranges] of this.affected) {
      this.affected.set(
        key,
        ranges.filter((range) => range.point.transfer !== point.transfer),
      );
    }
  }

  private async listedPacks(point: PointId): Promise<(pack: PackId) => boolean> {
    try {
      const disks = await readPointPacks(this.vault, point);
      return (pack) => disks.some((counts) => counts.has(pack));
    } catch (cause) {
      if (!isKind(cause, "corrupt") && !isKind(cause, "invalid")) throw cause;
      this.breakPoint(point, messageOf(cause));
      return () => true;
    }
  }

  private async walkNode(walk: Walk, level: number, index: number, ref: IndexTree["root"]): Promise<void> {
    if (ref === null) return;
    const { tree } = walk;
    const leafBytes = LEAF_ENTRIES * tree.shape.chunkBytes;
    const noteSpan = () =>
      this.noteRange(walk, ref.pack, index * leavesUnder(level) * leafBytes, leavesUnder(level) * leafBytes);
    if (!(await this.holds(walk, ref, ref.digest))) return noteSpan();
    try {
      if (level === 0) await this.walkLeaf(walk, index, ref);
      else {
        const { children } = await tree.node(level, index, ref);
        for (const [position, child] of children.entries()) {
          await this.walkNode(walk, level - 1, index * NODE_CHILDREN + position, child);
        }
      }
    } catch (cause) {
      if (!isKind(cause, "corrupt")) throw cause;
      this.markBad(ref.pack, "index-damaged", messageOf(cause), ref.digest.toString("hex"));
      noteSpan();
    }
  }

  private async walkLeaf(walk: Walk, leafIndex: number, ref: NodeRef): Promise<void> {
    const { entries } = await walk.tree.readLeaf(leafIndex, ref);
    for (const [position, entry] of entries.entries()) {
      if (entry.kind !== "data" || (await this.holds(walk, entry, entry.chunkId))) continue;
      const chunkIndex = leafIndex * LEAF_ENTRIES + position;
      const { shape } = walk.tree;
      this.noteRange(walk, entry.pack, chunkIndex * shape.chunkBytes, chunkLength(shape, chunkIndex));
    }
  }

  /** Whether readers get the part, as far as is known. Generation 0 holds it where the index says; a later one, if its table does. */
  private async holds({ point, isListed }: Walk, place: Omit<ChunkPlace, "chunkId">, id: Buffer): Promise<boolean> {
    const { pack, offset, length } = place;
    const part = id.toString("hex");
    if (!isListed(pack)) this.breakPoint(point, `pack ${packKey(pack)} is used but not listed`);
    const stored = this.packs.get(packKey(pack)) ?? (await this.lookAgain(pack));
    const flaw = await this.flawOf(stored, offset + length, part);
    if (flaw) this.markBad(pack, ...flaw, part);
    const verdict = this.bad.get(packKey(pack));
    if (!verdict?.takes(part)) return true;
    verdict.add(part);
    return false;
  }

  private async flawOf(
    stored: StoredPack | undefined,
    end: number,
    part: string,
  ): Promise<[PackFlaw, string] | undefined> {
    if (!stored) return ["pack-missing", "the pack is missing"];
    if (stored.generation === 0) return end > stored.sizeBytes ? ["pack-damaged", "the pack is truncated"] : undefined;
    try {
      const isIn = (await this.tables.idsOf(stored)).has(part);
      return isIn ? undefined : ["chunk-damaged", "what it was rewritten to lacks parts"];
    } catch (cause) {
      if (isGone(cause)) return this.flawOf(await this.lookAgain(stored.pack), end, part);
      if (!isKind(cause, "corrupt")) throw cause;
      return ["pack-damaged", messageOf(cause)];
    }
  }

  /** A pack that was written, or rewritten, since the listing is no loss. */
  private async lookAgain(pack: PackId): Promise<StoredPack | undefined> {
    if (this.bad.get(packKey(pack))?.kind === "pack-missing") return undefined;
    const now = readersChoice(await listGenerations(this.vault.archive, pack));
    if (!now) return undefined;
    const stored = { ...now, pack };
    this.packs.set(packKey(pack), stored);
    return stored;
  }

  private markBad(pack: PackId, kind: PackFlaw, message: string, part: string): void {
    const bad = kind === "pack-missing" ? { allBut: new Set<string>() } : [];
    const verdict = this.bad.get(packKey(pack)) ?? new PackVerdict(pack, kind, message, bad);
    verdict.add(part);
    this.bad.set(packKey(pack), verdict);
  }

  private noteRange({ point, disk }: Walk, pack: PackId, offset: number, length: number): void {
    const range = { point, disk: disk.name, offset, length: Math.min(length, disk.sizeBytes - offset) };
    const ranges = this.affected.get(packKey(pack)) ?? [];
    ranges.push(range);
    this.affected.set(packKey(pack), ranges);
  }

  private breakPoint(point: PointId, message: string): void {
    const object = pointName(point);
    if (this.brokenPoints.some((finding) => finding.object === object && finding.message === message)) return;
    this.brokenPoints.push({ kind: "point-damaged", object, message, affected: [] });
  }
}

/** Neighbouring ranges of one disk as one. */
function joined(ranges: readonly AffectedRange[]): AffectedRange[] {
  const result: AffectedRange[] = [];
  for (const range of ranges) {
    const last = result.at(-1);
    const isNext = last && last.point.transfer === range.point.transfer && last.disk === range.disk;
    if (isNext && last.offset + last.length === range.offset) {
      result[result.length - 1] = { ...last, length: last.length + range.length };
    } else result.push(range);
  }
  return result;
}
