// The writes under way on one volume, and the gate that holds back new ones while a snapshot is taken.

export class Traffic {
  #underWay = 0;
  #writes = 0;
  #gate: Promise<void> | undefined;
  #idle: (() => void) | undefined;

  /** Writes begun so far. */
  get writes(): number {
    return this.#writes;
  }

  get isIdle(): boolean {
    return this.#underWay === 0;
  }

  /** Runs one write, after any gate has opened. */
  async run<T>(write: () => Promise<T>): Promise<T> {
    while (this.#gate !== undefined) await this.#gate;
    this.#underWay += 1;
    this.#writes += 1;
    try {
      return await write();
    } finally {
      this.#underWay -= 1;
      if (this.#underWay === 0) this.#idle?.();
    }
  }

  async untilIdle(): Promise<void> {
    if (this.#underWay === 0) return;
    await new Promise<void>((resolve) => {
      this.#idle = resolve;
    });
    this.#idle = undefined;
  }

  /** Closes the gates of all of them at one instant, once all are open; gives what opens them again. */
  static async closeGates(all: readonly Traffic[]): Promise<() => void> {
    for (;;) {
      const closed = all.flatMap((traffic) => traffic.#gate ?? []);
      if (closed.length === 0) break;
      await Promise.all(closed);
    }
    let open: () => void = () => {};
    const gate = new Promise<void>((resolve) => {
      open = resolve;
    });
    for (const traffic of all) traffic.#gate = gate;
    return () => {
      for (const traffic of all) traffic.#gate = undefined;
      open();
    };
  }
}
