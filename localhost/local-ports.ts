// Which ports everything listens on: one after the other from the one that was chosen, or any that are free.

import { once } from "node:events";
import { createServer } from "node:net";
import type { LocalPorts } from "./local-azure.ts";

export interface StackPorts extends LocalPorts {
  readonly host: number;
}

/** With port 0 and the host alone, the host takes a free one itself. */
export async function choosePorts(port: number, isAlone: boolean): Promise<StackPorts> {
  if (port === 0 && !isAlone) {
    const [host = 0, azure = 0, blob = 0, queue = 0, table = 0] = await freePorts(5);
    return { host, azure, blob, queue, table };
  }
  return { host: port, azure: port + 1, blob: port + 2, queue: port + 3, table: port + 4 };
}

/** Held until all are known, so that they differ; somebody else may still take one before it is used. */
async function freePorts(count: number): Promise<number[]> {
  const servers = Array.from({ length: count }, () => createServer().listen(0, "127.0.0.1"));
  await Promise.all(servers.map((server) => once(server, "listening")));
  const ports = servers.map((server) => (server.address() as { readonly port: number }).port);
  await Promise.all(servers.map((server) => once(server.close(), "close")));
  return ports;
}
