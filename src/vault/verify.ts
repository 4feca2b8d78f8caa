// Whether a vault still holds what it promises. Structure: every manifest, list of packs and index node opens, and every
// entry lies within a pack that exists. Data: every frame of the chosen packs is read, authenticated, unpacked and compared
// with its id. Findings are values: what is bad, and which ranges of which disks of which points it takes away.

import pMap from "p-map";
import { HoldfastFailure, messageOf } from "../base/failure.ts";
import { recordDamage } from "./damage.ts";
import { decodeFrame } from "./format/frame.ts";
import type { Manifest, ManifestDisk } from "./format/manifest.ts";
import { PACKS_PREFIX, type PackId, type PointId, packKey, packName, packStem, parsePackName } from "./format/names.ts";
import {
  decodePackFooter,
  decodePackHeader,
  decodePackTable,
  PACK_FOOTER_BYTES,
  type PackTableEntry,
} from "./format/pack.ts";
import { chunkLength, LEAF_ENTRIES, leavesUnder, NODE_CHILDREN } from "./format/tree-shape.ts";
import { IndexTree } from "./index-tree.ts";
import { listPoints } from "./list-points.ts";
import { isKind, listObjects, sha256Of, unseal } from "./objects.ts";
import type { Vault } from "./open-vault.ts";
import { readState } from "./point-states.ts";
import { readPoint, readPointPacks } from "./points.ts";

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
  readonly kind: "pack-missing" | "pack-damaged" | "chunk-damaged" | "index-damaged" | "point-damaged";
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

interface StoredPack {
  readonly pack: PackId;
  readonly name: string;
  readonly sizeBytes: number;
}

interface BadPack {
  readonly pack: PackId;
  readonly kind: Finding["kind"];
  readonly message: string;
  /** Undefined: all of it. */
  readonly chunkIds: readonly string[] | undefined;
}

export async function verifyVault(vault: Vault, options: VerifyOptions): Promise<Verification> {
  const packs = await newestGenerations(vault);
  const bad = new Map<string, BadPack>();
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
  return {
    points: walk.pointCount,
    packs: packs.size,
    readPacks: chosen.length,
    readBytes: progress.bytes,
    findings: walk.findings(),
  };
}

function isChosen(pack: PackId, { data }: VerifyOptions): boolean {
  if (data === "none") return false;
  if (data === "all") return true;
  return Number.parseInt(pack.number.slice(0, 8), 16) % data.parts === data.part;
}

async function newestGenerations(vault: Vault): Promise<Map<string, StoredPack>> {
  const packs = new Map<string, StoredPack & { generation: number }>();
  for await (const { name, sizeBytes } of listObjects(vault.archive, PACKS_PREFIX)) {
    const { pack, generation } = parsePackName(name);
    const known = packs.get(packKey(pack));
    if (!known || known.generation < generation) packs.set(packKey(pack), { pack, name, sizeBytes, generation });
  }
  return packs;
}

/** Reads a whole pack once and looks at everything in it. */
async function verifyPack(vault: Vault, { pack, name }: StoredPack): Promise<BadPack | undefined> {
  let body: Uint8Array;
  let entries: PackTableEntry[];
  let content: "data" | "index";
  try {
    body = (await vault.archive.read(name)).body;
    const header = decodePackHeader(body, name);
    content = header.content;
    entries = tableOf(vault, pack, name, body);
    const key = vault.keyOf(header.keyId);
    const chunkIds: string[] = [];
    for (const entry of entries) {
      const bytes = body.subarray(entry.offset, entry.offset + entry.length);
      const isSound = content === "index" ? sha256Of(bytes).equals(entry.id) : await holds(key, bytes, entry);
      if (!isSound) chunkIds.push(entry.id.toString("hex"));
    }
    if (chunkIds.length === 0) return undefined;
    const kind = content === "index" ? "index-damaged" : "chunk-damaged";
    return { pack, kind, chunkIds, message: `${chunkIds.length} of ${entries.length} parts are damaged` };
  } catch (cause) {
    if (isKind(cause, "not-found")) return undefined;
    if (!isKind(cause, "corrupt")) throw cause;
    return { pack, kind: "pack-damaged", chunkIds: undefined, message: messageOf(cause) };
  }
}

