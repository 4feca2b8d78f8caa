// A set of packs, for marking millions of them: eight bytes for each, and at most half as much again for growth. It keeps a fingerprint of a pack's name (64 bits, all
// random); two packs with one fingerprint would keep a dead pack alive, never lose a live one.

import { releaseBuffer } from "../base/release.ts";
import type { PackId } from "./format/names.ts";

const SHARDS = 64;
const FIRST_CAPACITY = 64;
const MAX_LOAD = 0.8;
const GROWTH = 1.25;

export class PackSet {
  /** Many small tables: each grows by itself, so growing never doubles the whole. */
  private readonly shards = Array.from({ length: SHARDS }, () => new Shard());

  get size(): number {
    return this.shards.reduce((sum, shard) => sum + shard.count, 0);
  }

  add(pack: PackId): void {
    const [high, low] = fingerprint(pack);
    (this.shards[high % SHARDS] as Shard).add(high, low);
  }

  has(pack: PackId): boolean {
    const [high, low] = fingerprint(pack);
    return (this.shards[high % SHARDS] as Shard).has(high, low);
  }
}

class Shard {
  count = 0;
  private slots = new Uint32Array(FIRST_CAPACITY * 2);

  add(high: number, low: number): void {
    if ((this.count + 1) * 2 > this.slots.length * MAX_LOAD) this.grow();
    if (insert(this.slots, high, low)) this.count++;
  }

  has(high: number, low: number): boolean {
    const slot = find(this.slots, high, low);
    return this.slots[slot] !== 0 || this.slots[slot + 1] !== 0;
  }

  private grow(): void {
    const larger = new Uint32Array(Math.ceil((this.slots.length / 2) * GROWTH) * 2);
    for (let slot = 0; slot < this.slots.length; slot += 2) {
      const high = this.slots[slot] as number;
      const low = this.slots[slot + 1] as number;
      if (high !== 0 || low !== 0) insert(larger, high, low);
    }
    releaseBuffer(this.slots);
    this.slots = larger;
  }
}

/** The pack's own random number and random digits of its transfer; two zeros mean an empty slot. */
function fingerprint({ transfer, number }: PackId): readonly [number, number] {
  const high = (Number.parseInt(number.slice(0, 8), 16) ^ Number.parseInt(transfer.slice(16, 24), 16)) >>> 0;
  const low = (Number.parseInt(number.slice(8, 16), 16) ^ Number.parseInt(transfer.slice(24, 32), 16)) >>> 0;
  return high === 0 && low === 0 ? [0, 1] : [high, low];
}

/** The slot that holds the fingerprint, or the empty one where it belongs. */
function find(slots: Uint32Array, high: number, low: number): number {
  let slot = Math.floor((low * (slots.length / 2)) / 2 ** 32) * 2;
  while ((slots[slot] !== high || slots[slot + 1] !== low) && (slots[slot] !== 0 || slots[slot + 1] !== 0)) {
    slot += 2;
    if (slot === slots.length) slot = 0;
  }
  return slot;
}

function insert(slots: Uint32Array, high: number, low: number): boolean {
  const slot = find(slots, high, low);
  if (slots[slot] === high && slots[slot + 1] === low) return false;
  slots[slot] = high;
  slots[slot + 1] = low;
  return true;
}
