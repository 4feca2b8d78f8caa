import { describe, expect, it } from "vitest";
import { backUpNow } from "../../../src/control/backups.ts";
import { moveSubTask } from "../../../src/control/job-changes.ts";
import { cancelJob, getJob, type JobFilter, listJobs } from "../../../src/control/jobs.ts";
import { claimPhase, freePhase } from "../../../src/control/phases.ts";
import { protectMachine, stopProtection } from "../../../src/control/protection.ts";
import { deleteVault } from "../../../src/control/vaults.ts";
import { ControlWorld, GROUP, ITEM, VAULT } from "../../support/control-world.ts";
import { SUBSCRIPTION, vmIdOf } from "../../support/memory-machines.ts";

const PROTECT = { vault: VAULT, item: ITEM, machineId: vmIdOf("web-1"), policy: "DefaultPolicy" };
const DAY_MS = 24 * 3_600_000;

async function protectedWorld(): Promise<ControlWorld> {
  const world = await ControlWorld.open("web-1");
  await protectMachine(world.deps, PROTECT);
  await world.runShortJobs();
  world.advance(60_000);
  return world;
}

describe("Backing up now", () => {
  it("makes a job that is started once, with what was asked for", async () => {
    const world = await protectedWorld();
    const retainUntil = new Date("2026-03-13T00:00:00Z");
    const { jobId } = await backUpNow(world.deps, { vault: VAULT, item: ITEM.toLowerCase(), retainUntil });
    const job = await getJob(world.deps, { vault: VAULT, job: jobId });
    expect(job).toMatchObject({ operation: "Backup", status: "InProgress", isUserTriggered: true, item: ITEM });
    expect(job.backup).toMatchObject({ retainUntil: retainUntil.toISOString(), scheduledAt: null, goesToVault: true });
    expect(job.properties["Recovery Point Expiry Time in UTC"]).toBe("3/13/2026 12:00:00 AM");
    expect(job.tasks.map(({ name, status }) => [name, status])).toEqual([
      ["Take Snapshot", "NotStarted"],
      ["Transfer data to vault", "NotStarted"],
    ]);
    expect(world.workflow.started.filter(({ instanceId }) => instanceId === jobId)).toEqual([
      { name: "backup-v1", instanceId: jobId, input: { vault: VAULT, job: jobId } },
    ]);
  });

  it("keeps its point for thirty days when nothing else is said, and never until the past", async () => {
    const world = await protectedWorld();
    const { jobId } = await backUpNow(world.deps, { vault: VAULT, item: ITEM });
    const { backup } = await getJob(world.deps, { vault: VAULT, job: jobId });
    expect(Date.parse(backup?.retainUntil ?? "")).toBe(world.now.getTime() + 30 * DAY_MS);
    for (const retainUntil of [world.now, new Date(world.now.getTime() + 100 * 366 * DAY_MS), new Date(Number.NaN)]) {
      const refused = backUpNow(world.deps, { vault: VAULT, item: ITEM, retainUntil });
      await expect(refused).rejects.toMatchObject({ code: "HoldfastRetainUntilOutOfRange" });
    }
  });

  it("is refused while a snapshot of the machine is taken, not while one is transferred", async () => {
    const world = await protectedWorld();
    const { jobId } = await backUpNow(world.deps, { vault: VAULT, item: ITEM });
    const phase = (name: "snapshot" | "transfer") => ({ vault: VAULT, item: ITEM, phase: name });
    await claimPhase(world.deps, phase("snapshot"), jobId);
    const busy = { kind: "conflict", code: "UserErrorBackupOperationInProgress" };
    await expect(backUpNow(world.deps, { vault: VAULT, item: ITEM })).rejects.toMatchObject(busy);
    await freePhase(world.deps, phase("snapshot"), jobId);
    await claimPhase(world.deps, phase("transfer"), jobId);
    world.advance(1);
    await backUpNow(world.deps, { vault: VAULT, item: ITEM });
  });

  it("is refused for what is stopped, just being enabled, or not there", async () => {
    const world = await ControlWorld.open("web-1");
    const now = () => backUpNow(world.deps, { vault: VAULT, item: ITEM });
    await expect(now()).rejects.toMatchObject({ kind: "not-found", code: "BMSUserErrorDataSourceObjectNotFound" });
    await protectMachine(world.deps, PROTECT);
    await expect(now()).rejects.toMatchObject({ code: "BMSUserErrorConflictingProtectionOperation" });
    await world.runShortJobs();
    await stopProtection(world.deps, { vault: VAULT, item: ITEM });
    await world.runShortJobs();
    await expect(now()).rejects.toMatchObject({ code: "HoldfastItemStateForbids" });
  });
});

