// Random orchestrations against a direct reading of them: nested fan-outs and races, retries, cancelled timers, events,
// children, entities, critical sections, HTTP polls and generations, with completions in any order and batch, suspends,
// checkpoints, and kills at any moment. HOLDFAST_FUZZ_CASES runs more of them, HOLDFAST_TEST_SEED others.

import { cpSync, mkdtempSync, rmSync } from "node:fs";
import type { Server } from "node:http";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import type { CheckpointCut } from "../../../../localhost/task-hub/engine/checkpoint-cut.ts";
import { HubState } from "../../../../localhost/task-hub/engine/hub-state.ts";
import { type Instance, isTerminal } from "../../../../localhost/task-hub/engine/instance.ts";
import type { FinishedEntry, HubRecord } from "../../../../localhost/task-hub/engine/records.ts";
import { openJournal } from "../../../../localhost/task-hub/journal/journal.ts";
import { HoldfastFailure } from "../../../../src/base/failure.ts";
import { openVirtualHub, type VirtualHub } from "../../../support/virtual-hub.ts";
import { failureOf, firstInput, fuzzApp, startPolledServer } from "./fuzz-app.ts";
import {
  addTotals,
  eventsOf,
  findWrong,
  type Outcome,
  type Program,
  ProgramMaker,
  random,
  type SentEvent,
} from "./fuzz-program.ts";

const SEED = Number(process.env.HOLDFAST_TEST_SEED ?? "1");
const CASES = Number(process.env.HOLDFAST_FUZZ_CASES ?? "30");
const MOST_ROUNDS = 25;

let server: Server;
let origin: string;
beforeAll(async () => {
  ({ server, origin } = await startPolledServer());
});
afterAll(() => {
  server.closeAllConnections();
  server.close();
});

/** One hub, its random programs, and everything that is done to them. */
class Run {
  readonly #chance: () => number;
  readonly #programs: readonly Program[];
  /** Terminated, purged, started anew and rewound at any time; nothing is known of their results. */
  readonly #victims: readonly Program[];
  readonly #events: SentEvent[];
  readonly #left: VirtualHub[] = [];
  #hub: VirtualHub;

  constructor(chance: () => number, programs: readonly Program[], victims: readonly Program[], hub: VirtualHub) {
    this.#chance = chance;
    this.#programs = programs;
    this.#victims = victims;
    this.#events = [...programs, ...victims].flatMap(eventsOf);
    this.#hub = hub;
  }

  static async begin(seed: number): Promise<Run> {
    const chance = random(seed);
    const maker = new ProgramMaker(chance, `k${seed}`);
    const programs = Array.from({ length: 1 + Math.floor(chance() * 3) }, () => maker.program(3, true));
    const victimMaker = new ProgramMaker(chance, `v${seed}`, true);
    const victims = Array.from({ length: Math.floor(chance() * 3) }, () => victimMaker.program(2, true));
    const settings = {
      overridableExistingInstanceStates: "AnyState",
      maxConcurrentActivityFunctions: 1 + Math.floor(chance() * 20),
      maxConcurrentOrchestratorFunctions: 1 + Math.floor(chance() * 5),
    } as const;
    const run = new Run(chance, programs, victims, await openVirtualHub(fuzzApp(origin), settings));
    for (const program of [...programs, ...victims]) {
      await run.#hub.start("program", firstInput(program), program.id);
    }
    return run;
  }

