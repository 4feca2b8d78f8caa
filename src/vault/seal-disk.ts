// The inner nodes of a disk's tree, made from the parent's tree and the leaves that fragments changed. Goes through the
// leaves in order and holds one node for each level, whatever the disk. The seal is written create-only, like fragments:
// two executions must not root one manifest in two sets of nodes.

import { assert } from "../base/assert.ts";
import { decodeSeal, encodeSeal, type Seal } from "./format/fragment.ts";
import { type ChildRef, encodeNode, type InnerNode } from "./format/index-node.ts";
import { NO_STATS } from "./format/manifest.ts";
import { fragmentName } from "./format/names.ts";
import { PackCounts } from "./format/pack-counts.ts";
import { leavesUnder, NODE_CHILDREN } from "./format/tree-shape.ts";
import { createOrAdopt, readIfPresent, seal, sha256Of, unseal } from "./objects.ts";
import { PackWriter } from "./pack-writer.ts";
import type { DiskTransfer } from "./write-slice.ts";

export interface ChangedLeaf {
  readonly leafIndex: number;
  readonly ref: ChildRef;
}

export async function sealDisk(work: DiskTransfer, changed: AsyncIterable<ChangedLeaf>): Promise<Seal> {
  const { vault, key, item, transfer, disk } = work;
  const name = fragmentName(transfer, disk, "seal");
  const earlier = await readIfPresent(vault.state, name);
  if (earlier) return decode(work, earlier.body);
  const builder = new TreeBuilder(work, changed);
  const made = await builder.build();
  // Nothing written, nothing to race about: every execution comes to the same.
  if (made.packs.length === 0) return made;
  const body = seal(vault, key, { kind: "seal", item, transfer }, encodeSeal(made));
  return decode(work, await createOrAdopt(vault.state, name, body));
}

function decode({ vault, item, transfer }: DiskTransfer, body: Uint8Array): Seal {
  return decodeSeal(unseal(vault, { kind: "seal", item, transfer }, body));
}

/** A place in the new tree that lies above the root of the parent's smaller one. */
const ABOVE = "above the parent's root";
type Before = ChildRef | typeof ABOVE;

class TreeBuilder {
  private readonly work: DiskTransfer;
  private readonly changed: AsyncIterator<ChangedLeaf>;
  private readonly index: PackWriter;
  private readonly counts = new PackCounts();
  private next: ChangedLeaf | undefined;

  constructor(work: DiskTransfer, changed: AsyncIterable<ChangedLeaf>) {
    this.work = work;
    this.changed = changed[Symbol.asyncIterator]();
    this.index = new PackWriter(work.vault, work.key, work.transfer, "index");
  }

  async build(): Promise<Seal> {
    await this.advance();
    const { rootLevel } = this.work.shape;
    const root = await this.subtree(rootLevel, 0, this.beforeAt(rootLevel));
    assert(this.next === undefined, "every changed leaf lies within the disk");
    const packs = await this.index.finish();
    const storedBytes = packs.reduce((sum, pack) => sum + pack.sizeBytes, 0);
    return { root, packs, counts: this.counts, unreadable: [], stats: { ...NO_STATS, storedBytes } };
  }

  private beforeAt(level: number): Before {
    const { parent } = this.work;
    if (parent === undefined || parent.root === null) return null;
    return level > parent.shape.rootLevel ? ABOVE : parent.root;
  }

  private async subtree(level: number, index: number, before: Before): Promise<ChildRef> {
    const end = (index + 1) * leavesUnder(level);
    const isChanged = this.next !== undefined && this.next.leafIndex < end;
    if (!isChanged && before !== ABOVE) return before;
    if (level === 0) return this.takeLeaf(index);
    return this.node(level, index, before);
  }

  private async node(level: number, index: number, before: Before): Promise<ChildRef> {
    const old = before === null || before === ABOVE ? undefined : await this.work.parent?.node(level, index, before);
    const width = Math.min(
      NODE_CHILDREN,
      Math.ceil(this.work.shape.leafCount / leavesUnder(level - 1)) - index * NODE_CHILDREN,
    );
    const children: ChildRef[] = [];
    for (let position = 0; position < width; position++) {
      const was =
        before === ABOVE ? (position === 0 ? this.beforeAt(level - 1) : null) : (old?.children[position] ?? null);
      children.push(await this.subtree(level - 1, index * NODE_CHILDREN + position, was));
    }
    if (before !== null && before !== ABOVE) this.counts.add(before.pack, -1);
    return children.every((child) => child === null) ? null : this.store({ level, index, children });
  }

  private async store(node: InnerNode): Promise<ChildRef> {
    const { vault, key, item, transfer } = this.work;
    const sealed = seal(vault, key, { kind: "node", item, transfer }, encodeNode(node));
    const digest = sha256Of(sealed);
    const ref = { ...(await this.index.append(sealed, digest, 0)), digest };
    this.counts.add(ref.pack, 1);
    return ref;
  }

  private async takeLeaf(leafIndex: number): Promise<ChildRef> {
    assert(this.next?.leafIndex === leafIndex, "changed leaves come in ascending order");
    const { ref } = this.next;
    await this.advance();
    return ref;
  }

  private async advance(): Promise<void> {
    const { value, done } = await this.changed.next();
    this.next = done ? undefined : value;
  }
}
