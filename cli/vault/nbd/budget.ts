// A number of units that may be in use at once. Whoever asks for more than is left waits, and is served in turn.

import { assert } from "../../../src/base/assert.ts";

export class Budget {
  private left: number;
  private readonly total: number;
  private readonly waiting: { readonly units: number; readonly go: () => void }[] = [];

  constructor(total: number) {
    this.total = total;
    this.left = total;
  }

  async using<T>(units: number, work: () => Promise<T>): Promise<T> {
    await this.take(units);
    try {
      return await work();
    } finally {
      this.giveBack(units);
    }
  }

  take(units: number): Promise<void> {
    assert(units <= this.total, "nobody may ask for more than there is");
    if (this.waiting.length === 0 && units <= this.left) {
      this.left -= units;
      return Promise.resolve();
    }
    return new Promise((go) => {
      this.waiting.push({ units, go });
    });
  }

  giveBack(units: number): void {
    this.left += units;
    for (let next = this.waiting[0]; next && next.units <= this.left; next = this.waiting[0]) {
      this.waiting.shift();
      this.left -= next.units;
      next.go();
    }
  }
}