describe("Jobs", () => {
  it("are listed newest first, in pages, by status, operation and time", async () => {
    const world = await protectedWorld();
    const ids: string[] = [];
    for (let count = 0; count < 7; count++) {
      world.advance(60_000);
      ids.unshift((await backUpNow(world.deps, { vault: VAULT, item: ITEM })).jobId);
    }
    const found: string[] = [];
    let page = await listJobs(world.deps, { vault: VAULT, limit: 3 });
    for (;;) {
      found.push(...page.values.map(({ id }) => id));
      if (page.next === undefined) break;
      page = await listJobs(world.deps, { vault: VAULT, limit: 3, after: page.next });
    }
    expect(found.slice(0, 7)).toEqual(ids);
    expect(found).toHaveLength(8);

    const list = async (filter: JobFilter) =>
      (await listJobs(world.deps, { vault: VAULT, limit: 100, filter })).values.map(({ id }) => id);
    expect(await list({ operation: "Backup" })).toEqual(ids);
    expect(await list({ operation: "ConfigureBackup" })).toEqual(found.slice(7));
    expect(await list({ status: "InProgress" })).toEqual(ids);
    expect(await list({ status: "Completed" })).toEqual(found.slice(7));
    const at = (index: number) => new Date(world.now.getTime() - index * 60_000);
    expect(await list({ from: at(2), until: at(1) })).toEqual(ids.slice(1, 3));
    const only = await listJobs(world.deps, { vault: VAULT, limit: 100, matches: ({ id }) => id === ids[3] });
    expect(only.values.map(({ id }) => id)).toEqual([ids[3]]);
  });

  it("are found in any case, and not when there are none", async () => {
    const world = await protectedWorld();
    const { jobId } = await backUpNow(world.deps, { vault: VAULT, item: ITEM });
    expect((await getJob(world.deps, { vault: VAULT, job: jobId.toUpperCase() })).id).toBe(jobId);
    const other = `${jobId.slice(0, -1)}${jobId.endsWith("0") ? "1" : "0"}`;
    for (const job of ["nonsense", other]) {
      await expect(getJob(world.deps, { vault: VAULT, job })).rejects.toMatchObject({ kind: "not-found" });
    }
  });

  it("of an earlier vault of the same name are not those of the new one", async () => {
    const world = await protectedWorld();
    const { jobId } = await backUpNow(world.deps, { vault: VAULT, item: ITEM });
    await world.tables.remove("items", VAULT, ITEM.toLowerCase());
    await deleteVault(world.deps, { subscriptionId: SUBSCRIPTION, resourceGroup: GROUP, name: "vault-1" });
    world.advance(1);
    await world.addVault("vault-1");
    expect((await listJobs(world.deps, { vault: VAULT, limit: 10 })).values).toEqual([]);
    await expect(getJob(world.deps, { vault: VAULT, job: jobId })).rejects.toMatchObject({ kind: "not-found" });
  });
});

describe("Cancelling", () => {
  it("writes the wish down, and the status says so", async () => {
    const world = await protectedWorld();
    const { jobId } = await backUpNow(world.deps, { vault: VAULT, item: ITEM });
    const ref = { vault: VAULT, job: jobId };
    const cancelRequestedAt = world.now.toISOString();
    expect(await cancelJob(world.deps, ref)).toMatchObject({ status: "Cancelling", cancelRequestedAt });
    await expect(cancelJob(world.deps, ref)).rejects.toMatchObject({ code: "HoldfastJobNotInProgress" });
    await moveSubTask(world.deps, ref, "Take Snapshot", "cancel");
    expect((await getJob(world.deps, ref)).status).toBe("Cancelled");
  });

  it("is refused for short jobs", async () => {
    const world = await protectedWorld();
    const { jobId: job } = await stopProtection(world.deps, { vault: VAULT, item: ITEM });
    const refusal = { kind: "conflict", code: "HoldfastJobTypeNotCancellable" };
    await expect(cancelJob(world.deps, { vault: VAULT, job })).rejects.toMatchObject(refusal);
  });
});
