// Reading and writing disks. New pages are appended to the disk's current layer file and then entered in the journal;
// pages written again before the next snapshot are overwritten in place. A snapshot waits for the writes under way, holds
// back new ones, and ends the layer: that is all it costs. Layers no volume refers to are removed.
import { mkdirSync } from "node:fs";
import { readdir, rm } from "node:fs/promises";
import { join } from "node:path";
import { assert } from "../../../src/base/assert.ts";
import type { AzureState } from "../state/azure-state.ts";
import type { Entry } from "../state/entry.ts";
import { FilePool, type PooledFile } from "./file-pool.ts";
import { type ImageDefinition, readImage } from "./image.ts";
import { type Extent, extentsIn, PAGE_BYTES, visitChanges, visitExtents } from "./page-map.ts";
import type { Volume } from "./volume-table.ts";

/** Where a live volume's new pages go until its next snapshot. */
interface OpenLayer {
  readonly id: number;
  nextPage: number;
}

/** Writes under way on a volume, and whether a snapshot is holding back new ones. */
interface Traffic {
  underWay: number;
  writes: number;
  gate: Promise<void> | undefined;
  idle: (() => void) | undefined;
}

/** Pieces of a source closer than this are fetched in one read. */
const MERGE_GAP_PAGES = 32;
const MERGED_READ_PAGES = 8192;
const SWEEP_DELAY_MS = 3_000;

export class DiskStore {
  readonly #state: AzureState;
  readonly #files = new FilePool();
  readonly #folder: string;
  readonly #layers = new Map<number, OpenLayer>();
  readonly #traffic = new Map<number, Traffic>();
  readonly #startedAt = Date.now();
  #sweep: NodeJS.Timeout | undefined;

  private constructor(state: AzureState) {
    this.#state = state;
    this.#folder = join(state.folder, "layers");
    mkdirSync(this.#folder, { recursive: true, mode: 0o700 });
  }

  static async open(state: AzureState): Promise<DiskStore> {
    const store = new DiskStore(state);
    await store.sweep();
    return store;
  }

  volume(id: number): Volume {
    return this.#state.volumes.volume(id);
  }

  find(id: number): Volume | undefined {
    return this.#state.volumes.find(id);
  }

  /** Changes with every write to a live volume; a frozen one keeps its own for ever. */
  revision(id: number): string {
    const writes = this.volume(id).frozen ? 0 : this.#startedAt + this.#trafficOf(id).writes;
    return `${id.toString(16)}-${writes.toString(16)}`;
  }

  newId(): number {
    return this.#state.volumes.newId();
  }

  /** The entries that make an image known, and its number; none if it is known already. */
  planImage(image: ImageDefinition): { id: number; entries: Entry[] } {
    const known = this.#state.volumes.imageId(image);
    if (known !== undefined) return { id: known, entries: [] };
    const id = this.newId();
    return { id, entries: [{ kind: "image-added", id, image }] };
  }

  async read(id: number, offset: number, length: number): Promise<Buffer> {
    const volume = this.volume(id);
    const start = Math.floor(offset / PAGE_BYTES);
    const end = Math.ceil((offset + length) / PAGE_BYTES);
    const target = await this.#readPages(extentsIn(volume.map, start, end), start, end);
    return target.subarray(offset - start * PAGE_BYTES, offset - start * PAGE_BYTES + length);
  }

  /** Resolves when the pages are safe. `chunks` together are a whole number of pages. */
  async write(id: number, offset: number, chunks: readonly Uint8Array[]): Promise<void> {
    const length = chunks.reduce((sum, chunk) => sum + chunk.length, 0);
    assert(offset % PAGE_BYTES === 0 && length % PAGE_BYTES === 0 && length > 0, "Writes are whole pages");
    const traffic = await this.#enter(id);
    try {
      await this.#writePages(this.volume(id), offset / PAGE_BYTES, (offset + length) / PAGE_BYTES, chunks);
    } finally {
      leave(traffic);
    }
  }

  async clear(id: number, offset: number, length: number): Promise<void> {
    const traffic = await this.#enter(id);
    try {
      const start = offset / PAGE_BYTES;
      await this.#state.commit([{ kind: "pages-cleared", volume: id, start, end: start + length / PAGE_BYTES }]);
    } finally {
      leave(traffic);
    }
  }

  /**
   * Runs `commit` at an instant at which none of these volumes has a write under way. Frozen twins committed there belong
   * to one instant, whatever is written meanwhile.
   */
  async atRest<T>(ids: readonly number[], commit: () => Promise<T>): Promise<T> {
    const all = ids.map((id) => this.#trafficOf(id));
    for (;;) {
      const busy = all.flatMap(({ gate }) => gate ?? []);
      if (busy.length === 0) break;
      await Promise.all(busy);
    }
    let open: () => void = () => {};
    const gate = new Promise<void>((resolve) => {
      open = resolve;
    });
    for (const traffic of all) traffic.gate = gate;
    try {
      await Promise.all(all.map((traffic) => untilIdle(traffic)));
      for (const id of ids) this.#layers.delete(id);
      const done = commit();
      return await done;
    } finally {
      for (const traffic of all) traffic.gate = undefined;
      open();
    }
  }

  /** Allocated page ranges of [offset, offset + length), in bytes, merged, until `visit` returns false. */
  visitRanges(id: number, offset: number, length: number, visit: (start: number, end: number) => boolean): void {
    const volume = this.volume(id);
    const merged = new Merger((start, end) => visit(start, end));
    visitExtents(volume.map, Math.floor(offset / PAGE_BYTES), Math.ceil((offset + length) / PAGE_BYTES), (extent) =>
      merged.add(extent.start, extent.end, "written"),
    );
    merged.finish();
  }

  /** Ranges of `id` that differ from `olderId`, a volume of the same lineage; in order, merged, until `visit` returns false. */
  visitChanges(
    id: number,
    olderId: number,
    offset: number,
    length: number,
    visit: (start: number, end: number, cleared: boolean) => boolean,
  ): void {
    const merged = new Merger((start, end, kind) => visit(start, end, kind === "cleared"));
    const start = Math.floor(offset / PAGE_BYTES);
    const end = Math.ceil((offset + length) / PAGE_BYTES);
    visitChanges(this.volume(olderId).map, this.volume(id).map, start, end, (from, to, kind) =>
      merged.add(from, to, kind),
    );
    merged.finish();
  }

  /** Removes layer files that no volume needs, a little after deletions. */
  sweepSoon(): void {
    this.#sweep ??= setTimeout(() => {
      this.#sweep = undefined;
      void this.sweep();
    }, SWEEP_DELAY_MS).unref();
  }

