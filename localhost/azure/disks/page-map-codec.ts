// Page maps as bytes, for a rewritten journal: every node once, kids before parents, so that what versions share in
// memory they share on disk and again after reading. Pure.
import { assert } from "../../../src/base/assert.ts";
import { type Extent, Inner, isExtent, Leaf, type PageNode } from "./page-map.ts";

const EXTENT = 1;
const LEAF = 2;
const INNER = 3;
const NUMBERS_PER_EXTENT = 4;

/** Gives nodes numbers (0 is the empty map) and yields the bytes of those not yet written. */
export class MapWriter {
  readonly #ids = new Map<PageNode, number>([[undefined, 0]]);

  idOf(node: PageNode): number {
    const id = this.#ids.get(node);
    assert(id !== undefined, "A node is numbered by writing it first");
    return id;
  }

  *write(node: PageNode): Generator<Buffer> {
    if (this.#ids.has(node)) return;
    if (node instanceof Inner) for (const kid of node.kids) yield* this.write(kid);
    this.#ids.set(node, this.#ids.size);
    yield this.#encode(node);
  }

  #encode(node: PageNode): Buffer {
    if (node instanceof Inner)
      return bytesOf(
        INNER,
        node.kids.map((kid) => this.idOf(kid)),
      );
    if (node instanceof Leaf) return bytesOf(LEAF, node.extents.flatMap(numbersOf));
    assert(isExtent(node), "Only nodes are written");
    return bytesOf(EXTENT, numbersOf(node));
  }
}

export class MapReader {
  readonly #nodes: PageNode[] = [undefined];

  add(bytes: Buffer): void {
    const numbers = Array.from({ length: (bytes.length - 1) / 8 }, (_, index) => bytes.readDoubleLE(1 + index * 8));
    switch (bytes.readUInt8(0)) {
      case INNER:
        this.#nodes.push(new Inner(numbers.map((id) => this.node(id))));
        return;
      case LEAF:
        this.#nodes.push(new Leaf(extentsOf(numbers)));
        return;
      default:
        this.#nodes.push(extentsOf(numbers)[0]);
    }
  }

  node(id: number): PageNode {
    assert(id < this.#nodes.length, "A node is read before what refers to it");
    return this.#nodes[id];
  }
}

function numbersOf(extent: Extent): number[] {
  return [extent.start, extent.end, extent.source, extent.at];
}

function extentsOf(numbers: readonly number[]): Extent[] {
  return Array.from({ length: numbers.length / NUMBERS_PER_EXTENT }, (_, index) => {
    const [start = 0, end = 0, source = 0, at = 0] = numbers.slice(index * NUMBERS_PER_EXTENT);
    return { start, end, source, at };
  });
}

function bytesOf(type: number, numbers: readonly number[]): Buffer {
  const bytes = Buffer.allocUnsafe(1 + numbers.length * 8);
  bytes.writeUInt8(type, 0);
  for (const [index, value] of numbers.entries()) bytes.writeDoubleLE(value, 1 + index * 8);
  return bytes;
}
