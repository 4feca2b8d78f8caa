// How many live entries a point has in each pack, disk by disk: the object `points/<item>/<transfer>.packs`, and the
// changes to it that fragments carry. Chunks count for each index entry that names them, index nodes once. The collector marks from these
// lists alone; a pack that is missing here is garbage.
//
// u32 transfers, each: 16 transfer, u32 packs, each: 8 number, i32 count; all ascending.

import { assert } from "../../base/assert.ts";
import { ByteReader, ByteWriter, malformed } from "./binary.ts";
import { compareText, type PackId, type PackNumber, type TransferId } from "./names.ts";

export class PackCounts {
  private readonly transfers = new Map<TransferId, Map<PackNumber, number>>();

  add(pack: PackId, count: number): void {
    let numbers = this.transfers.get(pack.transfer);
    if (numbers === undefined) {
      numbers = new Map();
      this.transfers.set(pack.transfer, numbers);
    }
    const sum = (numbers.get(pack.number) ?? 0) + count;
    if (sum !== 0) numbers.set(pack.number, sum);
    else numbers.delete(pack.number);
    if (numbers.size === 0) this.transfers.delete(pack.transfer);
  }

  addAll(other: PackCounts): void {
    for (const { pack, count } of other.list()) this.add(pack, count);
  }

  *list(): Generator<{ readonly pack: PackId; readonly count: number }> {
    for (const transfer of [...this.transfers.keys()].sort(compareText)) {
      const numbers = [...(this.transfers.get(transfer) ?? [])].sort((left, right) => compareText(left[0], right[0]));
      for (const [number, count] of numbers) yield { pack: { transfer, number }, count };
    }
  }

  has(pack: PackId): boolean {
    return this.of(pack) !== 0;
  }

  of(pack: PackId): number {
    return this.transfers.get(pack.transfer)?.get(pack.number) ?? 0;
  }

  /** True for what a point may have: nothing is used less than once. */
  get isWhole(): boolean {
    for (const { count } of this.list()) if (count <= 0) return false;
    return true;
  }
}

export function encodePackCounts(counts: PackCounts): Buffer {
  const writer = new ByteWriter();
  const groups = new Map<TransferId, { number: PackNumber; count: number }[]>();
  for (const { pack, count } of counts.list()) {
    const group = groups.get(pack.transfer) ?? [];
    if (group.length === 0) groups.set(pack.transfer, group);
    group.push({ number: pack.number, count });
  }
  writer.u32(groups.size);
  for (const [transfer, group] of groups) {
    writer.raw(Buffer.from(transfer, "hex")).u32(group.length);
    for (const { number, count } of group) writer.raw(Buffer.from(number, "hex")).i32(count);
  }
  return writer.take();
}

export function decodePackCounts(bytes: Uint8Array, what: string): PackCounts {
  const counts = new PackCounts();
  for (const { pack, count } of readPackCounts(bytes, what)) counts.add(pack, count);
  return counts;
}

/** Reads without building anything: marking goes over millions of these. */
export function* readPackCounts(bytes: Uint8Array, what: string): Generator<{ pack: PackId; count: number }> {
  const reader = new ByteReader(bytes, what);
  let transfers = reader.count(20);
  let lastTransfer = "";
  while (transfers-- > 0) {
    const transfer = reader.raw(16).toString("hex") as TransferId;
    if (transfer <= lastTransfer) throw malformed(what, "its transfers are not ascending");
    lastTransfer = transfer;
    let packs = reader.count(12);
    let lastNumber = "";
    while (packs-- > 0) {
      const number = reader.raw(8).toString("hex") as PackNumber;
      if (number <= lastNumber) throw malformed(what, "its packs are not ascending");
      lastNumber = number;
      const count = reader.i32();
      if (count === 0) throw malformed(what, "it counts nothing");
      yield { pack: { transfer, number }, count };
    }
  }
  reader.end();
}

/** The object `.packs`: u16 disks, and for each the sized counts of that disk, in the order of the manifest. */
export function encodePointPacks(disks: readonly PackCounts[]): Buffer {
  const writer = new ByteWriter().u16(disks.length);
  for (const counts of disks) {
    assert(counts.isWhole, "a point uses each of its packs at least once");
    writer.sized(encodePackCounts(counts));
  }
  return writer.take();
}

export function decodePointPacks(bytes: Uint8Array, what: string): PackCounts[] {
  return sectionsOf(bytes, what).map((section) => decodePackCounts(section, what));
}

export function* readPointPacks(bytes: Uint8Array, what: string): Generator<PackId> {
  for (const section of sectionsOf(bytes, what)) {
    for (const { pack } of readPackCounts(section, what)) yield pack;
  }
}

function sectionsOf(bytes: Uint8Array, what: string): Buffer[] {
  const reader = new ByteReader(bytes, what);
  const sections = Array.from({ length: reader.u16() }, () => reader.sized(bytes.length));
  reader.end();
  return sections;
}
