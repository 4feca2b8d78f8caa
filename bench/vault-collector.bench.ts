// The collector over a vault of 10,000 points of 1,000 packs each, which is made up as it is read: nothing of it is in
// memory but what the collector keeps. Then over smaller ones: it has to be linear in points and packs.

import { limitHeap } from "../cli/heap-limits.ts";
import { findGarbage, listPins, markLive } from "../src/vault/collect.ts";
import type { Bench } from "./bench.ts";
import { hugeVault } from "./support/huge-vault.ts";
import { round } from "./support/programs.ts";
import { peakMB } from "./support/synthetic.ts";

const PACKS_PER_POINT = 1_000;
const DEAD_PACKS = 50_000;

export const collector: Bench = {
  about: "vault collector: ten million pack references marked, as many packs listed and held against them",
  timeoutMs: 300_000,
  async run() {
    limitHeap();
    const large = await collectDry(10_000);
    const peak = peakMB();
    const middle = await collectDry(5_000);
    const small = await collectDry(2_500);
    const each = ({ markSeconds, sweepSeconds, points }: Collected) => (1e6 * (markSeconds + sweepSeconds)) / points;
    const times = [small, middle, large].map((made) => `${made.points} points ${round(each(made))} µs each`).join(", ");
    return [
      {
        ...{ name: "10 million references marked", figure: round(large.markSeconds), unit: "s", bar: { atMost: 60 } },
        note: "lists and manifests unsealed and read, their making included",
      },
      { name: "peak memory of marking and listing", figure: peak, unit: "MB", bar: { atMost: 300 } },
      {
        ...{ name: "10 million packs listed and looked up", figure: round(large.sweepSeconds), unit: "s" },
        note: `${large.garbage} of ${large.packs} found dead`,
      },
      {
        ...{ name: "time for a point, 10,000 against 2,500", figure: round(each(large) / each(small)), unit: "x" },
        ...{ bar: { atMost: 1.5 }, note: times },
      },
    ];
  },
};

interface Collected {
  readonly points: number;
  readonly packs: number;
  readonly garbage: number;
  readonly markSeconds: number;
  readonly sweepSeconds: number;
}

async function collectDry(points: number): Promise<Collected> {
  const vault = await hugeVault({ points, packsPerPoint: PACKS_PER_POINT, deadPacks: DEAD_PACKS });
  const pins = await listPins(vault);
  const startedMs = performance.now();
  const { marked } = await markLive(vault, [], pins, new Set());
  const markedMs = performance.now();
  const { sweeps, packCount } = await findGarbage(vault, pins, { marked, voids: [] });
  const sweptMs = performance.now();
  if (marked.size !== points * PACKS_PER_POINT) throw new Error(`${marked.size} packs are marked`);
  if (sweeps.length !== DEAD_PACKS) throw new Error(`${sweeps.length} packs are found dead`);
  return {
    ...{ points, packs: packCount, garbage: sweeps.length },
    ...{ markSeconds: (markedMs - startedMs) / 1000, sweepSeconds: (sweptMs - markedMs) / 1000 },
  };
}
