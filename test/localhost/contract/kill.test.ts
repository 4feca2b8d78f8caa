// The real host is killed again and again while clients start orchestrations of every pattern and raise events over
// HTTP. Each time it starts again on the same data, and in the end everything is exact.

import { mkdtempSync, readdirSync, rmSync, statSync, truncateSync } from "node:fs";
import { createServer, type Server } from "node:http";
import type { AddressInfo } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { type HistoryView, type Status, sampleApp } from "../../support/contract-app.ts";
import { type HostProcess, spawnHost, startHost } from "../../support/host-process.ts";
import { StubbornClient } from "../../support/stubborn-client.ts";

const SEED = Number(process.env.HOLDFAST_TEST_SEED ?? "20260302");
const KILLS = 21;
const ROUNDS = 10;
const WORDS = 6;

const app = sampleApp("contract");
const dataFolder = mkdtempSync(join(tmpdir(), "holdfast-kill-"));
const client = new StubbornClient();
const random = seeded(SEED);
const pause = (ms: number): Promise<void> => new Promise((resolve) => setTimeout(resolve, ms));

function seeded(seed: number): () => number {
  let state = seed;
  return () => {
    state = (Math.imul(state, 1_103_515_245) + 12_345) >>> 0;
    return state / 2 ** 32;
  };
}

interface Pattern {
  readonly output: (id: string) => unknown;
  /** What must be in the history: so many completions, each of other inputs. */
  readonly activities?: number;
  readonly children?: number;
  readonly timersFired?: number;
}

const range = (length: number): number[] => Array.from({ length }, (_, n) => n);

const PATTERNS: Readonly<Record<string, Pattern>> = {
  "mix-chain": { output: () => 4096, activities: 12 },
  "mix-fan": { output: () => range(40).map((n) => n * 2), activities: 40 },
  "mix-timers": { output: () => "on time", timersFired: 4 },
  "mix-retries": { output: (id) => range(3).map((n) => `${id}/${n}`), activities: 3 },
  "mix-family": { output: () => [4096, 4096, 4096], children: 3 },
  "mix-generations": { output: () => 72, activities: 0 },
  "mix-events": { output: () => range(WORDS) },
  "mix-race": { output: () => 42, activities: 1, timersFired: 0 },
  "mix-entity": { output: () => 115 },
  "mix-lock": { output: () => 1, activities: 1 },
  "mix-http": { output: (id) => `done ${id}`, activities: 2 },
};

const ids = Object.keys(PATTERNS).flatMap((name) => range(ROUNDS).map((round) => ({ name, id: `${name}.${round}` })));

/** Answers the durable HTTP calls: 202 first, and the same to everyone who asks again. */
let jobs: Server;
let jobsUrl = "";
beforeAll(async () => {
  jobs = createServer((request, response) => {
    const { pathname } = new URL(request.url ?? "", "http://jobs");
    if (request.method === "GET") response.end(`done ${pathname.slice(1)}`);
    else response.writeHead(202, { location: pathname, "retry-after": "0.03" }).end();
  });
  await new Promise<void>((resolve) => jobs.listen(0, "127.0.0.1", resolve));
  jobsUrl = `http://127.0.0.1:${(jobs.address() as AddressInfo).port}`;
});

let host: HostProcess | undefined;
afterAll(async () => {
  await host?.kill();
  jobs.close();
  rmSync(dataFolder, { recursive: true, force: true });
});

const tornReports = (from: HostProcess): number =>
  from.lines.filter(({ level, message }) => level === "warning" && message?.startsWith("Cut ") === true).length;

async function killAgainAndAgain(): Promise<void> {
  for (let kill = 0; kill < KILLS; kill++) {
    const starting = spawnHost({ app, dataFolder });
    if (kill % 5 === 4) {
      await pause(random() * 500);
    } else {
      const { url } = await starting.ready;
      client.hostIsAt(url);
      await pause(20 + random() * 320);
    }
    await starting.kill();
    client.hostIsGone();
  }
}

async function useOne(name: string, id: string, spreadMs: number): Promise<void> {
  await pause(random() * spreadMs);
  await client.start(name, id, name === "mix-http" ? `${jobsUrl}/${id}` : null);
  if (name !== "mix-events") return;
  for (const word of range(WORDS)) {
    await client.raiseWord(id, word);
    await pause((random() * spreadMs) / WORDS);
  }
}

/** Starts small ones without a pause, so that every kill falls into requests under way. */
class Hammer {
  readonly acknowledged: string[] = [];
  #isOver = false;

  async swing(worker: number): Promise<void> {
    for (let n = 0; !this.#isOver; n++) {
      const id = `small.${worker}.${n}`;
      if (await client.startOnce("own-input", id, n)) this.acknowledged.push(id);
      await pause(3);
    }
  }

  rest(): void {
    this.#isOver = true;
  }

