// Which ports everything listens on: one after the other from the one that was chosen, or any that are free.

import { once } from "node:events";
import { createServer } from "node:net";
import { HoldfastFailure } from "../src/base/failure.ts";

/** What Azurite and the simulated Azure listen on. */
export interface LocalPorts {
  readonly azure: number;
  readonly blob: number;
  readonly queue: number;
  readonly table: number;
}

export interface StackPorts extends LocalPorts {
  readonly host: number;
}

/** The five, and the one after them, which a TLS front will have. */
export const PORTS_TAKEN = 6;

const LISTENERS: Readonly<Record<keyof StackPorts, string>> = {
  host: "the API",
  azure: "the simulated Azure",
  blob: "Azurite's blobs",
  queue: "Azurite's queues",
  table: "Azurite's tables",
};

/** With port 0 and the host alone, the host takes a free one itself. */
export async function choosePorts(port: number, isAlone: boolean): Promise<StackPorts> {
  if (port === 0 && !isAlone) {
    const [host = 0, azure = 0, blob = 0, queue = 0, table = 0] = await freePorts(5);
    return { host, azure, blob, queue, table };
  }
  return { host: port, azure: port + 1, blob: port + 2, queue: port + 3, table: port + 4 };
}

/** Before anything starts: found one by one, each would cost a start. */
export async function requireFreePorts(ports: StackPorts): Promise<void> {
  const names = Object.keys(LISTENERS) as (keyof StackPorts)[];
  const taken = await Promise.all(names.map(async (name) => ({ name, problem: await problemOf(ports[name]) })));
  const problems = taken.filter(({ problem }) => problem !== undefined);
  if (problems.length === 0) return;
  const list = problems.map(({ name, problem }) => `port ${ports[name]} for ${LISTENERS[name]} (${problem})`);
  throw new HoldfastFailure("conflict", "PortNotAvailable", `Not to be had on 127.0.0.1: ${list.join(", ")}.`, {
    hint: `All ports follow from --port: npm start -- --port <n> takes n to n+${PORTS_TAKEN - 1}; 0 takes any that are free.`,
  });
}

async function problemOf(port: number): Promise<string | undefined> {
  const server = createServer();
  const refused = once(server, "error").then(([cause]) => (cause as NodeJS.ErrnoException).code ?? "refused");
  server.listen(port, "127.0.0.1");
  const problem = await Promise.race([refused, once(server, "listening").then(() => undefined)]);
  if (problem !== undefined) return problem === "EADDRINUSE" ? "another program listens there" : problem;
  await once(server.close(), "close");
  return undefined;
}

/** Held until all are known, so that they differ; somebody else may still take one before it is used. */
async function freePorts(count: number): Promise<number[]> {
  const servers = Array.from({ length: count }, () => createServer().listen(0, "127.0.0.1"));
  await Promise.all(servers.map((server) => once(server, "listening")));
  const ports = servers.map((server) => (server.address() as { readonly port: number }).port);
  await Promise.all(servers.map((server) => once(server.close(), "close")));
  return ports;
}
