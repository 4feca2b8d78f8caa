// The vault against its bars (docs/performance.md): requests, index, memory, marking. All sizes are real; where a disk is too
// large to have, its bytes are made up and the store forgets what it was given.

import { randomBytes } from "node:crypto";
import { Damage } from "../src/vault/damage.ts";
import { type ChunkEntry, encodeLeaf } from "../src/vault/format/index-node.ts";
import { NO_STATS } from "../src/vault/format/manifest.ts";
import { type ItemId, makePackNumber, type PackId, parseItemId, type TransferId } from "../src/vault/format/names.ts";
import { encodePointPacks, PackCounts, readPointPacks } from "../src/vault/format/pack-counts.ts";
import { nodeRefToJson } from "../src/vault/format/schema.ts";
import { LEAF_ENTRIES, treeShapeOf } from "../src/vault/format/tree-shape.ts";
import { seal, sha256Of } from "../src/vault/objects.ts";
import { createVault, type Vault } from "../src/vault/open-vault.ts";
import { PackSet } from "../src/vault/pack-set.ts";
import { PackWriter } from "../src/vault/pack-writer.ts";
import { beginTransfer, commitTransfer, releaseTransfer } from "../src/vault/points.ts";
import { sealDisk } from "../src/vault/seal-disk.ts";
import { backUp, newTransferId } from "../src/vault/transfer.ts";
import type { Bench, BenchRow } from "./bench.ts";
import { ForgetfulStore, NoiseDisk } from "./support/synthetic.ts";

const MiB = 2 ** 20;
const GiB = 2 ** 30;
const TiB = 2 ** 40;
const CHUNK = 512 * 1024;
const ITEM = parseItemId("bench");

export const requests: Bench = {
  about: "writes and index of an incremental with uniform churn over 1 TiB, and of one without any change",
  timeoutMs: 300_000,
  async run() {
    const { vault, archive, state } = await makeVault();
    await writeFullParent(vault, TiB);
    const churn = uniformChurn(TiB, GiB, 256 * 1024);
    const before = archive.writes + state.writes;
    const index = archive.indexBytes;
    const data = archive.dataBytes;
    const manifest = await backUp(vault, {
      item: ITEM,
      disks: [{ source: new NoiseDisk(TiB, [], churn), name: "d", lun: 0 }],
    });
    const writes = archive.writes + state.writes - before;
    const newGiB = (manifest.disks[0]?.stats.newRawBytes ?? 0) / GiB;
    const indexBytes = archive.indexBytes - index;
    const stored = archive.dataBytes - data + indexBytes;
    const idleBefore = archive.writes + state.writes;
    const startedMs = performance.now();
    await backUp(vault, { item: ITEM, disks: [{ source: new NoiseDisk(TiB, [], []), name: "d", lun: 0 }] });
    const idleMs = performance.now() - startedMs;
    const note = `${newGiB.toFixed(2)} GiB of new chunks for 1 GiB of writes of 256 KiB`;
    return [
      {
        name: "writes beyond 8, for each GiB of new data",
        figure: round((writes - 8) / newGiB),
        unit: "writes",
        bar: { atMost: 40 },
        note,
      },
      {
        name: "index share of what is stored",
        figure: round((100 * indexBytes) / stored),
        unit: "%",
        bar: { atMost: 3 },
      },
      {
        name: "writes without a change",
        figure: archive.writes + state.writes - idleBefore,
        unit: "writes",
        bar: { atMost: 5 },
      },
      { name: "time without a change, 1 TiB", figure: round(idleMs / 1000), unit: "s", bar: { atMost: 2 } },
    ];
  },
};

export const memory4GiB: Bench = memoryBench(4 * GiB, [{ offset: 0, length: 4 * GiB }]);
export const memory64GiB: Bench = memoryBench(64 * GiB, spread(64 * GiB, 16));
export const memory32TiB: Bench = memoryBench(32 * TiB, spread(32 * TiB, 16));

export const marking: Bench = {
  about: "marking ten million pack references: 10,000 points of 1,000 packs each",
  async run() {
    const marked = new PackSet();
    let spentMs = 0;
    for (let point = 0; point < 10_000; point++) {
      const counts = new PackCounts();
      const transfer = randomBytes(16).toString("hex") as TransferId;
      for (let pack = 0; pack < 1_000; pack++) counts.add({ transfer, number: makePackNumber(randomBytes(8)) }, 1);
      const list = encodePointPacks([counts]);
      const startedMs = performance.now();
      for (const pack of readPointPacks(list, "a list")) marked.add(pack);
      spentMs += performance.now() - startedMs;
    }
    return [
      {
        name: "time to mark",
        figure: round(spentMs / 1000),
        unit: "s",
        bar: { atMost: 60 },
        note: `${marked.size} packs`,
      },
      { name: "peak memory", figure: peakMiB(), unit: "MB", bar: { atMost: 300 } },
    ];
  },
};

