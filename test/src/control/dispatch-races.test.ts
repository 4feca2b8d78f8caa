// Ticks of two hosts at once, and a tick beside the reconciler and the run itself, in every order of their requests: each
// instant has one row and one run, and whoever dies leaves nothing that the next tick does not make good.

import { describe, expect, it } from "vitest";
import { BACKUP, POLICY_RUN, type PolicyRun } from "../../../orchestrations/contracts.ts";
import type { ControlDeps } from "../../../src/control/control-deps.ts";
import { dispatch, resumeRuns } from "../../../src/control/dispatch.ts";
import { deletePolicy, putPolicy, type WrittenPolicy } from "../../../src/control/policies.ts";
import { startBackups } from "../../../src/control/policy-runs.ts";
import { protectMachine } from "../../../src/control/protection.ts";
import type { JobBody } from "../../../src/control/rows/job-row.ts";
import { changeRow, insertRow } from "../../../src/control/rows/row-kind.ts";
import {
  MARK_ROWS,
  type MarkBody,
  markPlace,
  OCCURRENCE_ROWS,
  type OccurrenceBody,
  occurrencePlace,
} from "../../../src/control/rows/work-rows.ts";
import { DEFAULT_POLICIES } from "../../../src/domain/default-policies.ts";
import { LIMITS } from "../../../src/domain/limits.ts";
import {
  endStarted,
  exploreRace,
  type RaceActor,
  type StartedBody,
  startedAsRows,
  WITH_FAULTS,
} from "../../support/control-races.ts";
import { ControlWorld, ITEM, VAULT } from "../../support/control-world.ts";
import { vmIdOf } from "../../support/memory-machines.ts";
import type { MemoryTableStore } from "../../support/memory-table-store.ts";

const MIDNIGHT = {
  ...DEFAULT_POLICIES.DefaultPolicy,
  schedule: { frequency: "Daily", time: { hour: 0, minute: 0 } },
} as WrittenPolicy;
const EARLIER_MARK = "2026-03-02T01:58:00.000Z";
const TWO_OCLOCK = "2026-03-02T02:00:00.000Z";
const TWO_OCLOCK_RUN: PolicyRun = {
  vault: VAULT,
  policy: "DefaultPolicy",
  scheduledAt: TWO_OCLOCK,
  isCatchUp: false,
};

/** Two policies, a day old: one runs at 02:00, the other at midnight. */
async function makeWorld({ mark }: { readonly mark: string | null }): Promise<ControlWorld> {
  const world = await ControlWorld.open("web-1");
  await deletePolicy(world.deps, { vault: VAULT, policy: "EnhancedPolicy" });
  await putPolicy(world.deps, { vault: VAULT, policy: "Midnight", written: MIDNIGHT });
  if (mark !== null) await insertRow(world.tables, MARK_ROWS, markPlace("dispatch"), { at: mark });
  return world;
}

const at = (deps: ControlDeps, instant: string): ControlDeps => ({ ...deps, clock: { now: () => new Date(instant) } });

const tick = (instant: string): RaceActor => ({
  name: `tick of ${instant}`,
  run: (deps) => dispatch(at(deps, instant)),
});

const startedIn = (tables: MemoryTableStore, name: string): StartedBody[] =>
  (tables.bodiesOf("started") as StartedBody[]).filter((started) => started.name === name);

const runsIn = (tables: MemoryTableStore): PolicyRun[] =>
  startedIn(tables, POLICY_RUN.name).map(({ input }) => input as PolicyRun);

const occurrencesIn = (tables: MemoryTableStore): OccurrenceBody[] =>
  tables.bodiesOf("occurrences") as OccurrenceBody[];

const markIn = (tables: MemoryTableStore): string | undefined => (tables.bodiesOf("marks") as MarkBody[])[0]?.at;

const lookedUntil = (instant: string): string => new Date(Date.parse(instant) + LIMITS.dispatchAheadMs).toISOString();

interface Ticks {
  readonly mark: string | null;
  /** Each host's own time. */
  readonly hosts: readonly [string, string];
  readonly next: string;
  readonly due: readonly string[];
}

const TICKS: readonly [string, Ticks][] = [
  [
    "of which one comes in time and the other one late",
    {
      mark: EARLIER_MARK,
      hosts: ["2026-03-02T01:59:00.000Z", "2026-03-02T02:03:00.000Z"],
      next: "2026-03-02T02:04:00.000Z",
      due: [TWO_OCLOCK],
    },
  ],
  [
    "after nobody ticked for hours",
    {
      mark: "2026-03-01T12:30:00.000Z",
      hosts: ["2026-03-02T03:00:00.000Z", "2026-03-02T03:00:10.000Z"],
      next: "2026-03-02T03:01:00.000Z",
      due: ["2026-03-02T00:00:00.000Z", TWO_OCLOCK],
    },
  ],
  [
    "that are the first ones",
    {
      mark: null,
      hosts: ["2026-03-02T01:59:00.000Z", "2026-03-02T01:59:10.000Z"],
      next: "2026-03-02T02:00:00.000Z",
      due: [TWO_OCLOCK],
    },
  ],
];

