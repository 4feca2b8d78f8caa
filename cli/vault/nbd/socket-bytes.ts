// A socket as bytes that are asked for by number, and parts that are sent in one piece. Memory stays bounded: nothing is
// read that was not asked for, and a sender waits until the other side takes what it gets.

import type { Socket } from "node:net";

export class SocketBytes {
  private readonly socket: Socket;
  private isOver = false;
  private wakeReader: (() => void) | undefined;
  private senders: (() => void)[] = [];

  constructor(socket: Socket) {
    this.socket = socket;
    const wake = () => {
      this.wakeReader?.();
    };
    const release = () => {
      for (const go of this.senders.splice(0)) go();
    };
    socket.on("readable", wake);
    socket.on("drain", release);
    for (const event of ["end", "close", "error"] as const) {
      socket.on(event, () => {
        this.isOver = true;
        wake();
        if (event !== "end") release();
      });
    }
  }

  /** Exactly that many bytes; undefined when the other side ends before, or takes too long. One reader at a time. */
  async read(count: number, timeoutMs?: number): Promise<Buffer | undefined> {
    const patience = timeoutMs === undefined ? undefined : setTimeout(() => this.socket.destroy(), timeoutMs);
    try {
      return await this.readPatiently(count);
    } finally {
      clearTimeout(patience);
    }
  }

  private async readPatiently(count: number): Promise<Buffer | undefined> {
    if (count === 0) return Buffer.alloc(0);
    for (;;) {
      const bytes: Buffer | null = this.socket.read(count);
      if (bytes !== null) return bytes.length === count ? bytes : undefined;
      if (this.isOver) return undefined;
      await new Promise<void>((resolve) => {
        this.wakeReader = resolve;
      });
    }
  }

  /** Resolves when there is room again; what is sent to nobody is dropped. */
  async send(...parts: readonly Uint8Array[]): Promise<void> {
    if (this.socket.destroyed || !this.socket.writable) return;
    this.socket.cork();
    for (const part of parts) this.socket.write(part);
    this.socket.uncork();
    if (!this.socket.writableNeedDrain) return;
    await new Promise<void>((resolve) => {
      this.senders.push(resolve);
    });
  }
}