function memoryBench(sizeBytes: number, allocated: readonly { offset: number; length: number }[]): Bench {
  const gib = allocated.reduce((sum, range) => sum + range.length, 0) / GiB;
  const size = sizeBytes >= TiB ? `${sizeBytes / TiB} TiB` : `${sizeBytes / GiB} GiB`;
  return {
    about: `peak memory of a first backup of ${size}, ${gib} GiB of it in use`,
    timeoutMs: 300_000,
    async run(): Promise<BenchRow[]> {
      const { vault } = await makeVault();
      const startedMs = performance.now();
      await backUp(vault, { item: ITEM, disks: [{ source: new NoiseDisk(sizeBytes, allocated), name: "d", lun: 0 }] });
      const rate = (gib * 1024) / ((performance.now() - startedMs) / 1000);
      const note = `${Math.round(rate)} MiB/s of noise, into a store that forgets`;
      return [{ name: `peak memory, ${size}`, figure: peakMiB(), unit: "MB", bar: { atMost: 350 }, note }];
    },
  };
}

async function makeVault() {
  const archive = new ForgetfulStore("bench:v");
  const state = new ForgetfulStore("bench:w");
  const key = randomBytes(32);
  const xor = (bytes: Uint8Array) => bytes.map((byte, at) => byte ^ (key[at % 32] as number));
  const wrapper = {
    id: "bench",
    wrap: async (plain: Uint8Array) => ({ wrapperId: "bench", version: "1", algorithm: "xor", bytes: xor(plain) }),
    unwrap: async ({ bytes }: { bytes: Uint8Array }) => xor(bytes),
  };
  const deps = {
    archive,
    state,
    wrappers: [wrapper],
    clock: { now: () => new Date() },
    random: { bytes: (count: number) => randomBytes(count) },
  };
  return { vault: await createVault(deps, { name: "bench", suite: "aes-256-gcm" }), archive, state };
}

/** A point whose disk is full: every leaf has 128 entries, in packs of 64 chunks, without the chunks themselves. */
async function writeFullParent(vault: Vault, sizeBytes: number): Promise<void> {
  const shape = treeShapeOf(sizeBytes, CHUNK);
  const key = vault.activeKey;
  const point = { item: ITEM as ItemId, transfer: newTransferId(vault) };
  await beginTransfer(vault, point, []);
  const index = new PackWriter(vault, key, point.transfer, "index");
  const data = new PackWriter(vault, key, point.transfer, "data");
  const counts = new PackCounts();
  const pack: PackId = (await data.append(randomBytes(100), randomBytes(32), 100)).pack;
  async function* changed() {
    for (let leafIndex = 0; leafIndex < shape.leafCount; leafIndex++) {
      const entries = Array.from(
        { length: LEAF_ENTRIES },
        (_, at): ChunkEntry => ({
          ...{ kind: "data", pack, offset: 24 + at * 1000, length: 1000, chunkId: randomBytes(32) },
        }),
      );
      const sealed = seal(vault, key, { kind: "leaf", ...point }, encodeLeaf({ leafIndex, entries }));
      const digest = sha256Of(sealed);
      const place = await index.append(sealed, digest, 0);
      counts.add(place.pack, 1);
      counts.add(pack, LEAF_ENTRIES);
      yield { leafIndex, ref: { ...place, digest } };
    }
  }
  const source = new NoiseDisk(sizeBytes, []);
  const plan = {
    sizeBytes,
    chunkBytes: CHUNK,
    parent: null,
    slices: [],
    leafIndexes: new Uint32Array(),
    bitmaps: new Uint8Array(),
  };
  const work = {
    vault,
    key,
    ...point,
    disk: 0,
    shape,
    source,
    plan,
    parent: undefined,
    relative: undefined,
    damage: new Damage(),
    compressionLevel: 3,
  };
  const sealed = await sealDisk(work, changed());
  counts.addAll(sealed.counts);
  const written = [...(await data.finish()), ...(await index.finish()), ...sealed.packs];
  const at = new Date().toISOString();
  const disk = {
    ...{
      lun: 0,
      name: "d",
      uniqueId: "noise",
      sizeBytes,
      logicalSectorBytes: 512,
      physicalSectorBytes: 512,
      chunkBytes: CHUNK,
    },
    ...{ root: sealed.root && nodeRefToJson(sealed.root), base: source.identity, unreadable: [], stats: NO_STATS },
  };
  const manifest = {
    ...point,
    ...{
      keyId: key.keyId,
      pointId: "p",
      sequence: 1,
      committedBy: "bench",
      pointTime: at,
      createdAt: at,
      parent: null,
    },
    ...{ consistency: "crash" as const, consistencyReason: "", tags: [], reason: "", machine: null, disks: [disk] },
  };
  await commitTransfer(vault, { point, key, manifest, packCounts: [counts], written });
  await releaseTransfer(vault, point);
}

/** Writes of one size at places that are equally likely anywhere; aligned to their size, as file systems mostly do. */
function uniformChurn(sizeBytes: number, churnBytes: number, writeBytes: number) {
  const places = new Set<number>();
  while (places.size < churnBytes / writeBytes) places.add(Math.floor(Math.random() * (sizeBytes / writeBytes)));
  return [...places]
    .sort((left, right) => left - right)
    .map((place) => ({ offset: place * writeBytes, length: writeBytes }));
}

function spread(sizeBytes: number, parts: number) {
  return Array.from({ length: parts }, (_, part) => ({
    offset: Math.floor(sizeBytes / parts / MiB) * part * MiB,
    length: GiB / parts,
  }));
}

function peakMiB(): number {
  return Math.round(process.resourceUsage().maxRSS / 1024);
}

function round(figure: number): number {
  return Math.round(figure * 100) / 100;
}
