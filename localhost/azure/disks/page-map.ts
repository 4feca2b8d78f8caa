// Where every page of a disk lives: an immutable tree from page numbers to stretches of sources (layer files, images).
// The shape is fixed (five levels of 32, then leaves of 1 MiB), so it needs no balancing, and two maps of one lineage
// can be compared node by node: what they share they share by reference. Keeping a snapshot is keeping a root.
// Pure: no clock, no I/O. A missing node is zeros. Page numbers are plain numbers; 32 TiB is 2^36 pages.
import { assert } from "../../../src/base/assert.ts";

export const PAGE_BYTES = 512;
export const MAX_PAGES = 2 ** 36;

const FANOUT = 32;
const LEAF_PAGES = 2048;
/** Pages below a node at each level; level 0 is a leaf, the last is the root. */
const SPANS = [0, 1, 2, 3, 4, 5].map((level) => LEAF_PAGES * FANOUT ** level);
const ROOT_LEVEL = SPANS.length - 1;

/** Pages [start, end) are the pages of `source` from `at` on. Two pages are the same write iff source and position agree. */
export interface Extent {
  readonly start: number;
  readonly end: number;
  readonly source: number;
  readonly at: number;
}

export class Inner {
  readonly kids: readonly PageNode[];
  constructor(kids: readonly PageNode[]) {
    this.kids = kids;
  }
}

export class Leaf {
  readonly extents: readonly Extent[];
  constructor(extents: readonly Extent[]) {
    this.extents = extents;
  }
}

/** An extent in the place of a node covers all of that node's pages. */
export type PageNode = Inner | Leaf | Extent | undefined;
export type PageMap = PageNode;

export const EMPTY_MAP: PageMap = undefined;

/** The map after `extent` has been written over whatever was there. */
export function withExtent(map: PageMap, extent: Extent): PageMap {
  assertRange(extent.start, extent.end);
  return replace(map, ROOT_LEVEL, 0, extent.start, extent.end, extent);
}

/** The map after pages [start, end) have become zeros. */
export function withoutRange(map: PageMap, start: number, end: number): PageMap {
  assertRange(start, end);
  return replace(map, ROOT_LEVEL, 0, start, end, undefined);
}

/** Calls `visit` with the extents inside [start, end), clipped and in order, until it returns false. */
export function visitExtents(map: PageMap, start: number, end: number, visit: (extent: Extent) => boolean): boolean {
  return walk(map, ROOT_LEVEL, 0, start, end, visit);
}

export function extentsIn(map: PageMap, start: number, end: number): Extent[] {
  const found: Extent[] = [];
  visitExtents(map, start, end, (extent) => {
    const last = found.at(-1);
    if (last !== undefined && continues(last, extent)) found[found.length - 1] = { ...last, end: extent.end };
    else found.push(extent);
    return true;
  });
  return found;
}

export type ChangeKind = "written" | "cleared";

/**
 * Calls `visit` with the pages of [start, end) whose last write differs between the two maps, in order, until it returns
 * false: "written" where the newer map has data, "cleared" where it has zeros and the older had data.
 * Costs what changed, not what exists: shared nodes are skipped.
 */
export function visitChanges(
  older: PageMap,
  newer: PageMap,
  start: number,
  end: number,
  visit: (start: number, end: number, kind: ChangeKind) => boolean,
): boolean {
  return compare(older, newer, ROOT_LEVEL, 0, start, end, visit);
}

export function isExtent(node: PageNode): node is Extent {
  return node !== undefined && !(node instanceof Inner) && !(node instanceof Leaf);
}

function assertRange(start: number, end: number): void {
  assert(Number.isInteger(start) && Number.isInteger(end) && start >= 0, "A page range is made of whole pages");
  assert(start < end && end <= MAX_PAGES, `Page range [${start}, ${end}) is empty or beyond 32 TiB`);
}

function continues(left: Extent, right: Extent): boolean {
  return left.end === right.start && left.source === right.source && right.at - left.at === right.start - left.start;
}

function clip(extent: Extent, start: number, end: number): Extent {
  if (extent.start >= start && extent.end <= end) return extent;
  const from = Math.max(extent.start, start);
  return {
    start: from,
    end: Math.min(extent.end, end),
    source: extent.source,
    at: extent.at + (from - extent.start),
  };
}

function replace(
  node: PageNode,
  level: number,
  base: number,
  start: number,
  end: number,
  extent: Extent | undefined,
): PageNode {
  const limit = base + spanOf(level);
  if (start <= base && end >= limit) return extent === undefined ? undefined : clip(extent, base, limit);
  if (level === 0) return replaceInLeaf(node, start, end, extent);
  const span = spanOf(level - 1);
  const kids = kidsOf(node, span, base).slice();
  const first = Math.max(0, Math.floor((start - base) / span));
  const last = Math.min(FANOUT - 1, Math.floor((end - 1 - base) / span));
  for (let index = first; index <= last; index += 1) {
    const kidBase = base + index * span;
    const from = Math.max(start, kidBase);
    const to = Math.min(end, kidBase + span);
    kids[index] = replace(kids[index], level - 1, kidBase, from, to, extent && clip(extent, from, to));
  }
  const isEmpty = extent === undefined && kids.every((kid) => kid === undefined);
  return isEmpty ? undefined : new Inner(kids);
}

