// Reading and writing disks. New pages are appended to the disk's current layer file and then entered in the journal;
// pages written again before the next snapshot are overwritten in place. A snapshot waits for the writes under way, holds
// back new ones, and ends the layer: that is all it costs. Layers no volume refers to are removed.
import { mkdirSync } from "node:fs";
import { readdir, rm } from "node:fs/promises";
import { join } from "node:path";
import { assert } from "../../../src/base/assert.ts";
import { HoldfastFailure } from "../../../src/base/failure.ts";
import type { AzureState } from "../state/azure-state.ts";
import type { Entry } from "../state/entry.ts";
import { FilePool, type PooledFile } from "./file-pool.ts";
import { type ImageDefinition, readImage } from "./image.ts";
import { type Extent, extentsIn, PAGE_BYTES, visitChanges, visitExtents } from "./page-map.ts";
import { type OpenLayer, placed, readRuns, sliceOf } from "./placement.ts";
import { RangeMerger } from "./range-merger.ts";
import { Traffic } from "./traffic.ts";
import type { Volume } from "./volume-table.ts";

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

  /**
   * Resolves when the pages are safe. `chunks` together are a whole number of pages. `permit` refuses by throwing; it is
   * asked when the write begins, which may be after a snapshot it had to wait for.
   */
  async write(id: number, offset: number, chunks: readonly Uint8Array[], permit: () => void = () => {}): Promise<void> {
    const length = chunks.reduce((sum, chunk) => sum + chunk.length, 0);
    assert(offset % PAGE_BYTES === 0 && length % PAGE_BYTES === 0 && length > 0, "Writes are whole pages");
    await this.#trafficOf(id).run(() => {
      permit();
      return this.#writePages(this.#present(id), offset / PAGE_BYTES, (offset + length) / PAGE_BYTES, chunks);
    });
  }

  async clear(id: number, offset: number, length: number, permit: () => void = () => {}): Promise<void> {
    const start = offset / PAGE_BYTES;
    const end = start + length / PAGE_BYTES;
    await this.#trafficOf(id).run(() => {
      permit();
      return this.#state.commit([{ kind: "pages-cleared", volume: id, start, end }]);
    });
  }

  /**
   * Runs `decide` at an instant at which none of the volumes has a write under way: frozen twins committed there belong to
   * one instant, whatever is written meanwhile. The wait may be long, so `volumes` is asked again after it, and what
   * `decide` checks and commits without an `await` between is one step.
   */
  async atRest<T>(volumes: () => readonly number[], decide: () => Promise<T>): Promise<T> {
    for (;;) {
      const gated = new Set(volumes().map((id) => this.#trafficOf(id)));
      const open = await Traffic.closeGates([...gated]);
      try {
        await Promise.all([...gated].map((traffic) => traffic.untilIdle()));
        const ids = volumes();
        if (!ids.every((id) => gated.has(this.#trafficOf(id)))) continue;
        const decided = decide();
        for (const id of ids) this.#layers.delete(id);
        return await decided;
      } finally {
        open();
      }
    }
  }

  /** Allocated page ranges of [offset, offset + length), in bytes, merged, until `visit` returns false. */
  visitRanges(id: number, offset: number, length: number, visit: (start: number, end: number) => boolean): void {
    const volume = this.volume(id);
    const merged = new RangeMerger((start, end) => visit(start, end));
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
    const merged = new RangeMerger((start, end, kind) => visit(start, end, kind === "cleared"));
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
      if (this.find(id) !== undefined || this.#traffic.get(id)?.isIdle === false) continue;
      this.#layers.delete(id);
      this.#traffic.delete(id);
    }
    // Listed first: a layer that is begun later is in neither list. Settled after: a deletion that a crash undoes needs its data.
    const names = await readdir(this.#folder);
    const live = this.#state.volumes.liveSources();
    for (const { id } of this.#layers.values()) live.add(id);
    await this.#state.settled();
    for (const name of names) {
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
        pieces.length === 1 ? chunks : [sliceOf(chunks, (from - start) * PAGE_BYTES, (to - start) * PAGE_BYTES)];
      return this.#files.write(this.#layerFile(layer.id), bytes, at * PAGE_BYTES);
    });
    await Promise.all(writes);
    const fresh = pieces.filter((piece) => piece.fresh);
    // Pages written over earlier ones need no entry, but the entry of the earlier ones may still be on its way.
    if (fresh.length === 0) return this.#state.settled();
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

  /** A volume that may have been deleted while its caller waited. */
  #present(id: number): Volume {
    const volume = this.find(id);
    if (volume !== undefined) return volume;
    throw new HoldfastFailure("conflict", "DiskGone", "The disk was deleted while the request waited for it.");
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
    const traffic = new Traffic();
    this.#traffic.set(id, traffic);
    return traffic;
  }
}
