// Two jobs of one machine at once, and jobs whose orchestration is gone: who holds a phase, who has to wait or give way, and
// that nothing of the loser's is left.

import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { cancelJob } from "../../src/control/jobs.ts";
import { removeOrphans } from "../../src/control/orphans.ts";
import { reconcileJobs } from "../../src/control/reconcile.ts";
import type { JobBody } from "../../src/control/rows/job-row.ts";
import { readRow } from "../../src/control/rows/row-kind.ts";
import { PHASE_ROWS, phasePlace } from "../../src/control/rows/work-rows.ts";
import { VAULT } from "../support/service.ts";
import { beginRestore, startBackup } from "../support/service-work.ts";
import {
  beginBackup,
  faultsOf,
  restoreFromAllTiers,
  type SmallWorld,
  startSmallWorld,
  write,
} from "../support/small-world.ts";

let world: SmallWorld;

beforeEach(async () => {
  world = await startSmallWorld();
});

afterEach(async () => {
  await world.service.close();
});

const phase = async (name: "snapshot" | "transfer") =>
  (await readRow(world.service.tables, PHASE_ROWS, phasePlace(VAULT, world.item.name, name)))?.body;

const tasksOf = ({ tasks }: JobBody): string[] => tasks.map(({ status }) => status);

const terminate = (job: string): Promise<void> =>
  world.service.hub.hub.client.send(job, { kind: "terminate", reason: "an operator ended it" });

/** Ends the orchestration at the first call of that name, as an operator may, and lets what runs of it go on. */
function terminateAt(job: string, call: RegExp): { readonly isDone: () => boolean } {
  const { service } = world;
  let isDone = false;
  service.onCall = async (name, perform) => {
    if (!isDone && call.test(name)) {
      isDone = true;
      await terminate(job);
    }
    return perform();
  };
  return { isDone: () => isDone };
}

describe("Two backups of one machine", () => {
  it("of which one takes its snapshot, fail the other, with the code that users know", async () => {
    const { service } = world;
    const first = await beginBackup(world);
    await service.settle();
    const second = await startBackup(service, world.item);
    await service.untilAllEnded();
    expect((await service.job(first)).status).toBe("Completed");
    expect(await service.job(second)).toMatchObject({
      status: "Failed",
      failure: { code: "UserErrorBackupOperationInProgress" },
    });
    expect(await faultsOf(world)).toEqual([]);
  });

  it("of which one still transfers, leave the other's point in the snapshot tier, and the next transfer reads both changes", async () => {
    const { service, item } = world;
    const first = await beginBackup(world);
    const goOn = service.holdUp((call) => call === "archive.create");
    await service.until(async () => (await phase("transfer"))?.holder === first);
    write(world, 3);
    const second = await beginBackup(world);
    await service.end(second);
    goOn();
    await service.untilAllEnded();
    expect(tasksOf(await service.job(first))).toEqual(["Completed", "Completed"]);
    const skipped = await service.job(second);
    expect([skipped.status, tasksOf(skipped)]).toEqual(["Completed", ["Completed", "Skipped"]]);
    write(world, 4);
    await beginBackup(world);
    await service.untilAllEnded();
    expect((await service.points(item)).map(({ archive }) => archive !== null)).toEqual([true, false, true]);
    expect(await restoreFromAllTiers(world)).toEqual([["snapshot", "vault"], ["snapshot"], ["snapshot", "vault"]]);
    expect(await faultsOf(world)).toEqual([]);
  });
});

describe("A job whose orchestration was ended", () => {
  it.each([/snapshots\.begin/, /snapshots\.read/, /state\.create/, /archive\.create/, /archive\.list/])(
    "at %s goes on when the reconciler finds it",
    async (call) => {
      const { service } = world;
      const id = await beginBackup(world);
      const { isDone } = terminateAt(id, call);
      await service.untilAllEnded();
      expect(isDone()).toBe(true);
      expect(await service.job(id)).toMatchObject({ status: "Completed", restarts: 1 });
      expect(await restoreFromAllTiers(world)).toEqual([["snapshot", "vault"]]);
      expect(await faultsOf(world)).toEqual([]);
    },
  );

  it.each([/targets\.beginFromSnapshot/, /targets\.read/, /staging\.write/])(
    "at %s restores when the reconciler finds it",
    async (call) => {
      const { service, item } = world;
      await beginBackup(world);
      await service.untilAllEnded();
      const [point] = await service.points(item);
      const id = await beginRestore(service, item, point as never);
      terminateAt(id, call);
      await service.untilAllEnded();
      expect(await service.job(id)).toMatchObject({ status: "Completed", restarts: 1 });
      expect(await faultsOf(world)).toEqual([]);
    },
  );

  it("gives its snapshot phase over to the next one, under a higher fence, and leaves no snapshot behind", async () => {
    const { service, cloud } = world;
    const dead = await beginBackup(world);
    terminateAt(dead, /snapshots\.read/);
    await service.settle();
    service.onCall = (_name, perform) => perform();
    const before = await phase("snapshot");
    expect(before?.holder).toBe(dead);
    const next = await beginBackup(world);
    await service.settle();
    expect(await phase("snapshot")).toMatchObject({ holder: next, fence: (before?.fence ?? 0) + 1 });
    // The dead one is taken up while the next one holds the phase.
    await service.pass(3_000);
    await service.changeJobRow(dead, { startedAt: "2026-02-28T23:00:00.000Z" });
    expect(await reconcileJobs(service.deps, VAULT)).toBe(1);
    await service.untilAllEnded();
    expect(await service.job(dead)).toMatchObject({ status: "Failed", failure: { code: "HoldfastPhaseLost" } });
    expect((await service.job(next)).status).toBe("Completed");
    expect(cloud.snapshots.size).toBe(1);
    expect(await faultsOf(world)).toEqual([]);
  });

  it("gives its transfer up when another one has taken that phase over", async () => {
    const { service, item } = world;
    const dead = await beginBackup(world);
    terminateAt(dead, /archive\.create/);
    await service.until(async () => (await phase("transfer"))?.holder === dead);
    await service.pass(1_000);
    service.onCall = (_name, perform) => perform();
    const next = await beginBackup(world);
    await service.end(next);
    expect(tasksOf(await service.job(next))).toEqual(["Completed", "Completed"]);
    await service.untilAllEnded();
    // It found the phase free again, for the next one has come to its end.
    expect((await service.job(dead)).endedAt).not.toBeNull();
    expect((await service.points(item)).length).toBe(2);
    expect((await restoreFromAllTiers(world))[0]).toEqual(["snapshot", "vault"]);
    expect(await faultsOf(world)).toEqual([]);
  });

  it("that keeps being ended is cancelled in the end, and nothing of it is left", async () => {
    const { service } = world;
    const id = await beginBackup(world);
    service.onCall = async (name, perform) => {
      if (name === "archive.create" && (await service.job(id)).cancelRequestedAt === null) await terminate(id);
      return perform();
    };
    await service.untilAllEnded();
    expect(await service.job(id)).toMatchObject({ status: "CompletedWithWarnings", restarts: 4 });
    service.onCall = (_name, perform) => perform();
    expect(await faultsOf(world)).toEqual([]);
  });
});