  /** What was not acknowledged may be there or not; what was acknowledged must be. */
  async expectNothingLost(): Promise<void> {
    await expect.poll(async () => (await client.listed("small.")).every(isCompleted), { timeout: 10_000 }).toBe(true);
    const outputs = new Map((await client.listed("small.")).map(({ instanceId, output }) => [instanceId, output]));
    const lost = this.acknowledged.filter((id) => outputs.get(id) !== Number(id.split(".")[2]));
    expect({ lost }).toEqual({ lost: [] });
  }
}

function isCompleted({ runtimeStatus }: Status): boolean {
  return runtimeStatus === "Completed";
}

function expectExactHistory(history: readonly HistoryView[], id: string, pattern: Pattern): void {
  const of = (type: string): readonly HistoryView[] => history.filter(({ EventType }) => EventType === type);
  const steps = of("TaskCompleted").map(({ FunctionName, Input }) => `${FunctionName} ${Input}`);
  const counts = {
    id,
    twice: steps.filter((step, index) => steps.indexOf(step) !== index),
    ends: of("ExecutionCompleted").length,
    ...(pattern.activities !== undefined && { activities: steps.length }),
    ...(pattern.children !== undefined && { children: of("SubOrchestrationInstanceCompleted").length }),
    ...(pattern.timersFired !== undefined && { timersFired: of("TimerFired").length }),
  };
  expect(counts).toEqual({
    id,
    twice: [],
    ends: 1,
    ...(pattern.activities !== undefined && { activities: pattern.activities }),
    ...(pattern.children !== undefined && { children: pattern.children }),
    ...(pattern.timersFired !== undefined && { timersFired: pattern.timersFired }),
  });
  if (id.startsWith("mix-events")) {
    const words = of("EventRaised").filter(({ Name }) => Name === "word");
    expect(words.map(({ Input }) => Input)).toEqual(range(WORDS).map(String));
  }
}

async function expectAllExact(): Promise<void> {
  for (const { name, id } of ids) {
    const pattern = PATTERNS[name] as Pattern;
    const { runtimeStatus, output } = await client.ended(id);
    expect({ id, runtimeStatus, output }).toEqual({ id, runtimeStatus: "Completed", output: pattern.output(id) });
    expectExactHistory(await client.history(id), id, pattern);
  }
  const listed = (await client.listed("mix-")).map(({ instanceId }) => instanceId);
  expect(listed.toSorted()).toEqual(ids.map(({ id }) => id).toSorted());
}

function newestSegment(): string {
  const folder = join(dataFolder, "hubs", "ContractHub");
  const segments = readdirSync(folder).filter((name) => /^journal-\d+\.log$/.test(name));
  return join(folder, segments.toSorted().at(-1) ?? "");
}

describe("killing the host", () => {
  it(`${KILLS} times at any moment loses nothing and does nothing twice (seed ${SEED})`, async () => {
    const spreadMs = KILLS * 450;
    const used = Promise.all(ids.map(({ name, id }) => useOne(name, id, spreadMs)));
    used.catch(() => {}); // awaited below, when the kills are over
    const hammer = new Hammer();
    const swung = Promise.all(range(4).map((worker) => hammer.swing(worker)));
    await killAgainAndAgain();
    hammer.rest();
    host = await startHost({ app, dataFolder });
    client.hostIsAt(host.url);
    await Promise.all([used, swung]);
    await hammer.expectNothingLost();
    await expectAllExact();
    const folder = `${host.url}/runtime/webhooks/durabletask/entities/counter`;
    expect(await (await fetch(`${folder}/left`)).json()).toBe(ROUNDS);
    expect(await (await fetch(`${folder}/right`)).json()).toBe(-ROUNDS);
    expect(client.cutOffs).toBeGreaterThan(KILLS);
  }, 180_000);

  it("in the middle of a write is repaired and reported at the next start, and costs no more than that write", async () => {
    await client.start("mix-events", "torn.0", null);
    for (const word of [0, 1, 2]) await client.raiseWord("torn.0", word);
    await expect.poll(async () => (await client.history("torn.0")).length).toBe(4);
    client.hostIsGone();
    await host?.kill();
    const segment = newestSegment();
    // A little more than the mark behind the last write, so that this is cut off in its middle.
    truncateSync(segment, statSync(segment).size - 60);

    host = await startHost({ app, dataFolder });
    client.hostIsAt(host.url);
    expect(tornReports(host)).toBe(1);
    await expectAllExact();
    // The first events were durable long before; only the last write can be gone.
    const words = (await client.history("torn.0")).filter(({ EventType }) => EventType === "EventRaised");
    expect(words.slice(0, 2).map(({ Input }) => Input)).toEqual(["0", "1"]);
    for (let word = words.length; word < WORDS; word++) await client.raiseWord("torn.0", word);
    expect((await client.ended("torn.0")).output).toEqual(range(WORDS));
    await host.stop();
    host = await startHost({ app, dataFolder });
    expect(tornReports(host)).toBe(0);
  }, 60_000);
});
