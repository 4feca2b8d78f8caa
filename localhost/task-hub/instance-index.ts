// All orchestrations of the hub in the order of their creation, running or finished, so that a page of a listing costs
// the page and not the hub. Ids that have gone are dropped when they are met, or have become many.

import type { HubState } from "./engine/hub-state.ts";
import type { RuntimeStatus } from "./engine/instance.ts";

export interface InstanceHead {
  readonly id: string;
  readonly name: string;
  readonly status: RuntimeStatus;
  readonly createdAtMs: number;
  readonly updatedAtMs: number;
}

export interface InstanceFilter {
  readonly createdFromMs?: number;
  readonly createdToMs?: number;
  readonly statuses?: ReadonlySet<RuntimeStatus>;
  readonly idPrefix?: string;
  /** Matches only what has not changed since. */
  readonly endedBeforeMs?: number;
}

/** So many places may be there for instances that are not, besides one for each that is. */
const LEAST_DROP_LENGTH = 1000;

interface Place {
  readonly createdAtMs: number;
  readonly id: string;
}

export class InstanceIndex {
  readonly #state: HubState;
  #places: Place[] = [];

  constructor(state: HubState) {
    this.#state = state;
    for (const { id, createdAtMs, entity } of state.live.values()) {
      if (entity === undefined) this.#places.push({ id, createdAtMs });
    }
    for (const { id, createdAtMs } of state.finished.values()) this.#places.push({ id, createdAtMs });
    this.#places.sort(comparePlaces);
  }

  head(id: string): InstanceHead | undefined {
    return this.#state.live.get(id) ?? this.#state.finished.get(id);
  }

  add(id: string): void {
    const head = this.head(id);
    if (head === undefined) return;
    const place = { id, createdAtMs: head.createdAtMs };
    const last = this.#places.at(-1);
    if (last === undefined || comparePlaces(last, place) < 0) this.#places.push(place);
    else this.#insert(place);
    if (this.#places.length > LEAST_DROP_LENGTH + 2 * this.#headCount) this.#dropGone();
  }

  /** Places of instances that are gone included. */
  get length(): number {
    return this.#places.length;
  }

  get #headCount(): number {
    return this.#state.live.size + this.#state.finished.size;
  }

  /** Up to `top` matching instances after the one that `after` names; `next` continues the listing. */
  page(filter: InstanceFilter, top: number, after?: string): { heads: InstanceHead[]; next: string | undefined } {
    const heads: InstanceHead[] = [];
    let index = after === undefined ? this.#firstFrom(filter.createdFromMs) : this.#firstAfter(after);
    let gone = 0;
    for (; index < this.#places.length && heads.length < top; index++) {
      const place = this.#places[index] as Place;
      const head = this.head(place.id);
      if (head === undefined || head.createdAtMs !== place.createdAtMs) gone++;
      else if (filter.createdToMs !== undefined && head.createdAtMs > filter.createdToMs) break;
      else if (matches(head, filter)) heads.push(head);
    }
    const last = this.#places[index - 1];
    const hasMore = heads.length === top && index < this.#places.length && last !== undefined;
    if (gone > this.#places.length / 4) this.#dropGone();
    return { heads, next: hasMore ? `${last.createdAtMs}:${last.id}` : undefined };
  }

  #firstFrom(createdFromMs: number | undefined): number {
    return createdFromMs === undefined ? 0 : this.#search({ createdAtMs: createdFromMs, id: "" });
  }

  #firstAfter(token: string): number {
    const separator = token.indexOf(":");
    const place = { createdAtMs: Number(token.slice(0, separator)), id: token.slice(separator + 1) };
    const index = this.#search(place);
    const found = this.#places[index];
    return found !== undefined && comparePlaces(found, place) === 0 ? index + 1 : index;
  }

  /** The first place that is not before this one. */
  #search(place: Place): number {
    let low = 0;
    let high = this.#places.length;
    while (low < high) {
      const middle = (low + high) >> 1;
      if (comparePlaces(this.#places[middle] as Place, place) < 0) low = middle + 1;
      else high = middle;
    }
    return low;
  }

  // The clock may have been set back, and a replaced instance may have been created in the same millisecond.
  #insert(place: Place): void {
    const index = this.#search(place);
    const found = this.#places[index];
    if (found !== undefined && comparePlaces(found, place) === 0) return;
    this.#places.splice(index, 0, place);
  }

  #dropGone(): void {
    this.#places = this.#places.filter((place) => this.head(place.id)?.createdAtMs === place.createdAtMs);
  }
}

function comparePlaces(a: Place, b: Place): number {
  return a.createdAtMs - b.createdAtMs || (a.id < b.id ? -1 : a.id > b.id ? 1 : 0);
}

function matches(head: InstanceHead, filter: InstanceFilter): boolean {
  if (filter.createdFromMs !== undefined && head.createdAtMs < filter.createdFromMs) return false;
  if (filter.createdToMs !== undefined && head.createdAtMs > filter.createdToMs) return false;
  if (filter.statuses !== undefined && !filter.statuses.has(head.status)) return false;
  if (filter.endedBeforeMs !== undefined && head.updatedAtMs > filter.endedBeforeMs) return false;
  return filter.idPrefix === undefined || head.id.startsWith(filter.idPrefix);
}
