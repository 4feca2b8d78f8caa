// Page ranges as they are found, made into the byte ranges a client sees. Pure.
import { PAGE_BYTES } from "./page-map.ts";

/** Joins ranges of one kind that touch, and turns pages into bytes. */
export class RangeMerger<Kind extends string> {
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
