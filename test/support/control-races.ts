// Use cases over one set of rows, in every order of their requests, with crashes and lost answers (exploration.ts). When all
// have ended, a reconciler carries out the short jobs that are left, as the service's own would.

import { z } from "zod";
import type { ControlDeps } from "../../src/control/control-deps.ts";
import { runItemJob } from "../../src/control/item-jobs.ts";
import { endJob } from "../../src/control/job-changes.ts";
import { JOB_ROWS } from "../../src/control/rows/job-row.ts";
import { insertRow, listRows, type Place, type RowKind, readRow, removeRow } from "../../src/control/rows/row-kind.ts";
import type { TableStore } from "../../src/ports/table-store.ts";
import type { Workflow } from "../../src/ports/workflow.ts";
import type { Vault } from "../../src/vault/open-vault.ts";
import type { ControlWorld } from "./control-world.ts";
import { type Copyable, type Explored, exploreGated, type Gate, type Outcome } from "./exploration.ts";
import type { MemoryTableStore } from "./memory-table-store.ts";
import { CountingRandom } from "./vault-fixture.ts";

export interface RaceActor {
  readonly name: string;
  run(deps: ControlDeps): Promise<unknown>;
}

export interface Race {
  readonly world: ControlWorld;
  readonly vaults: readonly string[];
  readonly actors: readonly RaceActor[];
  readonly crashes?: number;
  readonly lostAnswers?: number;
  readonly maxPreemptions?: number;
  /** Absent: what is started is never asked about. */
  readonly workflow?: (tables: TableStore) => Workflow;
  /** Called in every state that the rows get into. */
  check?(tables: MemoryTableStore): void;
  /** Called when all have ended, before and after what is left was carried out. */
  checkEnd(deps: ControlDeps, outcomes: ReadonlyMap<string, Outcome>, isSettled: boolean): Promise<void>;
}

/** Faults of one kind at a time, over all orders; and orders alone, without a bound. */
export const WITH_FAULTS: readonly [string, Pick<Race, "crashes" | "lostAnswers" | "maxPreemptions">][] = [
  ["in every order", {}],
  ["when one of them dies", { crashes: 1, maxPreemptions: 2 }],
  ["when an answer is lost", { lostAnswers: 1, maxPreemptions: 2 }],
];

export function exploreRace({ world, vaults, actors, check, checkEnd, ...limits }: Race): Promise<Explored> {
  const { workflow = () => NOBODY_ASKS } = limits;
  const depsOver = (tables: TableStore, name: string): ControlDeps => ({
    ...standStill(world.deps, name),
    ...{ tables, workflow: workflow(tables) },
  });
  return exploreGated<Rows>({
    ...limits,
    // Small pages would only multiply requests.
    world: new Rows(world.tables.copy(1_000)),
    actors: actors.map(({ name, run }) => ({
      name,
      run: ({ tables }, gate) => run(depsOver(new GatedTables(tables, gate), name)),
    })),
    check: ({ tables }) => check?.(tables),
    checkEnd: async ({ tables }, outcomes) => {
      // What is looked at must not change what is explored.
      const deps = depsOver(tables.copy(), "reconciler");
      await checkEnd(deps, outcomes, false);
      for (const vault of vaults) await reconcile(deps, vault);
      await checkEnd(deps, outcomes, true);
    },
    summaryOf: (value) => JSON.stringify(value) ?? "",
  });
}

class Rows implements Copyable {
  readonly tables: MemoryTableStore;

  constructor(tables: MemoryTableStore) {
    this.tables = tables;
  }

  copy(): Rows {
    return new Rows(this.tables.copy());
  }

  digest(): string {
    return this.tables.digest();
  }
}

/** Everything but the rows stands still, so that a state of the rows is a state of the world. */
function standStill(deps: ControlDeps, name: string): ControlDeps {
  return {
    ...deps,
    random: new CountingRandom(name),
    // The archive tells by which redundancy it was made.
    archives: {
      prepare: async ({ redundancy }) => ({ vaultId: redundancy }) as Vault,
      open: async ({ archive }) => ({ vaultId: archive?.vaultId }) as Vault,
    },
  };
}

const NOBODY_ASKS: Workflow = { start: async () => {}, stateOf: async () => "absent" };

const started = z.object({ name: z.string(), id: z.string(), input: z.unknown() });
export type StartedBody = z.infer<typeof started>;
const STARTED_ROWS: RowKind<StartedBody> = { table: "started", schema: started, noun: "orchestration" };
const startedPlace = (id: string): Place => ({ partition: "all", key: id });

/** What runs has a row, so that starting it is a step like any other: cut off, or done and its answer lost. */
export function startedAsRows(tables: TableStore): Workflow {
  return {
    start: async (name, id, input) => {
      await insertRow(tables, STARTED_ROWS, startedPlace(id), { name, id, input });
    },
    stateOf: async (id) => ((await readRow(tables, STARTED_ROWS, startedPlace(id))) ? "running" : "absent"),
  };
}

/** It has come to its end: whoever starts it now starts another one. */
export const endStarted = (tables: TableStore, id: string): Promise<void> =>
  removeRow(tables, STARTED_ROWS, startedPlace(id));

async function reconcile(deps: ControlDeps, vault: string): Promise<void> {
  for await (const { body } of listRows(deps.tables, JOB_ROWS, vault)) {
    if (body.endedAt !== null || body.change === null) continue;
    const ref = { vault, job: body.id };
    await runItemJob(deps, ref);
    await endJob(deps, ref);
  }
}

class GatedTables implements TableStore {
  private readonly tables: MemoryTableStore;
  private readonly gate: Gate;

  constructor(tables: MemoryTableStore, gate: Gate) {
    this.tables = tables;
    this.gate = gate;
  }

  insert(...[table, row]: Parameters<TableStore["insert"]>) {
    return this.gate(`insert ${table} ${row.partition} ${row.key}`, true, () => this.tables.insert(table, row));
  }

  replace(...[table, row, etag]: Parameters<TableStore["replace"]>) {
    return this.gate(`replace ${table} ${row.partition} ${row.key}`, true, () => this.tables.replace(table, row, etag));
  }

  remove(...[table, partition, key, etag]: Parameters<TableStore["remove"]>) {
    return this.gate(`remove ${table} ${partition} ${key}`, true, () =>
      this.tables.remove(table, partition, key, etag),
    );
  }

  read(...[table, partition, key]: Parameters<TableStore["read"]>) {
    return this.gate(`read ${table} ${partition} ${key}`, false, () => this.tables.read(table, partition, key));
  }

  async *list(...[table, partition, options]: Parameters<TableStore["list"]>) {
    const pages = this.tables.list(table, partition, options)[Symbol.asyncIterator]();
    const page = await this.gate(`list ${table} ${partition}`, false, () => pages.next());
    // All there is fits into a page.
    if (!page.done) yield page.value;
  }

  transact(...[table, partition, changes]: Parameters<TableStore["transact"]>) {
    return this.gate(`transact ${table} ${partition}`, true, () => this.tables.transact(table, partition, changes));
  }
}