function replaceInLeaf(node: PageNode, start: number, end: number, extent: Extent | undefined): PageNode {
  const old = extentsOfLeaf(node);
  const first = countWhile(old, (one) => one.end <= start);
  const after = countWhile(old, (one) => one.start < end);
  const [head, tail] = [old[first], old[after - 1]];
  const changed: Extent[] = [];
  const push = (piece: Extent | undefined) => {
    const last = changed.at(-1);
    if (piece === undefined) return;
    if (last !== undefined && continues(last, piece)) changed[changed.length - 1] = { ...last, end: piece.end };
    else changed.push(piece);
  };
  push(old[first - 1]);
  if (head !== undefined && head.start < start) push(clip(head, 0, start));
  push(extent);
  if (after > first && tail !== undefined && tail.end > end) push(clip(tail, end, MAX_PAGES));
  push(old[after]);
  const extents = [...old.slice(0, Math.max(0, first - 1)), ...changed, ...old.slice(after + 1)];
  return extents.length === 0 ? undefined : new Leaf(extents);
}

/** How many extents at the beginning of the ordered list are so; the rest are not. */
function countWhile(extents: readonly Extent[], isSo: (extent: Extent) => boolean): number {
  let low = 0;
  let high = extents.length;
  while (low < high) {
    const middle = (low + high) >> 1;
    if (isSo(extents[middle] as Extent)) low = middle + 1;
    else high = middle;
  }
  return low;
}

function walk(
  node: PageNode,
  level: number,
  base: number,
  start: number,
  end: number,
  visit: (extent: Extent) => boolean,
): boolean {
  if (node === undefined || start >= end) return true;
  if (node instanceof Inner) {
    const span = spanOf(level - 1);
    const first = Math.max(0, Math.floor((start - base) / span));
    const last = Math.min(FANOUT - 1, Math.floor((end - 1 - base) / span));
    for (let index = first; index <= last; index += 1) {
      const kidBase = base + index * span;
      if (!walk(node.kids[index], level - 1, kidBase, Math.max(start, kidBase), Math.min(end, kidBase + span), visit))
        return false;
    }
    return true;
  }
  if (!(node instanceof Leaf)) return visit(clip(node, start, end));
  for (const extent of node.extents) {
    if (extent.end <= start) continue;
    if (extent.start >= end) break;
    if (!visit(clip(extent, start, end))) return false;
  }
  return true;
}

function compare(
  older: PageNode,
  newer: PageNode,
  level: number,
  base: number,
  start: number,
  end: number,
  visit: (start: number, end: number, kind: ChangeKind) => boolean,
): boolean {
  if (older === newer || start >= end) return true;
  if (level > 0 && (older instanceof Inner || newer instanceof Inner)) {
    const span = spanOf(level - 1);
    const olderKids = kidsOf(older, span, base);
    const newerKids = kidsOf(newer, span, base);
    const first = Math.max(0, Math.floor((start - base) / span));
    const last = Math.min(FANOUT - 1, Math.floor((end - 1 - base) / span));
    for (let index = first; index <= last; index += 1) {
      const kidBase = base + index * span;
      const from = Math.max(start, kidBase);
      const to = Math.min(end, kidBase + span);
      if (!compare(olderKids[index], newerKids[index], level - 1, kidBase, from, to, visit)) return false;
    }
    return true;
  }
  return compareExtents(extentsOfLeaf(older), extentsOfLeaf(newer), start, end, visit);
}

/** Cuts [start, end) where either side changes its extent, and reports the cuts that differ. */
function compareExtents(
  older: readonly Extent[],
  newer: readonly Extent[],
  start: number,
  end: number,
  visit: (start: number, end: number, kind: ChangeKind) => boolean,
): boolean {
  let olderIndex = 0;
  let newerIndex = 0;
  let position = start;
  while (position < end) {
    while ((older[olderIndex]?.end ?? Infinity) <= position) olderIndex += 1;
    while ((newer[newerIndex]?.end ?? Infinity) <= position) newerIndex += 1;
    const was = holding(older[olderIndex], position);
    const is = holding(newer[newerIndex], position);
    const next = Math.min(end, cutAfter(older[olderIndex], position), cutAfter(newer[newerIndex], position));
    if (!sameWrite(was, is) && !visit(position, next, is === undefined ? "cleared" : "written")) return false;
    position = next;
  }
  return true;
}

function holding(extent: Extent | undefined, position: number): Extent | undefined {
  return extent !== undefined && extent.start <= position ? extent : undefined;
}

function cutAfter(extent: Extent | undefined, position: number): number {
  if (extent === undefined) return Infinity;
  return extent.start > position ? extent.start : extent.end;
}

function sameWrite(left: Extent | undefined, right: Extent | undefined): boolean {
  if (left === undefined || right === undefined) return left === right;
  return left.source === right.source && left.at - left.start === right.at - right.start;
}

function extentsOfLeaf(node: PageNode): readonly Extent[] {
  if (node === undefined) return [];
  assert(!(node instanceof Inner), "An inner node has no extents of its own");
  return node instanceof Leaf ? node.extents : [node];
}

const NO_KIDS: readonly PageNode[] = new Array<PageNode>(FANOUT).fill(undefined);

function kidsOf(node: PageNode, span: number, base: number): readonly PageNode[] {
  if (node === undefined) return NO_KIDS;
  if (node instanceof Inner) return node.kids;
  assert(!(node instanceof Leaf), "A leaf has no kids");
  return NO_KIDS.map((_, index) => clip(node, base + index * span, base + (index + 1) * span));
}

function spanOf(level: number): number {
  return SPANS[level] as number;
}
