// A kill at any moment: at random points of a run over all patterns, what a new process would find on disk is opened
// and run to its end. Every instance must end with the exact result, whichever point it was.

import type { OrchestrationContext } from "durable-functions";
import * as df from "durable-functions";
import { describe, expect, it } from "vitest";
import { parsedOrRaw } from "../../../localhost/task-hub/status-view.ts";
import type { TestApp } from "../../support/library-functions.ts";
import { openVirtualHub, type VirtualHub } from "../../support/virtual-hub.ts";

const SEED = Number(process.env.HOLDFAST_TEST_SEED ?? "20260301");
const CRASHES = 40;

function random(seed: number): () => number {
  let state = seed;
  return () => {
    state = (Math.imul(state, 1_103_515_245) + 12_345) >>> 0;
    return state / 2 ** 32;
  };
}

const flakyAttempts = new Map<string, number>();

const app: TestApp = {
  activities: {
    double: async (n: number) => {
      if (n % 3 === 0) await new Promise((resolve) => setImmediate(resolve));
      return n * 2;
    },
    // Fails every second time it is asked, whichever process asks: activities may run more than once.
    flaky: (key: string) => {
      const attempt = (flakyAttempts.get(key) ?? 0) + 1;
      flakyAttempts.set(key, attempt);
      if (attempt % 2 === 1) throw new Error("not yet");
      return key;
    },
  },
  entities: {
    sum: (context) => {
      if (context.df.operationName === "add") {
        context.df.setState((context.df.getState(() => 0) as number) + (context.df.getInput() as number));
      }
      context.df.return(context.df.getState(() => 0));
    },
  },
  orchestrations: {
    *chain(context: OrchestrationContext) {
      let n = 1;
      for (let step = 0; step < 8; step++) n = yield context.df.callActivity("double", n);
      return n;
    },
    *fan(context: OrchestrationContext) {
      return yield context.df.Task.all(Array.from({ length: 30 }, (_, n) => context.df.callActivity("double", n)));
    },
    *timed(context: OrchestrationContext) {
      for (let step = 0; step < 3; step++) {
        yield context.df.createTimer(new Date(context.df.currentUtcDateTime.getTime() + 700));
      }
      return "on time";
    },
    *retries(context: OrchestrationContext) {
      const options = new df.RetryOptions(100, 5);
      const keys = [0, 1, 2].map((n) => `${context.df.instanceId}/${n}`);
      return yield context.df.Task.all(keys.map((key) => context.df.callActivityWithRetry("flaky", options, key)));
    },
    *family(context: OrchestrationContext) {
      return yield context.df.Task.all([0, 1, 2].map(() => context.df.callSubOrchestrator("chain")));
    },
    *generations(context: OrchestrationContext) {
      const { round, total } = context.df.getInput() as { round: number; total: number };
      if (round === 4) return total;
      const doubled: number = yield context.df.callActivity("double", round);
      context.df.continueAsNew({ round: round + 1, total: total + doubled });
    },
    *listens(context: OrchestrationContext) {
      const heard: unknown[] = [];
      for (let n = 0; n < 6; n++) heard.push(yield context.df.waitForExternalEvent("word"));
      return heard;
    },
    *counts(context: OrchestrationContext) {
      const entity = new df.EntityId("sum", context.df.instanceId);
      for (let n = 1; n <= 3; n++) yield context.df.callEntity(entity, "add", n);
      return yield context.df.callEntity(entity, "get");
    },
  },
};

const EXPECTED: Readonly<Record<string, (id: string) => unknown>> = {
  chain: () => 256,
  fan: () => Array.from({ length: 30 }, (_, n) => n * 2),
  timed: () => "on time",
  retries: (id) => [0, 1, 2].map((n) => `${id}/${n}`),
  family: () => [256, 256, 256],
  generations: () => 12,
  listens: () => [0, 1, 2, 3, 4, 5],
  counts: () => 6,
};

async function startAll(hub: VirtualHub): Promise<Map<string, string>> {
  const names = new Map<string, string>();
  for (let round = 0; round < 2; round++) {
    for (const name of Object.keys(EXPECTED)) {
      const input = name === "generations" ? { round: 0, total: 0 } : undefined;
      names.set(await hub.start(name, input, `${name}-${round}`), name);
    }
  }
  return names;
}

/** Sends what a client would still have to send, then waits for the exact results. */
async function expectExactResults(hub: VirtualHub, names: ReadonlyMap<string, string>): Promise<void> {
  for (const [id, name] of names) {
    if (name === "listens") await sendMissingWords(hub, id);
    const { status, output } = await hub.end(id);
    expect({ id, status, output: parsedOrRaw(output) }).toEqual({
      id,
      status: "Completed",
      output: EXPECTED[name]?.(id),
    });
  }
}

async function sendMissingWords(hub: VirtualHub, id: string): Promise<void> {
  await hub.settle();
  const instance = await hub.hub.client.find(id);
  const heard = instance?.history.filter((event) => event.name === "word").length ?? 0;
  for (let n = heard; n < 6 && instance?.status === "Running"; n++) {
    await hub.hub.client.send(id, { kind: "event", name: "word", input: String(n) });
  }
}

describe("a kill at any moment", () => {
  it(`loses nothing and does nothing twice, over ${CRASHES} kills in a run of all patterns (seed ${SEED})`, async () => {
    const chance = random(SEED);
    const hub = await openVirtualHub(app);
    const names = await startAll(hub);
    const survivors: VirtualHub[] = [];
    for (let crash = 0; crash < CRASHES; crash++) {
      const turns = Math.floor(chance() * 12);
      for (let turn = 0; turn < turns; turn++) await new Promise((resolve) => setImmediate(resolve));
      if (crash % 8 === 7) void hub.hub.checkpoint();
      if (crash % 5 === 4) hub.clock.advance(Math.floor(chance() * 900));
      survivors.push(await hub.crash());
    }
    await expectExactResults(hub, names);
    await hub.close();
    for (const survivor of survivors) {
      await expectExactResults(survivor, names);
      await survivor.close();
    }
  }, 60_000);
});
