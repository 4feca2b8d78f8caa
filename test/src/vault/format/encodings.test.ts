import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { decodeJson, encodeJson } from "../../../../src/vault/format/canonical-json.ts";
import { decodeFragment, decodeSeal, encodeFragment, encodeSeal } from "../../../../src/vault/format/fragment.ts";
import {
  type ChunkEntry,
  decodeLeaf,
  decodeNode,
  encodeLeaf,
  encodeNode,
  type NodeRef,
} from "../../../../src/vault/format/index-node.ts";
import { NO_STATS } from "../../../../src/vault/format/manifest.ts";
import {
  damageName,
  fragmentName,
  itemName,
  keyName,
  packName,
  parseDamageName,
  parseItemId,
  parseItemName,
  parseKeyName,
  parsePackName,
  parsePinName,
  parsePointObject,
  parseStateName,
  pinName,
  planName,
  pointName,
  pointPacksName,
  stateName,
  transferOfScratch,
} from "../../../../src/vault/format/names.ts";
import { decodePackTable, encodePackTable } from "../../../../src/vault/format/pack.ts";
import { decodePackCounts, encodePackCounts, PackCounts } from "../../../../src/vault/format/pack-counts.ts";
import { decodePlan, dirtyLeavesOf, encodePlan } from "../../../../src/vault/format/plan.ts";
import { decodeRecord, encodeRecord, itemRecord } from "../../../../src/vault/format/records.ts";
import { treeShapeOf } from "../../../../src/vault/format/tree-shape.ts";
import { ITEM, KEY_ID, OTHER_TRANSFER, packOf, sealedKey, TRANSFER, VAULT_ID } from "./sample.ts";

const ref: NodeRef = { pack: packOf("3"), offset: 24, length: 900, digest: Buffer.alloc(32, 9) };
const data: ChunkEntry = { kind: "data", pack: packOf("4"), offset: 24, length: 99, chunkId: Buffer.alloc(32, 8) };

/** No prefix of a value, and no value with a byte more, may be taken for a value. */
function refusesEveryCut(bytes: Buffer, decode: (bytes: Uint8Array) => unknown) {
  for (let length = 0; length < bytes.length; length++) {
    expect(() => decode(bytes.subarray(0, length)), `${length} bytes`).toThrow(/malformed|not canonical|not JSON/);
  }
  expect(() => decode(Buffer.concat([bytes, Buffer.of(0)]))).toThrow();
}

/** What the format spells: whole numbers that are exact, and no minus zero. */
function hasWholeNumbersOnly(any: unknown): boolean {
  if (typeof any === "number") return Number.isSafeInteger(any) && !Object.is(any, -0);
  return typeof any !== "object" || any === null || Object.values(any).every(hasWholeNumbersOnly);
}