describe("Cancelling", () => {
  it.each([
    [/snapshots\.begin/, ["Cancelled", "Cancelled"], "Cancelled"],
    [/archive\.create/, ["Completed", "Completed"], "Completed"],
  ] as const)("a backup at %s ends as its phases do", async (call, tasks, status) => {
    const { service } = world;
    const id = await beginBackup(world);
    let isAsked = false;
    service.onCall = async (name, perform) => {
      if (!isAsked && call.test(name)) {
        isAsked = true;
        await cancelJob({ ...service.deps, tables: service.tables }, { vault: VAULT, job: id });
      }
      return perform();
    };
    await service.untilAllEnded();
    const job = await service.job(id);
    expect([job.status, tasksOf(job)]).toEqual([status, tasks]);
    expect(await faultsOf(world)).toEqual([]);
  });

  it("before the transfer has begun leaves the point in the snapshot tier", async () => {
    const { service, item } = world;
    const id = await beginBackup(world);
    let isAsked = false;
    service.onCall = async (name, perform) => {
      const answer = await perform();
      if (!isAsked && name === "tables.insert" && (await service.points(item)).length === 1) {
        isAsked = true;
        await cancelJob({ ...service.deps, tables: service.tables }, { vault: VAULT, job: id });
      }
      return answer;
    };
    await service.untilAllEnded();
    const job = await service.job(id);
    expect([job.status, tasksOf(job)]).toEqual(["CompletedWithWarnings", ["Completed", "Cancelled"]]);
    expect((await service.points(item))[0]).toMatchObject({ archive: null, snapshot: { state: "valid" } });
    expect(await faultsOf(world)).toEqual([]);
  });

  it.each([/targets\.beginFromSnapshot/, /targets\.read/])("a restore at %s leaves no disk", async (call) => {
    const { service, item, cloud } = world;
    await beginBackup(world);
    await service.untilAllEnded();
    const [point] = await service.points(item);
    const id = await beginRestore(service, item, point as never);
    let isAsked = false;
    service.onCall = async (name, perform) => {
      if (!isAsked && call.test(name)) {
        isAsked = true;
        await cancelJob({ ...service.deps, tables: service.tables }, { vault: VAULT, job: id });
      }
      return perform();
    };
    await service.untilAllEnded();
    expect(await service.job(id)).toMatchObject({ status: "Cancelled" });
    await service.pass(10_000);
    for (const disk of cloud.targets.keys()) cloud.findTarget(disk);
    expect([...cloud.targets.keys()]).toEqual([]);
    expect(await faultsOf(world)).toEqual([]);
  });
});

describe("A snapshot that nobody knows", () => {
  it("is removed when its job has ended without it; anybody else's stays", async () => {
    const { service, cloud, item } = world;
    const id = await beginBackup(world);
    await service.untilAllEnded();
    const { backup } = await service.job(id);
    const failed = await startBackup(service, item);
    await service.settle();
    await cancelJob(service.deps, { vault: VAULT, job: failed });
    await service.untilAllEnded();
    const ref = (await service.job(failed)).backup?.snapshot;
    if (!backup?.snapshot || !ref) throw new Error("both jobs have decided on a snapshot");
    const request = {
      machineId: item.machineId,
      location: "westeurope",
      crashConsistentOnly: false,
      excludedDiskIds: [],
    };
    // A request that was on its way when the job gave up arrives after all; and a backup by hand is in the same place.
    await service.deps.snapshots.begin({ ...request, snapshot: ref });
    await service.deps.snapshots.begin({ ...request, snapshot: { ...ref, name: "by-hand" } });
    await removeOrphans(service.deps, VAULT);
    await service.pass(10_000);
    const left = [];
    for await (const page of service.deps.snapshots.list(ref.collection)) left.push(...page.map(({ name }) => name));
    expect(left.sort()).toEqual([backup.snapshot.name, "by-hand"].sort());
    expect(cloud.openAccess.size).toBe(0);
  });
});
