// What an HTTP trigger costs: a real host process with its log on, and a function that answers at once, beside a bare
// node:http server in the same run, under the same load.

import { type ChildProcess, fork } from "node:child_process";
import { once } from "node:events";
import { createServer, type Server } from "node:http";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import type { Bench, BenchRow } from "./bench.ts";
import { startHostUnderTest, temporaryFolder } from "./host-under-test.ts";
import type { LoadCount, LoadOrder } from "./http-load.ts";

const ROUNDS = 3;
const ROUND_MS = 2_000;
const BODY = JSON.stringify({ name: "chair", tags: ["wood", "blue"] });
const GET_OK = "GET /api/ok HTTP/1.1\r\nHost: localhost:7071\r\nAccept: */*\r\nUser-Agent: bench\r\n\r\n";
const POST_ITEM = `POST /api/items/chairs/7?view=full HTTP/1.1\r\nHost: localhost:7071\r\nContent-Type: application/json\r\nContent-Length: ${BODY.length}\r\n\r\n${BODY}`;

export const httpTrigger: Bench = {
  about: "an HTTP trigger that returns 'ok', with keep-alive, against a bare node:http server",
  async run() {
    const folder = fileURLToPath(new URL(".", import.meta.url));
    const data = temporaryFolder();
    const host = await startHostUnderTest("http", data.path);
    const hostPort = Number(new URL(host.url).port);
    const bare = await startBare();
    const load = fork(join(folder, "http-load.ts"));
    try {
      const steady = await compare(load, hostPort, bare.port, 20, GET_OK);
      const many = await compare(load, hostPort, bare.port, 200, GET_OK);
      const posted = await compare(load, hostPort, bare.port, 20, POST_ITEM);
      const errors = steady.errors + many.errors + posted.errors;
      return [
        steady.row("GET 'ok' on 20 connections", 4_000),
        many.row("GET 'ok' on 200 connections", 4_000),
        posted.row("POST and answer JSON on 20 connections"),
        { name: "errors", figure: errors, unit: "errors", bar: { atMost: 0 }, note: "all rounds, 200 connections too" },
      ];
    } finally {
      load.kill();
      await host.stop();
      data.remove();
      bare.server.close().closeAllConnections();
    }
  },
};

async function startBare(): Promise<{ server: Server; port: number }> {
  const server = createServer((request, response) => {
    request.resume();
    response.writeHead(200, { "content-type": "text/plain;charset=UTF-8", "content-length": "2" }).end("ok");
  });
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  return { server, port: (server.address() as { port: number }).port };
}

interface Comparison {
  readonly errors: number;
  row(name: string, atLeast?: number): BenchRow;
}

/** The two take turns, so that what else the machine does hits both; the middle one of the rounds counts. */
async function compare(
  load: ChildProcess,
  hostPort: number,
  barePort: number,
  connections: number,
  request: string,
): Promise<Comparison> {
  const run = async (port: number, durationMs: number): Promise<LoadCount> => {
    const order: LoadOrder = { port, connections, durationMs, request };
    load.send(order);
    const [count] = await once(load, "message");
    return count as LoadCount;
  };
  await run(hostPort, ROUND_MS / 2);
  await run(barePort, ROUND_MS / 2);
  const hostCounts: LoadCount[] = [];
  const bareCounts: LoadCount[] = [];
  for (let round = 0; round < ROUNDS; round += 1) {
    hostCounts.push(await run(hostPort, ROUND_MS));
    bareCounts.push(await run(barePort, ROUND_MS));
  }
  const [host, bare] = [middleRate(hostCounts), middleRate(bareCounts)];
  return {
    errors: hostCounts.reduce((sum, count) => sum + count.errors, 0),
    row: (name, atLeast) => ({
      name,
      figure: host,
      unit: "requests/s",
      ...(atLeast === undefined ? {} : { bar: { atLeast } }),
      note: `bare node:http ${Math.round(bare)}/s, ratio ${(host / bare).toFixed(2)}`,
    }),
  };
}

function middleRate(counts: readonly LoadCount[]): number {
  const rates = counts.map(({ answered, durationMs }) => (answered * 1000) / durationMs).sort((a, b) => a - b);
  return rates[Math.floor(rates.length / 2)] ?? 0;
}