function tableOf(vault: Vault, pack: PackId, name: string, body: Uint8Array): PackTableEntry[] {
  const footerAt = body.length - PACK_FOOTER_BYTES;
  if (footerAt < 0) throw new HoldfastFailure("corrupt", "HoldfastPackTruncated", `${name} is truncated`);
  const length = decodePackFooter(body.subarray(footerAt), body.length, name);
  const sealed = body.subarray(footerAt - length, footerAt);
  return decodePackTable(
    unseal(vault, { kind: "pack-table", item: null, transfer: pack.transfer }, sealed),
    pack.number,
  );
}

async function holds(
  key: ReturnType<Vault["keyOf"]>,
  frame: Uint8Array,
  { id, rawLength }: PackTableEntry,
): Promise<boolean> {
  try {
    await decodeFrame(key, frame, { chunkId: id, rawLength });
    return true;
  } catch (cause) {
    if (isKind(cause, "corrupt")) return false;
    throw cause;
  }
}

async function recordFindings(vault: Vault, bad: ReadonlyMap<string, BadPack>): Promise<void> {
  for (const { pack, chunkIds } of bad.values())
    await recordDamage(vault, pack, chunkIds === undefined, chunkIds ?? []);
}

/** Walks every tree of every point, and notes which ranges each bad or missing part takes away. */
class StructureWalk {
  pointCount = 0;
  private readonly vault: Vault;
  private readonly packs: Map<string, StoredPack>;
  private readonly bad: Map<string, BadPack>;
  private readonly affected = new Map<string, AffectedRange[]>();
  private readonly brokenPoints: Finding[] = [];

  constructor(vault: Vault, packs: Map<string, StoredPack>, bad: Map<string, BadPack>) {
    this.vault = vault;
    this.packs = packs;
    this.bad = bad;
  }

  async run(): Promise<void> {
    for await (const { point, manifest } of listPoints(this.vault)) {
      this.pointCount++;
      const isListed = await this.listedPacks(point);
      const before = new Set(this.bad.keys());
      for (const disk of manifest.disks) await this.walkDisk(point, manifest, disk, isListed);
      if (this.bad.size > before.size && (await this.isLeaving(point))) this.forget(point, before);
    }
  }

  findings(): Finding[] {
    const ofPacks = [...this.bad].map(([key, { pack, kind, message }]) => ({
      ...{ kind, object: packName(pack), message },
      affected: joined(this.affected.get(key) ?? []),
    }));
    return [...this.brokenPoints, ...ofPacks];
  }

