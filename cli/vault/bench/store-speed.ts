// How fast a store takes and gives objects, and how long it takes for a small request. Everything lies under one prefix of the
// state container, which is never locked, and every name is noted before it is written: whatever happens, what was
// written is removed. What a killed run left behind, the next one removes.

import pMap from "p-map";
import type { ObjectStore } from "../../../src/ports/object-store.ts";
import { BENCH_PREFIX, benchName } from "../../../src/vault/format/names.ts";

const MiB = 2 ** 20;
const SMALL_BYTES = 1024;
const LARGEST_BYTES = 32 * MiB;
/** On a disk of its own speed more would tell nothing else, and a full disk would be no service. */
const MOST_WRITTEN_BYTES = 1024 * MiB;
const WRITES_AT_ONCE = 2;
const READS_AT_ONCE = 4;
const DELETES_AT_ONCE = 8;
/** Nobody measures for so long. */
const LEFT_BEHIND_MS = 3600 * 1000;

export interface Latency {
  readonly requests: number;
  readonly medianMs: number;
  readonly p95Ms: number;
}

export interface StoreSpeed {
  readonly writeBytesPerSecond: number;
  readonly readBytesPerSecond: number;
  readonly objectBytes: number;
  readonly small: { readonly create: Latency; readonly read: Latency; readonly remove: Latency };
}

export interface BenchSettings {
  readonly run: string;
  readonly budgetMs: number;
  readonly random: (count: number) => Uint8Array;
}

export async function measureStore(store: ObjectStore, settings: BenchSettings): Promise<StoreSpeed> {
  await removeLeftBehind(store);
  const measuring = new StoreBench(store, settings);
  try {
    return await measuring.measure();
  } finally {
    await measuring.removeAll();
  }
}

async function removeLeftBehind(store: ObjectStore): Promise<void> {
  for await (const { objects, storeDate } of store.list(BENCH_PREFIX)) {
    const old = objects.filter(({ lastModified }) => storeDate.getTime() - lastModified.getTime() > LEFT_BEHIND_MS);
    await pMap(old, ({ name }) => store.delete(name), { concurrency: DELETES_AT_ONCE });
  }
}

class StoreBench {
  private readonly store: ObjectStore;
  private readonly settings: BenchSettings;
  private readonly written = new Set<string>();
  private readonly underWay = new Set<Promise<unknown>>();
  private count = 0;

  constructor(store: ObjectStore, settings: BenchSettings) {
    this.store = store;
    this.settings = settings;
  }

  async measure(): Promise<StoreSpeed> {
    const { budgetMs } = this.settings;
    const small = await this.measureSmall(budgetMs * 0.2);
    const objectBytes = await this.fittingSize((budgetMs * 0.4) / 8);
    const large: string[] = [];
    const writeBytesPerSecond = await this.measureWrites(objectBytes, budgetMs * 0.35, large);
    const readBytesPerSecond = await this.measureReads(large, objectBytes, budgetMs * 0.35);
    return { writeBytesPerSecond, readBytesPerSecond, objectBytes, small };
  }

  /** When all that is under way has ended, for it may still appear. */
  async removeAll(): Promise<void> {
    await Promise.allSettled(this.underWay);
    await pMap(this.written, (name) => this.store.delete(name), { concurrency: DELETES_AT_ONCE });
  }

  private async measureSmall(budgetMs: number) {
    const times = { create: [] as number[], read: [] as number[], remove: [] as number[] };
    const body = this.settings.random(SMALL_BYTES);
    const start = performance.now();
    while (times.create.length < 3 || performance.now() - start < budgetMs) {
      const [name, createMs] = await timed(() => this.write(body));
      const [, readMs] = await timed(() => this.store.read(name));
      const [, removeMs] = await timed(() => this.remove(name));
      times.create.push(createMs);
      times.read.push(readMs);
      times.remove.push(removeMs);
    }
    return { create: latencyOf(times.create), read: latencyOf(times.read), remove: latencyOf(times.remove) };
  }

  /** As large as takes about `wantedMs`: on a slow line a large one would be the whole measurement. */
  private async fittingSize(wantedMs: number): Promise<number> {
    const body = this.settings.random(MiB);
    const [name, tookMs] = await timed(() => this.write(body));
    await this.remove(name);
    const fitting = Math.floor((wantedMs / Math.max(tookMs, 0.1)) * MiB);
    return Math.max(64 * 1024, Math.min(LARGEST_BYTES, 2 ** Math.floor(Math.log2(fitting))));
  }

  private async measureWrites(objectBytes: number, budgetMs: number, large: string[]): Promise<number> {
    const body = this.settings.random(objectBytes);
    const start = performance.now();
    let doneBytes = 0;
    const lane = async () => {
      while (performance.now() - start < budgetMs && large.length * objectBytes < MOST_WRITTEN_BYTES) {
        large.push(await this.write(body));
        doneBytes += objectBytes;
      }
    };
    await Promise.all(Array.from({ length: WRITES_AT_ONCE }, lane));
    return (doneBytes * 1000) / (performance.now() - start);
  }

  private async measureReads(large: readonly string[], objectBytes: number, budgetMs: number): Promise<number> {
    const start = performance.now();
    let next = 0;
    let doneBytes = 0;
    const lane = async () => {
      do {
        const name = large[next++ % large.length] as string;
        await this.store.read(name);
        doneBytes += objectBytes;
      } while (performance.now() - start < budgetMs);
    };
    await Promise.all(Array.from({ length: READS_AT_ONCE }, lane));
    return (doneBytes * 1000) / (performance.now() - start);
  }

  private async write(body: Uint8Array): Promise<string> {
    const name = benchName(this.settings.run, this.count++);
    this.written.add(name);
    const creating = this.store.create(name, body);
    this.underWay.add(creating);
    await creating.finally(() => this.underWay.delete(creating));
    return name;
  }

  private async remove(name: string): Promise<void> {
    await this.store.delete(name);
    this.written.delete(name);
  }
}

async function timed<T>(work: () => Promise<T>): Promise<[T, number]> {
  const start = performance.now();
  const result = await work();
  return [result, performance.now() - start];
}

function latencyOf(times: readonly number[]): Latency {
  const sorted = times.toSorted((left, right) => left - right);
  const at = (share: number) => sorted[Math.min(sorted.length - 1, Math.floor(sorted.length * share))] ?? 0;
  return { requests: times.length, medianMs: at(0.5), p95Ms: at(0.95) };
}
