// The load of http.bench.ts, in a process of its own so that it takes no turns of the server's event loop: keeps one
// request under way on each of many connections, on bare sockets, because a client that parses and allocates costs as
// much as the server it measures. Told what to do by one message; answers with what it counted, for each round.

import { connect, type Socket } from "node:net";

export interface LoadOrder {
  readonly port: number;
  readonly connections: number;
  readonly durationMs: number;
  /** The bytes of one request. */
  readonly request: string;
}

export interface LoadCount {
  readonly answered: number;
  /** Connections that failed, and answers other than a 200 of the usual length. */
  readonly errors: number;
  readonly durationMs: number;
}

async function load(order: LoadOrder): Promise<LoadCount> {
  const request = Buffer.from(order.request);
  let answered = 0;
  let errors = 0;
  let isOver = false;

  const drive = async (): Promise<Socket> => {
    const socket = connect(order.port, "127.0.0.1");
    const send = (): void => void socket.write(request);
    let pending = "";
    socket.on("data", (chunk) => {
      pending += chunk.toString("latin1");
      const length = answerLength(pending);
      if (length === undefined || pending.length < length) return;
      if (!pending.startsWith("HTTP/1.1 200 ") || pending.length > length) errors += 1;
      pending = "";
      if (isOver) return void socket.destroy();
      answered += 1;
      send();
    });
    socket.on("error", () => {
      errors += 1;
    });
    socket.on("end", () => {
      errors += 1;
    });
    await new Promise<void>((resolve) => socket.once("connect", resolve).once("error", () => resolve()));
    send();
    return socket;
  };

  const started = performance.now();
  const sockets = await Promise.all(Array.from({ length: order.connections }, drive));
  await new Promise((resolve) => setTimeout(resolve, order.durationMs));
  isOver = true;
  const durationMs = performance.now() - started;
  await Promise.all(sockets.map((socket) => socket.closed || new Promise((resolve) => socket.once("close", resolve))));
  return { answered, errors, durationMs };
}

function answerLength(text: string): number | undefined {
  const headEnd = text.indexOf("\r\n\r\n");
  if (headEnd < 0) return undefined;
  const length = /content-length: (\d+)/i.exec(text)?.[1];
  return headEnd + 4 + Number(length ?? "0");
}

process.on("message", (order: LoadOrder) => {
  void load(order).then((count) => process.send?.(count));
});
