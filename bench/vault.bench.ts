// The vault against its bars (docs/performance.md): requests and index. The disk is too large to have: its bytes are made
// up, and the store forgets what it was given.

import { randomBytes } from "node:crypto";
import { Damage } from "../src/vault/damage.ts";
import { type ChunkEntry, encodeLeaf } from "../src/vault/format/index-node.ts";
import { NO_STATS } from "../src/vault/format/manifest.ts";
import { type ItemId, type PackId, parseItemId } from "../src/vault/format/names.ts";
import { PackCounts } from "../src/vault/format/pack-counts.ts";
import { nodeRefToJson } from "../src/vault/format/schema.ts";
import { LEAF_ENTRIES, treeShapeOf } from "../src/vault/format/tree-shape.ts";
import { seal, sha256Of } from "../src/vault/objects.ts";
import { createVault, type Vault } from "../src/vault/open-vault.ts";
import { PackBuffers, PackWriter } from "../src/vault/pack-writer.ts";
import { beginTransfer, commitTransfer, releaseTransfer } from "../src/vault/points.ts";
import { sealDisk } from "../src/vault/seal-disk.ts";
import { backUp, newTransferId } from "../src/vault/transfer.ts";
import type { Bench } from "./bench.ts";
import { round } from "./support/programs.ts";
import { benchDeps, ForgetfulStore, NoiseDisk } from "./support/synthetic.ts";

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
      disks: [{ source: new NoiseDisk(TiB, [], { changed: churn }), name: "d", lun: 0 }],
    });
    const writes = archive.writes + state.writes - before;
    const newGiB = (manifest.disks[0]?.stats.newRawBytes ?? 0) / GiB;
    const indexBytes = archive.indexBytes - index;
    const stored = archive.dataBytes - data + indexBytes;
    const idleBefore = archive.writes + state.writes;
    const startedMs = performance.now();
    await backUp(vault, { item: ITEM, disks: [{ source: new NoiseDisk(TiB, []), name: "d", lun: 0 }] });
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

async function makeVault() {
  const archive = new ForgetfulStore("bench:v");
  const state = new ForgetfulStore("bench:w");
  return {
    vault: await createVault(benchDeps(archive, state), { name: "bench", suite: "aes-256-gcm" }),
    archive,
    state,
  };
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
    packBuffers: new PackBuffers(),
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
