// Serves disks over the NBD protocol, on a TCP port or a Unix socket. All connections share one budget of memory; one that
// does not get through its handshake, or does not take its replies, is hung up on, so that it cannot keep others waiting.

import { createServer, type Server, type Socket } from "node:net";
import { HoldfastFailure, messageOf } from "../../../src/base/failure.ts";
import { Budget } from "./budget.ts";
import { type Export, negotiate } from "./negotiation.ts";
import { MAX_REQUEST_BYTES } from "./protocol.ts";
import { SocketBytes } from "./socket-bytes.ts";
import { transmit } from "./transmission.ts";

const MAX_CONNECTIONS = 32;
/** One connection alone cannot use up what all share. */
const SHARED_BYTES = 3 * MAX_REQUEST_BYTES;
const CONNECTION_BYTES = MAX_REQUEST_BYTES;
const HANDSHAKE_TIMEOUT_MS = 15_000;
const STUCK_CHECK_MS = 15_000;
const STUCK_CHECKS = 4;

export type Address = { readonly host: string; readonly port: number } | { readonly path: string };

export interface NbdServer {
  /** As clients name it: nbd://host:port, or nbd+unix://?socket=path. */
  readonly uri: string;
  close(): Promise<void>;
}

export interface ServerOptions {
  readonly onProblem?: (message: string) => void;
  readonly handshakeTimeoutMs?: number;
}

export async function serveNbd(
  exports: readonly Export[],
  address: Address,
  { onProblem = () => undefined, handshakeTimeoutMs = HANDSHAKE_TIMEOUT_MS }: ServerOptions = {},
): Promise<NbdServer> {
  const shared = new Budget(SHARED_BYTES);
  const sockets = new Set<Socket>();
  const connections = new Set<Promise<void>>();
  const server = createServer({ noDelay: true }, (socket) => {
    sockets.add(socket);
    const connection = converse(socket, exports, shared, onProblem, handshakeTimeoutMs)
      .catch((cause) => onProblem(messageOf(cause)))
      .finally(() => {
        sockets.delete(socket);
        connections.delete(connection);
      });
    connections.add(connection);
  });
  server.maxConnections = MAX_CONNECTIONS;
  await listening(server, address);
  return {
    uri: uriOf(server, address),
    close: async () => {
      const closed = new Promise((resolve) => server.close(resolve));
      for (const socket of sockets) socket.destroy();
      await Promise.all([closed, ...connections]);
    },
  };
}

async function converse(
  socket: Socket,
  exports: readonly Export[],
  shared: Budget,
  onProblem: (message: string) => void,
  handshakeTimeoutMs: number,
): Promise<void> {
  const bytes = new SocketBytes(socket);
  const patience = setTimeout(() => socket.destroy(), handshakeTimeoutMs);
  const watch = hangUpOnStuckReader(socket);
  try {
    const session = await negotiate(bytes, exports);
    clearTimeout(patience);
    if (session) await transmit(bytes, session, [new Budget(CONNECTION_BYTES), shared], onProblem);
  } finally {
    clearTimeout(patience);
    clearInterval(watch);
    socket.destroySoon();
  }
}

/** Somebody who takes nothing for a minute holds memory that the others wait for. */
function hangUpOnStuckReader(socket: Socket): NodeJS.Timeout {
  let takenBytes = -1;
  let stuckChecks = 0;
  const timer = setInterval(() => {
    const taken = socket.bytesWritten - socket.writableLength;
    stuckChecks = socket.writableLength > 0 && taken === takenBytes ? stuckChecks + 1 : 0;
    takenBytes = taken;
    if (stuckChecks >= STUCK_CHECKS) socket.destroy();
  }, STUCK_CHECK_MS);
  return timer.unref();
}

function listening(server: Server, address: Address): Promise<void> {
  return new Promise((resolve, reject) => {
    server.once("error", (cause: NodeJS.ErrnoException) => {
      const where = "path" in address ? address.path : `${address.host}:${address.port}`;
      const kind = cause.code === "EACCES" ? "denied" : cause.code === "EADDRINUSE" ? "conflict" : "invalid";
      reject(new HoldfastFailure(kind, "HoldfastListen", `Cannot listen at ${where}: ${messageOf(cause)}`, { cause }));
    });
    server.listen("path" in address ? { path: address.path } : address, resolve);
  });
}

function uriOf(server: Server, address: Address): string {
  if ("path" in address) return `nbd+unix:///?socket=${address.path}`;
  const bound = server.address();
  const port = typeof bound === "object" && bound !== null ? bound.port : address.port;
  return `nbd://${address.host.includes(":") ? `[${address.host}]` : address.host}:${port}`;
}