describe.each(WITH_FAULTS)("Two ticks at once, %s,", (_, faults) => {
  it.each(TICKS)("%s: one row and one run for each instant, and the mark only moves on", async (_when, ticks) => {
    const { mark, hosts, next, due } = ticks;
    const actors = hosts.map((instant) => tick(instant));
    const explored = await exploreRace({
      ...{ world: await makeWorld({ mark }), vaults: [], actors, workflow: startedAsRows, ...faults },
      check: (tables) => {
        // Whoever dies here leaves nothing behind the mark that was not started.
        const passed = due.filter((instant) => instant <= (markIn(tables) ?? ""));
        const started = runsIn(tables).map(({ scheduledAt }) => scheduledAt);
        expect(started).toEqual(expect.arrayContaining(passed));
      },
      checkEnd: async (deps, outcomes, isSettled) => {
        const tables = deps.tables as MemoryTableStore;
        const done = hosts.filter((_host, host) => outcomes.get(actors[host]?.name ?? "")?.kind === "done");
        for (const instant of done) expect((markIn(tables) ?? "") >= lookedUntil(instant)).toBe(true);
        if (isSettled) await tick(next).run(deps);
        if (isSettled || done.length > 0)
          expect(occurrencesIn(tables).map(({ scheduledAt }) => scheduledAt)).toEqual(due);
        if (isSettled) expect(markIn(tables)).toBe([next, ...hosts].map(lookedUntil).sort().at(-1));
        expect(runsIn(tables)).toEqual(occurrencesIn(tables).map(({ startedAt: _startedAt, ...run }) => run));
      },
    });
    expect(explored.states).toBeGreaterThan(50);
  });
});

/** An earlier tick was cut off after it had written the row of two o'clock. */
async function makeCutOff(): Promise<ControlWorld> {
  const world = await makeWorld({ mark: EARLIER_MARK });
  await protectMachine(world.deps, { vault: VAULT, item: ITEM, machineId: vmIdOf("web-1"), policy: "DefaultPolicy" });
  await world.runShortJobs();
  const body = { ...TWO_OCLOCK_RUN, startedAt: null };
  await insertRow(world.tables, OCCURRENCE_ROWS, occurrencePlace(VAULT, "DefaultPolicy", TWO_OCLOCK), body);
  return world;
}

const resume = (instant: string): RaceActor => ({
  name: "reconciler",
  run: (deps) => resumeRuns(at(deps, instant), VAULT),
});

/** The run of two o'clock itself, from its start to its end. */
const runBackups = async (deps: ControlDeps): Promise<void> => {
  await startBackups(at(deps, "2026-03-02T02:03:00.000Z"), { ...TWO_OCLOCK_RUN, after: null });
};

describe.each(WITH_FAULTS)("The run of a tick that died, %s,", (_, faults) => {
  it("is started under one id when a tick and the reconciler come upon it at once", async () => {
    const actors = [tick("2026-03-02T02:03:00.000Z"), resume("2026-03-02T02:03:10.000Z")];
    await exploreRace({
      ...{ world: await makeCutOff(), vaults: [], actors, workflow: startedAsRows, ...faults },
      checkEnd: async (deps, _outcomes, isSettled) => {
        const tables = deps.tables as MemoryTableStore;
        if (isSettled) await tick("2026-03-02T02:04:00.000Z").run(deps);
        expect(occurrencesIn(tables)).toEqual([{ ...TWO_OCLOCK_RUN, startedAt: null }]);
        expect(runsIn(tables).map(({ scheduledAt }) => scheduledAt)).toEqual([TWO_OCLOCK]);
      },
    });
  });

  it.each([resume("2026-03-02T02:03:10.000Z"), tick("2026-03-02T02:03:10.000Z")])(
    "backs its machine up once, also when it ends while a $name takes it for unfinished",
    async (other) => {
      const world = await makeCutOff();
      // That tick died as well, when it had started the run and not yet moved the mark.
      await tick("2026-03-02T02:03:00.000Z").run({ ...world.deps, workflow: startedAsRows(world.tables) });
      await changeRow(world.tables, MARK_ROWS, markPlace("dispatch"), () => ({ at: EARLIER_MARK }));
      const [started] = startedIn(world.tables, POLICY_RUN.name);
      const run: RaceActor = {
        name: "run",
        run: async (deps) => {
          await runBackups(deps);
          await endStarted(deps.tables, started?.id ?? "");
        },
      };
      await exploreRace({
        ...{ world, vaults: [], actors: [run, other], workflow: startedAsRows, ...faults },
        checkEnd: async (deps, _outcomes, isSettled) => {
          const tables = deps.tables as MemoryTableStore;
          if (!isSettled) return;
          // Of a run that died, or that was started again by who had read its row before, the hub carries out the rest.
          if (runsIn(tables).length > 0) await runBackups(deps);
          expect(startedIn(tables, POLICY_RUN.name).filter(({ id }) => id !== started?.id)).toEqual([]);
          const backups = (tables.bodiesOf("jobs") as JobBody[]).filter(({ backup }) => backup !== null);
          expect(backups.map(({ backup }) => backup?.scheduledAt)).toEqual([TWO_OCLOCK]);
          expect(startedIn(tables, BACKUP.name).map(({ id }) => id)).toEqual(backups.map(({ id }) => id));
          expect(occurrencesIn(tables)).toMatchObject([{ ...TWO_OCLOCK_RUN, startedAt: expect.any(String) }]);
        },
      });
    },
  );
});