describe("The encodings of the vault", () => {
  it("keep a leaf as it was, with about forty bytes an entry", () => {
    const entries: ChunkEntry[] = Array.from({ length: 128 }, (_, position) => ({
      ...data,
      offset: position * 1000,
      pack: packOf((position % 3).toString()),
    }));
    entries[5] = { kind: "zero" };
    entries[6] = { kind: "unallocated" };
    entries[7] = { kind: "unreadable" };
    entries[8] = { kind: "excluded" };
    const bytes = encodeLeaf({ leafIndex: 70_000, entries });
    expect(decodeLeaf(bytes, 70_000)).toEqual({ leafIndex: 70_000, entries });
    expect(bytes.length / 128).toBeLessThan(43);
    expect(() => decodeLeaf(bytes, 70_001)).toThrow(/another node/);
    refusesEveryCut(encodeLeaf({ leafIndex: 1, entries: [data, { kind: "zero" }] }), (cut) => decodeLeaf(cut, 1));
  });

  it("lay a leaf out byte by byte as documented", () => {
    const bytes = encodeLeaf({ leafIndex: 258, entries: [{ kind: "zero" }, data] });
    const pack = `${"11".repeat(16)}${"44".repeat(8)}`;
    const expected = `00 02010000 0100 ${pack} 0200 01 02 00 18000000 63000000 ${"08".repeat(32)}`;
    expect(bytes.toString("hex")).toBe(expected.replaceAll(" ", ""));
  });

  it("keep an inner node as it was", () => {
    const children = Array.from({ length: 256 }, (_, index) => (index % 3 === 0 ? null : { ...ref, offset: index }));
    expect(decodeNode(encodeNode({ level: 2, index: 7, children }), 2, 7)).toEqual({ level: 2, index: 7, children });
    const small = encodeNode({ level: 1, index: 0, children: [null, ref] });
    expect(small.toString("hex")).toBe(
      `01 00000000 0100 ${"11".repeat(16)}${"33".repeat(8)} 0200 00 01 00 18000000 84030000 ${"09".repeat(32)}`.replaceAll(
        " ",
        "",
      ),
    );
    refusesEveryCut(small, (cut) => decodeNode(cut, 1, 0));
  });

  it("keep pack tables, and refuse another pack's", () => {
    const entries = [{ offset: 24, length: 100, rawLength: 512, id: Buffer.alloc(32, 3) }];
    const bytes = encodePackTable(packOf("3").number, entries);
    expect(decodePackTable(bytes, packOf("3").number)).toEqual(entries);
    expect(() => decodePackTable(bytes, packOf("4").number)).toThrow(/another pack/);
    refusesEveryCut(bytes, (cut) => decodePackTable(cut, packOf("3").number));
  });

  it("keep pack counts sorted, add them up, and drop what comes to nothing", () => {
    const counts = new PackCounts();
    counts.add(packOf("9"), 2);
    counts.add(packOf("1", OTHER_TRANSFER), 3);
    counts.add(packOf("1"), 1);
    counts.add(packOf("9"), -2);
    expect([...counts.list()]).toEqual([
      { pack: packOf("1"), count: 1 },
      { pack: packOf("1", OTHER_TRANSFER), count: 3 },
    ]);
    const bytes = encodePackCounts(counts);
    expect([...decodePackCounts(bytes, "counts").list()]).toEqual([...counts.list()]);
    refusesEveryCut(bytes, (cut) => decodePackCounts(cut, "counts"));
  });

  it("keep fragments and seals", () => {
    const counts = new PackCounts();
    counts.add(packOf("1"), -4);
    const work = {
      packs: [{ number: packOf("5").number, sizeBytes: 1000, md5: "0".repeat(32) }],
      stats: { ...NO_STATS, readBytes: 5 },
      unreadable: [{ offset: 512, length: 512 }],
      counts,
    };
    const leaves = [
      { leafIndex: 1, ref },
      { leafIndex: 4, ref: null },
    ];
    const fragment = encodeFragment({ ...work, leaves });
    expect(decodeFragment(fragment)).toEqual({ ...work, leaves });
    refusesEveryCut(fragment, decodeFragment);
    const seal = encodeSeal({ ...work, root: ref });
    expect(decodeSeal(seal)).toEqual({ ...work, root: ref });
    expect(decodeSeal(encodeSeal({ ...work, root: null })).root).toBeNull();
    refusesEveryCut(seal, decodeSeal);
  });

  it("keep plans, bit by bit", () => {
    const bitmaps = new Uint8Array(48);
    bitmaps[0] = 0b1000_0001;
    bitmaps[15] = 0b1000_0000;
    bitmaps[16] = 1;
    bitmaps[32] = 2;
    const plan = {
      sizeBytes: 2 ** 35,
      chunkBytes: 2 ** 19,
      parent: TRANSFER,
      slices: [
        { leaves: 2, dirtyBytes: 10 },
        { leaves: 1, dirtyBytes: 5 },
      ],
      leafIndexes: Uint32Array.of(3, 9, 400),
      bitmaps,
    };
    const decoded = decodePlan(encodePlan(plan));
    expect(decoded).toEqual(plan);
    expect([...dirtyLeavesOf(decoded, 0)]).toEqual([
      { leafIndex: 3, positions: [0, 7, 127] },
      { leafIndex: 9, positions: [0] },
    ]);
    expect([...dirtyLeavesOf(decoded, 1)]).toEqual([{ leafIndex: 400, positions: [1] }]);
  });

  it("spell JSON in one way only", () => {
    const value = { b: [1, null, "ü\n"], a: { z: true, y: -5 } };
    expect(encodeJson(value).toString()).toBe('{"a":{"y":-5,"z":true},"b":[1,null,"ü\\n"]}');
    const json = fc
      .jsonValue({ noUnicodeString: false })
      // Through text once: there is no minus zero in JSON.
      .map((any) => JSON.parse(JSON.stringify(any)))
      .filter(hasWholeNumbersOnly);
    fc.assert(
      fc.property(json, (any) => {
        expect(decodeJson(encodeJson(any as never), "value")).toEqual(any);
      }),
    );
    for (const odd of [
      '{"b":1,"a":2}',
      '{"a":1,"a":1}',
      '{"a": 1}',
      "[1.5]",
      "[1e3]",
      "[9007199254740993]",
      "[-0]",
      "[1]\n",
      "",
    ]) {
      expect(() => decodeJson(Buffer.from(odd), "odd"), odd).toThrow();
    }
  });

  it("bind a record to its vault, its name and its body", () => {
    const body = { item: ITEM, sequence: 1, deleting: [{ transfer: TRANSFER, sequence: 0 }] };
    const bytes = encodeRecord(sealedKey, VAULT_ID, itemName(ITEM), body);
    const keyOf = () => sealedKey;
    expect(decodeRecord(itemRecord, keyOf, VAULT_ID, itemName(ITEM), bytes)).toEqual(body);
    expect(() => decodeRecord(itemRecord, keyOf, VAULT_ID, "items/vm-2.json", bytes)).toThrow(/changed/);
    expect(() => decodeRecord(itemRecord, keyOf, "b".repeat(32), itemName(ITEM), bytes)).toThrow(/changed/);
    const forged = Buffer.from(bytes.toString().replace('"sequence":1', '"sequence":2'));
    expect(() => decodeRecord(itemRecord, keyOf, VAULT_ID, itemName(ITEM), forged)).toThrow(/changed/);
  });

  it("compose names that parse back, in lower case, short, and valid on every system", () => {
    const point = { item: parseItemId("z".repeat(64)), transfer: TRANSFER };
    const pack = packOf("f");
    expect(parsePointObject(pointName(point))).toEqual({ kind: "manifest-or-void", point });
    expect(parsePointObject(pointPacksName(point))).toEqual({ kind: "packs", point });
    expect(parsePackName(packName(pack, 12))).toEqual({ pack, generation: 12 });
    expect(parseStateName(stateName(point))).toEqual(point);
    expect(parseItemName(itemName(ITEM))).toBe(ITEM);
    expect(parsePinName(pinName(TRANSFER))).toBe(TRANSFER);
    expect(parseDamageName(damageName(pack))).toEqual(pack);
    expect(parseKeyName(keyName(KEY_ID))).toEqual({ keyId: KEY_ID, wrapping: 0 });
    expect(parseKeyName(keyName(KEY_ID, 3))).toEqual({ keyId: KEY_ID, wrapping: 3 });
    const scratch = [planName(TRANSFER, 63), fragmentName(TRANSFER, 0, 99_999), fragmentName(TRANSFER, 5, "seal")];
    for (const name of scratch) expect(transferOfScratch(name)).toBe(TRANSFER);
    for (const name of [
      ...scratch,
      pointPacksName(point),
      packName(pack, 999_999),
      stateName(point),
      damageName(pack),
    ]) {
      expect(name).toMatch(/^[a-z0-9./-]{1,200}$/);
      for (const part of name.split("/")) expect(part).not.toMatch(/[. ]$|^\./);
    }
  });

  it("refuse item ids that some system cannot store, and foreign names", () => {
    for (const bad of ["", "A", "a_b", "-a", "a-", "a/b", "..", "con", "lpt1", "x".repeat(65), "ü"]) {
      expect(() => parseItemId(bad), bad).toThrow(/item id/);
    }
    expect(() => parsePackName("packs/x/y.g0")).toThrow();
    expect(() => parsePackName(`${packName(packOf("1"))}1x`)).toThrow();
    expect(() => parsePointObject("points/con/11111111111111111111111111111111")).toThrow();
    expect(() => parsePinName("pins/new-kind")).toThrow();
  });

  it("give a tree the depth its disk needs", () => {
    const MiB = 2 ** 20;
    expect(treeShapeOf(1, 512 * 1024)).toMatchObject({ chunkCount: 1, leafCount: 1, rootLevel: 0 });
    expect(treeShapeOf(64 * MiB, 512 * 1024)).toMatchObject({ chunkCount: 128, leafCount: 1, rootLevel: 0 });
    expect(treeShapeOf(64 * MiB + 1, 512 * 1024)).toMatchObject({ chunkCount: 129, leafCount: 2, rootLevel: 1 });
    expect(treeShapeOf(16 * 1024 * MiB, 512 * 1024)).toMatchObject({ leafCount: 256, rootLevel: 1 });
    expect(treeShapeOf(32 * 2 ** 40, 512 * 1024)).toMatchObject({
      chunkCount: 2 ** 26,
      leafCount: 2 ** 19,
      rootLevel: 3,
    });
  });
});
