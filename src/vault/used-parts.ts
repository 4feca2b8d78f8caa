// What points use of packs: index nodes and chunks, read from their trees, each node once however many points share it.

import type { ChunkPlace, NodeRef } from "./format/index-node.ts";
import type { Manifest } from "./format/manifest.ts";
import { packKey } from "./format/names.ts";
import { NODE_CHILDREN } from "./format/tree-shape.ts";
import { mapInOrder } from "./in-order.ts";
import { IndexTree } from "./index-tree.ts";
import { isKind } from "./objects.ts";
import type { Vault } from "./open-vault.ts";

const READS_AHEAD = 8;

/** A node of a tree, and, if it is a leaf, the chunks it names. */
export interface UsedNode {
  readonly ref: NodeRef;
  readonly chunks: readonly ChunkPlace[];
}

export class UsedParts {
  private readonly vault: Vault;
  private readonly skipsDamaged: boolean;
  private readonly seen = new Set<string>();

  /** Subtrees that do not open end the walk, or are left out of it. */
  constructor(vault: Vault, damaged: "fails" | "is skipped") {
    this.vault = vault;
    this.skipsDamaged = damaged === "is skipped";
  }

  /** Those of a point that no earlier one had. */
  async *of(manifest: Manifest): AsyncGenerator<UsedNode> {
    for (const disk of manifest.disks) {
      const tree = IndexTree.ofDisk(this.vault, manifest, disk);
      if (tree.root !== null) yield* this.under(tree, tree.shape.rootLevel, [{ index: 0, ref: tree.root }]);
    }
  }

  private async *under(
    tree: IndexTree,
    level: number,
    refs: readonly { readonly index: number; readonly ref: NodeRef }[],
  ): AsyncGenerator<UsedNode> {
    const unseen = refs.filter(({ ref }) => this.isNew(ref));
    const read = mapInOrder(unseen, READS_AHEAD, async ({ index, ref }) => ({
      ...{ index, ref },
      node: await this.readNode(tree, level, index, ref),
    }));
    for await (const { index, ref, node } of read) {
      yield { ref, chunks: node?.chunks ?? [] };
      const children = (node?.children ?? []).flatMap((child, position) =>
        child === null ? [] : [{ index: index * NODE_CHILDREN + position, ref: child }],
      );
      if (children.length > 0) yield* this.under(tree, level - 1, children);
    }
  }

  private async readNode(tree: IndexTree, level: number, index: number, ref: NodeRef) {
    try {
      if (level > 0) return { chunks: [], children: (await tree.node(level, index, ref)).children };
      const { entries } = await tree.readLeaf(index, ref);
      return { chunks: entries.filter((entry) => entry.kind === "data"), children: [] };
    } catch (cause) {
      if (!this.skipsDamaged || !isKind(cause, "corrupt")) throw cause;
      return undefined;
    }
  }

  /** By place and digest: without encryption two disks may hold equal nodes in different places. */
  private isNew({ pack, digest }: NodeRef): boolean {
    const key = `${packKey(pack)}/${digest.toString("latin1")}`;
    if (this.seen.has(key)) return false;
    this.seen.add(key);
    return true;
  }
}
