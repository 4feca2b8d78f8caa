// A disk's index tree as a point has it: any leaf, or all of them, each node checked against the digest that its parent
// holds and opened for the item and transfer it claims. Inner nodes on the way are kept, a few at a time.

import { HoldfastFailure } from "../base/failure.ts";
import { type ChildRef, decodeLeaf, decodeNode, type InnerNode, type Leaf, type NodeRef } from "./format/index-node.ts";
import type { Manifest, ManifestDisk } from "./format/manifest.ts";
import type { ItemId } from "./format/names.ts";
import { nodeRefFromJson } from "./format/schema.ts";
import { leavesUnder, NODE_CHILDREN, type TreeShape, treeShapeOf } from "./format/tree-shape.ts";
import { sha256Of, unseal } from "./objects.ts";
import type { Vault } from "./open-vault.ts";
import { PackReader } from "./pack-reader.ts";

const MAX_CACHED_NODES = 32;

export interface LeafRef {
  readonly leafIndex: number;
  readonly ref: NodeRef;
}

export class IndexTree {
  readonly shape: TreeShape;
  readonly root: ChildRef;
  readonly packs: PackReader;
  private readonly vault: Vault;
  private readonly item: ItemId;
  private readonly nodes = new Map<string, Promise<InnerNode>>();

  constructor(vault: Vault, item: ItemId, shape: TreeShape, root: ChildRef, packs = new PackReader(vault)) {
    this.vault = vault;
    this.item = item;
    this.shape = shape;
    this.root = root;
    this.packs = packs;
  }

  static ofDisk(vault: Vault, manifest: Manifest, disk: ManifestDisk, packs?: PackReader): IndexTree {
    const shape = treeShapeOf(disk.sizeBytes, disk.chunkBytes);
    return new IndexTree(vault, manifest.item, shape, disk.root && nodeRefFromJson(disk.root), packs);
  }

  /** Null is a hole: the disk has nothing there. */
  async leafRef(leafIndex: number): Promise<ChildRef> {
    let ref = this.root;
    for (let level = this.shape.rootLevel; level > 0 && ref !== null; level--) {
      const node = await this.node(level, Math.floor(leafIndex / leavesUnder(level)), ref);
      ref = node.children[Math.floor(leafIndex / leavesUnder(level - 1)) % NODE_CHILDREN] ?? null;
    }
    return leafIndex < this.shape.leafCount ? ref : null;
  }

  async leaf(leafIndex: number): Promise<{ readonly ref: ChildRef; readonly leaf: Leaf }> {
    const ref = await this.leafRef(leafIndex);
    return { ref, leaf: ref === null ? { leafIndex, entries: [] } : await this.readLeaf(leafIndex, ref) };
  }

  async readLeaf(leafIndex: number, ref: NodeRef): Promise<Leaf> {
    return decodeLeaf(await this.open("leaf", ref), leafIndex);
  }

  /** Every leaf that is not a hole, ascending. */
  async *leafRefs(): AsyncGenerator<LeafRef> {
    yield* this.leafRefsUnder(this.shape.rootLevel, 0, this.root);
  }

  /** Every node reference of the tree, inner nodes before what is under them. */
  async *nodeRefs(): AsyncGenerator<{ readonly level: number; readonly index: number; readonly ref: NodeRef }> {
    yield* this.nodeRefsUnder(this.shape.rootLevel, 0, this.root);
  }

  async node(level: number, index: number, ref: NodeRef): Promise<InnerNode> {
    const key = ref.digest.toString("hex");
    let node = this.nodes.get(key);
    if (node === undefined) {
      if (this.nodes.size >= MAX_CACHED_NODES) this.nodes.delete(this.nodes.keys().next().value as string);
      node = this.open("node", ref).then((bytes) => decodeNode(bytes, level, index));
      node.catch(() => this.nodes.delete(key));
      this.nodes.set(key, node);
    }
    return node;
  }

  private async *leafRefsUnder(level: number, index: number, ref: ChildRef): AsyncGenerator<LeafRef> {
    if (ref === null) return;
    if (level === 0) {
      if (index < this.shape.leafCount) yield { leafIndex: index, ref };
      return;
    }
    const { children } = await this.node(level, index, ref);
    for (const [position, child] of children.entries()) {
      yield* this.leafRefsUnder(level - 1, index * NODE_CHILDREN + position, child);
    }
  }

  private async *nodeRefsUnder(
    level: number,
    index: number,
    ref: ChildRef,
  ): AsyncGenerator<{ level: number; index: number; ref: NodeRef }> {
    if (ref === null) return;
    yield { level, index, ref };
    if (level === 0) return;
    const { children } = await this.node(level, index, ref);
    for (const [position, child] of children.entries()) {
      yield* this.nodeRefsUnder(level - 1, index * NODE_CHILDREN + position, child);
    }
  }

  private async open(kind: "leaf" | "node", ref: NodeRef): Promise<Buffer> {
    const sealed = await this.packs.read(ref.pack, { offset: ref.offset, length: ref.length, id: ref.digest });
    if (!sha256Of(sealed).equals(ref.digest)) {
      throw new HoldfastFailure("corrupt", "HoldfastNotAuthentic", `An index ${kind} of ${this.item} is damaged`);
    }
    return unseal(this.vault, { kind, item: this.item, transfer: ref.pack.transfer }, sealed);
  }
}
