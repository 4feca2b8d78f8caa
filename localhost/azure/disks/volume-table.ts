// What the disks of the simulated Azure are, in memory: volumes (frozen or live) as page maps, and the images below them.
// Changed only by journal entries, so that replaying the journal gives the same table. No I/O.
import { assert } from "../../../src/base/assert.ts";
import type { Entry } from "../state/entry.ts";
import { type ImageDefinition, imageMap } from "./image.ts";
import { EMPTY_MAP, Inner, isExtent, type PageMap, type PageNode, withExtent, withoutRange } from "./page-map.ts";
import { MapReader, MapWriter } from "./page-map-codec.ts";

export interface Volume {
  readonly id: number;
  /** Volumes of one lineage are versions of one disk: only they can be compared. */
  readonly lineage: number;
  readonly frozen: boolean;
  sizeBytes: number;
  map: PageMap;
}

interface ImageEntry {
  readonly image: ImageDefinition;
  readonly map: PageMap;
}

export class VolumeTable {
  readonly #volumes = new Map<number, Volume>();
  readonly #images = new Map<number, ImageEntry>();
  #lastId = 0;
  #reader: MapReader | undefined = new MapReader();

  /** A number for a volume, layer or image that was never used before. */
  newId(): number {
    this.#lastId += 1;
    return this.#lastId;
  }

  volume(id: number): Volume {
    const volume = this.#volumes.get(id);
    assert(volume !== undefined, `There is no volume ${id}`);
    return volume;
  }

  find(id: number): Volume | undefined {
    return this.#volumes.get(id);
  }

  all(): Volume[] {
    return [...this.#volumes.values()];
  }

  image(source: number): ImageDefinition | undefined {
    return this.#images.get(source)?.image;
  }

  imageId(image: ImageDefinition): number | undefined {
    const wanted = JSON.stringify(image);
    for (const [id, entry] of this.#images) if (JSON.stringify(entry.image) === wanted) return id;
    return undefined;
  }

  /** Forgets what only reading a rewritten journal needed. */
  replayed(): void {
    this.#reader = undefined;
  }

  apply(entry: Entry): void {
    switch (entry.kind) {
      case "image-added":
        this.#used(entry.id);
        this.#images.set(entry.id, { image: entry.image, map: imageMap(entry.image, entry.id) });
        return;
      case "volume-created":
        this.#create(entry.id, entry.sizeBytes, entry.from);
        return;
      case "volume-frozen": {
        this.#used(entry.id);
        this.#volumes.set(entry.id, { ...this.volume(entry.of), id: entry.id, frozen: true });
        return;
      }
      case "volume-grown":
        this.volume(entry.id).sizeBytes = entry.sizeBytes;
        return;
      case "volume-deleted":
        this.#volumes.delete(entry.id);
        return;
      case "pages-written":
        this.#used(entry.layer);
        this.#change(entry.volume, (map) =>
          withExtent(map, { start: entry.start, end: entry.end, source: entry.layer, at: entry.at }),
        );
        return;
      case "pages-cleared":
        this.#change(entry.volume, (map) => withoutRange(map, entry.start, entry.end));
        return;
      default:
        this.#applyRewritten(entry);
    }
  }

  /** Everything as entries, for a shorter journal. */
  *entries(): Generator<Entry> {
    yield { kind: "ids-used", through: this.#lastId };
    for (const [id, { image }] of this.#images) yield { kind: "image-added", id, image };
    const writer = new MapWriter();
    for (const { id, lineage, frozen, sizeBytes, map } of this.#volumes.values()) {
      for (const bytes of writer.write(map)) yield { kind: "map-node", bytes };
      yield { kind: "volume-restored", id, lineage, frozen, sizeBytes, node: writer.idOf(map) };
    }
  }

  /** The sources that some page of some volume still lives in. */
  liveSources(): Set<number> {
    const live = new Set<number>();
    const seen = new Set<PageNode>();
    const visit = (node: PageNode): void => {
      if (node === undefined || seen.has(node)) return;
      seen.add(node);
      if (node instanceof Inner) node.kids.forEach(visit);
      else for (const { source } of isExtent(node) ? [node] : node.extents) live.add(source);
    };
    for (const { map } of this.#volumes.values()) visit(map);
    return live;
  }

  #create(id: number, sizeBytes: number, from: number | undefined): void {
    this.#used(id);
    const base = from === undefined ? undefined : (this.#images.get(from) ?? this.volume(from));
    this.#volumes.set(id, { id, lineage: id, frozen: false, sizeBytes, map: base?.map ?? EMPTY_MAP });
  }

  #change(id: number, change: (map: PageMap) => PageMap): void {
    // A write that was under way when its disk was deleted has nowhere to go.
    const volume = this.#volumes.get(id);
    if (volume === undefined) return;
    assert(!volume.frozen, "A frozen volume never changes");
    volume.map = change(volume.map);
  }

  #applyRewritten(entry: Entry): void {
    if (entry.kind === "ids-used") this.#used(entry.through);
    assert(
      this.#reader !== undefined || entry.kind === "ids-used",
      "Map nodes are only read while the journal is replayed",
    );
    if (entry.kind === "map-node") this.#reader?.add(entry.bytes);
    if (entry.kind !== "volume-restored" || this.#reader === undefined) return;
    const { id, lineage, frozen, sizeBytes } = entry;
    this.#volumes.set(id, { id, lineage, frozen, sizeBytes, map: this.#reader.node(entry.node) });
  }

  #used(id: number): void {
    this.#lastId = Math.max(this.#lastId, id);
  }
}
