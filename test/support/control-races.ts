// Use cases over one set of rows, in every order of their requests, with crashes and lost answers (exploration.ts). When all
// have ended, a reconciler carries out the short jobs that are left, as the service's own would.

import type { ControlDeps } from "../../src/control/control-deps.ts";
import { runItemJob } from "../../src/control/item-jobs.ts";
import { endJob } from "../../src/control/job-changes.ts";
import { JOB_ROWS } from "../../src/control/rows/job-row.ts";
import { listRows } from "../../src/control/rows/row-kind.ts";
import type { TableStore } from "../../src/ports/table-store.ts";
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
  /** Called when all have ended, before and after what is left was carried out. */
  checkEnd(deps: ControlDeps, outcomes: ReadonlyMap<string, Outcome>, isSettled: boolean): Promise<void>;
}

export function exploreRace({ world, vaults, actors, checkEnd, ...limits }: Race): Promise<Explored> {
  return exploreGated<Rows>({
    ...limits,
    // Small pages would only multiply requests.
    world: new Rows(world.tables.copy(1_000)),
    actors: actors.map(({ name, run }) => ({
      name,
      run: ({ tables }, gate) => run(depsOver(world, new GatedTables(tables, gate), name)),
    })),
    checkEnd: async ({ tables }, outcomes) => {
      // What is looked at must not change what is explored.
      const deps = depsOver(world, tables.copy(), "reconciler");
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
function depsOver(world: ControlWorld, tables: TableStore, name: string): ControlDeps {
  return {
    ...world.deps,
    tables,
    random: new CountingRandom(name),
    workflow: { start: async () => {}, stateOf: async () => "absent" },
    // The archive tells by which redundancy it was made.
    archives: {
      prepare: async ({ redundancy }) => ({ vaultId: redundancy }) as Vault,
      open: async ({ archive }) => ({ vaultId: archive?.vaultId }) as Vault,
    },
  };
}

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