  async sweep(): Promise<void> {
    for (const id of [...this.#layers.keys(), ...this.#traffic.keys()]) {
      if (this.find(id) !== undefined || (this.#traffic.get(id)?.underWay ?? 0) > 0) continue;
      this.#layers.delete(id);
      this.#traffic.delete(id);
    }
    const live = this.#state.volumes.liveSources();
    for (const { id } of this.#layers.values()) live.add(id);
    for (const name of await readdir(this.#folder)) {
      const id = Number(/^(\d+)\.layer$/.exec(name)?.[1] ?? Number.NaN);
      if (Number.isNaN(id) || live.has(id)) continue;
      await this.#files.forget(this.#layerFile(id).path);
      await rm(this.#layerFile(id).path);
    }
  }

  async close(): Promise<void> {
    clearTimeout(this.#sweep);
    await this.#files.close();
  }

  async #writePages(volume: Volume, start: number, end: number, chunks: readonly Uint8Array[]): Promise<void> {
    const layer = this.#layerOf(volume.id);
    const pieces = placed(extentsIn(volume.map, start, end), layer, start, end);
    const writes = pieces.map(({ at, start: from, end: to }) => {
      const bytes =
        pieces.length === 1 ? chunks : [slice(chunks, (from - start) * PAGE_BYTES, (to - start) * PAGE_BYTES)];
      return this.#files.write(this.#layerFile(layer.id), bytes, at * PAGE_BYTES);
    });
    await Promise.all(writes);
    const fresh = pieces.filter((piece) => piece.fresh);
    if (fresh.length === 0) return;
    await this.#state.commit(
      fresh.map(({ start: from, end: to, at }) => ({
        kind: "pages-written",
        volume: volume.id,
        layer: layer.id,
        start: from,
        end: to,
        at,
      })),
    );
  }

  async #readPages(extents: readonly Extent[], start: number, end: number): Promise<Buffer> {
    const bytes = (end - start) * PAGE_BYTES;
    const covered = extents.reduce((sum, extent) => sum + extent.end - extent.start, 0);
    const target = covered === end - start ? Buffer.allocUnsafeSlow(bytes) : Buffer.alloc(bytes);
    const place = (extent: Extent) =>
      target.subarray((extent.start - start) * PAGE_BYTES, (extent.end - start) * PAGE_BYTES);
    await Promise.all(readRuns(extents).map((run) => this.#readRun(run, place)));
    return target;
  }

  async #readRun(run: readonly Extent[], place: (extent: Extent) => Buffer): Promise<void> {
    const first = run[0] as Extent;
    if (run.length === 1) return this.#readSource(first.source, place(first), first.at * PAGE_BYTES);
    const last = run.at(-1) as Extent;
    const bytes = Buffer.allocUnsafeSlow((last.at + last.end - last.start - first.at) * PAGE_BYTES);
    await this.#readSource(first.source, bytes, first.at * PAGE_BYTES);
    for (const extent of run) {
      const from = (extent.at - first.at) * PAGE_BYTES;
      bytes.copy(place(extent), 0, from, from + (extent.end - extent.start) * PAGE_BYTES);
    }
  }

  #readSource(source: number, target: Buffer, position: number): Promise<void> {
    const image = this.#state.volumes.image(source);
    if (image !== undefined) return readImage(image, this.#files, target, position);
    return this.#files.read(this.#layerFile(source), target, position);
  }

  #layerOf(volume: number): OpenLayer {
    const known = this.#layers.get(volume);
    if (known !== undefined) return known;
    const layer = { id: this.newId(), nextPage: 0 };
    this.#layers.set(volume, layer);
    return layer;
  }

  #layerFile(id: number): PooledFile {
    return { path: join(this.#folder, `${id}.layer`), writable: true };
  }

  #trafficOf(id: number): Traffic {
    const known = this.#traffic.get(id);
    if (known !== undefined) return known;
    const traffic: Traffic = { underWay: 0, writes: 0, gate: undefined, idle: undefined };
    this.#traffic.set(id, traffic);
    return traffic;
  }

  async #enter(id: number): Promise<Traffic> {
    const traffic = this.#trafficOf(id);
    while (traffic.gate !== undefined) await traffic.gate;
    traffic.underWay += 1;
    traffic.writes += 1;
    return traffic;
  }
}

function leave(traffic: Traffic): void {
  traffic.underWay -= 1;
  if (traffic.underWay === 0) traffic.idle?.();
}

async function untilIdle(traffic: Traffic): Promise<void> {
  if (traffic.underWay === 0) return;
  await new Promise<void>((resolve) => {
    traffic.idle = resolve;
  });
  traffic.idle = undefined;
}

interface Piece {
  readonly start: number;
  readonly end: number;
  readonly at: number;
  readonly fresh: boolean;
}

/** Where each page of a write goes: over its earlier bytes in the open layer, else to the layer's end. */
function placed(existing: readonly Extent[], layer: OpenLayer, start: number, end: number): Piece[] {
  const pieces: Piece[] = [];
  const fresh = (from: number, to: number) => {
    pieces.push({ start: from, end: to, at: layer.nextPage, fresh: true });
    layer.nextPage += to - from;
  };
  let position = start;
  for (const extent of existing) {
    if (extent.source !== layer.id) continue;
    if (extent.start > position) fresh(position, extent.start);
    pieces.push({ start: extent.start, end: extent.end, at: extent.at, fresh: false });
    position = extent.end;
  }
  if (position < end) fresh(position, end);
  return pieces;
}

function slice(chunks: readonly Uint8Array[], from: number, to: number): Uint8Array {
  const whole = chunks.length === 1 ? (chunks[0] as Uint8Array) : Buffer.concat(chunks);
  return whole.subarray(from, to);
}

/** Groups extents that lie close together in one source, so that scattered small pages cost few reads. */
function readRuns(extents: readonly Extent[]): Extent[][] {
  if (extents.length <= 1) return extents.map((extent) => [extent]);
  const sorted = [...extents].sort((a, b) => a.source - b.source || a.at - b.at);
  const runs: Extent[][] = [];
  for (const extent of sorted) {
    const run = runs.at(-1);
    const last = run?.at(-1);
    const first = run?.[0];
    const near =
      last !== undefined &&
      first !== undefined &&
      last.source === extent.source &&
      extent.at - (last.at + last.end - last.start) <= MERGE_GAP_PAGES &&
      extent.at + extent.end - extent.start - first.at <= MERGED_READ_PAGES &&
      extent.end - extent.start < MERGED_READ_PAGES / 4;
    if (near) run?.push(extent);
    else runs.push([extent]);
  }
  return runs;
}

/** Joins ranges of one kind that touch, and turns pages into bytes. */
class Merger<Kind extends string> {
  readonly #emit: (start: number, end: number, kind: Kind) => boolean;
  #held: { start: number; end: number; kind: Kind } | undefined;
  #stopped = false;

  constructor(emit: (start: number, end: number, kind: Kind) => boolean) {
    this.#emit = emit;
  }

  add(start: number, end: number, kind: Kind): boolean {
    if (this.#held !== undefined && this.#held.end === start && this.#held.kind === kind) {
      this.#held.end = end;
      return true;
    }
    this.#flush();
    this.#held = { start, end, kind };
    return !this.#stopped;
  }

  finish(): void {
    if (!this.#stopped) this.#flush();
  }

  #flush(): void {
    if (this.#held === undefined) return;
    this.#stopped = !this.#emit(this.#held.start * PAGE_BYTES, this.#held.end * PAGE_BYTES, this.#held.kind);
    this.#held = undefined;
  }
}