  /** A point that was collected while it was looked at has not lost anything. */
  private async isLeaving(point: PointId): Promise<boolean> {
    const state = await readState(this.vault, point);
    return Boolean(state?.body.droppingSince) || (await readPoint(this.vault, point)) === undefined;
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
      if (!isKind(cause, "corrupt")) throw cause;
      this.breakPoint(point, messageOf(cause), []);
      return () => true;
    }
  }

  private async walkDisk(point: PointId, manifest: Manifest, disk: ManifestDisk, isListed: (pack: PackId) => boolean) {
    const tree = IndexTree.ofDisk(this.vault, manifest, disk);
    const noteRange = (pack: PackId, offset: number, length: number) => {
      if (!isListed(pack)) this.breakPoint(point, `pack ${packKey(pack)} is used but not listed`, []);
      const range = { point, disk: disk.name, offset, length: Math.min(length, disk.sizeBytes - offset) };
      const key = packKey(pack);
      this.affected.set(key, [...(this.affected.get(key) ?? []), range]);
    };
    await this.walkNode(tree, tree.shape.rootLevel, 0, tree.root, noteRange, isListed);
  }

  private async walkNode(
    tree: IndexTree,
    level: number,
    index: number,
    ref: IndexTree["root"],
    noteRange: (pack: PackId, offset: number, length: number) => void,
    isListed: (pack: PackId) => boolean,
  ): Promise<void> {
    if (ref === null) return;
    const leafBytes = LEAF_ENTRIES * tree.shape.chunkBytes;
    const span = { offset: index * leavesUnder(level) * leafBytes, length: leavesUnder(level) * leafBytes };
    if (!isListed(ref.pack) || !(await this.isThere(ref.pack, ref.offset + ref.length))) {
      noteRange(ref.pack, span.offset, span.length);
      return;
    }
    try {
      if (level === 0) await this.walkLeaf(tree, index, ref, noteRange, isListed);
      else {
        const { children } = await tree.node(level, index, ref);
        for (const [position, child] of children.entries()) {
          await this.walkNode(tree, level - 1, index * NODE_CHILDREN + position, child, noteRange, isListed);
        }
      }
    } catch (cause) {
      if (!isKind(cause, "corrupt")) throw cause;
      this.markBad(ref.pack, "index-damaged", messageOf(cause), [ref.digest.toString("hex")]);
      noteRange(ref.pack, span.offset, span.length);
    }
  }

  private async walkLeaf(
    tree: IndexTree,
    leafIndex: number,
    ref: NonNullable<IndexTree["root"]>,
    noteRange: (pack: PackId, offset: number, length: number) => void,
    isListed: (pack: PackId) => boolean,
  ): Promise<void> {
    const { entries } = await tree.readLeaf(leafIndex, ref);
    for (const [position, entry] of entries.entries()) {
      if (entry.kind !== "data") continue;
      const isGone = !(await this.isThere(entry.pack, entry.offset + entry.length)) || !isListed(entry.pack);
      const bad = this.bad.get(packKey(entry.pack));
      const isBad =
        bad !== undefined && (bad.chunkIds === undefined || bad.chunkIds.includes(entry.chunkId.toString("hex")));
      if (!isGone && !isBad) continue;
      const chunkIndex = leafIndex * LEAF_ENTRIES + position;
      noteRange(entry.pack, chunkIndex * tree.shape.chunkBytes, chunkLength(tree.shape, chunkIndex));
    }
  }

  /** A later generation is shorter or longer; only generation 0 lies where entries say. */
  private async isThere(pack: PackId, end: number): Promise<boolean> {
    const stored = this.packs.get(packKey(pack)) ?? (await this.lookAgain(pack));
    if (!stored) {
      this.markBad(pack, "pack-missing", "the pack is missing", undefined);
      return false;
    }
    if (stored.name === packName(pack) && end > stored.sizeBytes) {
      this.markBad(pack, "pack-damaged", "the pack is truncated", undefined);
      return false;
    }
    return true;
  }

  /** A pack that was written since the listing is no loss. */
  private async lookAgain(pack: PackId): Promise<StoredPack | undefined> {
    if (this.bad.has(packKey(pack))) return undefined;
    for await (const { name, sizeBytes } of listObjects(this.vault.archive, packStem(pack))) {
      const stored = { pack, name, sizeBytes };
      this.packs.set(packKey(pack), stored);
      return stored;
    }
    return undefined;
  }

  private markBad(pack: PackId, kind: Finding["kind"], message: string, chunkIds: readonly string[] | undefined): void {
    const known = this.bad.get(packKey(pack));
    const both = known?.chunkIds && chunkIds ? [...new Set([...known.chunkIds, ...chunkIds])] : undefined;
    this.bad.set(packKey(pack), {
      pack,
      kind: known?.kind ?? kind,
      message: known?.message ?? message,
      chunkIds: known ? both : chunkIds,
    });
  }

  private breakPoint(point: PointId, message: string, affected: readonly AffectedRange[]): void {
    const object = `points/${point.item}/${point.transfer}`;
    if (this.brokenPoints.some((finding) => finding.object === object && finding.message === message)) return;
    this.brokenPoints.push({ kind: "point-damaged", object, message, affected });
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