  async disturb(): Promise<void> {
    for (let round = Math.floor(this.#chance() * MOST_ROUNDS); round > 0; round--) {
      await passTurns(Math.floor(this.#chance() * 10));
      const dice = this.#chance();
      if (dice < 0.25) this.#hub.clock.advance(Math.floor(this.#chance() * 2000));
      else if (dice < 0.37) await this.#harm();
      else if (dice < 0.55)
        for (let count = Math.floor(this.#chance() * 5); count >= 0; count--) await this.#sendSome();
      else if (dice < 0.75) await this.#toggle();
      else if (dice < 0.82) void this.#hub.hub.checkpoint();
      else if (dice < 0.9) await this.#kill();
      else if (dice < 0.94) await this.#hub.reopen();
      else await this.expectSameFromJournal();
    }
  }

  async finish(): Promise<void> {
    const deadlineMs = performance.now() + 20_000;
    while (!(await this.#areAllOver())) {
      if (performance.now() > deadlineMs) throw new Error(`it does not end: ${await this.#describeRunning()}`);
      // A victim may hold a lock that others wait for.
      for (const { id = "" } of [...this.#programs, ...this.#victims]) await this.#resume(id);
      while (await this.#sendSome());
      await this.#hub.settle();
      const next = this.#hub.clock.nextMs();
      if (next !== undefined) this.#hub.clock.advance(next - this.#hub.clock.nowMs());
    }
    await this.#terminateRest();
  }

  async expectRight(): Promise<void> {
    const { instances } = await this.#hub.hub.client.list({}, 100_000, undefined);
    expect(instances.filter(({ status }) => !isTerminal(status))).toEqual([]);
    expect(this.#warnings.filter((warning) => warning.startsWith("error: An "))).toEqual([]);
    for (const program of this.#programs) {
      const instance = await this.#find(program.id ?? "");
      expect(findWrong(program, outcomeOf(instance)), instance.output ?? "").toBeUndefined();
      expectEachOnce(instance);
    }
    const totals = new Map<string, number>();
    for (const program of this.#programs) addTotals(program, totals);
    for (const [entity, total] of totals) expect(this.#hub.hub.client.entityState(`@sum@${entity}`)).toBe(`${total}`);
  }

  /** The journal, read again at a moment at which all is durable, gives the very same state. */
  async expectSameFromJournal(isOver = false): Promise<void> {
    const seen = await this.#seeDurableState();
    if (seen === undefined) return;
    const { instances, entities, folder } = seen;
    const records = await readRecords(folder);
    rmSync(folder, { recursive: true });
    const rebuilt = stateAfter(records);
    for (const instance of instances) {
      const twin = rebuilt.live.get(instance.id);
      if (twin !== undefined) expect(twin).toEqual(instance);
      else expect(instance).toMatchObject(withoutPointer(rebuilt.finished.get(instance.id)));
    }
    if (isOver) expect([...rebuilt.live.values()].filter(({ entity }) => entity?.lockedBy)).toEqual([]);
    const existing = [...rebuilt.live.values()].filter(({ entity }) => entity?.exists);
    expect(new Map(existing.map(({ id, entity }) => [id, entity?.state ?? "null"]))).toEqual(entities);
    expect(rebuilt.live.size + rebuilt.finished.size).toBeGreaterThanOrEqual(instances.length + entities.size);
    this.#expectSameFromCheckpoint(records);
  }

  /** So does a checkpoint that is begun anywhere in the journal and restated bit by bit between its records. */
  #expectSameFromCheckpoint(records: readonly HubRecord[]): void {
    const state = new HubState();
    const sinceCut: HubRecord[] = [];
    const begin = Math.floor(this.#chance() * records.length);
    let cut: CheckpointCut | undefined;
    for (const [index, record] of records.entries()) {
      if (index === begin) cut = state.beginCheckpoint((restated) => sinceCut.push(copyOf(restated)));
      const copy = copyOf(record);
      state.apply(record);
      if (cut === undefined) continue;
      sinceCut.push(copy);
      if (this.#chance() < 0.2) cut.advance();
    }
    while (cut?.advance());
    const rebuilt = stateAfter(sinceCut);
    expect(sortedById(rebuilt.live)).toEqual(sortedById(state.live));
    expect(sortedById(rebuilt.finished)).toEqual(sortedById(state.finished));
  }

  /** Undefined when the hub is too busy to be seen at rest. */
  async #seeDurableState(): Promise<
    { instances: Instance[]; entities: Map<string, string | undefined>; folder: string } | undefined
  > {
    const { hub } = this.#hub;
    for (let attempt = 0; attempt < 5; attempt++) {
      const { commitCount } = hub;
      const { instances } = await hub.client.list({}, 100_000, undefined);
      await hub.client.settled();
      if (hub.commitCount !== commitCount) continue;
      const folder = mkdtempSync(join(tmpdir(), "holdfast-hub-"));
      cpSync(this.#hub.folder, folder, { recursive: true });
      const entities = new Map(hub.client.entityIds().map((id) => [id, hub.client.entityState(id)]));
      return { instances: structuredClone(instances), entities, folder };
    }
    return undefined;
  }

  get #warnings(): string[] {
    return [...this.#left, this.#hub].flatMap(({ warnings }) => warnings);
  }

  async close(): Promise<void> {
    for (const hub of [...this.#left, this.#hub]) await hub.close();
  }

  describe(): string {
    return JSON.stringify([this.#programs, this.#victims]);
  }

  async #kill(): Promise<void> {
    this.#left.push(this.#hub);
    this.#hub = await this.#hub.crash();
  }

  /** Sends the first of the events that are left, or one to another instance; false when nobody hears any. */
  async #sendSome(): Promise<boolean> {
    const start = Math.floor(this.#chance() * this.#events.length);
    const order = [...this.#events.slice(start), ...this.#events.slice(0, start)];
    for (const candidate of order) {
      const event = this.#events.find(({ id, name }) => id === candidate.id && name === candidate.name) as SentEvent;
      const answer = await this.#try(() =>
        this.#hub.hub.client.send(event.id, { kind: "event", name: event.name, input: JSON.stringify(event.input) }),
      );
      if (answer === "InstanceNotFound") continue;
      this.#events.splice(this.#events.indexOf(event), 1);
      return true;
    }
    return false;
  }

  async #harm(): Promise<void> {
    const victim = this.#victims[Math.floor(this.#chance() * this.#victims.length)];
    if (victim === undefined) return;
    const { id = "" } = victim;
    const { client } = this.#hub.hub;
    const actions: (() => Promise<unknown>)[] = [
      () => client.send(id, { kind: "terminate", reason: "harmed" }),
      () => client.purge(id),
      () => client.rewind(id, "harmed"),
      () => this.#hub.start("program", firstInput(victim), id),
    ];
    const action = actions[Math.floor(this.#chance() * actions.length)] as () => Promise<unknown>;
    // Some at once, before the one before has come to anything.
    const first = this.#try(action);
    if (this.#chance() < 0.5) await this.#harm();
    await first;
  }

  async #terminateRest(): Promise<void> {
    for (let isQuiet = false; !isQuiet; ) {
      await this.#hub.settle();
      const { instances } = await this.#hub.hub.client.list({}, 100_000, undefined);
      const running = instances.filter(({ status }) => !isTerminal(status));
      isQuiet = running.length === 0;
      for (const { id } of running) {
        await this.#try(() => this.#hub.hub.client.send(id, { kind: "terminate", reason: "over" }));
      }
    }
  }

  async #toggle(): Promise<void> {
    const all = [...this.#programs, ...this.#victims];
    const { id = "" } = all[Math.floor(this.#chance() * all.length)] as Program;
    if (this.#chance() < 0.5) await this.#try(() => this.#hub.hub.client.send(id, { kind: "suspend", reason: "" }));
    else await this.#resume(id);
  }

  async #resume(id: string): Promise<void> {
    await this.#try(() => this.#hub.hub.client.resume(id, ""));
  }

  async #try(action: () => Promise<unknown>): Promise<string | undefined> {
    try {
      await action();
      return undefined;
    } catch (error) {
      if (error instanceof HoldfastFailure) return error.code;
      throw error;
    }
  }

  async #find(id: string): Promise<Instance> {
    const instance = await this.#hub.hub.client.find(id);
    if (instance === undefined) throw new Error(`'${id}' is gone`);
    return instance;
  }

  async #areAllOver(): Promise<boolean> {
    for (const { id = "" } of this.#programs) if (!isTerminal((await this.#find(id)).status)) return false;
    return true;
  }

  async #describeRunning(): Promise<string> {
    const { instances } = await this.#hub.hub.client.list({}, 100_000, undefined);
    const running = instances.filter(({ status }) => !isTerminal(status));
    const texts = running.map(({ id, status, open, inbox, ending, nextId, customStatus }) =>
      JSON.stringify({ id, status, open: [...open], inbox, ending, nextId, customStatus }),
    );
    return `${texts.join("\n")}\nunsent: ${JSON.stringify(this.#events)}\n${this.#hub.warnings.join("\n")}`;
  }
}

async function readRecords(folder: string): Promise<HubRecord[]> {
  const records: HubRecord[] = [];
  const onRecord = (record: unknown): void => void records.push(record as HubRecord);
  const journal = await openJournal({ folder, onRecord, report: () => {}, onBroken: () => {} });
  await journal.close();
  return records;
}

function stateAfter(records: readonly HubRecord[]): HubState {
  const state = new HubState();
  for (const record of records) state.apply(copyOf(record));
  return state;
}

const copyOf = (record: HubRecord): HubRecord => JSON.parse(JSON.stringify(record));

function sortedById<T extends { readonly id: string }>(entries: ReadonlyMap<string, T>): T[] {
  return [...entries.values()].toSorted((a, b) => (a.id < b.id ? -1 : 1));
}

function withoutPointer(entry: FinishedEntry | undefined): Partial<FinishedEntry> {
  if (entry === undefined) return { id: "neither running nor finished" };
  const { pointer: _, ...head } = entry;
  return head;
}

function outcomeOf({ status, output }: Instance): Outcome {
  return status === "Completed" ? { ok: JSON.parse(output ?? "null") } : failureOf(output);
}

/** Exactly once in history: no id is given twice, no task answered twice. */
function expectEachOnce({ history }: Instance): void {
  const asked = history.flatMap(({ id }) => id ?? []);
  const answered = history.flatMap(({ task }) => task ?? []);
  expect(asked.length).toBe(new Set(asked).size);
  expect(answered.length).toBe(new Set(answered).size);
}

async function passTurns(turns: number): Promise<void> {
  for (let turn = 0; turn < turns; turn++) await new Promise((resolve) => setImmediate(resolve));
}

describe("any orchestration", () => {
  it(
    `ends as a direct reading of it says, over ${CASES} random programs (seed ${SEED})`,
    async () => {
      for (let seed = SEED; seed < SEED + CASES; seed++) {
        const run = await Run.begin(seed);
        try {
          await run.disturb();
          await run.finish();
          await run.expectRight();
          await run.expectSameFromJournal(true);
        } catch (error) {
          throw new Error(`HOLDFAST_TEST_SEED=${seed}: ${(error as Error).message}\nprograms: ${run.describe()}`, {
            cause: error,
          });
        } finally {
          await run.close();
        }
      }
    },
    CASES * 25_000,
  );
});
