// What compaction would free: a disk with hot and cold zones, backed up every day and thinned out by a retention of days,
// weeks, months and years. No vault takes part, only its rules: chunks, packs of so many chunks, which points stand.

import { COMPACTED_DEAD_SHARE } from "../src/vault/compact.ts";
import type { Bench, BenchRow } from "./bench.ts";

/** 256 GiB in chunks of 512 KiB, and 64 chunks that hardly compress in a pack. */
const CHUNKS = 524_288;
const PACK_CHUNKS = 64;
const CHUNK_MiB = 0.5;
const DAYS = [30, 400];
/** So many daily, weekly, monthly and yearly points are kept. */
const KEPT = { days: 7, weeks: 4, months: 12, years: 1 };

interface Zone {
  readonly shareOfDisk: number;
  readonly shareOfWrites: number;
}

interface Disk {
  readonly name: string;
  readonly dailyShare: number;
  readonly zones: readonly Zone[];
}

const DISKS: readonly Disk[] = [
  {
    name: "hot zones, 2 % a day",
    dailyShare: 0.02,
    zones: [
      { shareOfDisk: 0.02, shareOfWrites: 0.7 },
      { shareOfDisk: 0.18, shareOfWrites: 0.25 },
      { shareOfDisk: 0.8, shareOfWrites: 0.05 },
    ],
  },
  { name: "uniform, 2 % a day", dailyShare: 0.02, zones: [{ shareOfDisk: 1, shareOfWrites: 1 }] },
];

export const vaultChurn: Bench = {
  about: "dead bytes in packs after 30 and 400 daily backups under a retention, and what compaction would free of them",
  async run() {
    return DISKS.flatMap((disk) => DAYS.flatMap((days) => rowsOf(disk, simulate(disk, days))));
  },
};

interface Pack {
  readonly chunks: number;
  live: number;
}

interface Result {
  readonly days: number;
  readonly deadShare: number;
  readonly freedShare: number;
  readonly rewrittenPerFreed: number;
  readonly storedGiB: number;
}

function rowsOf(disk: Disk, result: Result): BenchRow[] {
  const percent = (share: number) => Math.round(1000 * share) / 10;
  const name = `${disk.name}, day ${result.days}`;
  const note = `of ${Math.round(result.storedGiB)} GiB; ${result.rewrittenPerFreed.toFixed(2)} bytes written for each freed`;
  return [
    { name: `dead in packs: ${name}`, figure: percent(result.deadShare), unit: "%" },
    { name: `freed by compaction: ${name}`, figure: percent(result.freedShare), unit: "%", note },
  ];
}

/** Every day's chunks go into packs in the order of the disk, as a slice writes them. */
function simulate({ dailyShare, zones }: Disk, days: number): Result {
  const random = generator(1);
  const now = new Uint32Array(CHUNKS);
  const points = new Map<number, Uint32Array>();
  let packCount = 0;
  const sizes: number[] = [];
  const store = (chunks: readonly number[]) => {
    for (const [position, chunk] of chunks.entries()) {
      if (position % PACK_CHUNKS === 0) sizes[packCount++] = 0;
      now[chunk] = packCount - 1;
      sizes[packCount - 1] = (sizes[packCount - 1] as number) + 1;
    }
  };
  store(Array.from({ length: CHUNKS }, (_, chunk) => chunk));
  points.set(0, now.slice());
  for (let day = 1; day <= days; day++) {
    store(writesOf(zones, Math.round(CHUNKS * dailyShare), random));
    points.set(day, now.slice());
    for (const old of [...points.keys()]) if (!isKept(old, day)) points.delete(old);
  }
  return weigh(days, sizes, packCount, [...points.values()]);
}

function isKept(day: number, today: number): boolean {
  const age = today - day;
  return (
    age < KEPT.days ||
    (day % 7 === 0 && age < KEPT.weeks * 7) ||
    (day % 30 === 0 && age < KEPT.months * 30) ||
    (day % 365 === 0 && age < KEPT.years * 365)
  );
}

/** Distinct chunks, ascending. */
function writesOf(zones: readonly Zone[], count: number, random: () => number): number[] {
  const chunks = new Set<number>();
  let start = 0;
  for (const { shareOfDisk, shareOfWrites } of zones) {
    const size = Math.floor(CHUNKS * shareOfDisk);
    for (let write = 0; write < count * shareOfWrites; write++) chunks.add(start + Math.floor(random() * size));
    start += size;
  }
  return [...chunks].sort((left, right) => left - right);
}

function weigh(days: number, sizes: readonly number[], packCount: number, points: readonly Uint32Array[]): Result {
  const packs = liveIn(packCount, points, sizes);
  const sum = (of: (pack: Pack) => number) => packs.reduce((total, pack) => total + of(pack), 0);
  const stored = sum(({ chunks }) => chunks);
  const rewritten = packs.filter(({ chunks, live }) => 1 - live / chunks >= COMPACTED_DEAD_SHARE);
  const freed = rewritten.reduce((total, { chunks, live }) => total + chunks - live, 0);
  return {
    days,
    deadShare: sum(({ chunks, live }) => chunks - live) / stored,
    freedShare: freed / stored,
    rewrittenPerFreed: rewritten.reduce((total, { live }) => total + live, 0) / Math.max(1, freed),
    storedGiB: (stored * CHUNK_MiB) / 1024,
  };
}

/** Packs that some point still uses: the others are the collector's. */
function liveIn(packCount: number, points: readonly Uint32Array[], sizes: readonly number[]): Pack[] {
  const live = new Uint32Array(packCount);
  for (let chunk = 0; chunk < CHUNKS; chunk++) {
    // A pack holds a chunk of the disk at most once: what the points have there, each pack counted once.
    const seen = new Set<number>();
    for (const point of points) seen.add(point[chunk] as number);
    for (const pack of seen) live[pack] = (live[pack] as number) + 1;
  }
  return [...live.keys()].flatMap((pack) =>
    live[pack] === 0 ? [] : [{ chunks: sizes[pack] as number, live: live[pack] as number }],
  );
}

/** The same numbers in every run: the figures are a property of the rules. */
function generator(seed: number): () => number {
  let state = seed;
  return () => {
    state = (Math.imul(state, 1_664_525) + 1_013_904_223) >>> 0;
    return state / 2 ** 32;
  };
}
