// What the embedded host costs: durable throughput, start-up, memory. Every figure goes through a real host process
// and its HTTP API, with the journal's fsync on.

import type { Bench, BenchRow } from "./bench.ts";
import { startHostUnderTest, temporaryFolder } from "./host-under-test.ts";

const MIB = 1024 * 1024;

async function perSecond(count: number, work: () => Promise<unknown>): Promise<number> {
  const startedMs = performance.now();
  await work();
  return count / ((performance.now() - startedMs) / 1000);
}

export const durableThroughput: Bench = {
  about: "activities per second: one Task.all of 1,000 / 5,000 / 20,000, and 1,000 orchestrations of 5 in sequence",
  async run() {
    const data = temporaryFolder();
    const host = await startHostUnderTest("durable", data.path);
    try {
      await host.run("fan", 1_000); // compiles what the figures below then measure
      const fan = async (count: number): Promise<number> => {
        const rates: number[] = [];
        for (let round = 0; round < 3; round++) rates.push(await perSecond(count, () => host.run("fan", count)));
        return median(rates);
      };
      const fan1k = await fan(1_000);
      const fan5k = await fan(5_000);
      const fan20k = await fan(20_000);
      const chains = await perSecond(5_000, () =>
        Promise.all(Array.from({ length: 1_000 }, () => host.run("chain", null))),
      );
      const rows: BenchRow[] = [
        {
          name: "Task.all of 5,000 activities",
          figure: fan5k,
          unit: "activities/s",
          bar: { atLeast: 8_000 },
          note: "median of 3",
        },
        {
          name: "Task.all of 20,000 activities",
          figure: fan20k,
          unit: "activities/s",
          bar: { atLeast: 4_000 },
          note: "median of 3",
        },
        {
          name: "cost of an activity at 20,000 against 1,000",
          figure: fan1k / fan20k,
          unit: "x",
          bar: { atMost: 3 },
          note: `1,000: ${Math.round(fan1k)}/s`,
        },
        { name: "1,000 chains of 5 activities", figure: chains, unit: "activities/s", bar: { atLeast: 1_500 } },
      ];
      return rows;
    } finally {
      await host.stop();
      data.remove();
    }
  },
};

async function startupSeconds(app: string, dataFolder: string): Promise<number> {
  const startedMs = performance.now();
  const host = await startHostUnderTest(app, dataFolder);
  const answer = await fetch(`${host.url}/`);
  const seconds = (performance.now() - startedMs) / 1000;
  await answer.text();
  await host.stop();
  if (answer.status !== 200) throw new Error(`GET / answered ${answer.status}`);
  return seconds;
}

function median(values: readonly number[]): number {
  return values.toSorted((a, b) => a - b)[Math.floor(values.length / 2)] as number;
}

export const startup: Bench = {
  about: "seconds from the start of the process to the first 200: an empty app, and 11,000 instances in the journal",
  async run() {
    const empty = temporaryFolder();
    const full = temporaryFolder();
    try {
      const emptySeconds: number[] = [];
      for (let round = 0; round < 5; round++) emptySeconds.push(await startupSeconds("empty", empty.path));
      await fillHub(full.path);
      const fullSeconds: number[] = [];
      for (let round = 0; round < 3; round++) fullSeconds.push(await startupSeconds("durable", full.path));
      return [
        {
          name: "start-up, empty app",
          figure: median(emptySeconds),
          unit: "s",
          bar: { atMost: 1.5 },
          note: "median of 5",
        },
        {
          name: "start-up, 10,000 finished and 1,000 running",
          figure: median(fullSeconds),
          unit: "s",
          bar: { atMost: 4 },
          note: "median of 3",
        },
      ];
    } finally {
      empty.remove();
      full.remove();
    }
  },
};

async function fillHub(dataFolder: string): Promise<void> {
  const host = await startHostUnderTest("durable", dataFolder);
  for (let round = 0; round < 20; round++) await host.run("family", 500);
  const starts = Array.from({ length: 1_000 }, () =>
    fetch(`${host.url}/runtime/webhooks/durabletask/orchestrators/waits`, { method: "POST" }).then((answer) =>
      answer.text(),
    ),
  );
  await Promise.all(starts);
  await host.stop();
}

export const memory: Bench = {
  about: "resident memory of the host after 100,000 finished orchestrations",
  timeoutMs: 300_000,
  async run() {
    const data = temporaryFolder();
    const host = await startHostUnderTest("durable", data.path);
    try {
      let highestBytes = 0;
      for (let round = 0; round < 50; round++) {
        await Promise.all(Array.from({ length: 4 }, () => host.run("family", 500)));
        highestBytes = Math.max(highestBytes, host.residentBytes() ?? 0);
      }
      const bytes = host.residentBytes();
      if (bytes === undefined) {
        return [
          { name: "memory after 100,000 orchestrations", skipped: "this system does not tell a process's memory" },
        ];
      }
      return [
        {
          name: "memory after 100,000 orchestrations",
          figure: bytes / MIB,
          unit: "MiB",
          bar: { atMost: 400 },
          note: `highest seen ${Math.round(highestBytes / MIB)} MiB`,
        },
      ];
    } finally {
      await host.stop();
      data.remove();
    }
  },
};
