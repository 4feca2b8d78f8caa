// Bytes to a port and bytes back, for what no HTTP client would send or show.

import { once } from "node:events";
import { connect, type Socket } from "node:net";

export interface RawConnection {
  readonly socket: Socket;
  /** All that came until now. */
  received(): string;
  /** Waits until what came matches; rejects when the connection ends before. */
  until(pattern: RegExp): Promise<string>;
  /** Waits until the other side has closed or reset the connection. */
  ended(): Promise<string>;
}

export async function openRaw(port: number): Promise<RawConnection> {
  const socket = connect(port, "127.0.0.1");
  let text = "";
  let isOver = false;
  const listeners = new Set<() => void>();
  const wake = (): void => {
    for (const listener of listeners) listener();
  };
  const over = (): void => {
    isOver = true;
    wake();
  };
  socket.on("data", (chunk) => {
    text += chunk.toString("latin1");
    wake();
  });
  // A reset is one of the ways in which a connection ends.
  socket.on("error", over).on("end", over).on("close", over);
  await once(socket, "connect");
  const wait = (isDone: () => boolean, mustBeOpen: boolean): Promise<string> =>
    new Promise((resolve, reject) => {
      const check = (): void => {
        if (!isDone() && !(isOver && mustBeOpen)) return;
        listeners.delete(check);
        if (isDone()) resolve(text);
        else reject(new Error(`the connection ended after ${JSON.stringify(text.slice(0, 500))}`));
      };
      listeners.add(check);
      check();
    });
  return {
    socket,
    received: () => text,
    until: (pattern) => wait(() => pattern.test(text), true),
    ended: () => wait(() => isOver, false),
  };
}

/** Sends, and gives back everything that comes until the server closes the connection. */
export async function exchangeRaw(port: number, ...pieces: readonly (string | Buffer)[]): Promise<string> {
  const connection = await openRaw(port);
  for (const piece of pieces) connection.socket.write(piece);
  const text = await connection.ended();
  connection.socket.destroy();
  return text;
}
